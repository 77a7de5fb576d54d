/*
** The port against a ring with a mutex and two conditions: nanoseconds for each letter.
**
**   gcc -std=c11 -D_GNU_SOURCE -O2 -Iinclude -Isrc -o port bench/core/port.c src/core/[a-z]*.c \
**       src/thread/{bus,cell,letter,loan,port,seat}.c -lpthread && ./port
**
** On one thread, with nobody waiting: a put and a take, and the same through futures. Between
** two threads: a task that sends and a task that receives, each in an executor of its own that
** parks on a condition variable; the best of the rounds, and all of them. The letters are made
** before, and those that were received are left. The ring, of the same capacity, is what two
** threads that block would use: no tasks, no futures, no ends.
*/
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/circle.h"
#include "core/executor.h"
#include "core/future.h"
#include "thread/port.h"

enum { LETTERS = 1000000, ROUNDS = 5 };

static la_letter *letters;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void nothing(la_letter *l) { (void)l; }

static void write_letters(void) {
  for (int i = 0; i < LETTERS; i++) la_letter_init(&letters[i], nothing);
}

/* ---- one thread -------------------------------------------------------------------*/

static void tried(la_port *p) {
  la_letter *l;
  double start = now();
  for (int i = 0; i < LETTERS; i++) {
    la_port_try_send(p, &letters[i]);
    la_port_try_recv(p, &l);
  }
  printf("one thread, try_send and try_recv   %6.1f\n", (now() - start) / LETTERS);
}

static void awaited(la_port *p) {
  la_port_room room;
  la_port_recv recv;
  double start = now();
  for (int i = 0; i < LETTERS; i++) {
    unsigned budget = 2;
    la_context cx = {&la_waker_noop, &budget};
    la_port_room_init(&room, p);
    la_future_poll(&room.seat.base, &cx);
    la_port_room_taken(&room);
    la_port_put(p, &letters[i]);
    la_future_drop(&room.seat.base);
    la_port_recv_init(&recv, p);
    la_future_poll(&recv.seat.base, &cx);
    la_port_recv_taken(&recv);
    la_future_drop(&recv.seat.base);
  }
  printf("one thread, through futures         %6.1f\n", (now() - start) / LETTERS);
}

/* ---- two threads ------------------------------------------------------------------*/

typedef struct worker {
  la_future base;
  la_port *port;
  union {
    la_port_room room;
    la_port_recv recv;
  } waits;
  bool waiting;
  int done;
} worker;

/* Without a future while it need not wait, as the Lua side does. */
static la_poll send_poll(la_future *f, la_context *cx) {
  worker *w = (worker *)(void *)f;
  while (w->done < LETTERS) {
    if (!w->waiting) {
      if (!la_budget_take(cx)) return LA_PENDING;
      if (la_port_try_send(w->port, &letters[w->done]) == LA_PORT_DONE) {
        w->done++;
        continue;
      }
      la_port_room_init(&w->waits.room, w->port);
      w->waiting = true;
    }
    if (la_future_poll(&w->waits.room.seat.base, cx) == LA_PENDING) return LA_PENDING;
    la_port_room_taken(&w->waits.room);
    la_port_put(w->port, &letters[w->done++]);
    la_future_drop(&w->waits.room.seat.base);
    w->waiting = false;
  }
  return LA_READY;
}

static la_poll recv_poll(la_future *f, la_context *cx) {
  worker *w = (worker *)(void *)f;
  la_letter *l;
  while (w->done < LETTERS) {
    if (!w->waiting) {
      if (!la_budget_take(cx)) return LA_PENDING;
      if (la_port_try_recv(w->port, &l) == LA_PORT_DONE) {
        w->done++;
        continue;
      }
      la_port_recv_init(&w->waits.recv, w->port);
      w->waiting = true;
    }
    if (la_future_poll(&w->waits.recv.seat.base, cx) == LA_PENDING) return LA_PENDING;
    la_port_recv_taken(&w->waits.recv);
    w->done++;
    la_future_drop(&w->waits.recv.seat.base);
    w->waiting = false;
  }
  return LA_READY;
}

static void leave(la_future *f) { (void)f; }

static const la_future_vtable sender = {send_poll, leave, NULL, NULL};
static const la_future_vtable receiver = {recv_poll, leave, NULL, NULL};
static const la_task_class cls = {NULL, false, sizeof(worker)};

