/* The bus: every receiver gets every letter, is told what it missed, and can give back. */
#include "letters.h"
#include "thread/bus.h"

static la_bus *bus(uint32_t capacity) {
  la_bus *b = la_bus_new(capacity);
  assert_non_null(b);
  return b;
}

static la_bus_receiver *subscribe(la_bus *b) {
  la_bus_receiver *r = la_bus_subscribe(b);
  assert_non_null(r);
  return r;
}

static void send(la_bus *b, int number) {
  assert_int_equal(la_bus_send(b, note_new(0, number)), LA_PORT_DONE);
}

/* The next number; -n: n were missed. */
static int next(la_bus_receiver *r) {
  la_letter *l;
  uint64_t missed;
  assert_int_equal(la_bus_try_recv(r, &l, &missed), LA_PORT_DONE);
  return l != NULL ? note_read(l) : -(int)missed;
}

static la_port_result nothing(la_bus_receiver *r) {
  la_letter *l;
  uint64_t missed;
  return la_bus_try_recv(r, &l, &missed);
}

static int taken(la_bus_recv *f) {
  la_letter *l = la_bus_recv_taken(f);
  return l != NULL ? note_read(l) : -(int)f->missed;
}

static void drop(la_bus_recv *f) { la_future_drop(&f->seat.base); }

static void end(la_bus *b, la_bus_receiver *r) {
  la_bus_receiver_close(r);
  la_bus_unref(b);
}

/* ---- without waiting --------------------------------------------------------------*/

static void all_get_all_since_they_came(void **state) {
  (void)state;
  la_bus *b = bus(4);
  la_bus_receiver *first = subscribe(b);
  send(b, 1);
  la_bus_receiver *second = subscribe(b);
  assert_int_equal(la_bus_receivers(b), 2);
  send(b, 2);
  assert_int_equal(next(first), 1);
  assert_int_equal(next(first), 2);
  assert_int_equal(nothing(first), LA_PORT_BUSY);
  assert_int_equal(next(second), 2);
  la_bus_receiver_close(second);
  end(b, first);
}

static void nobody_receives(void **state) {
  (void)state;
  la_bus *b = bus(4);
  la_letter *l = note_new(0, 1);
  assert_int_equal(la_bus_send(b, l), LA_PORT_CLOSED);
  la_letter_unref(l);
  end(b, subscribe(b));
}

static void the_last_receiver_drops_what_is_there(void **state) {
  (void)state;
  la_bus *b = bus(50);
  la_bus_receiver *r = subscribe(b);
  for (int i = 0; i < 70; i++) send(b, i);
  assert_int_equal(notes_dropped, 20);
  la_bus_receiver_close(r);
  assert_int_equal(notes_dropped, 70);
  r = subscribe(b);
  assert_int_equal(nothing(r), LA_PORT_BUSY);
  send(b, 71);
  assert_int_equal(next(r), 71);
  end(b, r);
}

static void who_is_slow_is_told_how_many_he_missed(void **state) {
  (void)state;
  for (uint32_t capacity = 1; capacity <= 3; capacity++) {
    la_bus *b = bus(capacity);
    la_bus_receiver *r = subscribe(b);
    for (int round = 0; round < 3; round++) {
      for (int i = 1; i <= 5; i++) send(b, i);
      assert_int_equal(next(r), -5 + (int)capacity);
      for (int i = 6 - (int)capacity; i <= 5; i++) assert_int_equal(next(r), i);
      assert_int_equal(nothing(r), LA_PORT_BUSY);
    }
    end(b, r);
  }
}

static void after_the_last_sender_they_get_what_is_there(void **state) {
  (void)state;
  la_bus *b = bus(2);
  la_bus_receiver *r = subscribe(b);
  send(b, 1);
  la_bus_open_sender(b);
  la_bus_close_sender(b);
  assert_int_equal(next(r), 1);
  assert_int_equal(nothing(r), LA_PORT_BUSY);
  send(b, 2);
  la_bus_close_sender(b);
  assert_int_equal(next(r), 2);
  assert_int_equal(nothing(r), LA_PORT_CLOSED);
  end(b, r);
}

/* ---- futures ------------------------------------------------------------------------*/

static void who_waits_is_woken_and_looks(void **state) {
  enum { MANY = 40 };
  la_bus_receiver *r[MANY];
  la_bus_recv f[MANY];
  PROBES(MANY);
  (void)state;
  la_bus *b = la_bus_new(2);
  for (int i = 0; i < MANY; i++) {
    la_bus_recv_init(&f[i], r[i] = subscribe(b));
    assert_pending(&f[i].seat.base, &p[i]);
    assert_pending(&f[i].seat.base, &p[i]);
  }
  drop(&f[0]);
  assert_int_equal(p[0].held, 0);
  la_bus_recv_init(&f[0], r[0]);
  send(b, 7);
  for (int i = 0; i < MANY; i++) {
    assert_int_equal(p[i].wakes, i != 0);
    assert_int_equal(p[i].held, 0);
    if (i % 3 != 0) assert_ready(&f[i].seat.base, &p[i]);
    if (i % 3 == 1) assert_int_equal(taken(&f[i]), 7);
    drop(&f[i]);
    if (i % 3 != 1) assert_int_equal(next(r[i]), 7);
    assert_int_equal(nothing(r[i]), LA_PORT_BUSY);
    la_bus_receiver_close(r[i]);
  }
  la_bus_unref(b);
}

