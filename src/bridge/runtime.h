/*
** runtime.h - what one `async.run` or one Loop has: the executor, and the Lua side of its tasks.
**
** That of a run is entered as long as it lives; that of a Loop while it has a turn. `la_rt` is the
** one that is entered on this thread (those of different Lua states may nest; of those of one
** state one is entered at a time). In between, finalisers may end what belongs to another:
** la_runtime_visit. Lua objects that C needs are in three tables, by small integers. The tables
** are on the stack of a Lua thread of our own, the store, at fixed indices:
**   OWNERS      the Task of each task that has not ended, by its coroutine's `slot`:
**               what keeps it alive
**   THREADS     the coroutines that this run made, running or spare
**   TRACEBACKS  where the error that is unwinding a coroutine was raised, by `slot`
**   REST        a Lua thread for what has to run while the runtime is not entered
**   HOOK_KEY    a string: see hook.c
** OWNERS is one table for all runtimes of a state, and so are the slots.
** Errors: a function that needs Lua memory outside of a running coroutine does so
** in a protected call and returns a Lua status.
*/
#ifndef LA_BRIDGE_RUNTIME_H
#define LA_BRIDGE_RUNTIME_H

#include <lua.h>

#include "bridge/hook.h"
#include "bridge/place.h"
#include "core/executor.h"
#include "core/export.h"
#include "core/tls.h"

typedef struct la_coro la_coro;

/* A free list of indices 1, 2, 3, … into a Lua table. */
typedef struct la_slots {
  int *free;
  int count, size, used;
  int users; /* runtimes: the last one takes the memory with it */
} la_slots;

enum {
  LA_STORE_OWNERS = 1,
  LA_STORE_THREADS,
  LA_STORE_TRACEBACKS,
  LA_STORE_REST,
  LA_STORE_HOOK_KEY,
  LA_STORE_TOP = LA_STORE_HOOK_KEY
};

typedef struct la_spare_thread {
  lua_State *co;
  int anchor;
} la_spare_thread;

typedef struct la_runtime {
  la_executor *ex;
  void *reactor; /* of src/driver, for src/lib */
  lua_State *L;  /* who has entered it, or `rest` */
  lua_State *rest;
  lua_State *store; /* never runs; what is pushed on it is moved on at once */
  int store_ref;
  lua_State *running;           /* the Lua thread that runs now: L, a task's coroutine, or one of
                                   async.coroutine in it. A plain coroutine does not appear here,
                                   which is how an await in one is told. */
  la_task *root;                /* the task of run itself: its failure is raised, not reported;
                                   NULL: it is over */
  const la_task *service;       /* one of our own, which no dump shows; NULL: none */
  la_coro *current;             /* the coroutine being polled, NULL for none */
  lua_State *volatile callback; /* where a function of the program's runs that the runtime calls
                                   itself; NULL: none. A signal handler looks at it. */
  la_context *cx;               /* what it is polled with */
  la_slots anchors, *slots;
  la_spare_thread *spare;
  int spare_count, spare_size;
  la_places places;
  la_list futures;     /* Future objects that were started and are not over */
  const void *rethrow; /* the function that raises what has its traceback already; NULL: none */
  la_waker task_ended; /* woken when a task has ended; vt NULL: by nobody */
  bool entered;        /* see la_runtime_enter */
  bool ending;         /* the root task is over: what is spawned from here on never begins, unless
                       ** a shield may wait for it */
  bool late;           /* something was spawned since, for a shield */
  unsigned shields;    /* that have not returned */
  lua_State *closing;  /* the thread of ours that is being closed by ourselves; NULL: none */
  unsigned passing;    /* coroutines that pass an await on, at the least */
  la_hook hook;        /* of the main thread */
  struct {
    lua_Hook function;
    int mask, count;
  } user_hook; /* what a stray yield takes the place of, for an instruction */
  struct la_runtime *outer;
  la_node living; /* in the thread's la_runtimes */
} la_runtime;

extern LA_PART_DATA LA_THREAD_LOCAL la_runtime *la_rt;

/* If not NULL, it is told of each Lua thread that is about to run on this one, resumed by us, or
** again after that. A signal handler may set it, which then finds the Lua thread in `running`. */
extern LA_THREAD_LOCAL void (*volatile la_resuming)(lua_State *co);

static inline void la_about_to_run(lua_State *co) {
  void (*tell)(lua_State *) = la_resuming;
  if (tell != NULL) tell(co);
}

/* Around a call, in L, of a function of the program's that is no task's: la_callback_end gets what
** la_callback_begin has returned, whether the call failed or not, before `running` and `current`
** are what they were. */
lua_State *la_callback_begin(lua_State *L);
void la_callback_end(lua_State *L, lua_State *outer);

/* All runtimes of this thread, entered or not. */
la_list *la_runtimes(void);

/* Prepares `rt` (zeroed but for ex and reactor) and enters it. Raises for
** want of memory; la_runtime_free follows in any case. */
void la_runtime_init(lua_State *L, la_runtime *rt);

/* Makes it la_rt, for the Lua thread L; the reverse. */
void la_runtime_enter(lua_State *L, la_runtime *rt);
void la_runtime_exit(la_runtime *rt);

/* Makes it la_rt for as long as something of it is ended from elsewhere; returns what to restore
** la_rt to. */
la_runtime *la_runtime_visit(la_runtime *rt);

/* Cancels every task. Members of groups are cancelled by those who wait for them. */
void la_runtime_cancel_all(la_runtime *rt);

/* The reverse of init, after the executor is closed; it is exited. */
void la_runtime_free(lua_State *L, la_runtime *rt);

/* The runtime in which L runs. Raises, naming `what`, when there is none. */
LA_PART la_runtime *la_runtime_check(lua_State *L, const char *what);

/* The same, NULL for none. */
LA_PART la_runtime *la_runtime_of(lua_State *L);

/* Registry: a value with __close that stands at LA_THREAD_GUARD of each thread, to be closed:
** it learns when somebody else closes a thread of ours (coroutine.close). */
extern char la_thread_guard_key;
enum { LA_THREAD_GUARD = 1 };

/* A coroutine with nothing but the guard on its stack, from the spare ones or new; NULL: no
** memory. */
lua_State *la_thread_take(la_runtime *rt, int *anchor);

/* Gives it back. `reusable`: it has ended without an error, else it is let go. */
void la_thread_give(la_runtime *rt, lua_State *co, int anchor, bool reusable);

/* Closes the to-be-closed variables of a thread that we made, which is left empty; our guard
** in it knows that it is us. A Lua status, with the error on top of `co`. */
int la_thread_close(lua_State *co, lua_State *from);

/* A free slot; 0: no memory. One of la_owner_add is given back by la_owner_remove. */
int la_slot_take(la_slots *s);
void la_slot_give(la_slots *s, int slot);

/* Pops the object on top of L and keeps it alive under a new slot, which it returns.
** The table of owners is at index `owners` of L; la_owners_push pushes it. Raises for
** want of memory. */
int la_owner_add(lua_State *L, la_runtime *rt, int owners);
void la_owners_push(lua_State *L);
void la_owner_remove(la_runtime *rt, int slot);

/* Pushes it onto the store; the caller takes it off again. */
static inline void la_owner_push(la_runtime *rt, int slot) {
  lua_rawgeti(rt->store, LA_STORE_OWNERS, slot);
}

/* Sets entry i of a table of the store to nil. */
void la_store_clear(la_runtime *rt, int table, int i);

#endif
