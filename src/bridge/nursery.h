/*
** nursery.h - the tasks that a call of async.scope has started, and which it outlives.
**
** They end before the call returns. The first that fails cancels the others and the body
** of the call, which raises its error when all have unwound (as Trio's nurseries do, but
** with the first error alone; the others are reported). One that supervises goes on when
** children fail.
*/
#ifndef LA_BRIDGE_NURSERY_H
#define LA_BRIDGE_NURSERY_H

#include "bridge/coro.h"
#include "core/kept_waker.h"

#define LA_NURSERY_NAME "lua_async.Scope"

typedef struct la_nursery la_nursery;

/* Part of each child. */
typedef struct la_nursery_child {
  la_nursery *nursery; /* NULL once the call is gone */
  la_node sibling;
  la_task *task;
} la_nursery_child;

/* A userdata, the table of owners keeps it alive until the call is over. User value 1: the
** Task that failed. */
struct la_nursery {
  la_future base;  /* what the call waits for: see la_nursery_wait */
  la_runtime *rt;  /* NULL once the call is over */
  la_scope *scope; /* of the body, NULL once that has returned */
  uint64_t of;     /* the id of the task that called, for async.dump */
  int pin;
  la_list children;
  size_t count, left;
  la_kept_waker waits;
  bool cancelled;
  bool drops; /* nobody has the Tasks: cancelled, what they are about to be given goes to others */
  bool supervises; /* children that fail are reported, and cancel nobody */
  bool failed;     /* there is an error to raise: a child's, or the body's own */
};

/* For task_object.c: a child that begins, and one that is over, its Task on top of the store. */
void la_nursery_add(la_nursery *n, la_nursery_child *child, la_task *t);
void la_nursery_child_over(la_nursery_child *child, bool failed, la_runtime *rt);

/* Whether the error of a child that fails now will be raised by the call. */
static inline bool la_nursery_takes_failure(const la_nursery_child *child) {
  const la_nursery *n = child->nursery;
  return n != NULL && !n->failed && !n->supervises;
}

/* Cancels the children and the body. */
void la_nursery_cancel(la_nursery *n);

/* The call will not return: cancels the children, which end without it. */
void la_nursery_abandon(la_nursery *n);

/* A future, for the body, that is ready when at most `left` children are alive. One at a
** time. */
la_future *la_nursery_wait(la_nursery *n, size_t left);

/* Calls the function and its `nargs` arguments on top of L's stack with a new nursery as its
** first argument, and returns its results when all children are over: a tail call of a
** lua_CFunction. */
int la_nursery_call(lua_State *L, int nargs, bool supervises);

#endif
