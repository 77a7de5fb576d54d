/*
** The timer queue: what its header promises, each promise a test, and all of them
** at once against a model that is a plain array. Every waker counts, so a clone, a
** wake or a drop too many or too few fails the test it happens in.
*/
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/timer_queue.h"

#define MS LA_TIMER_TICK_NS
#define LAST_MS (UINT64_MAX / MS)
#define YEAR (UINT64_C(365) * 24 * 3600 * 1000 * MS)

/* ---- a timer that counts --------------------------------------------------------*/

typedef struct probe {
  la_timer timer;
  unsigned clones, wakes, drops;
  uint64_t deadline;
  void (*on_wake)(struct probe *);
  struct probe *other;
} probe;

enum { PROBES = 512 };

static la_timer_queue q;
static probe probes[PROBES];
static uint64_t now; /* what the clock shows while `advance_to` runs */
static probe *fired[PROBES];
static unsigned fired_count;

static la_waker clone(void *data);
static void wake(void *data) {
  probe *p = data;
  p->wakes++;
  assert_true(la_timer_idle(&p->timer));
  if (fired_count < PROBES) fired[fired_count++] = p;
  if (p->on_wake != NULL) p->on_wake(p);
}
static void wake_by_ref(void *data) {
  (void)data;
  fail_msg("a waker that is owned is to be consumed");
}
static void drop(void *data) { ((probe *)data)->drops++; }
static const la_waker_vtable vtable = {clone, wake, wake_by_ref, drop};
static la_waker clone(void *data) {
  ((probe *)data)->clones++;
  return (la_waker){data, &vtable};
}

static void insert(probe *p, uint64_t deadline) {
  p->deadline = deadline;
  la_timer_insert(&q, &p->timer, deadline, (la_waker){p, &vtable});
  assert_false(la_timer_idle(&p->timer));
}

static void cancel(probe *p) {
  la_timer_cancel(&q, &p->timer);
  assert_true(la_timer_idle(&p->timer));
}

static unsigned advance_to(uint64_t t) {
  now = t;
  fired_count = 0;
  return la_timer_queue_advance(&q, t);
}

static void start_at(uint64_t t) {
  memset(probes, 0, sizeof probes);
  la_timer_queue_init(&q, now = t);
}

static int setup(void **state) {
  (void)state;
  start_at(1000 * MS);
  return 0;
}

#define assert_counts(p, w, d)                                                                     \
  (assert_int_equal((p)->clones, 0), assert_int_equal((p)->wakes, w),                              \
   assert_int_equal((p)->drops, d))

/* Goes from `next` to `next`, at most `limit` times, until the queue is empty. */
static unsigned run_dry(unsigned limit) {
  unsigned steps = 0;
  for (uint64_t next; (next = la_timer_queue_next(&q)) != LA_TIMER_NEVER; steps++) {
    assert_true(steps < limit);
    advance_to(next);
  }
  assert_int_equal(la_timer_queue_count(&q), 0);
  return steps;
}

/* ---- one timer --------------------------------------------------------------------*/

static void an_empty_queue_has_nothing_to_do(void **state) {
  (void)state;
  assert_true(la_timer_queue_next(&q) == LA_TIMER_NEVER);
  assert_int_equal(la_timer_queue_count(&q), 0);
  assert_int_equal(advance_to(now + YEAR), 0);
  assert_true(la_timer_queue_next(&q) == LA_TIMER_NEVER);
}

/* Distances around the bounds of each level, from clocks around theirs. */
static void never_early_and_at_most_a_tick_late(void **state) {
  (void)state;
  static const uint64_t off[] = {0, 1, MS - 1, MS, MS + 1};
  for (unsigned from = 0; from < 44; from++) {
    for (unsigned far = 0; far < 44; far++) {
      for (unsigned i = 0; i < 25; i++) {
        start_at(((UINT64_C(1) << from) - (from & 1)) * MS + off[i / 5]);
        probe *p = &probes[0];
        uint64_t distance = (UINT64_C(1) << far) * MS + off[i % 5];
        if (distance > UINT64_MAX - MS - now) continue;
        insert(p, now + distance);
        assert_true(la_timer_queue_next(&q) < p->deadline + MS);
        assert_int_equal(advance_to(p->deadline - 1), 0);
        assert_counts(p, 0, 0);
        assert_int_equal(advance_to(p->deadline + MS - 1), 1);
        assert_counts(p, 1, 0);
      }
    }
  }
}

