/* join and select of futures in C: who is polled, when each is dropped, and what cancels them. */
#include "core/combinator.h"

#include <stdlib.h>

#include "core/future.h"
#include "counting.h"

#define EX (((fixture *)*state)->ex)

enum { N = 5 };

/* Reports to counts[i]; `unwinds` needs two more polls once it is cancelled. */
typedef struct part {
  la_future base;
  counting *counts;
  bool unwinds;
} part;

static la_poll part_poll(la_future *f, la_context *cx) {
  counting *c = ((part *)(void *)f)->counts;
  c->polls++;
  if (c->ready_at != 0 && c->polls >= c->ready_at) return LA_READY;
  if (c->has_waker) la_waker_drop(c->waker);
  c->waker = la_waker_clone(cx->waker);
  c->has_waker = true;
  return LA_PENDING;
}

static void part_drop(la_future *f) {
  counting *c = ((part *)(void *)f)->counts;
  c->drops++;
  if (c->has_waker) la_waker_drop(c->waker);
  c->has_waker = false;
  free(f);
}

static la_cancel part_cancel(la_future *f) {
  const part *p = (part *)(void *)f;
  p->counts->cancelled++;
  if (!p->unwinds) return LA_CANCEL_DROP;
  p->counts->ready_at = p->counts->polls + 2;
  return LA_CANCEL_UNWIND;
}

static const la_future_vtable part_vtable = {part_poll, part_drop, "part", NULL};
static const la_future_vtable unwinding_vtable = {part_poll, part_drop, "part", part_cancel};

static void make(la_future **futures, counting *counts, bool unwinds) {
  for (int i = 0; i < N; i++) {
    part *p = malloc(sizeof *p);
    *p = (part){{unwinds ? &unwinding_vtable : &part_vtable}, &counts[i], unwinds};
    futures[i] = &p->base;
  }
}

static void wake(counting *c) {
  assert_true(c->has_waker);
  la_waker_wake_by_ref(&c->waker);
}

static la_poll poll(la_future *f) {
  unsigned budget = 100;
  la_context cx = {&la_waker_noop, &budget};
  return la_future_poll(f, &cx);
}

static int drops(const counting *counts) {
  int n = 0;
  for (int i = 0; i < N; i++) n += counts[i].drops;
  return n;
}

static void a_join_polls_each_by_its_own_wakes(void **state) {
  counting counts[N] = {0};
  la_future *futures[N];
  make(futures, counts, false);
  la_future *f = la_future_join(EX, futures, N);
  turns(EX);
  for (int i = 0; i < N; i++) assert_int_equal(counts[i].polls, 0); /* lazy */
  assert_int_equal(poll(f), LA_PENDING);
  turns(EX);
  for (int i = 0; i < N; i++) counts[i].ready_at = 3;
  for (int i = 0; i < N; i++) {
    wake(&counts[i]);
    turns(EX);
    assert_int_equal(poll(f), LA_PENDING);
    assert_int_equal(counts[i].polls, 2);
  }
  for (int i = N; i-- > 0;) {
    wake(&counts[i]);
    turns(EX);
    assert_int_equal(poll(f), i > 0 ? LA_PENDING : LA_READY);
  }
  assert_int_equal(drops(counts), 0); /* their outputs are still to be read */
  la_future_drop(f);
  for (int i = 0; i < N; i++) assert_int_equal(counts[i].drops, 1);
  executor_close(state);
}

static void a_select_drops_the_losers_before_it_is_ready(void **state) {
  counting counts[N] = {0};
  la_future *futures[N];
  size_t winner = 99;
  make(futures, counts, false);
  la_future *f = la_future_select(EX, futures, N, &winner);
  assert_int_equal(poll(f), LA_PENDING);
  turns(EX);
  counts[3].ready_at = 2;
  wake(&counts[3]);
  wake(&counts[1]);
  wake(&counts[4]);
  turns(EX);
  assert_int_equal(poll(f), LA_READY);
  assert_int_equal(winner, 3);
  assert_int_equal(drops(counts), N - 1);
  assert_int_equal(counts[3].drops, 0);
  assert_int_equal(counts[4].polls, 1); /* behind the winner: not polled again */
  la_future_drop(f);
  assert_int_equal(drops(counts), N);
  executor_close(state);
}

static void losers_unwind_first(void **state) {
  counting counts[N] = {0};
  la_future *futures[N];
  size_t winner;
  make(futures, counts, true);
  la_future *f = la_future_select(EX, futures, N, &winner);
  assert_int_equal(poll(f), LA_PENDING);
  turns(EX);
  counts[0].ready_at = 2;
  wake(&counts[0]);
  turns(EX);
  assert_int_equal(poll(f), LA_PENDING);
  assert_int_equal(f->vt->cancel(f), LA_CANCEL_FINISH); /* too late: it is won */
  for (int i = 1; i < N; i++) {
    assert_int_equal(counts[i].cancelled, 1);
    wake(&counts[i]);
  }
  turns(EX);
  assert_int_equal(poll(f), LA_READY);
  assert_int_equal(winner, 0);
  la_future_drop(f);
  assert_int_equal(drops(counts), N);
  executor_close(state);
}

static void cancelled_drops_or_unwinds_all(void **state) {
  for (int unwinds = 0; unwinds < 2; unwinds++) {
    counting counts[N] = {0};
    la_future *futures[N];
    make(futures, counts, unwinds);
    la_future *f = la_future_join(EX, futures, N);
    assert_int_equal(poll(f), LA_PENDING);
    turns(EX);
    assert_int_equal(f->vt->cancel(f), unwinds ? LA_CANCEL_UNWIND : LA_CANCEL_DROP);
    assert_int_equal(drops(counts), unwinds ? 0 : N);
    turns(EX);
    for (int i = 0; i < N; i++)
      if (unwinds) wake(&counts[i]);
    turns(EX);
    assert_int_equal(poll(f), LA_READY);
    assert_int_equal(drops(counts), N);
    la_future_drop(f);
    assert_int_equal(drops(counts), N);
  }
  executor_close(state);
}

static void dropped_in_any_state_drops_all(void **state) {
  for (int polls = 0; polls < 4; polls++) {
    counting counts[N] = {0};
    la_future *futures[N];
    size_t winner;
    make(futures, counts, polls % 2);
    la_future *f =
        polls < 2 ? la_future_join(EX, futures, N) : la_future_select(EX, futures, N, &winner);
    for (int i = 0; i < polls; i++) {
      assert_int_equal(poll(f), LA_PENDING);
      turns(EX);
    }
    la_future_drop(f);
    assert_int_equal(drops(counts), N);
    turns(EX);
  }
  executor_close(state);
}

static void of_nothing_a_join_is_ready(void **state) {
  la_future *f = la_future_join(EX, NULL, 0);
  assert_int_equal(poll(f), LA_READY);
  la_future_drop(f);
  executor_close(state);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, executor_setup, executor_teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(a_join_polls_each_by_its_own_wakes),
      TEST(a_select_drops_the_losers_before_it_is_ready),
      TEST(losers_unwind_first),
      TEST(cancelled_drops_or_unwinds_all),
      TEST(dropped_in_any_state_drops_all),
      TEST(of_nothing_a_join_is_ready),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
