/*
** coro.h - a Lua coroutine as a future.
**
** Its poll is lua_resume. Awaiting stores the inner future here and yields; the
** next poll polls that future, and only when it is ready resumes the coroutine,
** whose continuation turns the output into Lua values. The body runs under
** lua_pcallk, so that an error (and cancellation is one) unwinds its <close>
** variables where they may await.
**
** When its task is cancelled, the inner future is polled once more (what is ready is not
** lost), dropped if it is pending, and the error is raised at the await. When it is a child
** whose output nobody wants any more, that last poll is left out, so that what the inner
** future was about to be given goes to others. One that was never started is ready at once.
*/
#ifndef LA_BRIDGE_CORO_H
#define LA_BRIDGE_CORO_H

#include <stddef.h>

#include "bridge/runtime.h"

typedef struct la_scope la_scope;

enum {
  LA_CORO_TASK = 1,       /* stands behind an la_task */
  LA_CORO_CANCELLED = 2,  /* a child that is being given up; a task has its own flag */
  LA_CORO_INTERRUPT = 4,  /* the await that is resumed raises cancellation */
  LA_CORO_FAILED = 8,     /* ended with an error, which is its one result */
  LA_CORO_BROKEN = 16,    /* the Lua thread cannot be used again */
  LA_CORO_BEGUN = 32,     /* it was resumed once */
  LA_CORO_ENDED = 256,    /* it returned, or failed */
  LA_CORO_SPENT = 512,    /* `inner` is ready and its finish was called: if that raised, it
                             is still to be dropped, by the next await or at the end */
  LA_CORO_UNWINDING = 64, /* `inner` was cancelled and is polled until it has unwound */
  LA_CORO_OVERDUE = 1024, /* awaits `inner` though a deadline has passed: see la_await_overdue */
  LA_CORO_FOREIGN = 128   /* `inner` is another module's: see lua_async.h, check_waker */
};

/* Room in every coroutine for the future it awaits, so that sleeping, yielding and
** joining allocate nothing. */
enum { LA_SLOT_SIZE = 72 };

typedef union la_room { /* aligned as Lua aligns a userdata */
  void *pointer;
  uint64_t number;
  double real;
  char bytes[LA_SLOT_SIZE];
} la_room;

struct la_coro {
  la_future base;
  lua_State *co;    /* NULL before the first poll */
  la_future *inner; /* owned; NULL unless it awaits */
  la_scope *scope;  /* innermost cancel scope, NULL for none */
  void *owner;      /* the block of the userdata that stands for it */
  int anchor, slot; /* see runtime.h */
  int values;       /* on co's stack: before it began arguments, at the end results */
  unsigned flags;
  const char *waited; /* for what, when a cancellation came; static. NULL: not known */
  unsigned hook;      /* the version of the hook it has; 0: none */
  la_room room;
};

void la_coro_init(la_coro *c, const la_future_vtable *vt, void *owner, int slot);

/* Pops a function and its `nargs` arguments from `from`, a running thread: what the
** first poll will call. False, with the stack as it was, when there is no memory. */
bool la_coro_load(la_coro *c, lua_State *from, int nargs);

/* The poll of one that was loaded, or that is cancelled. */
la_poll la_coro_poll(la_coro *c, la_context *cx);

/* Ends it before it began, for want of memory. */
void la_coro_fail(la_coro *c);

/* True when the next await has to raise. */
bool la_coro_cancelled(const la_coro *c);

/* True when that is so for no other reason than a deadline that has passed: what need not wait may
** still be had. */
bool la_coro_overdue(const la_coro *c);

/* The coroutine as a whole (its task, or the child it is) is cancelled. */
bool la_coro_root_cancelled(const la_coro *c);

/* After LA_READY: moves the results, or the one error, onto `to` (which has room
** for them) and returns how many. */
int la_coro_take(la_coro *c, lua_State *to);

/* The future's drop: gives the thread back. One that is suspended is closed first:
** its <close> variables run, but cannot await. */
void la_coro_drop(la_coro *c);

/* Somebody has closed the Lua thread in which it waits: what it waited for is dropped, and the
** next poll resumes it, to find out. */
void la_coro_thread_closed(la_coro *c);

/* Past a deadline: takes one of the turns that its scope may still wait. False: there is none. */
bool la_coro_take_turn(la_coro *c);

/* Polls `inner`. */
la_poll la_coro_poll_inner(la_coro *c, la_context *cx);

/* It is suspended in an await. */
static inline bool la_coro_awaits(const la_coro *c) {
  return c->inner != NULL && (c->flags & LA_CORO_SPENT) == 0;
}

/* `c` awaits `f`: sets and clears, with the count that keeps a run alive. */
void la_coro_set_inner(la_coro *c, la_future *f, bool foreign);
void la_coro_drop_inner(la_coro *c);

/* Where the error that ended it (or is unwinding it) was raised: {error, traceback}.
** `set` pops a traceback, for the error at index `error`; it may raise for want of
** memory. `push` pushes the traceback, or nil. */
void la_coro_set_traceback(lua_State *L, const la_coro *c, int error);
void la_coro_push_traceback(lua_State *L, const la_coro *c);

/* The record is for the error at index `error`. */
bool la_coro_has_traceback(lua_State *L, const la_coro *c, int error);

#endif
