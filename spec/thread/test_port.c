/* The port on one thread: each state of each future. */
#include "port_rig.h"
#include "spec/core/counting.h"

/* ---- without waiting ------------------------------------------------------------*/

static void letters_come_in_order(void **state) {
  (void)state;
  la_port *p = port(3);
  assert_int_equal(recv_result(p), LA_PORT_BUSY);
  for (int round = 0; round < 3; round++) {
    for (int i = 0; i < 3; i++) send(p, i);
    assert_int_equal(la_port_count(p), 3);
    assert_int_equal(la_port_try_reserve(p), LA_PORT_BUSY);
    for (int i = 0; i < 3; i++) assert_int_equal(note_read(take(p)), i);
  }
  assert_int_equal(recv_result(p), LA_PORT_BUSY);
  la_port_unref(p);
}

static void a_letter_that_finds_no_room_stays_its_senders(void **state) {
  (void)state;
  la_port *p = full(1);
  la_letter *l = note_new(0, 9);
  assert_int_equal(la_port_try_send(p, l), LA_PORT_BUSY);
  la_port_close_receiver(p);
  assert_int_equal(la_port_try_send(p, l), LA_PORT_CLOSED);
  la_letter_unref(l);
  la_port_unref(p);
}

static void room_that_is_reserved_is_nobody_elses(void **state) {
  (void)state;
  la_port *p = port(1);
  assert_int_equal(la_port_try_reserve(p), LA_PORT_DONE);
  assert_int_equal(la_port_try_reserve(p), LA_PORT_BUSY);
  assert_int_equal(la_port_count(p), 0);
  la_port_give_back_room(p);
  assert_int_equal(la_port_try_reserve(p), LA_PORT_DONE);
  assert_true(la_port_put(p, note_new(0, 1)));
  assert_int_equal(note_read(take(p)), 1);
  la_port_unref(p);
}

static void an_unbounded_one_has_room(void **state) {
  (void)state;
  la_port *p = port(LA_PORT_UNBOUNDED);
  for (int i = 0; i < 10000; i++) send(p, i);
  for (int i = 0; i < 10000; i++) assert_int_equal(note_read(take(p)), i);
  la_port_unref(p);
}

static void the_last_reference_drops_the_letters(void **state) {
  (void)state;
  la_port *p = full(5);
  la_port_unref(la_port_ref(p));
  assert_int_equal(notes_dropped, 0);
  la_port_unref(p);
  assert_int_equal(notes_dropped, 5);
}

/* ---- waiting --------------------------------------------------------------------*/

static void who_waits_for_a_letter_is_granted_it(void **state) {
  la_port_recv first, second;
  PROBES(2);
  (void)state;
  la_port *p_ = port(3);
  la_port_recv_init(&first, p_);
  la_port_recv_init(&second, p_);
  assert_pending(&first.seat.base, &p[0]);
  assert_pending(&second.seat.base, &p[1]);
  send(p_, 1);
  assert_int_equal(p[0].wakes, 1);
  assert_int_equal(p[0].held, 0);
  assert_int_equal(p[1].wakes, 0);
  assert_int_equal(recv_result(p_), LA_PORT_BUSY); /* it is granted */
  assert_int_equal(la_port_count(p_), 0);
  assert_ready(&first.seat.base, &p[0]);
  assert_int_equal(first.seat.state, LA_SEAT_GRANTED);
  assert_int_equal(note_read(la_port_recv_taken(&first)), 1);
  send(p_, 2);
  assert_int_equal(p[1].wakes, 1);
  assert_ready(&second.seat.base, &p[1]);
  assert_int_equal(note_read(la_port_recv_taken(&second)), 2);
  drop(&first.seat);
  drop(&second.seat);
  la_port_unref(p_);
}

