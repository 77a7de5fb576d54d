/* The cell: versions, ends, and threads that look while others send. */
#include "letters.h"
#include "thread/cell.h"

static la_cell *cell(void) {
  la_cell *c = la_cell_new(note_new(0, 1));
  assert_non_null(c);
  return c;
}

/* The newest number, whose version is this. */
static int look(la_cell *c, uint64_t version) {
  uint64_t v;
  la_letter *l = la_cell_get(c, &v);
  assert_int_equal(v, version);
  return note_read(l);
}

static void drop(la_cell_changed *f) { la_future_drop(&f->seat.base); }

static void the_newest_is_what_there_is(void **state) {
  (void)state;
  la_cell *c = cell();
  assert_int_equal(look(c, 1), 1);
  assert_int_equal(la_cell_has_changed(c, 0), LA_PORT_DONE);
  assert_int_equal(la_cell_has_changed(c, 1), LA_PORT_BUSY);
  la_cell_send(c, note_new(0, 2));
  la_cell_send(c, note_new(0, 3));
  assert_int_equal(notes_dropped, 2);
  assert_int_equal(la_cell_has_changed(c, 1), LA_PORT_DONE);
  assert_int_equal(look(c, 3), 3);
  la_cell_unref(la_cell_ref(c));
  la_cell_unref(c);
}

static void a_letter_is_there_until_its_last_reader_is_done(void **state) {
  uint64_t version;
  (void)state;
  la_cell *c = cell();
  la_letter *l = la_cell_get(c, &version);
  la_cell_send(c, note_new(0, 2));
  la_cell_unref(c);
  assert_int_equal(notes_dropped, 1);
  assert_int_equal(note_read(l), 1);
}

static void who_waits_is_woken_by_a_newer_one(void **state) {
  enum { MANY = 40 };
  la_cell_changed f[MANY];
  PROBES(MANY);
  (void)state;
  la_cell *c = cell();
  for (int i = 0; i < MANY; i++) {
    la_cell_changed_init(&f[i], c, 1);
    assert_pending(&f[i].seat.base, &p[i]);
    assert_pending(&f[i].seat.base, &p[i]);
  }
  drop(&f[0]);
  assert_int_equal(p[0].held, 0);
  la_cell_send(c, note_new(0, 2));
  assert_int_equal(p[0].wakes, 0);
  for (int i = 1; i < MANY; i++) {
    assert_int_equal(p[i].wakes, 1);
    assert_int_equal(p[i].held, 0);
    if (i % 2 == 0) assert_ready(&f[i].seat.base, &p[i]);
    if (i % 2 == 0) assert_int_equal(f[i].seat.state, LA_SEAT_GRANTED);
    drop(&f[i]);
  }
  la_cell_unref(c);
}

static void what_is_unseen_is_ready_at_once(void **state) {
  la_cell_changed f;
  PROBES(2);
  (void)state;
  la_cell *c = cell();
  la_cell_changed_init(&f, c, 0);
  p[0].budget = 0;
  assert_pending(&f.seat.base, &p[0]);
  assert_int_equal(p[0].wakes, 1);
  assert_ready(&f.seat.base, &p[1]);
  drop(&f);
  la_cell_unref(c);
}

static void the_last_sender_refuses_who_has_seen_all(void **state) {
  la_cell_changed waiting, unseen, late;
  PROBES(3);
  (void)state;
  la_cell *c = cell();
  la_cell_changed_init(&waiting, c, 1);
  la_cell_changed_init(&unseen, c, 0);
  la_cell_changed_init(&late, c, 1);
  assert_pending(&waiting.seat.base, &p[0]);
  la_cell_open_sender(c);
  la_cell_close_sender(c);
  assert_int_equal(p[0].wakes, 0);
  la_cell_close_sender(c);
  assert_int_equal(p[0].wakes, 1);
  assert_ready(&waiting.seat.base, &p[0]);
  assert_ready(&unseen.seat.base, &p[1]);
  assert_ready(&late.seat.base, &p[2]);
  assert_int_equal(waiting.seat.state, LA_SEAT_REFUSED);
  assert_int_equal(unseen.seat.state, LA_SEAT_GRANTED);
  assert_int_equal(late.seat.state, LA_SEAT_REFUSED);
  assert_int_equal(la_cell_has_changed(c, 1), LA_PORT_CLOSED);
  assert_int_equal(la_cell_has_changed(c, 0), LA_PORT_DONE);
  drop(&waiting);
  drop(&unseen);
  drop(&late);
  la_cell_unref(c);
}

