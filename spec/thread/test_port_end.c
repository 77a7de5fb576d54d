/* What ends a port: the last sender, the last receiver, the close of a handle. */
#include "port_rig.h"

/* ---- the last sender is closed ------------------------------------------------------*/

static void receivers_get_what_is_there_and_are_refused_then(void **state) {
  la_port_recv f;
  PROBES(1);
  (void)state;
  la_port *p_ = full(2);
  la_port_open_sender(p_);
  la_port_close_sender(p_);
  note_read(take(p_));
  la_port_close_sender(p_);
  note_read(take(p_));
  assert_int_equal(recv_result(p_), LA_PORT_CLOSED);
  la_port_recv_init(&f, p_);
  assert_ready(&f.seat.base, &p[0]);
  assert_int_equal(f.seat.state, LA_SEAT_REFUSED);
  assert_int_equal(p[0].held, 0);
  drop(&f.seat);
  la_port_unref(p_);
}

static void who_waits_for_a_letter_is_refused(void **state) {
  enum { MANY = 50 }; /* more than leave the mutex at once */
  la_port_recv f[MANY];
  PROBES(MANY);
  (void)state;
  la_port *p_ = port(1);
  for (int i = 0; i < MANY; i++) {
    la_port_recv_init(&f[i], p_);
    assert_pending(&f[i].seat.base, &p[i]);
  }
  la_port_close_sender(p_);
  for (int i = 0; i < MANY; i++) {
    assert_int_equal(p[i].wakes, 1);
    assert_int_equal(p[i].held, 0);
    if (i % 2 == 0) {
      assert_ready(&f[i].seat.base, &p[i]);
      assert_int_equal(f[i].seat.state, LA_SEAT_REFUSED);
    }
    drop(&f[i].seat);
  }
  la_port_unref(p_);
}

/* As long as anything may still come, or come back. */
static void who_waits_waits_on_for_what_others_have(bool reserved, bool given_up) {
  la_port_recv first, second;
  PROBES(2);
  la_port *p_ = port(2);
  la_port_recv_init(&first, p_);
  la_port_recv_init(&second, p_);
  if (reserved) {
    assert_int_equal(la_port_try_reserve(p_), LA_PORT_DONE);
  } else {
    assert_pending(&first.seat.base, &p[0]);
    send(p_, 1);
  }
  assert_pending(&second.seat.base, &p[1]);
  la_port_close_sender(p_);
  assert_int_equal(p[1].wakes, 0);
  assert_int_equal(recv_result(p_), LA_PORT_BUSY);
  bool comes = reserved != given_up;
  if (reserved && given_up) la_port_give_back_room(p_);
  if (reserved && !given_up) assert_true(la_port_put(p_, note_new(0, 1)));
  if (!reserved && given_up) drop(&first.seat);
  if (!reserved && !given_up) note_read(la_port_recv_taken(&first));
  assert_int_equal(p[1].wakes, 1);
  assert_ready(&second.seat.base, &p[1]);
  assert_int_equal(second.seat.state, comes ? LA_SEAT_GRANTED : LA_SEAT_REFUSED);
  if (comes) assert_int_equal(note_read(la_port_recv_taken(&second)), 1);
  assert_int_equal(recv_result(p_), LA_PORT_CLOSED);
  drop(&second.seat);
  if (reserved || !given_up) drop(&first.seat);
  la_port_unref(p_);
}

static void the_end_waits_for_what_was_granted(void **state) {
  (void)state;
  for (int i = 0; i < 4; i++) who_waits_waits_on_for_what_others_have(i & 1, i >> 1);
}

static void a_sender_in_line_still_sends(void **state) {
  la_port_room room;
  PROBES(1);
  (void)state;
  la_port *p_ = full(1);
  la_port_room_init(&room, p_);
  assert_pending(&room.seat.base, &p[0]);
  la_port_close_sender(p_);
  assert_int_equal(note_read(take(p_)), 1);
  assert_int_equal(recv_result(p_), LA_PORT_BUSY);
  assert_ready(&room.seat.base, &p[0]);
  drop(&room.seat);
  assert_int_equal(recv_result(p_), LA_PORT_CLOSED);
  la_port_unref(p_);
}

/* ---- the last receiver is closed ----------------------------------------------------*/

