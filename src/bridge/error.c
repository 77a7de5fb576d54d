#include "bridge/error.h"

#include <lauxlib.h>
#include <string.h>

#include "bridge/lib.h"

static char cancelled_key, tasks_key;

static void set(lua_State *L, const char *field, const char *value) {
  if (value == NULL) return;
  lua_pushstring(L, value);
  lua_setfield(L, -2, field);
}

void la_push_error(lua_State *L, const la_error_info *info) {
  lua_createtable(L, 0, 5);
  set(L, "code", info->code);
  set(L, "message", info->message);
  set(L, "op", info->op);
  set(L, "path", info->path);
  set(L, "to", info->to);
  set(L, "address", info->address);
  if (info->number != 0) {
    lua_pushinteger(L, info->number);
    lua_setfield(L, -2, "errno");
  }
  luaL_setmetatable(L, la_error_metatable);
}

/* Adds `before`, the field's string (a field that is not one is left out) and `after`. A Unix
** socket's abstract name begins with a zero byte, for which "@" is usual. */
static void add_field(lua_State *L, luaL_Buffer *b, const char *before, const char *field,
                      const char *after) {
  if (lua_getfield(L, 1, field) == LUA_TSTRING) {
    size_t len;
    const char *s = lua_tolstring(L, -1, &len);
    bool abstract = len > 0 && *s == '\0';
    lua_pushfstring(L, "%s%s%s%s", before, abstract ? "@" : "", s + abstract, after);
    lua_remove(L, -2);
    luaL_addvalue(b);
  } else {
    lua_pop(L, 1);
  }
}

static int error_tostring(lua_State *L) {
  luaL_Buffer b;
  luaL_checktype(L, 1, LUA_TTABLE);
  if (lua_getfield(L, 1, "op") == LUA_TNIL && lua_getfield(L, 1, "message") == LUA_TSTRING)
    return 1;
  lua_settop(L, 1);
  luaL_buffinit(L, &b);
  add_field(L, &b, "", "op", "");
  add_field(L, &b, " ", "path", "");
  add_field(L, &b, " -> ", "to", "");
  add_field(L, &b, " ", "address", "");
  add_field(L, &b, ": ", "message", "");
  add_field(L, &b, " (", "code", ")");
  luaL_pushresult(&b);
  return 1;
}

/* Upvalue: the Tasks of errors. */
static int error_index(lua_State *L) {
  if (lua_type(L, 2) != LUA_TSTRING || strcmp(lua_tostring(L, 2), "task") != 0) return 0;
  lua_settop(L, 1);
  lua_rawget(L, lua_upvalueindex(1));
  return 1;
}

void la_error_set_task(lua_State *L, int i) {
  i = lua_absindex(L, i);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &tasks_key);
  lua_pushvalue(L, -2);
  lua_pushvalue(L, i);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

void la_error_open(lua_State *L) {
  luaL_newmetatable(L, la_error_metatable);
  lua_pushcfunction(L, error_tostring);
  lua_setfield(L, -2, "__tostring");
  la_push_registered(L, &tasks_key, "k"); /* of errors that have a Task */
  lua_pushcclosure(L, error_index, 1);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &cancelled_key) == LUA_TNIL) {
    la_push_error(L, &(la_error_info){.code = "ECANCELED", .op = "task", .message = "cancelled"});
    lua_rawsetp(L, LUA_REGISTRYINDEX, &cancelled_key);
  }
  lua_pop(L, 1);
}

bool la_is_error(lua_State *L, int i) {
  if (lua_type(L, i) != LUA_TTABLE || !lua_getmetatable(L, i)) return false;
  luaL_getmetatable(L, la_error_metatable);
  bool is = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  return is;
}

void la_push_cancelled(lua_State *L) { lua_rawgetp(L, LUA_REGISTRYINDEX, &cancelled_key); }

bool la_is_cancelled(lua_State *L, int i) {
  if (lua_type(L, i) != LUA_TTABLE) return false;
  i = lua_absindex(L, i);
  la_push_cancelled(L);
  bool is = lua_rawequal(L, i, -1);
  lua_pop(L, 1);
  return is;
}
