/* Tasks: every transition of their state, counted; wakers, joins, cancellation. */
#include "counting.h"

#include <pthread.h>

#include "core/future.h"

#define EX (((fixture *)*state)->ex)

/* ---- polls and wakes --------------------------------------------------------------------*/

static void is_lazy_and_polled_once_without_a_wake(void **state) {
  counting c = {0};
  counting_task(EX, &c);
  assert_int_equal(c.polls, 0);
  turns(EX);
  turns(EX);
  assert_int_equal(c.polls, 1);
  assert_int_equal(c.drops, 0);
  executor_close(state);
}

static void ready_is_finished_and_dropped_once(void **state) {
  counting c = {.ready_at = 1};
  counting_task(EX, &c);
  turns(EX);
  assert_int_equal(c.polls, 1);
  assert_int_equal(c.finished, 1);
  assert_int_equal(c.cancelled, 0);
  assert_int_equal(c.drops, 1);
  assert_int_equal(EX->live_count, 0);
  executor_close(state);
}

static void many_wakes_before_a_poll_are_one(void **state) {
  counting c = {.keep = true};
  counting_task(EX, &c);
  turns(EX);
  la_waker w = counting_take(&c);
  la_waker_wake_by_ref(&w);
  la_waker_wake_by_ref(&w);
  la_waker_wake(w);
  turns(EX);
  assert_int_equal(c.polls, 2);
  la_waker_drop(counting_take(&c));
  executor_close(state);
}

static void a_wake_before_the_first_poll_is_that_poll(void **state) {
  counting c = {0};
  la_task *t = counting_task(EX, &c);
  la_waker borrowed = la_task_borrow_waker(t);
  la_waker_wake_by_ref(&borrowed);
  turns(EX);
  assert_int_equal(c.polls, 1);
  executor_close(state);
}

static void wake_self(counting *c, la_context *cx) {
  (void)c;
  la_waker_wake_by_ref(cx->waker);
}

static void a_wake_during_a_poll_is_another_poll(void **state) {
  counting c = {.ready_at = 5, .during = wake_self};
  counting_task(EX, &c);
  turns(EX);
  assert_int_equal(c.polls, 5);
  assert_int_equal(c.drops, 1);
  executor_close(state);
}

static void a_wake_after_the_end_does_nothing(void **state) {
  counting c = {.keep = true, .ready_at = 2};
  counting_task(EX, &c);
  turns(EX);
  la_waker w = counting_take(&c), other = la_waker_clone(&w);
  la_waker_wake(w);
  turns(EX);
  assert_int_equal(c.drops, 1);
  la_waker_wake_by_ref(&other);
  turns(EX);
  assert_int_equal(c.polls, 2);
  la_waker_drop(other);
  executor_close(state);
}

static void woken_during_its_last_poll_is_freed_from_the_queue(void **state) {
  counting c = {.ready_at = 1, .during = wake_self};
  counting_task(EX, &c);
  turns(EX);
  turns(EX);
  assert_int_equal(c.polls, 1);
  assert_int_equal(EX->tasks, 0);
  executor_close(state);
}

static void order_is_first_come(void **state) {
  counting c[3] = {{.ready_at = 1}, {.ready_at = 1}, {.ready_at = 1}};
  uint64_t last = 0;
  for (int i = 0; i < 3; i++) {
    la_task *t = counting_task(EX, &c[i]);
    assert_true(t->id > last);
    last = t->id;
  }
  turns(EX);
  assert_int_equal(c[0].polls + c[1].polls + c[2].polls, 3);
  executor_close(state);
}

static void will_wake_tells_tasks_apart(void **state) {
  counting a = {.keep = true}, b = {.keep = true};
  counting_task(EX, &a);
  counting_task(EX, &b);
  turns(EX);
  la_waker wa = counting_take(&a), wb = counting_take(&b), again = la_waker_clone(&wa);
  assert_true(la_waker_will_wake(&wa, &again));
  assert_false(la_waker_will_wake(&wa, &wb));
  assert_false(la_waker_will_wake(&wa, &la_waker_noop));
  la_waker_drop(wa);
  la_waker_drop(wb);
  la_waker_drop(again);
  executor_close(state);
}

/* ---- cancellation -------------------------------------------------------------------------*/

static void cancelled_before_its_first_poll_is_never_polled(void **state) {
  counting c = {0};
  la_task *t = counting_task(EX, &c);
  assert_true(la_task_cancel(t));
  assert_false(la_task_cancel(t));
  turns(EX);
  assert_int_equal(c.polls, 0);
  assert_int_equal(c.cancelled, 1);
  assert_int_equal(c.drops, 1);
  executor_close(state);
}

static void cancelled_while_it_waits_is_dropped_at_the_next_turn(void **state) {
  counting c = {.keep = true};
  la_task *t = counting_task(EX, &c);
  turns(EX);
  assert_true(la_task_cancel(t));
  assert_int_equal(c.drops, 0);
  turns(EX);
  assert_int_equal(c.polls, 1);
  assert_int_equal(c.cancelled, 1);
  assert_int_equal(c.drops, 1);
  la_waker_wake(counting_take(&c)); /* the last reference: only memory is left */
  executor_close(state);
}

