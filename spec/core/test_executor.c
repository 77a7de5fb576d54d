/* The executor: turns, fairness, parking, deadlocks, its end; with no reactor behind it. */
#include "counting.h"

#include <pthread.h>

#include "core/future.h"
#include "core/sleep.h"

#define EX (((fixture *)*state)->ex)

static void wake_self(counting *c, la_context *cx) {
  (void)c;
  la_waker_wake_by_ref(cx->waker);
}

/* ---- turns ------------------------------------------------------------------------------*/

static void a_turn_ends_though_a_task_is_always_ready(void **state) {
  counting c = {.during = wake_self};
  counting_task(EX, &c);
  assert_true(la_executor_turn(EX));
  assert_int_equal(c.polls, LA_TURN_POLLS);
  executor_close(state);
}

static void a_turn_polls_all_that_was_ready(void **state) {
  enum { N = 3 * LA_TURN_POLLS };
  static counting c[N];
  for (int i = 0; i < N; i++) {
    c[i] = (counting){.ready_at = 1};
    counting_task(EX, &c[i]);
  }
  assert_false(la_executor_turn(EX));
  for (int i = 0; i < N; i++) assert_int_equal(c[i].polls, 1);
  executor_close(state);
}

static void an_always_ready_task_starves_nobody(void **state) {
  counting hog = {.during = wake_self}, other = {.ready_at = 1};
  counting_task(EX, &hog);
  counting_task(EX, &other);
  la_executor_turn(EX);
  assert_int_equal(other.drops, 1);
  executor_close(state);
}

static void spend(counting *c, la_context *cx) {
  (void)c;
  int n = 0;
  while (la_budget_take(cx)) n++;
  assert_int_equal(n, LA_TASK_BUDGET);
}

static void each_poll_has_a_budget_and_its_end_is_a_wake(void **state) {
  counting c = {.during = spend, .ready_at = 3};
  counting_task(EX, &c);
  turns(EX);
  assert_int_equal(c.polls, 3);
  executor_close(state);
}

/* A clock that goes on by `step` in each poll, and a parker that says how many tasks had been
** polled when it was first asked. */
static struct {
  const la_parker_vtable *vt;
  uint64_t now, step;
  int polls, polls_at_look;
} slow;

static uint64_t slow_now(void *self) {
  (void)self;
  return slow.now;
}

static void slow_park(void *self, uint64_t deadline) {
  if (slow.polls_at_look == 0) slow.polls_at_look = slow.polls;
  slow.vt->park(self, deadline);
}

static void take_time(counting *c, la_context *cx) {
  slow.now += slow.step;
  slow.polls++;
  if (c->polls == 1) la_waker_wake_by_ref(cx->waker);
}

static int polls_before_a_look(la_executor *ex, uint64_t step) {
  enum { N = 100 };
  static counting c[N];
  la_parker_vtable vt = *ex->parker.vt;
  slow.vt = ex->parker.vt;
  slow.now = la_executor_real_time(ex);
  slow.step = step;
  slow.polls = slow.polls_at_look = 0;
  vt.now = slow_now;
  vt.park = slow_park;
  ex->parker.vt = &vt;
  for (int i = 0; i < N; i++) {
    c[i] = (counting){.ready_at = 2, .during = take_time};
    counting_task(ex, &c[i]);
  }
  assert_int_equal(la_executor_run(ex, NULL), LA_RUN_DONE);
  ex->parker.vt = slow.vt;
  return slow.polls_at_look;
}

/* 16 ms of polls, in turns of 5: who is woken meanwhile waits for the look, like the others. */
static void all_that_was_ready_is_polled_before_the_outside_is_looked_at(void **state) {
  int polls = polls_before_a_look(EX, 160000);
  assert_true(polls >= 100 && polls < 148);
  executor_close(state);
}

static void but_the_outside_does_not_wait_for_long(void **state) {
  assert_int_equal(polls_before_a_look(EX, 1000000), 32);
  executor_close(state);
}

static void run_ends_with_its_task(void **state) {
  counting first = {.ready_at = 1}, second = {.ready_at = 1};
  la_task *t = counting_task(EX, &first);
  counting_task(EX, &second);
  assert_int_equal(la_executor_run(EX, t), LA_RUN_DONE);
  assert_int_equal(second.polls, 0);
  assert_int_equal(la_executor_run(EX, NULL), LA_RUN_DONE);
  assert_int_equal(second.polls, 1);
  executor_close(state);
}

/* ---- deadlock ------------------------------------------------------------------------------*/

static void all_waiting_is_a_deadlock(void **state) {
  counting c = {0};
  la_task *t = counting_task(EX, &c);
  assert_int_equal(la_executor_run(EX, t), LA_RUN_DEADLOCK);
  la_task_cancel(t);
  assert_int_equal(la_executor_run(EX, NULL), LA_RUN_DONE);
  executor_close(state);
}

