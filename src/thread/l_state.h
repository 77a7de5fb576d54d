/*
** thread_state.h - new Lua states for threads, with what they find in them.
**
** A state has the standard libraries, `lua_async` to be required, and of the state that it is made
** for: package.path and cpath, the functions in package.preload that can be sent, and what its
** function for that (async.thread.init) does. No globals and no modules: those are
** required, by their names, where they are used.
**
** The plan is that, read from the parent, and it holds states that were used and wait for more
** work. Plans are counted and belong to no thread.
*/
#ifndef LA_THREAD_L_STATE_H
#define LA_THREAD_L_STATE_H

#include <lua.h>
#include <stdbool.h>

#include "task/l_kick.h"

typedef struct la_plan la_plan;

/* The plan of the state L, made again when what it says has changed. A reference is the
** caller's. Raises for want of memory, and when the function for async.thread.init cannot be
** sent. */
la_plan *la_plan_of(lua_State *L);
void la_plan_unref(la_plan *p);

/* What new states are to run first: the function at index i, copied here and now, or nil. Raises
** when it cannot be sent. 0, or a negative errno. */
int la_plan_set_init(lua_State *L, int i);

/* A state that was given back, or a new one: *error is LUA_OK, and it has an empty stack. Otherwise
** the error (as of la_thread_handle_error) is on its stack, and it is to be closed by lua_close;
** NULL: no memory for any. With a state the kick has begun, before anything ran in it. */
lua_State *la_state_take(la_plan *p, la_kick *kick, int *error);

/* A new one, whatever is kept. */
lua_State *la_state_new(la_plan *p, la_kick *kick, int *error);

/* Ends its loops (async.loop), which are this thread's, and
** keeps the state for the next, with little garbage, or closes it: enough are kept, or it is
** `spoilt`. `ends`: it was sent, or has sent, what lives in several threads; of that no garbage is
** kept. */
void la_state_give(la_plan *p, lua_State *L, bool ends, bool spoilt);

#endif
