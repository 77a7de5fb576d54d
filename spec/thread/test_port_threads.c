/* The port between executors on threads of their own: every letter is received or dropped, once,
** and in the order of its sender, whoever dies in the middle. */
#include "letters.h"
#include "thread/port.h"

enum { THREADS = 8, EACH = 4 };

typedef struct world {
  la_port *port;
  int senders, receivers; /* tasks, so many on each thread */
  int letters;            /* of each sender */
  bool fickle;            /* futures are dropped and made again at random */
  uint32_t mortal;        /* a receiver dies by one in so many letters; 0: none */
  _Atomic int put, refused, got, names;
  _Atomic unsigned char *seen;
} world;

typedef struct worker {
  la_future base;
  la_seat *waits; /* one of these two */
  la_port_room room;
  la_port_recv recv;
  crew_thread *thread;
  world *w;
  bool over;
  int name, next;
  int last[THREADS * EACH]; /* received from each sender */
} worker;

static worker *worker_of(la_future *f) { return la_container(f, worker, base); }

/* Drops the future, in whatever state it is. */
static void rise(worker *k) {
  if (k->waits != NULL) la_future_drop(&k->waits->base);
  k->waits = NULL;
}

static bool whim(worker *k, uint32_t n) { return k->w->fickle && crew_any(k->thread, n) == 0; }

static void put(worker *k, la_letter *l, bool in) {
  if (in) {
    k->w->put++;
  } else {
    k->w->refused++;
    k->over = true;
    la_letter_unref(l);
  }
}

/* One letter, if it can. False: it waits. */
static bool send_one(worker *k, la_context *cx) {
  world *w = k->w;
  if (k->waits == NULL && whim(k, 3)) {
    la_letter *l = note_new(k->name, k->next);
    la_port_result r = la_port_try_send(w->port, l);
    if (r != LA_PORT_BUSY) {
      put(k, l, r == LA_PORT_DONE);
      k->next++;
      return true;
    }
    la_letter_unref(l);
  }
  if (k->waits == NULL) {
    la_port_room_init(&k->room, w->port);
    k->waits = &k->room.seat;
  }
  if (la_future_poll(&k->waits->base, cx) == LA_PENDING) return false;
  bool granted = k->waits->state == LA_SEAT_GRANTED, drop = whim(k, 5);
  if (granted && !drop) la_port_room_taken(&k->room);
  rise(k);
  if (granted && drop) return true;
  la_letter *l = note_new(k->name, k->next++);
  put(k, l, granted && la_port_put(w->port, l));
  return true;
}

static void received(worker *k, la_letter *l) {
  const note *n = note_of(l);
  if (n->number <= k->last[n->from]) abort();
  k->last[n->from] = n->number;
  if (k->w->seen[n->from * k->w->letters + n->number]++ != 0) abort();
  k->w->got++;
  la_letter_unref(l);
  if (k->w->mortal != 0 && crew_any(k->thread, k->w->mortal) == 0) k->over = true;
}

static bool recv_one(worker *k, la_context *cx) {
  world *w = k->w;
  la_letter *l;
  if (k->waits == NULL && whim(k, 3) && la_port_try_recv(w->port, &l) == LA_PORT_DONE) {
    received(k, l);
    return true;
  }
  if (k->waits == NULL) {
    la_port_recv_init(&k->recv, w->port);
    k->waits = &k->recv.seat;
  }
  if (la_future_poll(&k->waits->base, cx) == LA_PENDING) return false;
  if (k->waits->state == LA_SEAT_REFUSED)
    k->over = true;
  else if (!whim(k, 5))
    received(k, la_port_recv_taken(&k->recv));
  rise(k);
  return true;
}

static la_poll worker_poll(la_future *f, la_context *cx, bool (*one)(worker *, la_context *)) {
  worker *k = worker_of(f);
  while (!k->over && k->next < k->w->letters) {
    if (one(k, cx)) continue;
    if (!whim(k, 4)) return LA_PENDING;
    rise(k);
    if (!la_budget_take(cx)) return LA_PENDING;
  }
  return LA_READY;
}

static la_poll sender_poll(la_future *f, la_context *cx) { return worker_poll(f, cx, send_one); }
static la_poll receiver_poll(la_future *f, la_context *cx) { return worker_poll(f, cx, recv_one); }

static void sender_drop(la_future *f) {
  worker *k = worker_of(f);
  rise(k);
  la_port_close_sender(k->w->port);
  la_port_unref(k->w->port);
}

static void receiver_drop(la_future *f) {
  worker *k = worker_of(f);
  rise(k);
  la_port_close_receiver(k->w->port);
  la_port_unref(k->w->port);
}

static const la_future_vtable sender = {sender_poll, sender_drop, "sender", NULL};
static const la_future_vtable receiver = {receiver_poll, receiver_drop, "receiver", NULL};
static const la_task_class worker_class = {NULL, false, sizeof(worker)};