typedef struct side {
  const la_future_vtable *vt;
  la_port *port;
} side;

static void *run_task(void *arg) {
  const side *s = arg;
  la_parker parker = la_parker_thread_new();
  la_executor *ex = la_executor_new(parker);
  la_task *t = la_task_new(ex, &cls);
  *(worker *)(void *)la_task_future(t) = (worker){.base = {s->vt}, .port = s->port};
  la_task_spawn(t);
  if (la_executor_run(ex, NULL) != LA_RUN_DONE) abort();
  la_executor_close(ex);
  la_parker_thread_free(parker);
  return NULL;
}

/* ---- the floor --------------------------------------------------------------------*/

typedef struct ring {
  pthread_mutex_t mutex;
  pthread_cond_t room, mail;
  uint32_t capacity, count, first;
  la_letter **slots;
} ring;

static void *ring_send(void *arg) {
  ring *r = arg;
  for (int i = 0; i < LETTERS; i++) {
    pthread_mutex_lock(&r->mutex);
    while (r->count == r->capacity) pthread_cond_wait(&r->room, &r->mutex);
    r->slots[(r->first + r->count) % r->capacity] = &letters[i];
    bool was_empty = r->count++ == 0;
    pthread_mutex_unlock(&r->mutex);
    if (was_empty) pthread_cond_signal(&r->mail);
  }
  return NULL;
}

static void *ring_recv(void *arg) {
  ring *r = arg;
  for (int i = 0; i < LETTERS; i++) {
    pthread_mutex_lock(&r->mutex);
    while (r->count == 0) pthread_cond_wait(&r->mail, &r->mutex);
    if (r->slots[r->first] != &letters[i]) abort();
    r->first = (r->first + 1) % r->capacity;
    bool was_full = r->count-- == r->capacity;
    pthread_mutex_unlock(&r->mutex);
    if (was_full) pthread_cond_signal(&r->room);
  }
  return NULL;
}

/* ---- both -------------------------------------------------------------------------*/

static void between(const char *what, uint32_t capacity, void *(*const run[2])(void *),
                    void *const arg[2]) {
  double best = 0;
  printf("two threads, %s, capacity %-8u", what, capacity);
  for (int round = 0; round < ROUNDS; round++) {
    pthread_t thread[2];
    write_letters();
    double start = now();
    la_circle_working(1); /* who is there first does not wait in vain */
    for (int i = 0; i < 2; i++) pthread_create(&thread[i], NULL, run[i], arg[i]);
    for (int i = 0; i < 2; i++) pthread_join(thread[i], NULL);
    la_circle_working(-1);
    double each = (now() - start) / LETTERS;
    if (best == 0 || each < best) best = each;
    printf(" %6.1f", each);
  }
  printf("   best %.1f\n", best);
}

static void port_between(uint32_t capacity) {
  la_port *p = la_port_new(capacity);
  if (p == NULL) abort();
  side sides[2] = {{&sender, p}, {&receiver, p}};
  between("port", capacity, (void *(*const[2])(void *)){run_task, run_task},
          (void *const[2]){&sides[0], &sides[1]});
  la_port_unref(p);
}

static void ring_between(uint32_t capacity) {
  ring r = {.mutex = PTHREAD_MUTEX_INITIALIZER,
            .room = PTHREAD_COND_INITIALIZER,
            .mail = PTHREAD_COND_INITIALIZER,
            .capacity = capacity,
            .slots = calloc(capacity, sizeof *r.slots)};
  if (r.slots == NULL) abort();
  between("ring", capacity, (void *(*const[2])(void *)){ring_send, ring_recv},
          (void *const[2]){&r, &r});
  free(r.slots);
}

int main(void) {
  static const uint32_t capacities[] = {1, 16, 128, 1024};
  letters = calloc(LETTERS, sizeof *letters);
  la_port *p = letters != NULL ? la_port_new(128) : NULL;
  if (p == NULL) return 1;
  write_letters();
  tried(p);
  awaited(p);
  la_port_unref(p);
  for (size_t i = 0; i < sizeof capacities / sizeof *capacities; i++) {
    port_between(capacities[i]);
    ring_between(capacities[i]);
  }
  free(letters);
  return 0;
}