static void without_budget_it_keeps_its_letter(void **state) {
  la_bus_recv f;
  PROBES(2);
  (void)state;
  la_bus *b = bus(1);
  la_bus_receiver *r = subscribe(b);
  send(b, 1);
  la_bus_recv_init(&f, r);
  p[0].budget = 0;
  assert_pending(&f.seat.base, &p[0]);
  assert_int_equal(p[0].wakes, 1);
  send(b, 2);
  assert_ready(&f.seat.base, &p[1]);
  assert_int_equal(taken(&f), 1);
  drop(&f);
  end(b, r);
}

static void both_ends_refuse_who_waits(void **state) {
  la_bus_recv mine, late, others;
  PROBES(3);
  (void)state;
  la_bus *b = bus(1);
  la_bus_receiver *first = subscribe(b), *second = subscribe(b);
  la_bus_recv_init(&mine, first);
  la_bus_recv_init(&late, first);
  la_bus_recv_init(&others, second);
  assert_pending(&mine.seat.base, &p[0]);
  assert_pending(&others.seat.base, &p[1]);
  la_bus_receiver_close(first);
  assert_int_equal(la_bus_receivers(b), 1);
  assert_int_equal(p[1].wakes, 0);
  assert_ready(&mine.seat.base, &p[0]);
  assert_int_equal(mine.seat.state, LA_SEAT_REFUSED);
  assert_ready(&late.seat.base, &p[2]);
  assert_int_equal(late.seat.state, LA_SEAT_REFUSED);
  drop(&late);
  la_bus_close_sender(b);
  assert_int_equal(p[1].wakes, 1);
  assert_ready(&others.seat.base, &p[1]);
  assert_int_equal(others.seat.state, LA_SEAT_REFUSED);
  la_bus_receiver_close(second);
  la_bus_unref(b);
  drop(&mine); /* the last one frees its receiver, and the bus */
  drop(&others);
}

/* Three are ready with 1, 2, 3; one of them gives up. */
static void given_up(int who, bool last_taken, int then) {
  la_bus_recv f[3];
  PROBES(3);
  la_bus *b = bus(3);
  la_bus_receiver *r = subscribe(b);
  for (int i = 1; i <= 3; i++) send(b, i);
  for (int i = 0; i < 3; i++) {
    la_bus_recv_init(&f[i], r);
    assert_ready(&f[i].seat.base, &p[i]);
  }
  la_bus_receiver *clone = la_bus_receiver_clone(r);
  if (last_taken) assert_int_equal(taken(&f[2]), 3);
  drop(&f[who]);
  int number = 1;
  for (int i = 0; i < (last_taken ? 2 : 3); i++)
    if (i != who) assert_int_equal(taken(&f[i]), number++);
  assert_int_equal(next(r), then);
  assert_int_equal(nothing(r), LA_PORT_BUSY);
  for (int i = 0; i < 3; i++)
    if (i != who) drop(&f[i]);
  for (int i = 1; i <= 3; i++) assert_int_equal(next(clone), i);
  la_bus_receiver_close(clone);
  end(b, r);
}

static void what_is_given_back_comes_again(void **state) {
  (void)state;
  for (int who = 0; who < 3; who++) given_up(who, false, 3);
  for (int who = 0; who < 2; who++) given_up(who, true, -1); /* 2 is behind 3 */
}

/* 2 was given back behind 3, which was taken: that, too, a clone is told, and again. */
static void what_was_given_back_in_vain_is_told_again(void **state) {
  la_bus_recv f[3], told;
  PROBES(4);
  (void)state;
  la_bus *b = bus(3);
  la_bus_receiver *r = subscribe(b);
  for (int i = 1; i <= 3; i++) send(b, i);
  for (int i = 0; i < 3; i++) {
    la_bus_recv_init(&f[i], r);
    assert_ready(&f[i].seat.base, &p[i]);
  }
  assert_int_equal(taken(&f[2]), 3);
  assert_int_equal(taken(&f[0]), 1);
  for (int i = 0; i < 3; i++) drop(&f[i]);
  la_bus_receiver *clone = la_bus_receiver_clone(r);
  la_bus_recv_init(&told, r);
  assert_ready(&told.seat.base, &p[3]);
  assert_int_equal(told.missed, 1);
  drop(&told);
  assert_int_equal(next(r), -1);
  assert_int_equal(nothing(r), LA_PORT_BUSY);
  assert_int_equal(next(clone), -1);
  assert_int_equal(nothing(clone), LA_PORT_BUSY);
  la_bus_receiver_close(clone);
  end(b, r);
}