static void a_deadline_that_has_passed_fires_at_the_next_advance(void **state) {
  (void)state;
  insert(&probes[0], 0);
  insert(&probes[1], now);
  assert_true(la_timer_queue_next(&q) == 0);
  assert_counts(&probes[0], 0, 0);
  assert_int_equal(advance_to(now), 2);
  assert_counts(&probes[0], 1, 0);
  assert_counts(&probes[1], 1, 0);
}

static void a_timer_that_is_alone_is_slept_through(void **state) {
  (void)state;
  insert(&probes[0], now + 3600 * 1000 * MS);
  assert_true(la_timer_queue_next(&q) == probes[0].deadline);
  assert_int_equal(run_dry(1), 1);
  assert_counts(&probes[0], 1, 0);
}

static void cancel_in_every_state(void **state) {
  (void)state;
  probe *p = &probes[0];
  cancel(p); /* never put in */
  assert_counts(p, 0, 0);
  for (unsigned far = 0; far < 44; far++) { /* waiting, at each level */
    insert(p, now + (UINT64_C(1) << far) * MS);
    cancel(p);
    cancel(p);
    assert_counts(p, 0, far + 1);
    assert_true(la_timer_queue_next(&q) == LA_TIMER_NEVER);
    assert_int_equal(la_timer_queue_count(&q), 0);
  }
  p->drops = 0;
  insert(p, 0); /* due */
  cancel(p);
  assert_counts(p, 0, 1);
  assert_int_equal(advance_to(now), 0);
  insert(p, now + MS); /* fired */
  assert_int_equal(advance_to(now + MS), 1);
  cancel(p);
  assert_counts(p, 1, 1);
}

/* What stays in a slot is found, whichever timer beside it is taken out; also after
** the timers have moved to another level. */
static void cancel_leaves_its_neighbours(void **state) {
  (void)state;
  for (unsigned victim = 0; victim < 3; victim++) {
    for (unsigned moved = 0; moved < 2; moved++) {
      start_at(1000 * MS);
      for (unsigned i = 0; i < 3; i++) insert(&probes[i], 200000 * MS);
      if (moved) advance_to(199999 * MS);
      cancel(&probes[victim]);
      assert_int_equal(advance_to(200000 * MS), 2);
      for (unsigned i = 0; i < 3; i++) assert_counts(&probes[i], i != victim, i == victim);
    }
  }
}

/* ---- order --------------------------------------------------------------------------*/

/* The first is put in while its tick is far off, the others as it comes nearer, so
** that each enters at a level of its own. */
static void one_tick_fires_in_the_order_put_in(void **state) {
  (void)state;
  static const uint64_t ticks[] = {1000 + 5 * 262144 + 70, UINT64_C(1) << 36, UINT64_C(3) << 41,
                                   (UINT64_C(100) << 30) + 12345};
  for (unsigned k = 0; k < 4; k++) {
    start_at(1000 * MS);
    unsigned n = 0;
    for (uint64_t gap = ticks[k] - 1000; gap > 0; gap = gap * 3 / 4) {
      advance_to((ticks[k] - gap) * MS);
      insert(&probes[n++], ticks[k] * MS);
    }
    assert_int_equal(advance_to(ticks[k] * MS), n);
    for (unsigned i = 0; i < n; i++) assert_ptr_equal(fired[i], &probes[i]);
  }
}

