/* async.sync: the table, and what its objects share. */
#include "sync/l_sync.h"

/* ---- failures ------------------------------------------------------------------------*/

int la_sync_fail_pipe(lua_State *L, const char *op) {
  return la_fail_message(L, UV_EPIPE, op, "all receivers are closed");
}

int la_sync_fail_lost(lua_State *L, uint64_t lost) {
  int n = la_fail_message(L, UV_EOVERFLOW, "recv", NULL);
  lua_pushfstring(L, "%I messages were lost: they came faster than they were received",
                  (lua_Integer)lost);
  lua_setfield(L, -2, "message");
  lua_pushinteger(L, (lua_Integer)lost);
  lua_setfield(L, -2, "lost");
  return n;
}

/* ---- arguments -----------------------------------------------------------------------*/

uint32_t la_sync_check_count(lua_State *L, int arg, lua_Integer min) {
  lua_Integer n = luaL_checkinteger(L, arg);
  if (n < min || n > (lua_Integer)LA_SEMAPHORE_MAX)
    luaL_argerror(L, arg,
                  lua_pushfstring(L, "a count from %I to %I expected", min,
                                  (lua_Integer)LA_SEMAPHORE_MAX));
  return (uint32_t)n;
}

uint32_t la_sync_check_many(lua_State *L, uint64_t *wait) {
  *wait = lua_isnoneornil(L, 3) ? 0 : la_check_seconds(L, 3);
  return la_sync_check_count(L, 2, 1);
}

/* ---- the module ----------------------------------------------------------------------*/

void la_open_sync(lua_State *L) {
  static void (*const parts[])(lua_State *) = {la_open_channel, la_open_locks, la_open_once,
                                               la_open_signals, la_open_watch, la_open_broadcast};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) parts[i](L);
}
