/* Groups: which member is polled, when each is over and released, and what ends them all. */
#include "core/group.h"

#include <pthread.h>

#include "core/future.h"
#include "counting.h"

#define EX (((fixture *)*state)->ex)

enum { N = 5 };

typedef struct rig rig;

/* What a member runs: counts in `c`, which outlives it. `cancel`: what its future answers;
** it is ready `unwinding_polls` after the first LA_CANCEL_UNWIND. */
typedef struct part {
  la_future base;
  counting c;
  int cancels, overs, ready_overs, releases, unwinding_polls;
  la_cancel answer;
  bool ends_all;   /* its `over` cancels the others */
  bool group_gone; /* as `over` saw it */
  rig *in;
} part;

/* A member, and what it reports to. */
typedef struct reporting {
  la_member member;
  part *p;
} reporting;

struct rig {
  la_group g;
  part p[N];
  counting owner; /* who polls the group is counted here */
  la_task *task;
};

static la_poll part_poll(la_future *f, la_context *cx) {
  part *p = la_container(f, part, base);
  counting *c = &p->c;
  assert_int_equal(c->drops, 0);
  assert_int_equal(p->overs, 0);
  c->polls++;
  if (c->has_waker) la_waker_drop(c->waker);
  c->waker = la_waker_clone(cx->waker);
  c->has_waker = true;
  if (c->during != NULL) c->during(c, cx);
  return c->ready_at != 0 && c->polls >= c->ready_at ? LA_READY : LA_PENDING;
}

static void part_drop(la_future *f) {
  part *p = la_container(f, part, base);
  p->c.drops++;
  if (p->c.has_waker) la_waker_drop(p->c.waker);
  p->c.has_waker = false;
}

static la_cancel part_cancel(la_future *f) {
  part *p = la_container(f, part, base);
  if (p->cancels++ == 0 && p->answer == LA_CANCEL_UNWIND)
    p->c.ready_at = p->c.polls + p->unwinding_polls;
  return p->answer;
}

static const la_future_vtable plain = {part_poll, part_drop, "part", NULL};
static const la_future_vtable asked = {part_poll, part_drop, "part", part_cancel};

static bool part_over(la_member *m, bool ready) {
  part *p = ((reporting *)(void *)m)->p;
  assert_int_equal(p->c.drops, 0); /* its output can be taken */
  assert_int_equal(p->releases, 0);
  p->overs++;
  p->ready_overs += ready;
  p->group_gone = m->group == NULL;
  return p->ends_all;
}

static void part_release(la_member *m) {
  part *p = ((reporting *)(void *)m)->p;
  assert_int_equal(p->overs, 1);
  p->releases++;
  la_future_drop(m->f);
}

static const la_group_class cls = {LA_MEMBER(sizeof(reporting)), part_over, part_release};

static void start(rig *r, int i) {
  reporting *m = (reporting *)(void *)la_member_new(&r->g, &cls, (size_t)i);
  assert_non_null(m);
  assert_int_equal(m->member.index, i);
  m->p = &r->p[i];
  r->p[i].in = r;
  la_member_start(&m->member, &r->g, &r->p[i].base);
}

/* Vtables are chosen before: `asks` is a bit for each part that has a cancel. */
static void begin(void **state, rig *r, unsigned asks) {
  la_group_init(&r->g, EX, "group");
  for (int i = 0; i < N; i++) {
    r->p[i].base.vt = (asks >> i & 1) != 0 ? &asked : &plain;
    start(r, i);
  }
}

static void wake(part *p) {
  assert_true(p->c.has_waker);
  la_waker w = la_waker_clone(&p->c.waker);
  la_waker_wake(w);
}

/* Of somebody who counts how often it is woken: a task that polls the group. */
static la_poll poll_with(la_group *g, const la_waker *w, size_t left) {
  unsigned budget = 100;
  la_context cx = {w, &budget};
  return la_group_poll(g, &cx, left);
}

static la_poll look(rig *r, size_t left) {
  la_waker w = la_task_borrow_waker(r->task);
  return poll_with(&r->g, &w, left);
}

/* A rig whose group is looked at by a task that is polled once for each wake. */
static void begin_owned(void **state, rig *r, unsigned asks) {
  r->task = counting_task(EX, &r->owner);
  la_task_ref(r->task);
  begin(state, r, asks);
  turns(EX);
  assert_int_equal(r->owner.polls, 1);
}