static void a_jump_fires_in_the_order_of_deadlines(void **state) {
  (void)state;
  unsigned n = 0;
  for (unsigned far = 44; far-- > 0;) insert(&probes[n++], now + (UINT64_C(1) << far) * MS);
  assert_int_equal(advance_to(UINT64_MAX), n);
  for (unsigned i = 0; i < n; i++) assert_ptr_equal(fired[i], &probes[n - 1 - i]);
}

/* ---- from inside a wake -----------------------------------------------------------*/

static void cancel_other(probe *p) { cancel(p->other); }

static void a_wake_cancels_one_that_is_due_too(void **state) {
  (void)state;
  for (unsigned ticks = 0; ticks < 3; ticks++) { /* of one tick, or of later ones */
    start_at(1000 * MS);
    for (unsigned i = 0; i < 4; i++) insert(&probes[i], (1010 + i * ticks * 100) * MS);
    probes[0].on_wake = cancel_other;
    probes[0].other = &probes[2];
    assert_int_equal(advance_to(2000 * MS), 3);
    for (unsigned i = 0; i < 4; i++) assert_counts(&probes[i], i != 2, i == 2);
    assert_int_equal(la_timer_queue_count(&q), 0);
    assert_true(la_timer_queue_next(&q) == LA_TIMER_NEVER);
  }
}

static void a_wake_cancels_one_that_waits(void **state) {
  (void)state;
  insert(&probes[0], now + MS);
  insert(&probes[1], now + 500 * MS);
  probes[0].on_wake = cancel_other;
  probes[0].other = &probes[1];
  assert_int_equal(advance_to(now + 10 * MS), 1);
  assert_counts(&probes[1], 0, 1);
  assert_true(la_timer_queue_next(&q) == LA_TIMER_NEVER);
}

static void insert_again(probe *p) { insert(p, p->deadline + MS); }
static void insert_at_once(probe *p) { insert(p, 0); }

/* An interval a year behind fires once for each advance; it does not catch up in one. */
static void what_a_wake_puts_in_waits_for_the_next_advance(void **state) {
  (void)state;
  insert(&probes[0], now + MS);
  probes[0].on_wake = insert_again;
  insert(&probes[1], 0);
  probes[1].on_wake = insert_at_once;
  insert(&probes[2], now + YEAR);
  now += YEAR;
  for (unsigned i = 1; i <= 3; i++) {
    assert_int_equal(advance_to(now), i == 1 ? 3 : 2);
    assert_counts(&probes[0], i, 0);
    assert_counts(&probes[1], i, 0);
    assert_true(la_timer_queue_next(&q) <= now);
  }
  cancel(&probes[0]);
  cancel(&probes[1]);
}

static void cancel_and_insert_other(probe *p) {
  cancel(p->other);
  insert(p->other, now + 5 * MS);
}

static void a_wake_resets_one_that_is_due_too(void **state) {
  (void)state;
  insert(&probes[0], now + MS);
  insert(&probes[1], now + MS);
  probes[0].on_wake = cancel_and_insert_other;
  probes[0].other = &probes[1];
  assert_int_equal(advance_to(now + MS), 1);
  assert_counts(&probes[1], 0, 1);
  assert_int_equal(advance_to(now + 4 * MS), 0);
  assert_int_equal(advance_to(now + MS), 1);
  assert_counts(&probes[1], 1, 1);
}

/* ---- far, fast and backwards ------------------------------------------------------*/

static void absurd_deadlines_neither_wrap_nor_stop_progress(void **state) {
  (void)state;
  static const uint64_t start[] = {0, 1000, LAST_MS - 100000, LAST_MS - 1, LAST_MS};
  for (unsigned k = 0; k < 5; k++) {
    start_at(start[k] * MS);
    for (unsigned i = 0; i < 8; i++) insert(&probes[i], UINT64_MAX - 1 - i * MS / 4);
    if (start[k] < LAST_MS - 10) assert_int_equal(advance_to((LAST_MS - 10) * MS), 0);
    run_dry(8 * LA_TIMER_LEVELS + 1);
    for (unsigned i = 0; i < 8; i++) assert_counts(&probes[i], 1, 0);
  }
}

