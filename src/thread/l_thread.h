/* l_thread.h - what the parts of async.thread share. */
#ifndef LA_THREAD_L_THREAD_H
#define LA_THREAD_L_THREAD_H

#include "bridge/error.h"
#include "bridge/lib.h"
#include "sync/l_sync.h"
#include "thread/l_parcel.h"
#include "thread/l_state.h"

/* Opens a class (see l_sync.h) whose objects can be sent to other threads. */
void la_thread_class_open(lua_State *L, const la_object_class *cls, const luaL_Reg *meta,
                          const luaL_Reg *methods, const la_sendable *sendable);

/* Packs the value at `arg`, for any number of receivers. 0, or how many results: `nil, err`. */
int la_thread_pack_shared(lua_State *L, int arg, const char *op, la_parcel **out);

/* Pushes the value of a letter, whose reference goes; returns 1. */
int la_thread_push_letter(lua_State *L, la_letter *letter);

/* The same; when it raises what may be over the next time (no memory, no descriptor, no
** runtime), *kept has the letter, to be tried again. What was moved is then with the object at
** index 1, as its first user value, which it need not have if it receives nothing that is
** moved. */
int la_thread_push_kept(lua_State *L, la_letter *letter, la_letter **kept);

/* The same for one behind others that were pushed already: instead of raising it keeps the letter,
** whatever is wrong with it, pushes nothing and returns false. */
bool la_thread_push_or_keep(lua_State *L, la_letter *letter, la_letter **kept);

/* What the Task of work for another thread holds until it begins. */
typedef struct la_thread_work {
  la_plan *plan;
  la_parcel *in;
} la_thread_work;

/* Raises unless the value at `arg` can be called, and is of a kind that can be sent. */
void la_thread_check_callable(lua_State *L, int arg);

/* (function, arguments…) -> Task: packs them, for `body`, which is called with a la_thread_work. */
int la_thread_spawn(lua_State *L, lua_CFunction body, const char *op);

void la_open_thread(lua_State *L); /* async.thread */

/* Its parts: each sets its functions there. */
void la_open_blocking(lua_State *L);
void la_open_thread_channel(lua_State *L);
void la_open_thread_watch(lua_State *L);
void la_open_thread_broadcast(lua_State *L);
void la_open_shared(lua_State *L);
void la_open_thread_spawn(lua_State *L);
void la_open_thread_handles(lua_State *L);
void la_open_workers(lua_State *L);

/* Pushes what lua_async/workers.lua needs of this module besides. */
void la_push_worker_internals(lua_State *L);

#endif
