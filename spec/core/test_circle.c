/* Deadlocks between executors on threads of their own: who is told of them, how often, and when
** nobody is. */
#include <sched.h>
#include <semaphore.h>
#include <unistd.h>

#include "core/circle.h"
#include "core/sleep.h"
#include "spec/thread/letters.h"
#include "thread/port.h"

enum { MOST = 3 };

typedef struct member member;

/* Of every member the task waits for letters at its port, and keeps the next member's open: each
** waits for the one before it. */
struct member {
  pthread_t thread;
  la_parker real; /* what parks; around it we count */
  _Atomic int parks, unparks;
  _Atomic bool held; /* it does not come out of its park before the gate opens */
  sem_t gate, made;
  la_executor *ex;
  la_task *task;
  la_port *mine, *next;
  la_waker also; /* another waker of the task, which is no peer's; vt NULL: none */
  bool sleeps;   /* it has a timer, until its first letter */
  int gifts;     /* letters that it sends when it is told, before it is garbage */
  uint64_t polls;
  int verdicts;
  bool ended; /* by a verdict */
  uint32_t seed;
};

static member crew[MOST];
static int members;
static _Atomic int sent, received, verdicts;

/* ---- the parker ---------------------------------------------------------------------*/

static void watched_park(void *self, uint64_t deadline) {
  member *m = self;
  m->parks++;
  m->real.vt->park(m->real.self, deadline);
  if (m->held) sem_wait(&m->gate);
}

static void watched_unpark(void *self) {
  member *m = self;
  m->unparks++;
  m->real.vt->unpark(m->real.self);
}

static bool watched_alive(void *self) {
  (void)self;
  return false;
}

static uint64_t watched_now(void *self) {
  const member *m = self;
  return m->real.vt->now(m->real.self);
}

static const la_parker_vtable watched = {.park = watched_park,
                                         .unpark = watched_unpark,
                                         .alive = watched_alive,
                                         .now = watched_now};

/* ---- the task -----------------------------------------------------------------------*/

typedef struct waiter {
  la_future base;
  member *m;
  la_port_recv recv;
  la_sleep sleep;
} waiter;

static void wake_up(waiter *w) {
  if (w->m->sleeps) la_future_drop(&w->sleep.base);
  w->m->sleeps = false;
}

static la_poll waiter_poll(la_future *f, la_context *cx) {
  waiter *w = la_container(f, waiter, base);
  if (w->m->sleeps && la_future_poll(&w->sleep.base, cx) == LA_READY) abort();
  while (la_future_poll(&w->recv.seat.base, cx) == LA_READY) {
    if (w->recv.seat.state == LA_SEAT_REFUSED) return LA_READY;
    la_letter_unref(la_port_recv_taken(&w->recv));
    received++;
    wake_up(w);
    la_future_drop(&w->recv.seat.base);
    la_port_recv_init(&w->recv, w->m->mine);
  }
  return LA_PENDING;
}

static void waiter_drop(la_future *f) {
  waiter *w = la_container(f, waiter, base);
  wake_up(w);
  la_future_drop(&w->recv.seat.base);
  la_port_close_receiver(w->m->mine);
  la_port_close_sender(w->m->next);
}

static const la_future_vtable waiter_vtable = {waiter_poll, waiter_drop, "waiter", NULL};
static const la_task_class waiter_class = {NULL, false, sizeof(waiter)};

/* ---- the threads ----------------------------------------------------------------------*/

static void give(la_port *p) {
  la_letter *l = note_new(0, 0);
  sent++;
  if (la_port_try_send(p, l) != LA_PORT_DONE) abort();
}

static void settle(member *m) {
  m->verdicts++;
  verdicts++;
  if (sent != received) abort(); /* somebody has to be awake, or about to */
  m->ended = m->verdicts > 1 && m->ex->polls == m->polls;
  m->polls = m->ex->polls;
  if (m->ended)
    la_task_abort(m->task);
  else if (m->gifts > 0 && m->gifts-- > 0)
    give(crew[(m->seed = m->seed * 1664525u + 1013904223u) / 65536 % (unsigned)members].mine);
}