static void what_was_missed_is_told_again(void **state) {
  la_bus_recv f;
  PROBES(1);
  (void)state;
  la_bus *b = bus(1);
  la_bus_receiver *r = subscribe(b);
  for (int i = 1; i <= 3; i++) send(b, i);
  la_bus_recv_init(&f, r);
  assert_ready(&f.seat.base, &p[0]);
  assert_null(f.letter);
  assert_int_equal(f.missed, 2);
  drop(&f);
  send(b, 4);
  la_bus_recv_init(&f, r);
  assert_ready(&f.seat.base, &p[0]);
  assert_int_equal(taken(&f), -3);
  drop(&f);
  assert_int_equal(next(r), 4);
  end(b, r);
}

/* ---- threads ------------------------------------------------------------------------*/

enum { SENDERS = 2, READERS = 3, SENT = 20000, CAPACITY = 64 };

typedef struct reader {
  la_future base;
  la_bus_recv recv;
  la_bus_receiver *receiver;
  crew_thread *thread;
  uint64_t got;
  int last[SENDERS];
} reader;

static _Atomic uint64_t got_in_full;

static void read_one(reader *r) {
  la_letter *l = la_bus_recv_taken(&r->recv);
  r->got += l != NULL ? 1 : r->recv.missed;
  if (l == NULL) return;
  const note *n = note_of(l);
  if (n->number <= r->last[n->from]) abort();
  r->last[n->from] = n->number;
  la_letter_unref(l);
}

static la_poll reader_poll(la_future *f, la_context *cx) {
  reader *r = la_container(f, reader, base);
  for (;;) {
    if (la_future_poll(&r->recv.seat.base, cx) == LA_READY) {
      if (r->recv.seat.state == LA_SEAT_REFUSED) {
        got_in_full += r->got;
        return LA_READY;
      }
      if (crew_any(r->thread, 4) != 0) read_one(r);
    } else if (crew_any(r->thread, 4) != 0 || !la_budget_take(cx)) {
      return LA_PENDING;
    }
    drop(&r->recv);
    la_bus_recv_init(&r->recv, r->receiver);
  }
}

static void reader_drop(la_future *f) {
  reader *r = la_container(f, reader, base);
  la_bus_receiver_close(r->receiver);
  drop(&r->recv);
}

static const la_future_vtable reader_vtable = {reader_poll, reader_drop, "reader", NULL};
static const la_task_class reader_class = {NULL, false, sizeof(reader)};

typedef struct world {
  la_bus *bus;
  la_bus_receiver *receiver[2][READERS];
} world;

static void readers(crew_thread *t, void *what) {
  la_bus_receiver **receiver = what;
  for (int i = 0; i < READERS; i++) {
    la_task *task = la_task_new(t->ex, &reader_class);
    reader *r = (reader *)(void *)la_task_future(task);
    *r = (reader){.base = {&reader_vtable}, .receiver = receiver[i], .thread = t};
    la_bus_recv_init(&r->recv, receiver[i]);
    la_task_spawn(task);
  }
}

typedef struct sending {
  pthread_t thread;
  la_bus *bus;
  int from;
} sending;

static void *sender_main(void *arg) {
  const sending *s = arg;
  for (int i = 1; i <= SENT; i++) {
    la_letter *l = note_new(s->from, i);
    if (la_bus_send(s->bus, l) != LA_PORT_DONE) la_letter_unref(l);
  }
  la_bus_close_sender(s->bus);
  return NULL;
}

/* The first executor is closed in the middle; those of the second account for every letter. */
static void each_is_received_or_told_to_be_missed(void **state) {
  (void)state;
  world w = {.bus = bus(CAPACITY)};
  crew_thread t[2] = {{.turns = 20}};
  sending s[SENDERS];
  got_in_full = 0;
  la_bus_open_sender(w.bus);
  for (int i = 0; i < 2; i++) {
    for (int k = 0; k < READERS; k++) w.receiver[i][k] = subscribe(w.bus);
  }
  for (int i = 0; i < 2; i++) crew_start(&t[i], readers, w.receiver[i]);
  for (int i = 0; i < SENDERS; i++) {
    s[i] = (sending){.bus = w.bus, .from = i};
    pthread_create(&s[i].thread, NULL, sender_main, &s[i]);
  }
  for (int i = 0; i < SENDERS; i++) pthread_join(s[i].thread, NULL);
  crew_join(t, 2);
  assert_true(got_in_full >= READERS * SENDERS * SENT);
  assert_int_equal(got_in_full % (SENDERS * SENT), 0);
  la_bus_unref(w.bus);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      NOTES(all_get_all_since_they_came),
      NOTES(nobody_receives),
      NOTES(the_last_receiver_drops_what_is_there),
      NOTES(who_is_slow_is_told_how_many_he_missed),
      NOTES(after_the_last_sender_they_get_what_is_there),
      NOTES(who_waits_is_woken_and_looks),
      NOTES(without_budget_it_keeps_its_letter),
      NOTES(both_ends_refuse_who_waits),
      NOTES(what_is_given_back_comes_again),
      NOTES(what_was_missed_is_told_again),
      NOTES(what_was_given_back_in_vain_is_told_again),
      NOTES(each_is_received_or_told_to_be_missed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
