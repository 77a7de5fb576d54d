/* The futures of src/sync: every state polled, woken, given up and closed. */
#include "core/list.h"
#include "spec/core/probe.h"
#include "sync/barrier.h"
#include "sync/broadcast.h"
#include "sync/lock.h"
#include "sync/notify.h"
#include "sync/watch.h"

#define F(x) (&(x).q.base)

/* ---- semaphore --------------------------------------------------------------------------*/

static void free_permits_are_had_at_once(void **state) {
  la_semaphore s;
  la_acquire a;
  PROBES(1);
  (void)state;
  la_semaphore_init(&s, 2);
  la_acquire_init(&a, &s, 2, NULL);
  assert_int_equal(s.permits, 2); /* lazy */
  assert_ready(F(a), &p[0]);
  assert_int_equal(s.permits, 0);
  assert_int_equal(p[0].held, 0);
  assert_true(la_acquire_take(&a));
  assert_false(la_acquire_take(&a));
  la_future_drop(F(a));
  assert_int_equal(s.permits, 0); /* they are the caller's */
}

static void an_output_not_taken_is_given_back(void **state) {
  la_semaphore s;
  la_acquire a;
  PROBES(1);
  (void)state;
  la_semaphore_init(&s, 1);
  la_acquire_init(&a, &s, 1, NULL);
  la_future_drop(F(a)); /* never polled */
  assert_int_equal(s.permits, 1);
  la_acquire_init(&a, &s, 1, NULL);
  assert_ready(F(a), &p[0]);
  la_future_drop(F(a));
  assert_int_equal(s.permits, 1);
  assert_true(la_list_empty(&s.granted));
}

static void a_release_wakes_the_first_and_once(void **state) {
  la_semaphore s;
  la_acquire a, b;
  PROBES(2);
  (void)state;
  la_semaphore_init(&s, 0);
  la_acquire_init(&a, &s, 1, NULL);
  la_acquire_init(&b, &s, 1, NULL);
  assert_pending(F(a), &p[0]);
  assert_pending(F(b), &p[1]);
  assert_pending(F(a), &p[0]); /* polled again it keeps its place, and one waker */
  assert_int_equal(p[0].held, 1);
  la_semaphore_release(&s, 1);
  assert_int_equal(p[0].wakes, 1);
  assert_int_equal(p[0].held, 0);
  assert_int_equal(p[1].wakes, 0);
  assert_false(la_semaphore_try(&s, 1)); /* granted already */
  assert_ready(F(a), &p[0]);
  la_semaphore_release(&s, 1);
  assert_ready(F(b), &p[1]);
  la_future_drop(F(a));
  la_future_drop(F(b));
  assert_int_equal(s.permits, 2);
}

static void the_newest_waker_is_woken(void **state) {
  la_semaphore s;
  la_acquire a;
  PROBES(2);
  (void)state;
  la_semaphore_init(&s, 0);
  la_acquire_init(&a, &s, 1, NULL);
  assert_pending(F(a), &p[0]);
  assert_pending(F(a), &p[1]);
  assert_int_equal(p[0].held, 0);
  la_semaphore_release(&s, 1);
  assert_int_equal(p[0].wakes, 0);
  assert_int_equal(p[1].wakes, 1);
  la_future_drop(F(a));
}

static void a_grant_that_is_given_up_goes_to_the_next(void **state) {
  la_semaphore s;
  la_acquire a, b;
  PROBES(2);
  (void)state;
  la_semaphore_init(&s, 0);
  la_acquire_init(&a, &s, 1, NULL);
  la_acquire_init(&b, &s, 1, NULL);
  assert_pending(F(a), &p[0]);
  assert_pending(F(b), &p[1]);
  la_semaphore_release(&s, 1);
  la_future_drop(F(a));
  assert_int_equal(p[1].wakes, 1);
  assert_ready(F(b), &p[1]);
  assert_true(la_acquire_take(&b));
  la_future_drop(F(b));
  assert_int_equal(s.permits, 0);
}

static void a_large_request_is_not_overtaken(void **state) {
  la_semaphore s;
  la_acquire big, small;
  PROBES(2);
  (void)state;
  la_semaphore_init(&s, 2);
  la_acquire_init(&big, &s, 3, NULL);
  la_acquire_init(&small, &s, 1, NULL);
  assert_pending(F(big), &p[0]);
  assert_pending(F(small), &p[1]);
  assert_false(la_semaphore_try(&s, 1));
  la_future_drop(F(big)); /* those behind it can go */
  assert_int_equal(p[0].held, 0);
  assert_int_equal(p[1].wakes, 1);
  assert_ready(F(small), &p[1]);
  la_future_drop(F(small));
  assert_int_equal(s.permits, 2);
}