static void who_waits_for_room_is_granted_it(void **state) {
  la_port_room first, second;
  PROBES(2);
  (void)state;
  la_port *p_ = full(1);
  la_port_room_init(&first, p_);
  la_port_room_init(&second, p_);
  assert_pending(&first.seat.base, &p[0]);
  assert_pending(&second.seat.base, &p[1]);
  assert_int_equal(note_read(take(p_)), 1);
  assert_int_equal(p[0].wakes, 1);
  assert_int_equal(p[1].wakes, 0);
  assert_int_equal(la_port_try_reserve(p_), LA_PORT_BUSY);
  assert_ready(&first.seat.base, &p[0]);
  la_port_room_taken(&first);
  drop(&first.seat); /* takes nothing back */
  assert_int_equal(la_port_try_reserve(p_), LA_PORT_BUSY);
  assert_true(la_port_put(p_, note_new(0, 2)));
  assert_int_equal(note_read(take(p_)), 2);
  assert_int_equal(p[1].wakes, 1);
  assert_ready(&second.seat.base, &p[1]);
  drop(&second.seat);
  assert_int_equal(la_port_try_reserve(p_), LA_PORT_DONE);
  la_port_unref(p_);
}

/* Whichever of them is woken first, takes late, or gives up. */
static void letters_are_taken_in_order_by_whom_ever(void **state) {
  la_port_recv f[3];
  PROBES(3);
  (void)state;
  la_port *p_ = port(3);
  for (int i = 0; i < 3; i++) {
    la_port_recv_init(&f[i], p_);
    assert_pending(&f[i].seat.base, &p[i]);
  }
  for (int i = 1; i <= 3; i++) send(p_, i);
  for (int i = 0; i < 3; i++) assert_ready(&f[i].seat.base, &p[i]);
  assert_int_equal(note_read(la_port_recv_taken(&f[2])), 1);
  drop(&f[0].seat);
  assert_int_equal(note_read(take(p_)), 2);
  assert_int_equal(note_read(la_port_recv_taken(&f[1])), 3);
  drop(&f[1].seat);
  drop(&f[2].seat);
  la_port_unref(p_);
}

static void the_newest_waker_is_woken(void **state) {
  la_port_recv f;
  PROBES(2);
  (void)state;
  la_port *p_ = port(1);
  la_port_recv_init(&f, p_);
  assert_pending(&f.seat.base, &p[0]);
  assert_pending(&f.seat.base, &p[0]);
  assert_int_equal(p[0].held, 1);
  assert_pending(&f.seat.base, &p[1]);
  assert_int_equal(p[0].held, 0);
  send(p_, 1);
  assert_int_equal(p[0].wakes, 0);
  assert_int_equal(p[1].wakes, 1);
  drop(&f.seat);
  la_port_unref(p_);
}

static void without_budget_it_is_not_ready_and_keeps_what_it_has(void **state) {
  la_port_recv f;
  PROBES(2);
  (void)state;
  la_port *p_ = full(1);
  la_port_recv_init(&f, p_);
  p[0].budget = 0;
  for (int i = 1; i < 3; i++) {
    assert_pending(&f.seat.base, &p[0]);
    assert_int_equal(p[0].wakes, i);
    assert_int_equal(recv_result(p_), LA_PORT_BUSY);
  }
  assert_ready(&f.seat.base, &p[1]);
  assert_int_equal(note_read(la_port_recv_taken(&f)), 1);
  drop(&f.seat);
  la_port_unref(p_);
}

/* ---- dropped in each state --------------------------------------------------------*/

typedef enum stage { NEW, WAITING, GRANTED, READY, STAGES } stage;

/* The first in line, dropped in this state: what it had is the second's. */
static void drop_room(stage when) {
  la_port_room first, second;
  PROBES(2);
  la_port *p_ = full(1);
  la_port_room_init(&first, p_);
  la_port_room_init(&second, p_);
  if (when > NEW) assert_pending(&first.seat.base, &p[0]);
  assert_pending(&second.seat.base, &p[1]);
  if (when >= GRANTED) {
    note_read(take(p_));
    assert_int_equal(p[1].wakes, 0);
  }
  if (when == READY) assert_ready(&first.seat.base, &p[0]);
  drop(&first.seat);
  assert_int_equal(p[0].held, 0);
  assert_int_equal(p[0].wakes, when >= GRANTED);
  if (when < GRANTED) note_read(take(p_));
  assert_int_equal(p[1].wakes, 1);
  assert_ready(&second.seat.base, &p[1]);
  la_port_room_taken(&second);
  assert_true(la_port_put(p_, note_new(0, 2)));
  drop(&second.seat);
  assert_int_equal(note_read(take(p_)), 2);
  la_port_unref(p_);
}

