#include "bridge/report.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#include "bridge/task_object.h"
#include "bridge/traceback.h"

char la_error_handler_key;

/* ---- what was told -------------------------------------------------------------------*/

/* Registry: a list of failures that were told in full, of one turn. */
static char told_key;
enum { ERROR = 1, TEXT, HEADLINE, MORE, TOLD_MAX = 16 };

/* Pushes the text on top again without the numbers of tasks in its traceback. */
static void push_without_ids(lua_State *L) {
  static const char before[] = "\n\ttask ";
  const char *s = lua_tostring(L, -1);
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (const char *at; (at = strstr(s, before)) != NULL;) {
    at += sizeof before - 1;
    luaL_addlstring(&b, s, (size_t)(at - s));
    s = at + strspn(at, "0123456789");
  }
  luaL_addstring(&b, s);
  luaL_pushresult(&b);
}

/* The entry of the list at `told` for the error at index 1 with the text on top: it is pushed. */
static bool find_told(lua_State *L, int told) {
  int text = lua_gettop(L);
  bool value = lua_type(L, 1) != LUA_TSTRING && lua_topointer(L, 1) != NULL;
  for (lua_Integer i = 1; lua_rawgeti(L, told, i) == LUA_TTABLE; i++) {
    lua_rawgeti(L, -1, ERROR);
    lua_rawgeti(L, -2, TEXT);
    bool same = (value && lua_rawequal(L, 1, -2)) || lua_rawequal(L, text, -1);
    lua_pop(L, 2);
    if (same) return true;
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return false;
}

static void after_turn(void *rt) {
  if (!((la_runtime *)rt)->ending) la_report_rest(rt);
}

/* The text on top, of the error at index 1, has been told in this turn already: counts it.
** Otherwise notes it. Outside of a runtime nothing is counted: nothing would tell the rest. */
static bool is_told(lua_State *L) {
  la_runtime *rt = la_rt;
  if (rt == NULL || rt->ex == NULL) return false;
  rt->ex->after_turn = after_turn;
  rt->ex->after_turn_arg = rt;
  int text = lua_gettop(L);
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &told_key) != LUA_TTABLE) {
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &told_key);
  }
  int told = lua_gettop(L);
  lua_pushvalue(L, text);
  push_without_ids(L);
  bool found = find_told(L, told);
  if (found) {
    lua_rawgeti(L, -1, MORE);
    lua_pushinteger(L, lua_tointeger(L, -1) + 1);
    lua_rawseti(L, -3, MORE);
  } else if (lua_rawlen(L, told) < TOLD_MAX) {
    const char *s = lua_tostring(L, text);
    lua_createtable(L, MORE, 0);
    lua_insert(L, -2);
    lua_rawseti(L, -2, TEXT);
    lua_pushvalue(L, 1);
    lua_rawseti(L, -2, ERROR);
    lua_pushlstring(L, s, strcspn(s, "\n"));
    lua_rawseti(L, -2, HEADLINE);
    lua_pushinteger(L, 0);
    lua_rawseti(L, -2, MORE);
    lua_rawseti(L, told, (lua_Integer)lua_rawlen(L, told) + 1);
  }
  lua_settop(L, text);
  return found;
}

/* Takes no memory: it may be called from anywhere in a turn. */
void la_report_rest(la_runtime *rt) {
  lua_State *L = rt->running;
  int top = lua_gettop(L);
  if (!lua_checkstack(L, 4)) return;
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &told_key) == LUA_TTABLE) {
    for (lua_Integer i = 1; lua_rawgeti(L, top + 1, i) == LUA_TTABLE; i++, lua_settop(L, top + 1)) {
      lua_rawgeti(L, -1, HEADLINE);
      lua_rawgeti(L, -2, MORE);
      lua_Integer more = lua_tointeger(L, -1);
      if (more == 0) continue;
      fprintf(stderr, "lua_async: ... and %lld more task%s failed with the same error: %s\n",
              (long long)more, more == 1 ? "" : "s", lua_tostring(L, -2));
    }
    fflush(stderr);
    lua_pushnil(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &told_key); /* the key is there */
  }
  lua_settop(L, top);
}