static void *wake_later(void *arg) {
  struct timespec t = {0, 20000000};
  nanosleep(&t, NULL);
  la_waker_wake(*(la_waker *)arg);
  return NULL;
}

static void an_external_waker_is_waited_for(void **state) {
  counting c = {.ready_at = 2};
  la_task *t = counting_task(EX, &c);
  la_waker w = la_task_clone_external(t), again = la_waker_clone(&w);
  la_waker_drop(again);
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, wake_later, &w), 0);
  assert_int_equal(la_executor_run(EX, t), LA_RUN_DONE);
  pthread_join(thread, NULL);
  assert_int_equal(c.polls, 2);
  assert_int_equal(EX->outside, 0);
  executor_close(state);
}

static void a_dropped_external_waker_is_a_deadlock_again(void **state) {
  counting c = {0};
  la_task *t = counting_task(EX, &c);
  la_waker_drop(la_task_clone_external(t));
  assert_int_equal(la_executor_run(EX, t), LA_RUN_DEADLOCK);
  executor_close(state);
}

/* ---- time -----------------------------------------------------------------------------------*/

typedef struct sleeper {
  la_sleep sleep;
} sleeper;

static const la_task_class sleeper_class = {NULL, false, sizeof(sleeper)};

static la_task *sleeping_task(la_executor *ex, uint64_t deadline) {
  la_task *t = la_task_new(ex, &sleeper_class);
  assert_non_null(t);
  la_sleep_init(&((sleeper *)(void *)la_task_future(t))->sleep, ex, deadline);
  la_task_spawn(t);
  return t;
}

static void a_sleep_is_never_early(void **state) {
  uint64_t deadline = la_executor_now(EX) + 15000000;
  assert_int_equal(la_executor_run(EX, sleeping_task(EX, deadline)), LA_RUN_DONE);
  assert_true(la_executor_now(EX) >= deadline);
  assert_int_equal(la_timer_queue_count(&EX->timers), 0);
  executor_close(state);
}

static void a_dropped_sleep_leaves_no_timer(void **state) {
  la_task *t = sleeping_task(EX, la_executor_now(EX) + UINT64_C(3600000000000));
  turns(EX);
  assert_int_equal(la_timer_queue_count(&EX->timers), 1);
  la_task_cancel(t);
  assert_int_equal(la_executor_run(EX, NULL), LA_RUN_DONE);
  assert_int_equal(la_timer_queue_count(&EX->timers), 0);
  executor_close(state);
}

static void a_paused_clock_jumps_from_timer_to_timer(void **state) {
  const uint64_t second = UINT64_C(1000000000);
  assert_true(la_executor_pause(EX));
  assert_false(la_executor_pause(EX));
  uint64_t start = la_executor_now(EX);
  assert_int_equal(start % LA_TIMER_TICK_NS, 0);
  sleeping_task(EX, start + 50 * second);
  la_task *t = sleeping_task(EX, start + 1000000 * second);
  la_task_ref(t);
  turns(EX);
  assert_int_equal(la_executor_now(EX), start);
  la_executor_advance(EX, start + 10 * second);
  la_executor_advance(EX, start); /* it does not go back */
  assert_int_equal(la_executor_now(EX), start + 10 * second);
  assert_int_equal(la_executor_run(EX, t), LA_RUN_DONE);
  assert_int_equal(la_executor_now(EX), start + 1000000 * second);
  assert_true(la_executor_resume(EX));
  assert_false(la_executor_resume(EX));
  assert_true(la_executor_now(EX) >= start + 1000000 * second);
  assert_int_equal(la_executor_run(EX, sleeping_task(EX, la_executor_now(EX) + 1000000)),
                   LA_RUN_DONE);
  la_task_unref(t);
  executor_close(state);
}

static void a_sleep_takes_the_newest_waker(void **state) {
  la_sleep s;
  counting a = {.keep = true}, b = {.keep = true};
  counting_task(EX, &a);
  counting_task(EX, &b);
  turns(EX);
  la_waker wa = counting_take(&a), wb = counting_take(&b);
  unsigned budget = 10;
  la_context ca = {&wa, &budget}, cb = {&wb, &budget};
  la_sleep_init(&s, EX, la_executor_now(EX) + 2000000);
  assert_int_equal(la_future_poll(&s.base, &ca), LA_PENDING);
  assert_int_equal(la_future_poll(&s.base, &cb), LA_PENDING);
  la_timer_queue_advance(&EX->timers, la_executor_now(EX) + 1000000000);
  turns(EX);
  assert_int_equal(a.polls, 1);
  assert_int_equal(b.polls, 2);
  la_future_drop(&s.base);
  la_waker_drop(wa);
  la_waker_drop(wb);
  la_waker_drop(counting_take(&b));
  executor_close(state);
}

/* ---- small futures ----------------------------------------------------------------------------*/