static void *member_main(void *arg) {
  member *m = arg;
  m->real = la_parker_thread_new();
  m->ex = la_executor_new((la_parker){m, &watched});
  m->task = la_task_new(m->ex, &waiter_class);
  waiter *w = (waiter *)(void *)la_task_future(m->task);
  *w = (waiter){.base = {&waiter_vtable}, .m = m};
  la_port_recv_init(&w->recv, m->mine);
  if (m->sleeps) la_sleep_init(&w->sleep, m->ex, la_executor_now(m->ex) + UINT64_C(3600000000000));
  la_task_ref(m->task);
  la_task_spawn(m->task);
  if (m->also.vt != NULL) m->also = la_task_clone_external(m->task);
  sem_post(&m->made);
  while (la_executor_run(m->ex, NULL) == LA_RUN_DEADLOCK) settle(m);
  la_task_unref(m->task);
  la_executor_close(m->ex);
  la_parker_thread_free(m->real);
  return NULL;
}

/* Numbered in this order. Whoever begins is at work, so that nothing happens before `let`. */
static void form(int n) {
  members = n;
  verdicts = sent = received = 0;
  la_circle_working(1);
  for (int i = 0; i < n; i++) {
    crew[i] = (member){.seed = (unsigned)i * 7919u + crew[i].seed};
    crew[i].mine = la_port_new(LA_PORT_UNBOUNDED);
    sem_init(&crew[i].gate, 0, 0);
    sem_init(&crew[i].made, 0, 0);
  }
  for (int i = 0; i < n; i++) crew[i].next = crew[(i + 1) % n].mine;
}

static void start(void) {
  for (int i = 0; i < members; i++) {
    assert_int_equal(pthread_create(&crew[i].thread, NULL, member_main, &crew[i]), 0);
    sem_wait(&crew[i].made);
  }
}

static void let(void) { la_circle_working(-1); }

static void until(_Atomic int *what, int is) {
  while (*what < is) sched_yield();
}

static void until_all_wait(void) {
  for (int i = 0; i < members; i++) until(&crew[i].parks, 1);
}

static int unparks(void) {
  int n = 0;
  for (int i = 0; i < members; i++) n += crew[i].unparks;
  return n;
}

static void finish(void) {
  for (int i = 0; i < members; i++) pthread_join(crew[i].thread, NULL);
  for (int i = 0; i < members; i++) {
    la_port_unref(crew[i].mine);
    sem_destroy(&crew[i].gate);
    sem_destroy(&crew[i].made);
  }
}

/* Each was told once, and then the youngest again, which was its end. */
static void the_youngest_has_ended(void) {
  for (int i = 0; i < members; i++) {
    bool youngest = i == members - 1;
    assert_int_equal(crew[i].ended, youngest);
    assert_int_equal(crew[i].verdicts, youngest ? 2 : 1);
  }
  assert_int_equal(sent, received);
}

static void nobody_was_told(void) { assert_int_equal(verdicts, 0); }

/* ---- who is told ------------------------------------------------------------------------*/

static void each_is_told_and_then_the_youngest_again(void **state) {
  (void)state;
  for (int n = 1; n <= MOST; n++) {
    form(n);
    start();
    let();
    finish();
    the_youngest_has_ended();
  }
}

/* The last that was in the way tells them: they are all parked, and nobody parks again. */
static void not_while_another_thread_is_at_work(void **state) {
  (void)state;
  for (int n = 1; n <= MOST; n++) {
    form(n);
    start();
    until_all_wait();
    assert_int_equal(unparks(), 0);
    let();
    finish();
    the_youngest_has_ended();
  }
}

static void not_while_one_has_a_timer(void **state) {
  (void)state;
  form(2);
  crew[0].sleeps = true;
  start();
  until_all_wait();
  let();
  assert_int_equal(unparks(), 0);
  give(crew[0].mine);
  finish();
  the_youngest_has_ended();
}

