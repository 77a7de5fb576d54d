/*
** scope.h - cancel scopes: a call within a coroutine that can be cancelled alone.
**
** A timeout, a deadline, a shield. The scopes of a coroutine form a stack; an await
** in it raises when any of them is cancelled, looking outwards until a shield. The
** outermost cancelled one is the target: the error unwinds to it, whatever inner
** scopes were cancelled, too (as Trio's cancel scopes do).
*/
#ifndef LA_BRIDGE_SCOPE_H
#define LA_BRIDGE_SCOPE_H

#include "bridge/coro.h"
#include "core/kept_waker.h"

typedef struct la_nursery la_nursery;

/* While the call runs it is on the coroutine's stack of scopes, which owns it: the frame of the
** call may go without a word, when somebody closes the Lua thread. */
struct la_scope {
  la_scope *parent;
  la_nursery *nursery; /* whose body the call is; NULL: none */
  la_kept_waker waits; /* of a nursery's: wakes the coroutine when the scope is cancelled */
  const char *op;      /* what its error calls it; static */
  uint64_t deadline;   /* LA_TIMER_NEVER for none */
  uint64_t entered;    /* when the call began */
  la_timer timer;
  unsigned turns; /* how many may still be waited after the deadline: see la_await_overdue */
  bool shield;    /* cancellation from outside does not pass */
  bool cancelled; /* timed scopes: noticed that the deadline has passed */
};

/* The answers of la_scope_target that are not a scope. */
#define LA_SCOPE_NONE ((la_scope *)NULL)
#define LA_SCOPE_ROOT ((la_scope *)(void *)&la_scope_root)
extern char la_scope_root;

/* Whom the cancellation of `c` that is due now unwinds to. */
la_scope *la_scope_target(const la_coro *c);

/* The cancellation that is due begins to unwind `c`: the tasks of all nurseries on its way are
** cancelled with it. */
void la_scope_unwind(la_coro *c);

/* The timers of the scopes wake whoever polls with `cx` from now on. */
void la_scope_rewake(la_coro *c, la_context *cx);

/* Gives up the scopes inside of `outer` (NULL: all), whose calls will not return. */
void la_scope_abandon_to(la_coro *c, la_scope *outer);

/* A new innermost scope of the coroutine that runs; NULL: no memory. */
la_scope *la_scope_enter(la_coro *c, uint64_t deadline, bool shield);

/* Ends the innermost one, whose call has returned. */
void la_scope_leave(la_coro *c);

/* Cancels a scope with a waker. */
void la_scope_cancel(la_scope *s);

/* Calls the function and its `nargs` arguments on top of L's stack in a new scope: its results, or
** what it raised. When the scope itself was what the cancellation was for, `nil, err` with the
** code ETIMEDOUT, the `op`, and in `seconds` the time it had. To be used as a tail call of a
** lua_CFunction; raises where a task cannot be suspended. */
int la_scope_call(lua_State *L, int nargs, const char *op, uint64_t deadline);

/* The same for a timeout of so many nanoseconds, and for a call that is shielded. */
int la_scope_timeout(lua_State *L, int nargs, uint64_t ns);
int la_scope_shield(lua_State *L, int nargs);

#endif
