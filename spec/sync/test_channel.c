/* The channel's account of space, items and loans, by a random walk against a model. */
#include "core/list.h"
#include "spec/core/probe.h"
#include "sync/channel.h"

enum { N = 6, STEPS = 20000, SLOTS = 64 };

typedef struct party {
  la_acquire a;
  bool begun, ready;
  int wakes; /* of its probe, at its last poll */
} party;

static uint32_t seed;
static uint32_t any(uint32_t n) {
  seed = seed * 1664525u + 1013904223u;
  return (seed >> 16) % n;
}

typedef struct world {
  la_channel c;
  party send[N], recv[N];
  probe p[2 * N];
  int ring[SLOTS], next_in, next_out;
} world;

static void poll_party(world *w, party *q, probe *p) {
  q->wakes = p->wakes;
  q->ready = la_future_poll(&q->a.q.base, &p->cx) == LA_READY;
  (void)w;
}

static void finish_send(world *w, party *q) {
  assert_true(la_acquire_take(&q->a));
  assert_true(w->c.count < SLOTS);
  w->ring[la_channel_slot(&w->c)] = w->next_in++;
  la_channel_put(&w->c);
}

/* Values come out in the order in which they were put, each once. */
static void finish_recv(world *w, party *q) {
  assert_true(la_acquire_take(&q->a));
  assert_int_equal(w->ring[la_channel_take(&w->c)], w->next_out++);
}

static void step(world *w) {
  uint32_t i = any(2 * N);
  bool sender = i < N;
  party *q = sender ? &w->send[i] : &w->recv[i - N];
  if (!q->begun) {
    if (sender)
      la_channel_send_init(&q->a, &w->c, NULL);
    else
      la_channel_recv_init(&q->a, &w->c, NULL);
    q->begun = true;
    poll_party(w, q, &w->p[i]);
    return;
  }
  uint32_t what = any(4);
  bool over = false;
  if (what == 0) {
    over = true; /* given up, in whatever state */
  } else if (q->ready && what == 1) {
    if (sender)
      finish_send(w, q);
    else
      finish_recv(w, q);
    over = true;
  } else if (!q->ready && w->p[i].wakes != q->wakes) {
    poll_party(w, q, &w->p[i]);
  }
  if (!over) return;
  la_future_drop(&q->a.q.base);
  assert_int_equal(w->p[i].held, 0);
  q->begun = q->ready = false;
}

static uint32_t length(const la_list *l) {
  uint32_t n = 0;
  for (const la_node *i = l->head.next; i != &l->head; i = i->next) n++;
  return n;
}

/* Every permit is somewhere; nobody waits for what is there. */
static void check(const world *w) {
  const la_channel *c = &w->c;
  uint32_t space = c->space.permits + length(&c->space.granted);
  uint32_t items = c->items.permits + length(&c->items.granted);
  assert_int_equal(items, c->count);
  assert_int_equal(w->next_in - w->next_out, c->count);
  if (c->capacity != 0)
    assert_int_equal(space + items, c->capacity);
  else
    assert_int_equal(space, length(&c->items.line) + c->debt);
  assert_true(c->items.permits == 0 || la_list_empty(&c->items.line));
  assert_true(c->space.permits == 0 || la_list_empty(&c->space.line));
}

static void walk(uint32_t capacity, uint32_t from) {
  static world w;
  w = (world){0};
  seed = from;
  la_channel_init(&w.c, capacity);
  w.c.size = SLOTS;
  for (int i = 0; i < 2 * N; i++) {
    probe_init(&w.p[i]);
    w.p[i].budget = UINT32_MAX;
  }
  for (int i = 0; i < STEPS; i++) {
    step(&w);
    check(&w);
  }
  for (int i = 0; i < N; i++) {
    if (w.send[i].begun) la_future_drop(&w.send[i].a.q.base);
    if (w.recv[i].begun) la_future_drop(&w.recv[i].a.q.base);
  }
  check(&w);
  assert_true(w.next_out > STEPS / 200);
}

static void nothing_is_lost_or_doubled(void **state) {
  (void)state;
  for (uint32_t capacity = 1; capacity <= 4; capacity++)
    for (uint32_t from = 1; from <= 10; from++) walk(capacity, from);
}

static void nor_at_a_rendezvous(void **state) {
  (void)state;
  for (uint32_t from = 1; from <= 40; from++) walk(0, from);
}

/* ---- ends -------------------------------------------------------------------------------*/

static void the_last_sender_ends_the_receivers_when_all_is_taken(void **state) {
  la_channel c;
  la_acquire first, second;
  int tx;
  PROBES(2);
  (void)state;
  la_channel_init(&c, 2);
  c.size = 2;
  la_channel_recv_init(&first, &c, NULL);
  la_channel_recv_init(&second, &c, NULL);
  assert_pending(&first.q.base, &p[0]);
  assert_pending(&second.q.base, &p[1]);
  assert_true(la_semaphore_try(&c.space, 1));
  la_channel_put(&c);
  la_channel_close_sender(&c, &tx);
  assert_int_equal(p[0].wakes, 1);
  assert_int_equal(p[1].wakes, 0); /* the first may still give up */
  assert_ready(&first.q.base, &p[0]);
  assert_true(la_acquire_take(&first));
  la_channel_take(&c);
  assert_ready(&second.q.base, &p[1]);
  assert_false(la_acquire_take(&second));
  la_future_drop(&first.q.base);
  la_future_drop(&second.q.base);
}

static void the_last_receiver_refuses_the_senders(void **state) {
  la_channel c;
  la_acquire waiting, late;
  int rx;
  PROBES(2);
  (void)state;
  la_channel_init(&c, 0);
  la_channel_send_init(&waiting, &c, NULL);
  la_channel_send_init(&late, &c, NULL);
  assert_pending(&waiting.q.base, &p[0]);
  la_channel_close_receiver(&c, &rx);
  assert_ready(&waiting.q.base, &p[0]);
  assert_false(la_acquire_take(&waiting));
  assert_ready(&late.q.base, &p[1]);
  la_future_drop(&waiting.q.base);
  la_future_drop(&late.q.base);
  la_channel_end(&c);
}

static void a_receiver_that_is_closed_takes_its_loans_back(void **state) {
  la_channel c;
  la_acquire recv, send;
  int rx;
  PROBES(2);
  (void)state;
  la_channel_init(&c, 0);
  c.receivers = 2;
  la_channel_recv_init(&recv, &c, &rx);
  assert_pending(&recv.q.base, &p[0]);
  assert_int_equal(c.space.permits, 1);
  la_channel_send_init(&send, &c, NULL);
  assert_ready(&send.q.base, &p[1]); /* past being revoked */
  la_channel_close_receiver(&c, &rx);
  assert_int_equal(c.debt, 1);
  la_future_drop(&send.q.base); /* gives its permit up: that settles it */
  assert_int_equal(c.debt, 0);
  assert_int_equal(c.space.permits, 0);
  la_future_drop(&recv.q.base);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(nothing_is_lost_or_doubled),
      cmocka_unit_test(nor_at_a_rendezvous),
      cmocka_unit_test(the_last_sender_ends_the_receivers_when_all_is_taken),
      cmocka_unit_test(the_last_receiver_refuses_the_senders),
      cmocka_unit_test(a_receiver_that_is_closed_takes_its_loans_back),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