static void the_smallest_futures(void **state) {
  unsigned budget = 1;
  la_context cx = {&la_waker_noop, &budget};
  la_yield y;
  la_yield_init(&y, 1);
  assert_int_equal(la_future_poll(&la_ready, &cx), LA_READY);
  assert_int_equal(la_future_poll(&la_pending, &cx), LA_PENDING);
  assert_int_equal(la_future_poll(&y.base, &cx), LA_PENDING);
  assert_int_equal(la_future_poll(&y.base, &cx), LA_READY);
  la_waker w = la_waker_clone(&la_waker_noop);
  la_waker_wake_by_ref(&w);
  la_waker_wake(w);
  executor_close(state);
}

/* ---- the end
 * --------------------------------------------------------------------------------------*/

static void close_drops_all_and_wakers_outlive_it(void **state) {
  fixture *f = *state;
  counting waiting = {.keep = true}, fresh = {0}, woken = {.keep = true};
  counting_task(f->ex, &waiting);
  counting_task(f->ex, &woken);
  turns(f->ex);
  la_waker late = counting_take(&waiting), queued = counting_take(&woken);
  la_waker_wake_by_ref(&queued);
  counting_task(f->ex, &fresh);
  la_executor_close(f->ex);
  f->ex = NULL;
  assert_int_equal(waiting.drops + fresh.drops + woken.drops, 3);
  assert_int_equal(waiting.cancelled + fresh.cancelled + woken.cancelled, 3);
  la_waker again = la_waker_clone(&late);
  la_waker_wake_by_ref(&again);
  la_waker_wake(again);
  la_waker_drop(late);
  la_waker_wake(queued); /* the last one frees the executor's memory */
}

enum { WAKERS = 4 };

static void *wake_and_clone(void *arg) {
  la_waker w = *(la_waker *)arg;
  for (int i = 0; i < 20000; i++) {
    la_waker c = la_waker_clone(&w);
    if (i % 3 == 0)
      la_waker_wake(c);
    else
      la_waker_drop(c);
    if (i % 5 == 0) la_waker_wake_by_ref(&w);
  }
  la_waker_drop(w);
  return NULL;
}

static void wakes_from_threads_race_with_turns_and_close(void **state) {
  fixture *f = *state;
  counting c = {.keep = true};
  la_task *t = counting_task(f->ex, &c);
  pthread_t threads[WAKERS];
  la_waker w[WAKERS];
  for (int i = 0; i < WAKERS; i++) {
    w[i] = la_task_clone_external(t);
    assert_int_equal(pthread_create(&threads[i], NULL, wake_and_clone, &w[i]), 0);
  }
  for (int i = 0; i < 2000; i++) la_executor_turn(f->ex);
  assert_true(c.polls >= 1);
  if (c.has_waker) la_waker_drop(counting_take(&c));
  c.keep = false;
  la_executor_close(f->ex);
  f->ex = NULL;
  assert_int_equal(c.drops, 1);
  for (int i = 0; i < WAKERS; i++) pthread_join(threads[i], NULL);
}

static void no_wake_is_lost_between_the_look_and_the_park(void **state) {
  enum { ROUNDS = 300 };
  for (int i = 0; i < ROUNDS; i++) {
    counting c = {.ready_at = 2};
    la_task *t = counting_task(EX, &c);
    la_waker w = la_task_clone_external(t);
    pthread_t thread;
    turns(EX); /* the first poll; the thread's wakes make the second */
    assert_int_equal(pthread_create(&thread, NULL, wake_and_clone, &w), 0);
    assert_int_equal(la_executor_run(EX, t), LA_RUN_DONE);
    pthread_join(thread, NULL);
    assert_int_equal(c.drops, 1);
  }
  executor_close(state);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, executor_setup, executor_teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(a_turn_ends_though_a_task_is_always_ready),
      TEST(a_turn_polls_all_that_was_ready),
      TEST(all_that_was_ready_is_polled_before_the_outside_is_looked_at),
      TEST(but_the_outside_does_not_wait_for_long),
      TEST(an_always_ready_task_starves_nobody),
      TEST(each_poll_has_a_budget_and_its_end_is_a_wake),
      TEST(run_ends_with_its_task),
      TEST(all_waiting_is_a_deadlock),
      TEST(an_external_waker_is_waited_for),
      TEST(a_dropped_external_waker_is_a_deadlock_again),
      TEST(a_sleep_is_never_early),
      TEST(a_dropped_sleep_leaves_no_timer),
      TEST(a_paused_clock_jumps_from_timer_to_timer),
      TEST(a_sleep_takes_the_newest_waker),
      TEST(the_smallest_futures),
      TEST(close_drops_all_and_wakers_outlive_it),
      TEST(wakes_from_threads_race_with_turns_and_close),
      TEST(no_wake_is_lost_between_the_look_and_the_park),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