/* ---- telling -------------------------------------------------------------------------*/

/* Who failed: the Task at index i, or what stood for none. */
static void print_failed(lua_State *L, int i) {
  const la_task_object *o = lua_touserdata(L, i);
  if (o != NULL)
    fprintf(stderr, "lua_async: task %lld failed: ", (long long)la_task_object_id(o));
  else
    fputs("lua_async: error while closing an abandoned coroutine: ", stderr);
}

static const char *plain_text(lua_State *L, int i) {
  return lua_type(L, i) == LUA_TSTRING ? lua_tostring(L, i) : luaL_typename(L, i);
}

static const char too[] = "\nand reporting this error failed too: ";

/* Called protected: (error, record or nil, Task or nil, why the handler failed or nil). */
static int tell(lua_State *L) {
  if (lua_isnil(L, 2)) {
    lua_pushliteral(L, "(no traceback)");
    lua_replace(L, 2);
  }
  la_push_report(L, 1, 2);
  if (!lua_isnil(L, 4)) {
    lua_pushstring(L, too);
    lua_pushvalue(L, 4);
    lua_concat(L, 3);
  }
  if (is_told(L)) return 0;
  print_failed(L, 3);
  fprintf(stderr, "%s\n", lua_tostring(L, -1));
  fflush(stderr);
  return 0;
}

/* Called protected: (handler, error, record or nil, Task or nil). */
static int call_handler(lua_State *L) {
  if (!lua_iscfunction(L, 1)) la_callback_begin(L); /* its end: la_report_failure */
  if (lua_isnil(L, 3)) {
    lua_pushliteral(L, "(no traceback)");
    lua_replace(L, 3);
  }
  lua_call(L, 3, 0);
  return 0;
}

/* The handler's own error, as text. */
static int describe(lua_State *L) {
  luaL_tolstring(L, 1, NULL);
  luaL_traceback(L, L, lua_tostring(L, -1), 1);
  return 1;
}

/* Calls the handler, if there is one. True: it has been told. Else there is a value more on top:
** why not, or nil. */
static bool handle(lua_State *L, int first) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &la_error_handler_key) != LUA_TFUNCTION) {
    lua_pop(L, 1);
    lua_pushnil(L);
    return false;
  }
  lua_State *callback = la_rt != NULL ? la_rt->callback : NULL;
  lua_pushcfunction(L, describe);
  lua_insert(L, -2);
  lua_pushcfunction(L, call_handler);
  lua_insert(L, -2);
  for (int i = 0; i < 3; i++) lua_pushvalue(L, first + i);
  int status = lua_pcall(L, 4, 0, first + 3);
  la_callback_end(L, callback);
  lua_remove(L, first + 3);
  return status == LUA_OK;
}

/* What cannot be told in full, for want of memory or because of a metamethod, is told as far as can
** be without. */
void la_report_failure(lua_State *L) {
  int first = lua_gettop(L) - 2;
  if (!handle(L, first)) {
    lua_pushcfunction(L, tell);
    for (int i = 0; i < 4; i++) lua_pushvalue(L, first + i);
    if (lua_pcall(L, 4, 0, 0) != LUA_OK) {
      bool has_reason = !lua_isnil(L, first + 3);
      const char *where = lua_type(L, first + 1) == LUA_TSTRING ? lua_tostring(L, first + 1) : "";
      print_failed(L, first + 2);
      fprintf(stderr, "%s\n%s%s%s\n", plain_text(L, first), where, too,
              plain_text(L, has_reason ? first + 3 : -1));
      fflush(stderr);
    }
  }
  lua_settop(L, first - 1);
}
