/*
** l_sync.h - what the objects of async.sync, children and streams of signals have in common.
**
** A userdata that begins with la_sync_object. Its class is told by a pointer to static
** storage, which no other userdata has in that place: a comparison where luaL_checkudata
** looks up a string. All have close, __close, __gc, __tostring.
*/
#ifndef LA_SYNC_L_SYNC_H
#define LA_SYNC_L_SYNC_H

#include "bridge/lib.h"
#include "sync/lock.h"

typedef struct la_sync_class {
  const char *name;             /* of the metatable: "lua_async.Mutex" */
  void (*close)(void *object);  /* once, when it is closed or collected */
  void (*end)(void *object);    /* or NULL: it is collected, after `close` */
  void (*closed)(lua_State *L); /* or NULL: after `close`, with the object at index 1 */
} la_sync_class;

typedef struct la_sync_object {
  const la_sync_class *cls;
  const void *tag; /* &la_sync_tag */
  bool closed;
} la_sync_object;

extern const char la_sync_tag;

/* Raises: the value at `arg` is no object of that class, or not any more. */
int la_sync_mismatch(lua_State *L, int arg, const la_sync_class *cls);

/* The object of that class at index `arg`; raises when it is none. */
static inline void *la_sync_check(lua_State *L, int arg, const la_sync_class *cls) {
  la_sync_object *o = lua_touserdata(L, arg);
  if (o == NULL || lua_rawlen(L, arg) < sizeof *o || o->cls != cls) la_sync_mismatch(L, arg, cls);
  return o;
}

/* The object at index `arg` was collected, and the Lua state is closing: there is nothing to close.
 */
bool la_sync_collected(lua_State *L, int arg);

/* A new object of `size` bytes on top of L, zeroed but for its head, and without a metatable
** until la_sync_made: its finaliser must not see it half made. */
void *la_sync_new(lua_State *L, const la_sync_class *cls, size_t size, int uservalues);
void la_sync_made(lua_State *L, const la_sync_class *cls);

/* Makes the metatable: these and the shared metamethods, these methods and `close`. */
void la_sync_class_open(lua_State *L, const la_sync_class *cls, const luaL_Reg *meta,
                        const luaL_Reg *methods);

/* close(object), as a function of Lua. */
int la_sync_close(lua_State *L);

/* Takes one operation from the budget of the task that runs. False: it must wait a turn. */
static inline bool la_sync_proceed(void) {
  unsigned *budget = &la_rt->ex->budget; /* what the contexts of its tasks point to */
  if (*budget == 0) return false;
  --*budget;
  return true;
}

/* An operation that need not wait may go about it directly, and is spared la_operate; so it
** also succeeds where it could not wait. False when it is due to raise, or in doubt. */
static inline bool la_sync_direct(const lua_State *L) {
  const la_runtime *rt = la_rt;
  const la_coro *c = rt != NULL && rt->running == L ? rt->current : NULL;
  if (c == NULL || c->inner != NULL) return false;
  if (c->scope != NULL || (c->flags & LA_CORO_TASK) == 0) return !la_coro_cancelled(c);
  return !la_task_has((const la_task *)(const void *)c - 1, LA_TASK_CANCELLED);
}

/* Who is running, for la_lock. */
static inline la_holder la_sync_holder(void) {
  const la_task *t = la_rt != NULL ? la_rt->ex->current : NULL;
  return (la_holder){t != NULL ? t->id : 0, t != NULL ? la_rt->current : NULL};
}

/* `nil, err`; return 2. Of an object that was closed before (EBADF) or meanwhile (ECANCELED);
** where one would have to wait (EAGAIN); where nobody is at the other end (EPIPE). */
int la_sync_fail(lua_State *L, int error, const char *op, const char *message);
int la_sync_fail_closed(lua_State *L, const char *op);
int la_sync_fail_meanwhile(lua_State *L, const char *op);
int la_sync_fail_again(lua_State *L, const char *op);
int la_sync_fail_pipe(lua_State *L, const char *op);
int la_sync_fail_lost(lua_State *L, uint64_t lost); /* EOVERFLOW: so many messages were missed */

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

/* Each sets its functions in the table on top of the stack, which is async.sync. */
void la_open_locks(lua_State *L);
void la_open_once(lua_State *L);
void la_open_channel(lua_State *L);
void la_open_signals(lua_State *L);
void la_open_watch(lua_State *L);
void la_open_broadcast(lua_State *L);

#endif
