/* counting.h - a future that counts what is done to it, and an executor to do it. */
#ifndef LA_TEST_COUNTING_H
#define LA_TEST_COUNTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/executor.h"

/* Ready at the poll number `ready_at` (0: never). Each poll first does `during`, and
** keeps a clone of its waker when `keep` says so. */
typedef struct counting {
  la_future base;
  int polls, drops, finished, cancelled; /* finished: calls of the class's function */
  int ready_at;
  bool keep, has_waker;
  la_waker waker;
  void (*during)(struct counting *c, la_context *cx);
  struct counting *report; /* where the counts live on after the drop */
} counting;

/* A task of a counting future whose counts are in `*c`, which outlives it. */
la_task *counting_task(la_executor *ex, counting *c);

/* The same, of a class whose tasks unwind: polled on when cancelled. */
la_task *counting_unwinding_task(la_executor *ex, counting *c);

/* Takes the waker that was kept. */
la_waker counting_take(counting *c);

typedef struct fixture {
  la_parker parker;
  la_executor *ex;
} fixture;

int executor_setup(void **state);
int executor_teardown(void **state);

/* Closes the executor, while what its tasks report to is still there. */
void executor_close(void **state);

/* Turns until nothing is ready. */
void turns(la_executor *ex);

#endif