static void end(void **state, rig *r) {
  la_group_drop(&r->g);
  if (r->task != NULL) la_task_unref(r->task);
  turns(EX);
  for (int i = 0; i < N; i++) {
    assert_int_equal(r->p[i].overs, 1);
    assert_int_equal(r->p[i].releases, 1);
    assert_int_equal(r->p[i].c.drops, 1);
  }
  assert_int_equal(r->g.count, 0);
  executor_close(state);
}

/* ---- polls and wakes ----------------------------------------------------------------*/

static void members_are_polled_in_the_next_turn_and_then_for_their_own_wakes(void **state) {
  rig r = {0};
  begin(state, &r, 0);
  for (int i = 0; i < N; i++) assert_int_equal(r.p[i].c.polls, 0);
  turns(EX);
  for (int k = 0; k < 3; k++) wake(&r.p[2]); /* many are one */
  turns(EX);
  for (int i = 0; i < N; i++) assert_int_equal(r.p[i].c.polls, i == 2 ? 2 : 1);
  wake(&r.p[4]);
  wake(&r.p[0]);
  turns(EX);
  int polls[N] = {2, 1, 2, 1, 2};
  for (int i = 0; i < N; i++) assert_int_equal(r.p[i].c.polls, polls[i]);
  end(state, &r);
}

static void wake_self(counting *c, la_context *cx) {
  (void)c;
  la_waker_wake_by_ref(cx->waker);
}

static void a_wake_during_a_poll_is_another_poll_of_that_member(void **state) {
  rig r = {0};
  r.p[1].c.during = wake_self;
  r.p[1].c.ready_at = 7;
  begin(state, &r, 0);
  turns(EX);
  assert_int_equal(r.p[1].c.polls, 7);
  assert_int_equal(r.p[1].ready_overs, 1);
  assert_int_equal(r.p[0].c.polls, 1);
  end(state, &r);
}

static void is_ready_when_at_most_so_many_are_left_and_wakes_then(void **state) {
  rig r = {0};
  begin_owned(state, &r, 0);
  assert_int_equal(look(&r, N), LA_READY);
  assert_int_equal(look(&r, 2), LA_PENDING);
  for (int i = 0; i < N; i++) {
    r.p[i].c.ready_at = 2;
    wake(&r.p[i]);
    turns(EX);
    assert_int_equal(r.p[i].ready_overs, 1);
    assert_int_equal(r.owner.polls, i >= 2 ? 2 : 1); /* once, when two were left */
  }
  assert_int_equal(look(&r, 0), LA_READY);
  end(state, &r);
}

static void an_empty_group_is_ready(void **state) {
  la_group g;
  la_group_init(&g, EX, "group");
  assert_int_equal(poll_with(&g, &la_waker_noop, 0), LA_READY);
  la_group_cancel(&g);
  assert_int_equal(poll_with(&g, &la_waker_noop, 0), LA_READY);
  la_group_drop(&g);
  executor_close(state);
}

static void wakes_who_polled_it_last_and_keeps_one_waker(void **state) {
  rig r = {0};
  counting other = {0};
  begin_owned(state, &r, 0);
  la_task *t = counting_task(EX, &other);
  la_task_ref(t);
  turns(EX);
  assert_int_equal(look(&r, 0), LA_PENDING);
  assert_int_equal(look(&r, 0), LA_PENDING);
  la_waker w = la_task_borrow_waker(t);
  assert_int_equal(poll_with(&r.g, &w, 0), LA_PENDING);
  for (int i = 0; i < N; i++) {
    r.p[i].c.ready_at = 2;
    wake(&r.p[i]);
  }
  turns(EX);
  assert_int_equal(r.owner.polls, 1);
  assert_int_equal(other.polls, 2);
  la_task_unref(t);
  end(state, &r);
}

static void a_member_that_is_ready_at_once_is_over_in_that_turn(void **state) {
  rig r = {0};
  for (int i = 0; i < N; i++) r.p[i].c.ready_at = 1;
  begin(state, &r, 0);
  assert_int_equal(r.g.count, N);
  turns(EX);
  assert_int_equal(r.g.count, 0);
  for (int i = 0; i < N; i++) assert_int_equal(r.p[i].ready_overs, 1);
  end(state, &r);
}

static void more_can_be_started_later_and_one_given_back(void **state) {
  rig r = {0};
  la_group_init(&r.g, EX, "group");
  for (int i = 0; i < N; i++) {
    r.p[i].base.vt = &plain;
    start(&r, i);
    turns(EX);
    assert_int_equal(r.g.count, i + 1);
  }
  la_member_discard(la_member_new(&r.g, &cls, N));
  turns(EX);
  assert_int_equal(r.g.count, N);
  end(state, &r);
}

