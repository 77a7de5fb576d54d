/* The module: a table of its parts, and nothing else. */
#include "bridge/alias.h"
#include "bridge/error.h"
#include "bridge/lib.h"
#include "capi/l_capi.h"

#if defined(__GNUC__)
__attribute__((visibility("default")))
#endif
int luaopen_lua_async(lua_State *L);

/* The tables in the one on top. */
static void add_aliases(lua_State *L) {
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING || !lua_istable(L, -1)) continue;
    const char *name = lua_pushfstring(L, "lua_async.%s", lua_tostring(L, -2));
    lua_pushvalue(L, -2);
    la_alias_add(L, name);
    lua_pop(L, 1);
  }
}

int luaopen_lua_async(lua_State *L) {
  static void (*const parts[])(
      lua_State *) = {la_open_run,       la_open_task,    la_open_future,   la_open_time,
                      la_open_compose,   la_open_scope,   la_open_interval, la_open_test,
                      la_open_coroutine, la_open_streams, la_open_standard, la_open_copy,
                      la_open_net,       la_open_fs,      la_open_sync,     la_open_process,
                      la_open_signal,    la_open_loop,    la_open_poll_fd,  la_open_thread,
                      la_open_control};
  luaL_checkversion(L);
  la_error_open(L);
  la_capi_open(L);
  lua_newtable(L);
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) parts[i](L);
  add_aliases(L);
  lua_pushliteral(L, "lua_async 0.1.0");
  lua_setfield(L, -2, "_VERSION");
  return 1;
}