static void a_handle_that_is_closed_refuses_its_own(void **state) {
  la_cell_changed mine, others;
  la_list handle;
  PROBES(2);
  (void)state;
  la_cell *c = cell();
  la_cell_open_receiver(c);
  la_cell_changed_init(&mine, c, 1);
  la_cell_changed_init(&others, c, 1);
  la_list_init(&handle);
  la_list_push(&handle, &mine.seat.mine);
  assert_pending(&mine.seat.base, &p[0]);
  assert_pending(&others.seat.base, &p[1]);
  la_cell_refuse(c, &handle);
  la_cell_close_receiver(c);
  assert_int_equal(la_cell_receivers(c), 1);
  assert_int_equal(p[1].wakes, 0);
  assert_ready(&mine.seat.base, &p[0]);
  assert_int_equal(mine.seat.state, LA_SEAT_REFUSED);
  drop(&mine);
  drop(&others);
  la_cell_unref(c);
}

/* ---- threads ------------------------------------------------------------------------*/

enum { SENDERS = 2, READERS = 4, SENT = 20000 };

typedef struct reader {
  la_future base;
  la_cell_changed changed;
  la_cell *cell;
  int last[SENDERS];
} reader;

static la_poll reader_poll(la_future *f, la_context *cx) {
  reader *r = la_container(f, reader, base);
  while (la_future_poll(&r->changed.seat.base, cx) == LA_READY) {
    if (r->changed.seat.state == LA_SEAT_REFUSED) return LA_READY;
    drop(&r->changed);
    uint64_t version;
    la_letter *l = la_cell_get(r->cell, &version);
    const note *n = note_of(l);
    if (n->number < r->last[n->from]) abort();
    r->last[n->from] = n->number;
    la_letter_unref(l);
    la_cell_changed_init(&r->changed, r->cell, version);
  }
  return LA_PENDING;
}

static void reader_drop(la_future *f) {
  reader *r = la_container(f, reader, base);
  drop(&r->changed);
  la_cell_unref(r->cell);
}

static const la_future_vtable reader_vtable = {reader_poll, reader_drop, "reader", NULL};
static const la_task_class reader_class = {NULL, false, sizeof(reader)};

static void readers(crew_thread *t, void *what) {
  for (int i = 0; i < READERS; i++) {
    la_task *task = la_task_new(t->ex, &reader_class);
    reader *r = (reader *)(void *)la_task_future(task);
    *r = (reader){.base = {&reader_vtable}, .cell = la_cell_ref(what)};
    la_cell_changed_init(&r->changed, what, 0);
    la_task_spawn(task);
  }
}

typedef struct sending {
  pthread_t thread;
  la_cell *cell;
  int from;
} sending;

static void *sender_main(void *arg) {
  const sending *s = arg;
  for (int i = 1; i <= SENT; i++) la_cell_send(s->cell, note_new(s->from, i));
  la_cell_close_sender(s->cell);
  return NULL;
}

/* The first executor is closed in the middle; the other sees the last of all. */
static void readers_see_newer_ones_until_the_end(void **state) {
  (void)state;
  la_cell *c = cell();
  la_cell_open_sender(c);
  crew_thread t[2] = {{.turns = 50}};
  sending s[SENDERS];
  for (int i = 0; i < 2; i++) crew_start(&t[i], readers, c);
  for (int i = 0; i < SENDERS; i++) {
    s[i] = (sending){.cell = c, .from = i};
    pthread_create(&s[i].thread, NULL, sender_main, &s[i]);
  }
  for (int i = 0; i < SENDERS; i++) pthread_join(s[i].thread, NULL);
  crew_join(t, 2);
  assert_int_equal(look(c, 1 + SENDERS * SENT), SENT);
  la_cell_unref(c);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      NOTES(the_newest_is_what_there_is),
      NOTES(a_letter_is_there_until_its_last_reader_is_done),
      NOTES(who_waits_is_woken_by_a_newer_one),
      NOTES(what_is_unseen_is_ready_at_once),
      NOTES(the_last_sender_refuses_who_has_seen_all),
      NOTES(a_handle_that_is_closed_refuses_its_own),
      NOTES(readers_see_newer_ones_until_the_end),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