static void one_that_unwinds_is_polled_on(void **state) {
  counting c = {.ready_at = 3, .keep = true};
  la_task *t = counting_unwinding_task(EX, &c);
  turns(EX);
  la_task_cancel(t);
  turns(EX);
  assert_int_equal(c.polls, 2);
  assert_int_equal(c.drops, 0);
  la_waker_wake(counting_take(&c));
  turns(EX);
  assert_int_equal(c.finished, 1);
  assert_int_equal(c.cancelled, 0);
  assert_int_equal(c.drops, 1);
  executor_close(state);
}

static void cancel_after_the_end_is_refused(void **state) {
  counting c = {.ready_at = 1};
  la_task *t = counting_task(EX, &c);
  la_task_ref(t);
  turns(EX);
  assert_false(la_task_cancel(t));
  la_task_unref(t);
  executor_close(state);
}

/* ---- joins ----------------------------------------------------------------------------------*/

static la_waker count_clone(void *data);
static void count_wake(void *data) { ++*(int *)data; }
static void count_drop(void *data) { (void)data; }
static const la_waker_vtable count = {count_clone, count_wake, count_wake, count_drop};
static la_waker count_clone(void *data) { return (la_waker){data, &count}; }

static void all_joins_are_woken_and_ready(void **state) {
  enum { N = 100 };
  counting c = {.keep = true, .ready_at = 2};
  int woken = 0;
  la_task *t = counting_task(EX, &c);
  la_join j[N];
  la_waker w = {&woken, &count};
  unsigned budget = N;
  la_context cx = {&w, &budget};
  turns(EX);
  for (int i = 0; i < N; i++) {
    la_join_init(&j[i], t);
    assert_int_equal(la_future_poll(&j[i].base, &cx), LA_PENDING);
  }
  la_future_drop(&j[50].base); /* one gives up: the others do not notice */
  la_waker_wake(counting_take(&c));
  turns(EX);
  assert_int_equal(woken, N - 1);
  for (int i = 0; i < N; i++) {
    if (i == 50) continue;
    assert_int_equal(la_future_poll(&j[i].base, &cx), LA_READY);
    la_future_drop(&j[i].base);
  }
  assert_int_equal(EX->tasks, 0);
  executor_close(state);
}

static void a_join_without_budget_asks_again(void **state) {
  counting c = {.ready_at = 1}, waiter = {.keep = true};
  la_task *t = counting_task(EX, &c);
  la_join j;
  la_join_init(&j, t);
  turns(EX);
  counting_task(EX, &waiter);
  turns(EX);
  la_waker w = counting_take(&waiter);
  unsigned budget = 0;
  la_context cx = {&w, &budget};
  assert_int_equal(la_future_poll(&j.base, &cx), LA_PENDING);
  turns(EX);
  assert_int_equal(waiter.polls, 2);
  la_future_drop(&j.base);
  la_waker_drop(w);
  la_waker_drop(counting_take(&waiter));
  executor_close(state);
}

/* ---- other threads ---------------------------------------------------------------------------*/

static void *wake_there(void *arg) {
  la_waker *w = arg;
  la_waker_wake(*w);
  return NULL;
}

static void *drop_there(void *arg) {
  la_waker_drop(*(la_waker *)arg);
  return NULL;
}

static void on_thread(void *(*f)(void *), void *arg) {
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, f, arg), 0);
  pthread_join(thread, NULL);
}

static void a_wake_on_another_thread_is_a_poll_here(void **state) {
  counting c = {.keep = true, .ready_at = 2};
  la_task *t = counting_task(EX, &c);
  turns(EX);
  la_waker w = counting_take(&c);
  on_thread(wake_there, &w);
  assert_int_equal(c.polls, 1);
  assert_int_equal(la_executor_run(EX, t), LA_RUN_DONE);
  assert_int_equal(c.polls, 2);
  executor_close(state);
}

static void the_last_drop_on_another_thread_frees_here(void **state) {
  counting c = {.keep = true, .ready_at = 2};
  la_task *t = counting_task(EX, &c);
  turns(EX);
  la_waker w = counting_take(&c);
  la_task_cancel(t);
  turns(EX);
  assert_int_equal(c.drops, 1);
  on_thread(drop_there, &w);
  assert_int_equal(EX->tasks, 1); /* not there */
  turns(EX);
  assert_int_equal(EX->tasks, 0);
  executor_close(state);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, executor_setup, executor_teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(is_lazy_and_polled_once_without_a_wake),
      TEST(ready_is_finished_and_dropped_once),
      TEST(many_wakes_before_a_poll_are_one),
      TEST(a_wake_before_the_first_poll_is_that_poll),
      TEST(a_wake_during_a_poll_is_another_poll),
      TEST(a_wake_after_the_end_does_nothing),
      TEST(woken_during_its_last_poll_is_freed_from_the_queue),
      TEST(order_is_first_come),
      TEST(will_wake_tells_tasks_apart),
      TEST(cancelled_before_its_first_poll_is_never_polled),
      TEST(cancelled_while_it_waits_is_dropped_at_the_next_turn),
      TEST(one_that_unwinds_is_polled_on),
      TEST(cancel_after_the_end_is_refused),
      TEST(all_joins_are_woken_and_ready),
      TEST(a_join_without_budget_asks_again),
      TEST(a_wake_on_another_thread_is_a_poll_here),
      TEST(the_last_drop_on_another_thread_frees_here),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