static void without_budget_nothing_is_consumed(void **state) {
  la_semaphore s;
  la_acquire a;
  PROBES(1);
  (void)state;
  la_semaphore_init(&s, 1);
  la_acquire_init(&a, &s, 1, NULL);
  p[0].budget = 0;
  assert_pending(F(a), &p[0]);
  assert_int_equal(p[0].wakes, 1); /* it asked for another poll */
  assert_int_equal(s.permits, 1);
  p[0].budget = 1;
  assert_ready(F(a), &p[0]);
  assert_int_equal(p[0].budget, 0);
  la_future_drop(F(a));
  la_acquire_init(&a, &s, 2, NULL);
  p[0].budget = 5;
  assert_pending(F(a), &p[0]);
  la_semaphore_release(&s, 1);
  p[0].budget = 0;
  assert_pending(F(a), &p[0]); /* granted, and still so */
  p[0].budget = 1;
  assert_ready(F(a), &p[0]);
  la_future_drop(F(a));
}

static void closing_refuses_who_waits_and_nobody_else(void **state) {
  la_semaphore s;
  la_acquire granted, waiting, late;
  PROBES(3);
  (void)state;
  la_semaphore_init(&s, 0);
  la_acquire_init(&granted, &s, 1, NULL);
  la_acquire_init(&waiting, &s, 1, NULL);
  la_acquire_init(&late, &s, 1, NULL);
  assert_pending(F(granted), &p[0]);
  assert_pending(F(waiting), &p[1]);
  la_semaphore_release(&s, 1);
  la_semaphore_close(&s);
  assert_int_equal(p[1].wakes, 1);
  assert_ready(F(granted), &p[0]);
  assert_true(la_acquire_take(&granted));
  assert_ready(F(waiting), &p[1]);
  assert_false(la_acquire_take(&waiting));
  assert_ready(F(late), &p[2]);
  assert_false(la_acquire_take(&late));
  la_future_drop(F(granted));
  la_future_drop(F(waiting));
  la_future_drop(F(late));
}

static void refusing_an_owner_leaves_the_others_in_order(void **state) {
  la_semaphore s;
  la_acquire a[4];
  int mine, theirs;
  PROBES(4);
  (void)state;
  la_semaphore_init(&s, 0);
  for (int i = 0; i < 4; i++) {
    la_acquire_init(&a[i], &s, 1, i % 2 == 0 ? &mine : &theirs);
    assert_pending(F(a[i]), &p[i]);
  }
  assert_int_equal(la_semaphore_refuse(&s, &mine), 2);
  assert_int_equal(p[0].wakes + p[2].wakes, 2);
  la_semaphore_release(&s, 1);
  assert_int_equal(p[1].wakes, 1);
  assert_int_equal(p[3].wakes, 0);
  for (int i = 0; i < 4; i++) la_future_drop(F(a[i]));
  assert_int_equal(s.permits, 1);
}

static void a_revoked_grant_waits_first_in_line(void **state) {
  la_semaphore s;
  la_acquire a, b;
  PROBES(2);
  (void)state;
  la_semaphore_init(&s, 0);
  assert_false(la_semaphore_revoke(&s));
  la_acquire_init(&a, &s, 1, NULL);
  la_acquire_init(&b, &s, 1, NULL);
  assert_pending(F(a), &p[0]);
  assert_pending(F(b), &p[1]);
  la_semaphore_release(&s, 1);
  assert_true(la_semaphore_revoke(&s));
  assert_pending(F(a), &p[0]);
  assert_int_equal(p[0].held, 1);
  la_semaphore_release(&s, 1);
  assert_int_equal(p[0].wakes, 2);
  assert_int_equal(p[1].wakes, 0);
  assert_ready(F(a), &p[0]);
  assert_false(la_semaphore_revoke(&s)); /* it is past that */
  la_future_drop(F(b));
  la_future_drop(F(a));
  assert_int_equal(s.permits, 1);
}