static void wakes_after_the_end_do_nothing(void **state) {
  rig r = {0};
  begin(state, &r, 0);
  turns(EX);
  la_waker kept[N];
  for (int i = 0; i < N; i++) kept[i] = la_waker_clone(&r.p[i].c.waker);
  la_group_cancel(&r.g);
  for (int i = 0; i < N; i++) la_waker_wake_by_ref(&kept[i]);
  turns(EX);
  for (int i = 0; i < N; i++) assert_int_equal(r.p[i].c.polls, 1);
  for (int i = 0; i < N; i++) la_waker_wake(kept[i]);
  end(state, &r);
}

/* ---- cancel ---------------------------------------------------------------------------*/

static void cancelled_before_their_first_poll_they_are_never_polled(void **state) {
  rig r = {0};
  begin(state, &r, 0);
  la_group_cancel(&r.g);
  assert_int_equal(r.g.count, 0);
  for (int i = 0; i < N; i++) {
    assert_int_equal(r.p[i].c.drops, 1);
    assert_int_equal(r.p[i].ready_overs, 0);
  }
  la_group_cancel(&r.g);
  turns(EX);
  for (int i = 0; i < N; i++) assert_int_equal(r.p[i].c.polls, 0);
  end(state, &r);
}

static void cancelled_while_they_wait_they_are_dropped_at_once(void **state) {
  rig r = {0};
  begin_owned(state, &r, 0);
  assert_int_equal(look(&r, 0), LA_PENDING);
  la_group_cancel(&r.g);
  assert_int_equal(r.g.count, 0);
  for (int i = 0; i < N; i++) assert_int_equal(r.p[i].c.drops, 1);
  turns(EX);
  assert_int_equal(r.owner.polls, 2);
  for (int i = 0; i < N; i++) assert_int_equal(r.p[i].c.polls, 1);
  end(state, &r);
}

static void cancelled_when_woken_what_they_are_to_be_given_goes_to_others(void **state) {
  rig r = {0};
  begin(state, &r, 0);
  turns(EX);
  r.p[3].c.ready_at = 2;
  wake(&r.p[3]);
  la_group_cancel(&r.g); /* before the poll that would have taken it */
  turns(EX);
  assert_int_equal(r.p[3].c.polls, 1);
  assert_int_equal(r.p[3].ready_overs, 0);
  end(state, &r);
}

static void those_that_unwind_are_polled_until_they_have(void **state) {
  rig r = {0};
  for (int i = 0; i < N; i++) r.p[i].answer = LA_CANCEL_UNWIND, r.p[i].unwinding_polls = i + 1;
  begin_owned(state, &r, 0x1f);
  assert_int_equal(look(&r, 0), LA_PENDING);
  la_group_cancel(&r.g);
  assert_int_equal(r.g.count, N);
  turns(EX);
  for (int i = 0; i < N; i++) assert_int_equal(r.p[i].c.polls, 2);
  for (int k = 1; k < N; k++) {
    assert_int_equal(r.g.count, N - k);
    assert_int_equal(r.owner.polls, 1);
    for (int i = k; i < N; i++) wake(&r.p[i]);
    turns(EX);
  }
  assert_int_equal(r.g.count, 0);
  assert_int_equal(r.owner.polls, 2);
  for (int i = 0; i < N; i++) {
    assert_int_equal(r.p[i].cancels, 1);
    assert_int_equal(r.p[i].ready_overs, 0); /* an output after that is nobody's */
  }
  end(state, &r);
}

static void one_whose_output_is_certain_is_polled_on(void **state) {
  rig r = {0};
  for (int i = 0; i < N; i++) r.p[i].answer = LA_CANCEL_FINISH;
  begin(state, &r, 0x1f);
  turns(EX);
  la_group_cancel(&r.g);
  turns(EX);
  assert_int_equal(r.g.count, N);
  for (int i = 0; i < N; i++) {
    r.p[i].c.ready_at = r.p[i].c.polls + 1;
    wake(&r.p[i]);
  }
  turns(EX);
  assert_int_equal(r.g.count, 0);
  for (int i = 0; i < N; i++) assert_int_equal(r.p[i].c.drops, 1);
  end(state, &r);
}

