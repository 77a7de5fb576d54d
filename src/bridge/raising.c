#include "bridge/raising.h"

#include "bridge/error.h"
#include "bridge/lib.h"

bool la_option_raise(lua_State *L, int arg) {
  static const char *const names[] = {"raise", NULL};
  la_check_options(L, arg, names);
  return la_option_boolean(L, arg, "raise", false);
}

static int returned(lua_State *L, int status, lua_KContext k) {
  (void)status;
  (void)k;
  if (lua_isnil(L, 1) && la_is_error(L, 2)) {
    lua_settop(L, 2);
    return lua_error(L);
  }
  return lua_gettop(L);
}

/* Upvalue: the iterator. */
static int next(lua_State *L) {
  lua_settop(L, 0);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_callk(L, 0, LUA_MULTRET, 0, returned);
  return returned(L, LUA_OK, 0);
}

void la_make_raising(lua_State *L) { lua_pushcclosure(L, next, 1); }
