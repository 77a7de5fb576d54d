/*
** thread_run.h - a thread of its own, with a Lua state and a runtime of its own, as a future.
**
** The thread makes the state, calls the function in a run, packs what it returns, closes the state,
** and ends. What the two threads say to one another stands in a la_thread_run, under its mutex: the
** results, failures that nobody there awaited, and the orders from here, which a task of ours hears
** there (the service). A wake follows each; no waker is called under the mutex.
**
** Cancelled, it cancels the root task there, and is ready when the thread has ended. One that does
** not hear the order in a second is interrupted (kick.h), twice, and after one more left to itself,
** which is reported; code that hears, but does not end, is waited for, as with any task. One that
** is dropped without that, with its Loop, is told and interrupted, too, and not waited for.
*/
#ifndef LA_THREAD_L_RUN_H
#define LA_THREAD_L_RUN_H

#include <pthread.h>

#include "bridge/runtime.h"
#include "core/alarm.h"
#include "task/l_kick.h"
#include "thread/l_parcel.h"
#include "thread/l_reports.h"
#include "thread/l_state.h"

typedef struct la_thread_run {
  pthread_mutex_t mutex;
  pthread_cond_t answered;
  atomic_uint refs;
  la_kick kick;
  la_reports reports;
  la_plan *plan;
  la_parcel *in; /* the function and its arguments, until it is called */
  /* under the mutex */
  la_waker parent, child; /* of who waits for the end, and of the service */
  bool cancel, heard;     /* the order, and that the service has it, or is over */
  bool ended, failed;     /* the last that the thread says, with: */
  la_parcel *out;         /* the results, or an error; NULL: no memory for it */
  bool asked;             /* for a dump, */
  long patience;          /* in so many nanoseconds */
  char *dump;             /* the answer; NULL and not asked: no memory for it */
} la_thread_run;

/* Takes the waker out, under the mutex. */
static inline la_waker la_waker_out(la_waker *from) {
  la_waker w = *from;
  *from = (la_waker){0};
  return w;
}

void la_thread_run_unref(la_thread_run *r);

/* Cancels what runs there. Any thread. */
void la_thread_run_cancel(la_thread_run *r);

/* ---- on the new thread ------------------------------------------------------------*/

/* For la_thread_call, with the la_thread_run: requires the module and runs it. */
int la_thread_run_enter(lua_State *L);

/* ---- the future -------------------------------------------------------------------*/

typedef struct la_thread_future {
  la_future base;
  la_thread_run *run;
  la_runtime *rt;
  uint64_t task; /* its number */
  la_node node;  /* of this thread's */
  pthread_t thread;
  enum {
    LA_THREAD_RUNS,
    LA_THREAD_ORDERED,
    LA_THREAD_KICKED,
    LA_THREAD_KICKED_AGAIN,
    LA_THREAD_LEFT,
    LA_THREAD_HEARD
  } stage;
  la_alarm grace; /* from LA_THREAD_ORDERED on */
} la_thread_future;

/* Starts the thread. Plan and parcel are its own from here on, also when it fails: a negative
** errno. */
int la_thread_future_new(la_runtime *rt, la_plan *plan, la_parcel *in, la_thread_future **out);

/* The future is ready: pushes the results and returns how many, or raises. */
int la_thread_future_results(lua_State *L, la_thread_future *f);

/* Pushes a string: the dumps of the threads that this runtime waits for, or "". They are asked
** together; one that does not answer in so many nanoseconds (less than a second) says nothing.
** Raises for want of memory. */
void la_thread_push_dumps(lua_State *L, la_runtime *rt, long patience);
enum { LA_DUMP_PATIENCE = 250000000 };

#endif