static void one_that_could_unwind_and_need_not_is_over_without_a_poll(void **state) {
  rig r = {0};
  for (int i = 0; i < N; i++) r.p[i].answer = LA_CANCEL_DROP;
  begin(state, &r, 0x1f);
  turns(EX);
  la_group_cancel(&r.g);
  turns(EX);
  assert_int_equal(r.g.count, 0);
  for (int i = 0; i < N; i++) {
    assert_int_equal(r.p[i].c.polls, 1);
    assert_int_equal(r.p[i].ready_overs, 0);
  }
  end(state, &r);
}

static void the_end_of_one_can_cancel_the_others(void **state) {
  rig r = {0};
  r.p[2].ends_all = true;
  r.p[2].c.ready_at = 2;
  r.p[4].answer = LA_CANCEL_UNWIND;
  r.p[4].unwinding_polls = 2;
  begin_owned(state, &r, 1u << 4);
  assert_int_equal(look(&r, 0), LA_PENDING);
  wake(&r.p[2]);
  turns(EX);
  assert_int_equal(r.g.count, 1); /* which unwinds */
  assert_int_equal(r.owner.polls, 1);
  assert_int_equal(r.p[2].ready_overs, 1);
  assert_int_equal(r.p[0].c.drops + r.p[1].c.drops + r.p[3].c.drops, 3);
  wake(&r.p[4]);
  turns(EX);
  assert_int_equal(r.owner.polls, 2);
  assert_int_equal(r.p[4].ready_overs, 0);
  end(state, &r);
}

static void two_that_are_ready_in_one_turn_the_first_cancels_the_second(void **state) {
  rig r = {0};
  for (int i = 0; i < N; i++) r.p[i].ends_all = true, r.p[i].c.ready_at = 2;
  begin(state, &r, 0);
  turns(EX);
  wake(&r.p[3]);
  wake(&r.p[1]);
  turns(EX);
  assert_int_equal(r.p[3].ready_overs, 1);
  assert_int_equal(r.p[1].ready_overs, 0);
  assert_int_equal(r.p[1].c.polls, 1);
  end(state, &r);
}

static void cancel_group(counting *c, la_context *cx) {
  (void)cx;
  part *p = la_container(c, part, c);
  if (c->polls == 2) la_group_cancel(&p->in->g);
}

static void cancelled_in_the_middle_of_a_poll_all_others_are_over_first(void **state) {
  rig r = {0};
  r.p[1].c.during = cancel_group;
  begin(state, &r, 0);
  turns(EX);
  wake(&r.p[1]);
  turns(EX);
  assert_int_equal(r.g.count, 0);
  assert_int_equal(r.p[1].c.polls, 2);
  assert_int_equal(r.p[1].ready_overs, 0);
  end(state, &r);
}

static void cancelled_in_the_middle_of_the_poll_that_is_ready_its_output_stands(void **state) {
  rig r = {0};
  r.p[1].c.during = cancel_group;
  r.p[1].c.ready_at = 2;
  begin(state, &r, 0);
  turns(EX);
  wake(&r.p[1]);
  turns(EX);
  assert_int_equal(r.g.count, 0);
  assert_int_equal(r.p[1].ready_overs, 1);
  end(state, &r);
}

/* ---- drop -----------------------------------------------------------------------------*/

static void dropped_it_drops_all_without_unwinding(void **state) {
  rig r = {0};
  for (int i = 0; i < N; i++) r.p[i].answer = LA_CANCEL_UNWIND, r.p[i].unwinding_polls = 9;
  begin(state, &r, 0x15);
  turns(EX);
  la_group_cancel(&r.g);
  turns(EX); /* some are unwinding */
  la_group_drop(&r.g);
  for (int i = 0; i < N; i++) {
    assert_int_equal(r.p[i].c.drops, 1);
    assert_int_equal(r.p[i].ready_overs, 0);
  }
  end(state, &r); /* and once more, which is nothing */
}

static void drop_group(counting *c, la_context *cx) {
  (void)cx;
  part *p = la_container(c, part, c);
  if (c->polls == 2) la_group_drop(&p->in->g);
}

static void drop_in_a_poll(void **state, int ready_at) {
  rig r = {0};
  r.p[3].c.during = drop_group;
  r.p[3].c.ready_at = ready_at;
  begin_owned(state, &r, 0);
  assert_int_equal(look(&r, 0), LA_PENDING);
  wake(&r.p[3]);
  turns(EX);
  for (int i = 0; i < N; i++) {
    assert_int_equal(r.p[i].c.drops, 1);
    assert_int_equal(r.p[i].group_gone, true);
  }
  assert_int_equal(r.p[3].c.polls, 2);
  assert_int_equal(r.owner.polls, 1); /* nobody is there to be woken */
  end(state, &r);
}

