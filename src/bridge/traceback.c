#include "bridge/traceback.h"

#include <lauxlib.h>

#include "bridge/coro.h"
#include "bridge/error.h"

int la_traceback_handler(lua_State *L) {
  la_coro *c = la_rt->current;
  bool kept = la_rt->rethrow && la_coro_has_traceback(L, c, 1);
  la_rt->rethrow = false;
  if (!kept && !la_is_cancelled(L, 1)) {
    luaL_traceback(L, L, NULL, 1);
    la_coro_set_traceback(L, c, 1);
  }
  lua_settop(L, 1);
  return 1;
}

int la_rethrow(lua_State *L) {
  la_rt->rethrow = true;
  return lua_error(L);
}

int la_raise_from(lua_State *L) {
  if (lua_isnil(L, -1) || la_rt->current == NULL) {
    lua_pop(L, 1);
    return lua_error(L);
  }
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
