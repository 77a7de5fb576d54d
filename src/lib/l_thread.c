/* async.thread: work on other threads, each with a Lua state of its own. */
#include "lib/l_thread.h"

#include "lib/thread_state.h"

static int init(lua_State *L) {
  if (!lua_isnoneornil(L, 1)) luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_settop(L, 1);
  la_plan_set_init(L, 1);
  return 0;
}

void la_open_thread(lua_State *L) {
  lua_newtable(L);
  lua_pushcfunction(L, init);
  lua_setfield(L, -2, "init");
  la_open_blocking(L);
  la_open_thread_channel(L);
  lua_setfield(L, -2, "thread");
}