static void dropped_in_the_middle_of_a_members_poll_that_one_goes_after_it(void **state) {
  drop_in_a_poll(state, 0);
}

static void the_same_when_that_poll_is_ready(void **state) { drop_in_a_poll(state, 2); }

static void dropped_before_the_first_polls_there_are_none(void **state) {
  rig r = {0};
  begin(state, &r, 0);
  la_group_drop(&r.g);
  turns(EX);
  for (int i = 0; i < N; i++) assert_int_equal(r.p[i].c.polls, 0);
  end(state, &r);
}

static void the_end_of_the_executor_ends_the_members(void **state) {
  rig r = {0};
  begin(state, &r, 0);
  turns(EX);
  executor_close(state);
  for (int i = 0; i < N; i++) {
    assert_int_equal(r.p[i].c.drops, 1);
    assert_int_equal(r.p[i].ready_overs, 0);
  }
  la_group_drop(&r.g);
}

/* ---- other threads --------------------------------------------------------------------*/

enum { ROUNDS = 300 };

static void *wake_and_drop(void *arg) {
  la_waker *w = arg;
  for (int k = 0; k < ROUNDS; k++) la_waker_wake_by_ref(w);
  la_waker_wake(*w);
  return NULL;
}

static void wakes_from_other_threads_poll_their_member_alone(void **state) {
  rig r = {0};
  pthread_t threads[N];
  la_waker wakers[N];
  begin(state, &r, 0);
  turns(EX);
  for (int i = 1; i < N; i++) { /* all but the first */
    wakers[i] = la_waker_clone(&r.p[i].c.waker);
    assert_int_equal(pthread_create(&threads[i], NULL, wake_and_drop, &wakers[i]), 0);
  }
  turns(EX);
  for (int i = 1; i < N; i++) pthread_join(threads[i], NULL);
  turns(EX);
  assert_int_equal(r.p[0].c.polls, 1);
  for (int i = 1; i < N; i++) assert_in_range(r.p[i].c.polls, 2, ROUNDS + 3);
  end(state, &r);
}

static void a_cancel_meets_wakes_from_other_threads(void **state) {
  rig r = {0};
  pthread_t threads[N];
  la_waker wakers[N];
  begin(state, &r, 0);
  turns(EX);
  for (int i = 0; i < N; i++) {
    wakers[i] = la_waker_clone(&r.p[i].c.waker);
    assert_int_equal(pthread_create(&threads[i], NULL, wake_and_drop, &wakers[i]), 0);
  }
  la_group_cancel(&r.g);
  assert_int_equal(r.g.count, 0);
  turns(EX);
  for (int i = 0; i < N; i++) pthread_join(threads[i], NULL);
  turns(EX);
  end(state, &r);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, executor_setup, executor_teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(members_are_polled_in_the_next_turn_and_then_for_their_own_wakes),
      TEST(a_wake_during_a_poll_is_another_poll_of_that_member),
      TEST(is_ready_when_at_most_so_many_are_left_and_wakes_then),
      TEST(an_empty_group_is_ready),
      TEST(wakes_who_polled_it_last_and_keeps_one_waker),
      TEST(a_member_that_is_ready_at_once_is_over_in_that_turn),
      TEST(more_can_be_started_later_and_one_given_back),
      TEST(wakes_after_the_end_do_nothing),
      TEST(cancelled_before_their_first_poll_they_are_never_polled),
      TEST(cancelled_while_they_wait_they_are_dropped_at_once),
      TEST(cancelled_when_woken_what_they_are_to_be_given_goes_to_others),
      TEST(those_that_unwind_are_polled_until_they_have),
      TEST(one_whose_output_is_certain_is_polled_on),
      TEST(one_that_could_unwind_and_need_not_is_over_without_a_poll),
      TEST(the_end_of_one_can_cancel_the_others),
      TEST(two_that_are_ready_in_one_turn_the_first_cancels_the_second),
      TEST(cancelled_in_the_middle_of_a_poll_all_others_are_over_first),
      TEST(cancelled_in_the_middle_of_the_poll_that_is_ready_its_output_stands),
      TEST(dropped_it_drops_all_without_unwinding),
      TEST(dropped_in_the_middle_of_a_members_poll_that_one_goes_after_it),
      TEST(the_same_when_that_poll_is_ready),
      TEST(dropped_before_the_first_polls_there_are_none),
      TEST(the_end_of_the_executor_ends_the_members),
      TEST(wakes_from_other_threads_poll_their_member_alone),
      TEST(a_cancel_meets_wakes_from_other_threads),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
