/* l_sync.h - what the objects of async.sync, and of channels between threads, share. */
#ifndef LA_SYNC_L_SYNC_H
#define LA_SYNC_L_SYNC_H

#include "bridge/lib.h"
#include "bridge/object.h"
#include "sync/lock.h"

/* Who is running, for la_lock. */
static inline la_holder la_sync_holder(void) {
  const la_task *t = la_rt != NULL ? la_rt->ex->current : NULL;
  return (la_holder){t != NULL ? t->id : 0, t != NULL ? la_rt->current : NULL};
}

/* `nil, err`; return 2. Nobody is at the other end (EPIPE); so many messages were missed
** (EOVERFLOW). */
int la_sync_fail_pipe(lua_State *L, const char *op);
int la_sync_fail_lost(lua_State *L, uint64_t lost);

/* recv_many's arguments behind the receiver: how many messages at most, and for how long after the
** first, in nanoseconds (0 by default). */
uint32_t la_sync_check_many(lua_State *L, uint64_t *wait);

/* A count from 1 (or `min`) to LA_SEMAPHORE_MAX. */
uint32_t la_sync_check_count(lua_State *L, int arg, lua_Integer min);

/* A value that can be sent: anything but nil, which is how the end is told. */
static inline void la_sync_check_value(lua_State *L, int arg) {
  if (lua_isnoneornil(L, arg))
    luaL_argerror(L, arg, "nil cannot be sent, since it tells the end: send false, or a table");
}

void la_open_sync(lua_State *L); /* async.sync */

/* Its parts: each sets its functions there. */
void la_open_locks(lua_State *L);
void la_open_once(lua_State *L);
void la_open_channel(lua_State *L);
void la_open_signals(lua_State *L);
void la_open_watch(lua_State *L);
void la_open_broadcast(lua_State *L);

#endif