/* Which goes away without a wake. */
static void not_while_one_has_another_waker(void **state) {
  (void)state;
  form(2);
  crew[0].also.vt = &la_task_external_waker;
  start();
  until_all_wait();
  let();
  assert_int_equal(unparks(), 0);
  la_waker_drop(crew[0].also);
  finish();
  the_youngest_has_ended();
}

/* It was woken, and has not come out of its park. */
static void not_while_a_wake_is_on_its_way(void **state) {
  (void)state;
  form(2);
  start();
  until_all_wait();
  crew[1].held = true;
  give(crew[1].mine);
  give(crew[0].mine);
  until(&crew[0].parks, 2);
  until(&received, 1);
  int before = unparks();
  let();
  assert_int_equal(unparks(), before);
  nobody_was_told();
  crew[1].held = false;
  sem_post(&crew[1].gate);
  finish();
  the_youngest_has_ended();
}

/* ---- executors that come and go -----------------------------------------------------------*/

/* One that is not in a run may do anything yet, until it is closed. */
static void the_last_that_leaves_leaves_a_deadlock(void **state) {
  (void)state;
  la_parker parker = la_parker_thread_new();
  la_executor *ex = la_executor_new(parker);
  form(2);
  start();
  until_all_wait();
  let();
  assert_int_equal(unparks(), 0);
  la_executor_close(ex);
  finish();
  the_youngest_has_ended();
  la_parker_thread_free(parker);
}

static la_poll never(la_future *f, la_context *cx) {
  (void)f;
  (void)cx;
  return LA_PENDING;
}

typedef struct keeper {
  la_future base;
  la_port *port;
} keeper;

static void keeper_drop(la_future *f) {
  assert_int_equal(unparks(), 0);
  la_port_close_sender(((keeper *)(void *)f)->port);
}

/* Whose tasks, as they are dropped, wake others. */
static void an_executor_that_closes_is_none(void **state) {
  static const la_future_vtable vtable = {never, keeper_drop, "keeper", NULL};
  static const la_task_class cls = {NULL, false, sizeof(keeper)};
  (void)state;
  la_parker parker = la_parker_thread_new();
  la_executor *ex = la_executor_new(parker);
  form(1);
  crew[0].next = la_port_new(1);
  la_task *t = la_task_new(ex, &cls);
  *(keeper *)(void *)la_task_future(t) = (keeper){{&vtable}, crew[0].mine};
  la_task_spawn(t);
  la_executor_turn(ex);
  start();
  until_all_wait();
  let();
  la_executor_close(ex);
  finish();
  nobody_was_told();
  la_port_unref(crew[0].next);
  la_parker_thread_free(parker);
}

/* ---- races ----------------------------------------------------------------------------------*/

/* What was sent when they are told was received (settle): by who was told, and by a thread that
** says that it is done at once after. Lost, a wake or a verdict is a test that does not end. */
static void wakes_that_race_are_not_lost(void **state) {
  (void)state;
  int rounds = getenv("LA_UNDER_VALGRIND") != NULL ? 40 : 4000;
  for (int round = 0; round < rounds; round++) {
    form(2 + round % 2);
    for (int i = 0; i < members; i++) crew[i].gifts = (round / 2 + i) % 3;
    start();
    for (int i = 0; i < round % 5; i++) give(crew[i % members].mine);
    let();
    finish();
    assert_int_equal(sent, received);
    for (int i = 0; i < members; i++) assert_int_equal(crew[i].ended, i == members - 1);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      NOTES(each_is_told_and_then_the_youngest_again),
      NOTES(not_while_another_thread_is_at_work),
      NOTES(not_while_one_has_a_timer),
      NOTES(not_while_one_has_another_waker),
      NOTES(not_while_a_wake_is_on_its_way),
      NOTES(the_last_that_leaves_leaves_a_deadlock),
      NOTES(an_executor_that_closes_is_none),
      NOTES(wakes_that_race_are_not_lost),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