static void senders_are_refused(void **state) {
  la_port_room waiting, granted, late;
  PROBES(3);
  (void)state;
  la_port *p_ = full(2);
  la_port_room_init(&granted, p_);
  la_port_room_init(&waiting, p_);
  la_port_room_init(&late, p_);
  assert_pending(&granted.seat.base, &p[0]);
  assert_pending(&waiting.seat.base, &p[1]);
  note_read(take(p_));
  la_port_open_receiver(p_);
  la_port_close_receiver(p_);
  assert_int_equal(p[1].wakes, 0);
  la_port_close_receiver(p_);
  assert_int_equal(notes_dropped, 2);
  assert_int_equal(p[1].wakes, 1);
  assert_ready(&granted.seat.base, &p[0]);
  assert_ready(&waiting.seat.base, &p[1]);
  assert_ready(&late.seat.base, &p[2]);
  assert_int_equal(granted.seat.state, LA_SEAT_REFUSED);
  assert_int_equal(waiting.seat.state, LA_SEAT_REFUSED);
  assert_int_equal(late.seat.state, LA_SEAT_REFUSED);
  assert_int_equal(la_port_try_reserve(p_), LA_PORT_CLOSED);
  drop(&granted.seat);
  drop(&waiting.seat);
  drop(&late.seat);
  la_port_unref(p_);
}

static void room_that_was_taken_is_of_no_use(void **state) {
  la_port_room room;
  PROBES(1);
  (void)state;
  la_port *p_ = port(1);
  la_port_room_init(&room, p_);
  assert_ready(&room.seat.base, &p[0]);
  la_port_room_taken(&room);
  la_port_close_receiver(p_);
  la_letter *l = note_new(0, 1);
  assert_false(la_port_put(p_, l));
  la_letter_unref(l);
  drop(&room.seat);
  la_port_close_sender(p_);
  la_port_unref(p_);
}

static void a_letter_that_was_granted_can_be_taken_or_is_dropped(void **state) {
  la_port_recv taken, dropped, waiting;
  PROBES(3);
  (void)state;
  la_port *p_ = port(3);
  la_port_recv_init(&taken, p_);
  la_port_recv_init(&dropped, p_);
  la_port_recv_init(&waiting, p_);
  assert_pending(&taken.seat.base, &p[0]);
  assert_pending(&dropped.seat.base, &p[1]);
  send(p_, 1);
  send(p_, 2);
  send(p_, 3);
  la_port_close_receiver(p_);
  assert_int_equal(notes_dropped, 1); /* the third */
  assert_ready(&taken.seat.base, &p[0]);
  assert_int_equal(note_read(la_port_recv_taken(&taken)), 1);
  drop(&dropped.seat);
  assert_int_equal(notes_dropped, 3);
  assert_ready(&waiting.seat.base, &p[2]);
  assert_int_equal(waiting.seat.state, LA_SEAT_REFUSED);
  assert_int_equal(recv_result(p_), LA_PORT_CLOSED);
  drop(&taken.seat);
  drop(&waiting.seat);
  la_port_unref(p_);
}

static void receivers_that_wait_are_refused(void **state) {
  la_port_recv f;
  PROBES(1);
  (void)state;
  la_port *p_ = port(1);
  la_port_recv_init(&f, p_);
  assert_pending(&f.seat.base, &p[0]);
  la_port_close_receiver(p_);
  assert_int_equal(p[0].wakes, 1);
  assert_ready(&f.seat.base, &p[0]);
  assert_int_equal(f.seat.state, LA_SEAT_REFUSED);
  drop(&f.seat);
  la_port_unref(p_);
}

/* ---- a handle is closed ---------------------------------------------------------------*/

static void those_of_one_handle_are_refused(void **state) {
  la_port_room f[4];
  la_list mine, others;
  PROBES(4);
  (void)state;
  la_port *p_ = full(1);
  la_list_init(&mine);
  la_list_init(&others);
  for (int i = 0; i < 4; i++) {
    la_port_room_init(&f[i], p_);
    la_list_push(i % 2 == 0 ? &mine : &others, &f[i].seat.mine);
    assert_pending(&f[i].seat.base, &p[i]);
  }
  note_read(take(p_)); /* granted to the first */
  la_port_refuse(p_, &mine);
  assert_ready(&f[0].seat.base, &p[0]);
  assert_int_equal(f[0].seat.state, LA_SEAT_GRANTED);
  assert_ready(&f[2].seat.base, &p[2]);
  assert_int_equal(f[2].seat.state, LA_SEAT_REFUSED);
  assert_int_equal(p[1].wakes, 0);
  drop(&f[0].seat);
  assert_ready(&f[1].seat.base, &p[1]);
  drop(&f[1].seat);
  assert_ready(&f[3].seat.base, &p[3]);
  drop(&f[2].seat);
  drop(&f[3].seat);
  la_port_unref(p_);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      NOTES(receivers_get_what_is_there_and_are_refused_then),
      NOTES(who_waits_for_a_letter_is_refused),
      NOTES(the_end_waits_for_what_was_granted),
      NOTES(a_sender_in_line_still_sends),
      NOTES(senders_are_refused),
      NOTES(room_that_was_taken_is_of_no_use),
      NOTES(a_letter_that_was_granted_can_be_taken_or_is_dropped),
      NOTES(receivers_that_wait_are_refused),
      NOTES(those_of_one_handle_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
