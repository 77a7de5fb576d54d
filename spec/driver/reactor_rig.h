/* reactor_rig.h - what the tests of the driver and of what stands on it share: one reactor a
** test, futures run to their end on it, and a count of descriptors before and after. */
#ifndef LA_TEST_REACTOR_RIG_H
#define LA_TEST_REACTOR_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/executor.h"
#include "core/future.h"
#include "core/sleep.h"
#include "driver/reactor.h"

/* A task that polls a future it does not own. */
typedef struct borrower {
  la_future base;
  la_future *inner;
  unsigned *polls;
} borrower;

static la_poll borrower_poll(la_future *f, la_context *cx) {
  borrower *b = la_container(f, borrower, base);
  if (b->polls != NULL) ++*b->polls;
  return la_future_poll(b->inner, cx);
}
static void borrower_drop(la_future *f) { (void)f; }
static const la_future_vtable borrower_vtable = {borrower_poll, borrower_drop, "borrower", NULL};
static const la_task_class borrower_class = {.future_size = sizeof(borrower)};

/* Starts polling f; the reference is the caller's. */
static inline la_task *go_counted(la_reactor *r, la_future *f, unsigned *polls) {
  la_task *t = la_task_new(r->ex, &borrower_class);
  borrower *b = (borrower *)(void *)la_task_future(t);
  *b = (borrower){.base = {&borrower_vtable}, .inner = f, .polls = polls};
  la_task_spawn(t);
  la_task_ref(t);
  return t;
}
static inline la_task *go(la_reactor *r, la_future *f) { return go_counted(r, f, NULL); }

static inline void finish(la_reactor *r, la_task *t) {
  assert_int_equal(la_executor_run(r->ex, t), LA_RUN_DONE);
  la_task_unref(t);
}

/* Stops polling, whether it was ready or not. */
static inline void stop(la_reactor *r, la_task *t) {
  la_task_cancel(t);
  finish(r, t);
}

static inline void run(la_reactor *r, la_future *f) { finish(r, go(r, f)); }

static inline void nap(la_reactor *r, unsigned ms) {
  la_sleep s;
  la_sleep_init(&s, r->ex, la_executor_now(r->ex) + ms * UINT64_C(1000000));
  run(r, &s.base);
  la_future_drop(&s.base);
}

/* One turn, and one look at the outside without waiting. */
static inline void look(la_reactor *r) {
  la_executor_turn(r->ex);
  r->ex->parker.vt->park(r->ex->parker.self, 0);
}

/* Polls once, in a task. */
static inline la_task *go_once(la_reactor *r, la_future *f) {
  la_task *t = go(r, f);
  la_yield y;
  la_yield_init(&y, 1);
  run(r, &y.base);
  return t;
}

static inline int count_fds(void) {
  int n = 0;
  DIR *d = opendir("/proc/self/fd");
  while (readdir(d) != NULL) n++;
  closedir(d);
  return n;
}

static int fds_before;
static la_reactor *R;

/* The first reactor of a process leaves libuv's own descriptors behind. */
static inline int setup(void **state) {
  (void)state;
  static int warm;
  if (!warm) {
    warm = 1;
    if (la_reactor_new(&R) != 0) return -1;
    la_reactor_free(R);
  }
  fds_before = count_fds();
  return la_reactor_new(&R);
}

static inline int teardown(void **state) {
  (void)state;
  if (R != NULL) {
    if (R->waiting != 0) return -1;
    la_reactor_free(R);
  }
  return count_fds() == fds_before ? 0 : -1;
}

#define TEST(F) cmocka_unit_test_setup_teardown(F, setup, teardown)

#endif
