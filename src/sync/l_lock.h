/* l_lock.h - what waits for a lock: semaphore, mutex, rwlock, and once. */
#ifndef LA_SYNC_L_LOCK_H
#define LA_SYNC_L_LOCK_H

#include "sync/l_sync.h"

/* First in each of them; user value 1 is for the guard that is used again. */
typedef struct la_lock_object {
  la_object head;
  la_lock lock;
} la_lock_object;

enum { LA_LOCK_UV_SPARE = 1 };

/* Pushes a new one of `size` bytes. */
la_lock_object *la_lock_new(lua_State *L, const la_object_class *cls, uint32_t permits, size_t size,
                            int uservalues);

/* A future of src/sync/semaphore.h that shows what it waits for: "mutex.lock". */
#define LA_LOCK_WAIT(name)                                                                         \
  { la_acquire_poll, la_acquire_drop, name, NULL }

/* The parts of an operation that acquires so many permits of the object at index 1: its
** result is a guard, or nil and an error. Raises when the task holds some of it already, and
** would have to wait. */
int la_lock_begin(lua_State *L, la_lock_object *o, uint32_t permits, const la_future_vtable *wait,
                  void *room, la_future **f);
int la_lock_finish(lua_State *L, la_future *f);

#endif