static void one_without_a_deadline_never_fires(void **state) {
  (void)state;
  insert(&probes[0], LA_TIMER_NEVER);
  insert(&probes[1], LA_TIMER_NEVER);
  assert_int_equal(la_timer_queue_count(&q), 2);
  assert_true(la_timer_queue_next(&q) == LA_TIMER_NEVER);
  assert_int_equal(advance_to(UINT64_MAX), 0);
  cancel(&probes[0]);
  assert_counts(&probes[0], 0, 1);
  cancel(&probes[1]);
  assert_int_equal(la_timer_queue_count(&q), 0);
}

static void a_clock_that_goes_backwards_stands_still(void **state) {
  (void)state;
  insert(&probes[0], now + 10 * MS);
  insert(&probes[1], now + 100 * MS);
  uint64_t then = now;
  assert_int_equal(advance_to(then + 50 * MS), 1);
  assert_int_equal(advance_to(then), 0);
  assert_int_equal(advance_to(0), 0);
  insert(&probes[0], then + 60 * MS);
  assert_int_equal(advance_to(then + 59 * MS), 0);
  assert_int_equal(advance_to(then + 100 * MS), 2);
  assert_ptr_equal(fired[0], &probes[0]);
}

/* Stepping tick by tick these jumps would take hours. */
static void jumps_of_years_are_quick(void **state) {
  (void)state;
  for (unsigned i = 0; i < 500; i++) {
    insert(&probes[0], now + YEAR);
    insert(&probes[1], now + 2 * YEAR);
    assert_int_equal(advance_to(now + YEAR), 1);
    cancel(&probes[1]);
  }
}

/* ---- against a model ----------------------------------------------------------------*/

/* For each probe: whether it is in, the tick it is to fire at, and its turn. */
typedef struct entry {
  bool in;
  uint64_t when, turn;
} entry;

static entry model[PROBES];
static size_t model_count;
static uint64_t model_elapsed, turns, turns_before; /* what was put in before this advance */
static bool advancing;
static uint64_t seed;

static uint64_t random64(void) { /* splitmix64 */
  uint64_t z = seed += UINT64_C(0x9E3779B97F4A7C15);
  z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
  z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
  return z ^ z >> 31;
}

/* Nanoseconds of any magnitude up to 2^bits, as often on a whole tick as not. */
static uint64_t random_span(unsigned bits) {
  uint64_t ns = random64() >> (63 - random64() % bits);
  return random64() % 2 ? ns : ns / MS * MS;
}

static uint64_t later(uint64_t t, uint64_t ns) {
  return t > UINT64_MAX - ns ? UINT64_MAX - 1 : t + ns;
}

static void model_woken(probe *p);

static void random_insert(void) {
  unsigned i = (unsigned)(random64() % PROBES);
  probe *p = &probes[i];
  uint64_t to = later(now, random_span(random64() % 8 ? 38 : 64));
  if (random64() % 16 == 0) to = random64() % 2 ? now - now / 4 : 0;
  if (random64() % 4 == 0) to = probes[(i + 1) % PROBES].deadline; /* ties */
  if (model[i].in) return;
  uint64_t when = to / MS + (to % MS != 0);
  if (when > LAST_MS) when = LAST_MS;
  model[i] = (entry){true, when > model_elapsed ? when : model_elapsed, turns++};
  model_count++;
  p->on_wake = model_woken;
  insert(p, to);
}

static void random_cancel(void) {
  unsigned i = (unsigned)(random64() % PROBES);
  unsigned drops = probes[i].drops;
  if (model[i].in) model_count--;
  cancel(&probes[i]);
  assert_int_equal(probes[i].drops, drops + model[i].in);
  model[i].in = false;
}

