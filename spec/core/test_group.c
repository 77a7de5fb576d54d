/* Groups: who is polled, when, and who is woken. */
#include "rig.h"

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
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
