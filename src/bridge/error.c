#include "bridge/error.h"

#include <lauxlib.h>

static char cancelled_key;

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

void la_error_open(lua_State *L) {
  luaL_newmetatable(L, la_error_metatable);
  lua_pushcfunction(L, error_tostring);
  lua_setfield(L, -2, "__tostring");
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
