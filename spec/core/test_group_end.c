/* Groups that are cancelled or dropped, and wakes from other threads meanwhile. */
#include <pthread.h>

#include "rig.h"

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

int main(void) {
  const struct CMUnitTest tests[] = {
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