static void drop_recv(stage when) {
  la_port_recv first, second;
  PROBES(2);
  la_port *p_ = port(1);
  la_port_recv_init(&first, p_);
  la_port_recv_init(&second, p_);
  if (when > NEW) assert_pending(&first.seat.base, &p[0]);
  assert_pending(&second.seat.base, &p[1]);
  if (when >= GRANTED) {
    send(p_, 1);
    assert_int_equal(p[1].wakes, 0);
  }
  if (when == READY) assert_ready(&first.seat.base, &p[0]);
  drop(&first.seat);
  assert_int_equal(p[0].held, 0);
  if (when < GRANTED) send(p_, 1);
  assert_int_equal(p[1].wakes, 1);
  assert_ready(&second.seat.base, &p[1]);
  assert_int_equal(note_read(la_port_recv_taken(&second)), 1);
  drop(&second.seat);
  assert_int_equal(la_port_try_reserve(p_), LA_PORT_DONE);
  la_port_unref(p_);
}

static void dropped_in_each_state_it_passes_on_what_it_has(void **state) {
  (void)state;
  for (stage s = NEW; s < STAGES; s++) {
    drop_room(s);
    drop_recv(s);
  }
}

static void futures_keep_the_port(void **state) {
  la_port_room room;
  la_port_recv recv;
  PROBES(1);
  (void)state;
  la_port *p_ = full(1);
  la_port_room_init(&room, p_);
  la_port_recv_init(&recv, p_);
  assert_pending(&room.seat.base, &p[0]);
  la_port_unref(p_);
  drop(&room.seat);
  assert_int_equal(notes_dropped, 0);
  drop(&recv.seat);
  assert_int_equal(notes_dropped, 1);
}

/* ---- in an executor ---------------------------------------------------------------------*/

static void a_task_that_waits_is_no_deadlock_while_it_waits(void **state) {
  la_executor *ex = ((fixture *)*state)->ex;
  counting c = {0};
  la_task *t = counting_task(ex, &c);
  la_waker w = la_task_borrow_waker(t);
  unsigned budget = 10;
  la_context cx = {&w, &budget};
  la_port_recv f;
  la_port *p = port(1);
  turns(ex);
  assert_true(la_executor_stuck(ex));
  la_port_recv_init(&f, p);
  assert_int_equal(la_future_poll(&f.seat.base, &cx), LA_PENDING);
  uint64_t refs = t->state / LA_TASK_REF;
  for (int i = 0; i < 3; i++) assert_int_equal(la_future_poll(&f.seat.base, &cx), LA_PENDING);
  assert_int_equal(t->state / LA_TASK_REF, refs); /* it has one */
  assert_int_equal(ex->outside, LA_KEEP_PEER);
  assert_false(la_executor_stuck(ex));
  assert_int_equal(la_port_try_send(p, note_new(0, 1)), LA_PORT_DONE);
  turns(ex);
  assert_int_equal(c.polls, 2);
  assert_int_equal(ex->outside, 0);
  drop(&f.seat);
  la_port_recv_init(&f, p);
  assert_int_equal(la_future_poll(&f.seat.base, &cx), LA_READY);
  assert_int_equal(ex->outside, 0);
  drop(&f.seat);
  la_port_unref(p);
  executor_close(state);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, executor_setup, executor_teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      NOTES(letters_come_in_order),
      NOTES(a_letter_that_finds_no_room_stays_its_senders),
      NOTES(room_that_is_reserved_is_nobody_elses),
      NOTES(an_unbounded_one_has_room),
      NOTES(the_last_reference_drops_the_letters),
      NOTES(who_waits_for_a_letter_is_granted_it),
      NOTES(who_waits_for_room_is_granted_it),
      NOTES(letters_are_taken_in_order_by_whom_ever),
      NOTES(the_newest_waker_is_woken),
      NOTES(without_budget_it_is_not_ready_and_keeps_what_it_has),
      NOTES(dropped_in_each_state_it_passes_on_what_it_has),
      NOTES(futures_keep_the_port),
      TEST(a_task_that_waits_is_no_deadlock_while_it_waits),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