static void a_future_may_outlive_the_semaphore(void **state) {
  la_semaphore s;
  la_acquire held, granted, waiting;
  PROBES(3);
  (void)state;
  la_semaphore_init(&s, 1);
  la_acquire_init(&held, &s, 1, NULL);
  la_acquire_init(&granted, &s, 1, NULL);
  la_acquire_init(&waiting, &s, 1, NULL);
  assert_ready(F(held), &p[0]);
  assert_pending(F(granted), &p[1]);
  assert_pending(F(waiting), &p[2]);
  la_semaphore_release(&s, 1);
  la_semaphore_end(&s);
  s = (la_semaphore){0};
  assert_false(la_acquire_take(&held));
  la_future_drop(F(held));
  la_future_drop(F(granted));
  la_future_drop(F(waiting));
  for (int i = 0; i < 3; i++) assert_int_equal(p[i].held, 0);
}

/* ---- lock -------------------------------------------------------------------------------*/

static void a_lock_knows_its_holders(void **state) {
  la_lock l;
  la_hold a = {0}, b = {0};
  int one, other;
  la_holder who = {7, &one};
  (void)state;
  la_lock_init(&l, 3);
  assert_false(la_lock_held_by(&l, who));
  assert_true(la_semaphore_try(&l.s, 1));
  la_hold_begin(&a, &l, 1, who);
  assert_true(la_semaphore_try(&l.s, 2));
  la_hold_begin(&b, &l, 2, (la_holder){8, &one});
  assert_true(la_lock_held_by(&l, who));
  assert_false(la_lock_held_by(&l, (la_holder){7, &other}));
  assert_false(la_lock_held_by(&l, (la_holder){0, NULL}));
  assert_true(la_hold_end(&a));
  assert_false(la_hold_end(&a));
  assert_false(la_lock_held_by(&l, who));
  assert_true(la_hold_forget(&b));
  assert_false(la_hold_end(&b));
  assert_int_equal(l.s.permits, 1);
}

/* ---- notify -----------------------------------------------------------------------------*/

static void a_notification_is_kept_once(void **state) {
  la_notify n;
  la_notified a, b;
  PROBES(2);
  (void)state;
  la_notify_init(&n);
  la_notify_one(&n);
  la_notify_one(&n);
  la_notified_init(&a, &n);
  la_notified_init(&b, &n);
  assert_ready(F(a), &p[0]);
  assert_true(la_notified_take(&a));
  assert_pending(F(b), &p[1]);
  la_future_drop(F(a));
  assert_int_equal(p[1].wakes, 0);
  la_notify_one(&n);
  assert_ready(F(b), &p[1]);
  la_future_drop(F(b)); /* not taken: kept for the next */
  assert_true(n.kept);
}

static void a_chosen_one_that_gives_up_passes_it_on(void **state) {
  la_notify n;
  la_notified a, b;
  PROBES(2);
  (void)state;
  la_notify_init(&n);
  la_notified_init(&a, &n);
  la_notified_init(&b, &n);
  assert_pending(F(a), &p[0]);
  assert_pending(F(b), &p[1]);
  la_notify_one(&n);
  la_future_drop(F(a));
  assert_int_equal(p[1].wakes, 1);
  assert_ready(F(b), &p[1]);
  assert_true(la_notified_take(&b));
  la_future_drop(F(b));
  assert_false(n.kept);
}

static void all_are_woken_and_nothing_is_kept(void **state) {
  la_notify n;
  la_notified a, b, c;
  PROBES(3);
  (void)state;
  la_notify_init(&n);
  la_notified_init(&a, &n);
  la_notified_init(&b, &n);
  la_notified_init(&c, &n);
  assert_pending(F(a), &p[0]);
  assert_pending(F(b), &p[1]);
  la_notify_all(&n);
  assert_pending(F(c), &p[2]);
  assert_ready(F(a), &p[0]);
  la_future_drop(F(b)); /* passes nothing on */
  assert_int_equal(p[2].wakes, 0);
  la_future_drop(F(a));
  la_notify_close(&n);
  assert_ready(F(c), &p[2]);
  assert_false(la_notified_take(&c));
  la_future_drop(F(c));
  assert_false(n.kept);
}

/* ---- barrier ----------------------------------------------------------------------------*/

static void the_last_to_come_leads(void **state) {
  la_barrier b;
  la_arrival a[3];
  PROBES(3);
  (void)state;
  la_barrier_init(&b, 2);
  for (int i = 0; i < 3; i++) la_arrival_init(&a[i], &b);
  assert_pending(F(a[0]), &p[0]);
  la_future_drop(F(a[0])); /* has not come */
  assert_pending(F(a[1]), &p[1]);
  assert_ready(F(a[2]), &p[2]);
  assert_int_equal(p[1].wakes, 1);
  assert_ready(F(a[1]), &p[1]);
  assert_true(la_arrival_leads(&a[2]));
  assert_false(la_arrival_leads(&a[1]));
  la_arrival_init(&a[0], &b);
  assert_pending(F(a[0]), &p[0]); /* the next round */
  la_barrier_close(&b);
  assert_ready(F(a[0]), &p[0]);
  assert_true(la_arrival_refused(&a[0]));
  for (int i = 0; i < 3; i++) la_future_drop(F(a[i]));
}

