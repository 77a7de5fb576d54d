/*
** The timer queue against a 4-ary heap: nanoseconds for each insert, fire, cancel.
**
**   gcc -std=c11 -O2 -Iinclude -Isrc bench/core/timer_queue.c src/core/timer_queue.c -o tq && ./tq
**
** The heap keeps its keys in the array, beside pointers to timers that know their
** index, so that it compares without a cache miss and cancels in O(log n). It is
** spared what the queue has to do beyond it: it keeps no order within a tick, and
** its array never grows. Firing goes from `next` to `next`, as a reactor does.
*/
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/timer_queue.h"

#define MS LA_TIMER_TICK_NS

/* ---- the heap -------------------------------------------------------------------*/

typedef struct heap_timer {
  uint32_t index; /* in the array, plus one; 0: idle */
  la_waker waker;
} heap_timer;

typedef struct heap_entry {
  uint64_t when;
  heap_timer *timer;
} heap_entry;

typedef struct heap {
  uint32_t count;
  heap_entry *entry;
} heap;

static inline void heap_set(heap *h, uint32_t i, heap_entry e) {
  h->entry[i] = e;
  e.timer->index = i + 1;
}

static void heap_up(heap *h, uint32_t i, heap_entry e) {
  while (i > 0) {
    uint32_t parent = (i - 1) / 4;
    if (h->entry[parent].when <= e.when) break;
    heap_set(h, i, h->entry[parent]);
    i = parent;
  }
  heap_set(h, i, e);
}

static void heap_down(heap *h, uint32_t i, heap_entry e) {
  for (;;) {
    uint32_t child = 4 * i + 1, end = child + 4 < h->count ? child + 4 : h->count;
    if (child >= h->count) break;
    uint32_t least = child;
    for (uint32_t c = child + 1; c < end; c++)
      if (h->entry[c].when < h->entry[least].when) least = c;
    if (h->entry[least].when >= e.when) break;
    heap_set(h, i, h->entry[least]);
    i = least;
  }
  heap_set(h, i, e);
}

static void heap_remove(heap *h, uint32_t i) {
  heap_entry last = h->entry[--h->count];
  h->entry[i].timer->index = 0;
  if (i == h->count) return;
  if (i > 0 && h->entry[(i - 1) / 4].when > last.when)
    heap_up(h, i, last);
  else
    heap_down(h, i, last);
}

/* ---- both under one face ----------------------------------------------------------*/

static la_timer_queue queue;
static la_timer *queue_timers;
static heap rival;
static heap_timer *rival_timers;

static void queue_insert(uint32_t i, uint64_t deadline, la_waker w) {
  la_timer_insert(&queue, &queue_timers[i], deadline, w);
}
static void queue_cancel(uint32_t i) { la_timer_cancel(&queue, &queue_timers[i]); }
static uint64_t queue_next(void) { return la_timer_queue_next(&queue); }
static void queue_advance(uint64_t now) { la_timer_queue_advance(&queue, now); }

static void rival_insert(uint32_t i, uint64_t deadline, la_waker w) {
  rival_timers[i].waker = w;
  heap_up(&rival, rival.count++, (heap_entry){(deadline + MS - 1) / MS, &rival_timers[i]});
}
static void rival_cancel(uint32_t i) {
  heap_remove(&rival, rival_timers[i].index - 1);
  la_waker_drop(rival_timers[i].waker);
}
static uint64_t rival_next(void) {
  return rival.count == 0 ? LA_TIMER_NEVER : rival.entry[0].when * MS;
}
static void rival_advance(uint64_t now) {
  while (rival.count > 0 && rival.entry[0].when <= now / MS) {
    heap_timer *t = rival.entry[0].timer;
    heap_remove(&rival, 0);
    la_waker_wake(t->waker);
  }
}

typedef struct contender {
  const char *name;
  void (*insert)(uint32_t i, uint64_t deadline, la_waker w);
  void (*cancel)(uint32_t i);
  uint64_t (*next)(void);
  void (*advance)(uint64_t now);
} contender;

static const contender contenders[] = {
    {"wheel", queue_insert, queue_cancel, queue_next, queue_advance},
    {"4-heap", rival_insert, rival_cancel, rival_next, rival_advance},
};

/* ---- measuring --------------------------------------------------------------------*/

static size_t woken, dropped;
static la_waker clone(void *data);
static void wake(void *data) { (void)data, woken++; }
static void drop(void *data) { (void)data, dropped++; }
static const la_waker_vtable vtable = {clone, wake, wake, drop};
static la_waker clone(void *data) { return (la_waker){data, &vtable}; }

static uint64_t random_state = 1;
static uint64_t random_below(uint64_t n) { /* xorshift64* */
  random_state ^= random_state >> 12;
  random_state ^= random_state << 25;
  random_state ^= random_state >> 27;
  return (random_state * UINT64_C(0x2545F4914F6CDD1D) >> 32) % n;
}

static double clock_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void *array(size_t n, size_t size) {
  void *p = calloc(n, size);
  if (p == NULL) abort();
  return p;
}

static uint64_t now = 123456 * MS; /* virtual */

/* ns per operation: inserts, fires, inserts again, cancels in random order. */
static void once(const contender *c, uint32_t n, const uint64_t *after, const uint32_t *order,
                 double ns[3]) {
  la_waker w = {NULL, &vtable};
  la_timer_queue_init(&queue, now);
  woken = dropped = 0;
  double t0 = clock_ns();
  for (uint32_t i = 0; i < n; i++) c->insert(i, now + after[i], w);
  double t1 = clock_ns();
  for (uint64_t next; (next = c->next()) != LA_TIMER_NEVER;) c->advance(now = next);
  double t2 = clock_ns();
  for (uint32_t i = 0; i < n; i++) c->insert(i, now + after[i], w);
  double t3 = clock_ns();
  for (uint32_t i = 0; i < n; i++) c->cancel(order[i]);
  double t4 = clock_ns();
  if (woken != n || dropped != n) abort();
  double round[3] = {t1 - t0, t2 - t1, t4 - t3};
  for (int k = 0; k < 3; k++)
    if (round[k] / n < ns[k]) ns[k] = round[k] / n;
}

static void measure(uint32_t n, uint64_t range_ms, const char *range) {
  uint64_t *after = array(n, sizeof *after);
  uint32_t *order = array(n, sizeof *order);
  queue_timers = array(n, sizeof *queue_timers);
  rival_timers = array(n, sizeof *rival_timers);
  rival.entry = array(n, sizeof *rival.entry);
  for (uint32_t i = 0; i < n; i++) {
    after[i] = (1 + random_below(range_ms)) * MS;
    uint32_t j = (uint32_t)random_below(i + 1);
    order[i] = order[j];
    order[j] = i;
  }
  for (size_t k = 0; k < sizeof contenders / sizeof *contenders; k++) {
    double ns[3] = {1e9, 1e9, 1e9};
    for (uint32_t round = 0; round < 5 + 100000 / n; round++)
      once(&contenders[k], n, after, order, ns);
    printf("%9u  %-9s %-7s %8.1f %8.1f %8.1f\n", n, range, contenders[k].name, ns[0], ns[1], ns[2]);
  }
  free(after);
  free(order);
  free(queue_timers);
  free(rival_timers);
  free(rival.entry);
}

int main(void) {
  printf("   timers  deadline  queue     insert     fire   cancel  (ns each, best round)\n");
  static const uint32_t counts[] = {1000, 100000, 200000, 1000000};
  for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
    measure(counts[i], 1000, "1 ms-1 s");
    measure(counts[i], 3600 * 1000, "1 ms-1 h");
  }
  return 0;
}