static worker *spawn(crew_thread *t, world *w, const la_future_vtable *vt) {
  la_task *task = la_task_new(t->ex, &worker_class);
  worker *k = (worker *)(void *)la_task_future(task);
  *k = (worker){.base = {vt}, .thread = t, .w = w};
  for (int i = 0; i < THREADS * EACH; i++) k->last[i] = -1;
  la_port_ref(w->port);
  la_task_spawn(task);
  return k;
}

/* Ends are opened before any thread begins. */
static void senders(crew_thread *t, void *what) {
  world *w = what;
  for (int i = 0; i < w->senders; i++) spawn(t, w, &sender)->name = w->names++;
}

static void receivers(crew_thread *t, void *what) {
  world *w = what;
  for (int i = 0; i < w->receivers; i++) spawn(t, w, &receiver);
}

static void both(crew_thread *t, void *what) {
  senders(t, what);
  receivers(t, what);
}

static void open_ends(world *w, int sending, int receiving) {
  for (int i = 1; i < sending * w->senders; i++) la_port_open_sender(w->port);
  for (int i = 1; i < receiving * w->receivers; i++) la_port_open_receiver(w->port);
}

static void begin(world *w, uint32_t capacity, int sending) {
  notes_begin(NULL);
  w->port = la_port_new(capacity);
  w->seen = calloc((size_t)sending * (size_t)w->senders * (size_t)w->letters, 1);
}

/* Every letter that was put was received, or dropped with the last receiver or the port. */
static void end(world *w) {
  assert_true(w->got <= w->put);
  la_port_unref(w->port);
  assert_int_equal(notes_made, notes_dropped);
  free((void *)w->seen);
}

typedef struct plan {
  int sending, receiving; /* threads */
  uint32_t capacity;
  world w;
} plan;

static void play(plan *p) {
  crew_thread t[THREADS] = {0};
  world *w = &p->w;
  begin(w, p->capacity, p->sending);
  open_ends(w, p->sending, p->receiving);
  for (int i = 0; i < p->sending; i++) crew_start(&t[i], senders, w);
  for (int i = 0; i < p->receiving; i++) crew_start(&t[p->sending + i], receivers, w);
  crew_join(t, p->sending + p->receiving);
  if (w->mortal == 0) assert_int_equal(w->got, p->sending * w->senders * w->letters);
  end(w);
}

static void every_pattern(void **state) {
  static const plan plans[] = {
      {1, 1, 128, {.senders = 1, .receivers = 1, .letters = 100000}},
      {1, 1, 1, {.senders = 1, .receivers = 1, .letters = 5000}},
      {2, 1, 16, {.senders = 2, .receivers = 1, .letters = 25000}},
      {1, 2, 16, {.senders = 1, .receivers = 2, .letters = 50000}},
      {2, 2, 8, {.senders = EACH, .receivers = EACH, .letters = 10000}},
      {2, 2, LA_PORT_UNBOUNDED, {.senders = 2, .receivers = 2, .letters = 25000}},
  };
  (void)state;
  for (size_t i = 0; i < sizeof plans / sizeof *plans; i++) {
    plan p = plans[i];
    if (getenv("LA_UNDER_VALGRIND") != NULL) p.w.letters /= 50;
    play(&p);
  }
}

static void futures_given_up_at_random(void **state) {
  (void)state;
  for (uint32_t capacity = 1; capacity <= 9; capacity += 4) {
    plan p = {2,
              2,
              capacity,
              {.senders = EACH, .receivers = EACH, .letters = 3000, .fickle = true}};
    play(&p);
  }
}

static void receivers_that_die(void **state) {
  (void)state;
  for (int round = 0; round < 20; round++) {
    plan p = {2,
              2,
              1 + (uint32_t)round % 5,
              {.senders = 2, .receivers = 2, .letters = 2000, .fickle = true, .mortal = 500}};
    play(&p);
  }
}

/* Executors that are closed with their tasks in any state, while others grant them something. */
static void executors_that_close(void **state) {
  (void)state;
  int rounds = getenv("LA_UNDER_VALGRIND") != NULL ? 4 : 100;
  for (int round = 0; round < rounds; round++) {
    crew_thread t[4] = {0};
    world w = {.senders = 2, .receivers = 2, .letters = 2000, .fickle = round % 2 == 0};
    begin(&w, 1 + (uint32_t)round % 4, 4);
    open_ends(&w, 4, 4);
    for (int i = 0; i < 4; i++) {
      t[i].turns = 1 + (round * 7 + i * 13) % 40;
      crew_start(&t[i], both, &w);
    }
    crew_join(t, 4);
    assert_int_equal(la_port_try_reserve(w.port), LA_PORT_CLOSED);
    end(&w);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_pattern),
      cmocka_unit_test(futures_given_up_at_random),
      cmocka_unit_test(receivers_that_die),
      cmocka_unit_test(executors_that_close),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