static int model_first(bool before) {
  int first = -1;
  for (int i = 0; i < PROBES; i++) {
    if (!model[i].in || (before && model[i].turn >= turns_before)) continue;
    if (first < 0 || model[i].when < model[first].when ||
        (model[i].when == model[first].when && model[i].turn < model[first].turn))
      first = i;
  }
  return first;
}

static void model_woken(probe *p) {
  assert_true(advancing);
  int i = model_first(true);
  assert_ptr_equal(p, &probes[i]);
  assert_true(model[i].when <= model_elapsed);
  model[i].in = false;
  model_count--;
  if (random64() % 4 == 0) random_insert();
  if (random64() % 4 == 0) random_cancel();
}

static void random_advance(void) {
  uint64_t to = later(now, random_span(random64() % 32 ? 34 : 58));
  if (random64() % 4 == 0 && la_timer_queue_next(&q) > now && model_count > 0)
    to = la_timer_queue_next(&q);
  if (random64() % 64 == 0) to = now - now / 8;
  if (to / MS > model_elapsed) model_elapsed = to / MS;
  turns_before = turns;
  advancing = true;
  advance_to(to);
  advancing = false;
  now = to;
  int i = model_first(true);
  assert_true(i < 0 || model[i].when > model_elapsed);
}

static void check_next(void) {
  uint64_t next = la_timer_queue_next(&q);
  int i = model_first(false);
  assert_int_equal(la_timer_queue_count(&q), model_count);
  if (i < 0) {
    assert_true(next == LA_TIMER_NEVER);
    return;
  }
  assert_true(next <= model[i].when * MS);
  if (model[i].when > model_elapsed) assert_true(next / MS > model_elapsed);
}

static void a_random_life_is_that_of_the_model(void **state) {
  (void)state;
  seed = 20240607;
  for (unsigned life = 0; life < 100; life++) {
    start_at(random_span(64));
    memset(model, 0, sizeof model);
    model_count = 0;
    model_elapsed = now / MS;
    for (unsigned op = 0; op < 1000; op++) {
      unsigned kind = (unsigned)(random64() % 8);
      if (kind < 5)
        random_insert();
      else if (kind < 6)
        random_cancel();
      else
        random_advance();
      check_next();
    }
    for (unsigned i = 0; i < PROBES; i++) {
      probes[i].on_wake = NULL;
      assert_int_equal(probes[i].clones, 0);
    }
    run_dry(PROBES * LA_TIMER_LEVELS);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(an_empty_queue_has_nothing_to_do, setup),
      cmocka_unit_test_setup(never_early_and_at_most_a_tick_late, setup),
      cmocka_unit_test_setup(a_deadline_that_has_passed_fires_at_the_next_advance, setup),
      cmocka_unit_test_setup(a_timer_that_is_alone_is_slept_through, setup),
      cmocka_unit_test_setup(cancel_in_every_state, setup),
      cmocka_unit_test_setup(cancel_leaves_its_neighbours, setup),
      cmocka_unit_test_setup(one_tick_fires_in_the_order_put_in, setup),
      cmocka_unit_test_setup(a_jump_fires_in_the_order_of_deadlines, setup),
      cmocka_unit_test_setup(a_wake_cancels_one_that_is_due_too, setup),
      cmocka_unit_test_setup(a_wake_cancels_one_that_waits, setup),
      cmocka_unit_test_setup(what_a_wake_puts_in_waits_for_the_next_advance, setup),
      cmocka_unit_test_setup(a_wake_resets_one_that_is_due_too, setup),
      cmocka_unit_test_setup(absurd_deadlines_neither_wrap_nor_stop_progress, setup),
      cmocka_unit_test_setup(one_without_a_deadline_never_fires, setup),
      cmocka_unit_test_setup(a_clock_that_goes_backwards_stands_still, setup),
      cmocka_unit_test_setup(jumps_of_years_are_quick, setup),
      cmocka_unit_test_setup(a_random_life_is_that_of_the_model, setup),
  };
  return cmocka_run_group_tests_name("timer_queue", tests, NULL, NULL);
}