/* ---- watch and broadcast ----------------------------------------------------------------*/

static void a_version_unseen_makes_ready(void **state) {
  la_watch w;
  la_watch_rx rx, late;
  la_changed c;
  PROBES(1);
  (void)state;
  la_watch_init(&w);
  la_watch_subscribe(&w, &rx, w.version);
  la_changed_init(&c, &rx);
  assert_pending(F(c), &p[0]);
  la_watch_publish(&w);
  assert_int_equal(p[0].wakes, 1);
  assert_ready(F(c), &p[0]);
  rx.seen = w.version;
  la_future_drop(F(c));
  la_changed_init(&c, &rx);
  assert_pending(F(c), &p[0]);
  assert_pending(F(c), &p[0]);
  assert_int_equal(p[0].held, 1);
  la_future_drop(F(c));
  assert_int_equal(p[0].held, 0);
  la_watch_subscribe(&w, &late, w.version);
  la_changed_init(&c, &late);
  assert_pending(F(c), &p[0]);
  la_watch_unsubscribe(&late);
  assert_ready(F(c), &p[0]);
  la_future_drop(F(c));
  assert_int_equal(w.receivers, 1);
  la_watch_close(&w);
  la_changed_init(&c, &rx);
  assert_ready(F(c), &p[0]);
  la_future_drop(F(c));
}

static void a_message_is_claimed_when_ready(void **state) {
  la_broadcast b;
  la_broadcast_rx rx;
  la_received one, two;
  PROBES(2);
  (void)state;
  la_broadcast_init(&b, 2);
  la_broadcast_subscribe(&b, &rx);
  la_received_init(&one, &rx);
  la_received_init(&two, &rx);
  assert_pending(F(one), &p[0]);
  assert_pending(F(two), &p[1]);
  la_broadcast_send(&b);
  assert_int_equal(p[0].wakes + p[1].wakes, 2);
  assert_ready(F(one), &p[0]);
  assert_pending(F(two), &p[1]); /* it was the other's */
  la_future_drop(F(one));        /* not taken: given back */
  assert_int_equal(rx.next, 0);
  la_broadcast_send(&b);
  assert_ready(F(two), &p[1]);
  assert_true(la_received_take(&two));
  assert_int_equal(two.at, 0);
  la_future_drop(F(two));
  assert_int_equal(rx.next, 1);
  for (int i = 0; i < 5; i++) la_broadcast_send(&b);
  assert_int_equal(la_broadcast_lost(&b, rx.next), 4);
  rx.next = b.sent;
  la_received_init(&one, &rx);
  assert_pending(F(one), &p[0]);
  la_broadcast_close(&b);
  assert_ready(F(one), &p[0]);
  assert_false(la_received_take(&one));
  la_future_drop(F(one));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(free_permits_are_had_at_once),
      cmocka_unit_test(an_output_not_taken_is_given_back),
      cmocka_unit_test(a_release_wakes_the_first_and_once),
      cmocka_unit_test(the_newest_waker_is_woken),
      cmocka_unit_test(a_grant_that_is_given_up_goes_to_the_next),
      cmocka_unit_test(a_large_request_is_not_overtaken),
      cmocka_unit_test(without_budget_nothing_is_consumed),
      cmocka_unit_test(closing_refuses_who_waits_and_nobody_else),
      cmocka_unit_test(refusing_an_owner_leaves_the_others_in_order),
      cmocka_unit_test(a_revoked_grant_waits_first_in_line),
      cmocka_unit_test(a_future_may_outlive_the_semaphore),
      cmocka_unit_test(a_lock_knows_its_holders),
      cmocka_unit_test(a_notification_is_kept_once),
      cmocka_unit_test(a_chosen_one_that_gives_up_passes_it_on),
      cmocka_unit_test(all_are_woken_and_nothing_is_kept),
      cmocka_unit_test(the_last_to_come_leads),
      cmocka_unit_test(a_version_unseen_makes_ready),
      cmocka_unit_test(a_message_is_claimed_when_ready),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
