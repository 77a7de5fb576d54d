#include "bridge/traceback.h"

#include <lauxlib.h>
#include <string.h>

#include "bridge/coro.h"
#include "bridge/error.h"

/* Who raised is the C function that said so in la_rethrow: an error of that value that was
** caught, and raised again by others, has come from elsewhere. */
static bool raised_from_await(lua_State *L, const la_runtime *rt) {
  lua_Debug ar;
  if (rt->rethrow == NULL || !lua_getstack(L, 1, &ar) || !lua_getinfo(L, "f", &ar)) return false;
  bool same = lua_topointer(L, -1) == rt->rethrow;
  lua_pop(L, 1);
  return same;
}

int la_traceback_handler(lua_State *L) {
  la_runtime *rt = la_rt;
  la_coro *c = rt != NULL ? rt->current : NULL;
  if (c == NULL) return 1; /* a <close> of a coroutine that is being dropped */
  bool kept = raised_from_await(L, rt) && la_coro_has_traceback(L, c, 1);
  rt->rethrow = NULL;
  if (!kept && !(la_is_cancelled(L, 1) && la_coro_cancelled(c))) {
    luaL_traceback(L, L, NULL, 1);
    la_coro_set_traceback(L, c, 1);
  }
  lua_settop(L, 1);
  return 1;
}

int la_rethrow(lua_State *L) {
  lua_Debug ar;
  if (lua_getstack(L, 0, &ar) && lua_getinfo(L, "f", &ar)) {
    la_rt->rethrow = lua_topointer(L, -1);
    lua_pop(L, 1);
  }
  return lua_error(L);
}

/* What stays of a long record, in bytes: where the error came from, and where it went last. Each
** await copies the record, and each Task on its way keeps one. */
enum { HEAD_MAX = 4096, TAIL_MAX = 4096 };

/* Leaves out lines in the middle of the record on top of the stack. */
static void shorten(lua_State *L) {
  static const char mark[] = "\n\t...\t(awaits left out)";
  size_t len;
  const char *s = lua_tolstring(L, -1, &len);
  if (s == NULL || len <= HEAD_MAX + sizeof mark + TAIL_MAX) return;
  size_t head = HEAD_MAX;
  while (head > 0 && s[head] != '\n') head--;
  const char *tail = memchr(s + len - TAIL_MAX, '\n', TAIL_MAX);
  if (tail == NULL) tail = s + len;
  lua_pushlstring(L, s, head);
  lua_pushstring(L, mark);
  lua_pushlstring(L, tail, (size_t)(s + len - tail));
  lua_concat(L, 3);
  lua_replace(L, -2);
}

void la_disown_cancellation(lua_State *L, int i) {
  const la_runtime *rt = la_rt;
  if (!la_is_cancelled(L, i)) return;
  if (rt != NULL && rt->current != NULL && la_coro_cancelled(rt->current)) return;
  i = lua_absindex(L, i);
  la_push_error(L, &(la_error_info){.code = "ECANCELED",
                                    .op = "await",
                                    .message = "it raised a cancellation that was not its own"});
  lua_replace(L, i);
}

int la_raise_from(lua_State *L) {
  la_disown_cancellation(L, -2);
  if (lua_isnil(L, -1) || la_rt == NULL || la_rt->current == NULL) {
    lua_pop(L, 1);
    return lua_error(L);
  }
  shorten(L);
  lua_pushliteral(L, "\n");
  luaL_traceback(L, L, "awaited at", 1);
  lua_concat(L, 3);
  la_coro_set_traceback(L, la_rt->current, -2);
  return la_rethrow(L);
}

void la_push_report(lua_State *L, int value, int rec) {
  value = lua_absindex(L, value);
  rec = lua_absindex(L, rec);
  luaL_tolstring(L, value, NULL);
  if (lua_type(L, rec) != LUA_TSTRING) return;
  lua_pushliteral(L, "\n");
  lua_pushvalue(L, rec);
  lua_concat(L, 3);
}
