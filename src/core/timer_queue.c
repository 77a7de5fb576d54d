/*
** A hierarchical timing wheel: G. Varghese and T. Lauck, "Hashed and hierarchical
** timing wheels", SOSP 1987, scheme 7, with tokio's way of finding the level from the
** bits in which two times differ (runtime/time/wheel).
**
** A level has 64 slots; a slot of level l spans 64^l ticks. A timer stands in the level
** of the highest group of six bits in which its tick differs from `elapsed`, so it
** moves down one or more levels when `elapsed` reaches the start of its slot, and fires
** from level 0. The bitmaps find the next slot that is not empty in one instruction,
** so a jump of the clock costs no more than the timers it passes. What is farther away
** than the top level spans (2^36 ms, two years) waits in its last slot and is placed
** anew from there.
*/
#include "core/timer_queue.h"

enum { BITS = 6, TOP = LA_TIMER_LEVELS - 1 };

void la_timer_queue_init(la_timer_queue *q, uint64_t now_ns) {
  q->elapsed = now_ns / LA_TIMER_TICK_NS;
  q->count = 0;
  la_list_init(&q->due);
  for (int l = 0; l < LA_TIMER_LEVELS; l++) {
    q->occupied[l] = 0;
    for (int s = 0; s < LA_TIMER_SLOTS; s++) la_list_init(&q->slots[l][s]);
  }
}

size_t la_timer_queue_count(const la_timer_queue *q) { return q->count; }

/* ---- placing --------------------------------------------------------------------*/

static unsigned slot_of(uint64_t tick, int level) {
  return (unsigned)(tick >> (BITS * level)) % LA_TIMER_SLOTS;
}

static void place(la_timer_queue *q, la_timer *t) {
  if (t->when <= q->elapsed) {
    la_list_push(&q->due, &t->node);
    return;
  }
  int level = (63 - __builtin_clzll(t->when ^ q->elapsed)) / BITS;
  unsigned slot;
  if (level <= TOP) {
    slot = slot_of(t->when, level);
  } else {
    uint64_t now = q->elapsed >> (BITS * TOP), ahead = (t->when >> (BITS * TOP)) - now;
    level = TOP;
    slot = (unsigned)(now + (ahead < LA_TIMER_SLOTS ? ahead : LA_TIMER_SLOTS - 1)) % LA_TIMER_SLOTS;
  }
  la_list_push(&q->slots[level][slot], &t->node);
  q->occupied[level] |= UINT64_C(1) << slot;
}

void la_timer_insert(la_timer_queue *q, la_timer *t, uint64_t deadline_ns, la_waker waker) {
  t->when = deadline_ns / LA_TIMER_TICK_NS + (deadline_ns % LA_TIMER_TICK_NS != 0);
  t->waker = waker;
  q->count++;
  place(q, t);
}

/* Unlinks a timer; a slot that it leaves empty is marked so. */
static void unlink_timer(la_timer_queue *q, la_timer *t) {
  la_node *head = t->node.next == t->node.prev ? t->node.next : NULL;
  la_node_unlink(&t->node);
  q->count--;
  la_list *first = &q->slots[0][0];
  if (head == NULL || (la_list *)(void *)head < first) return;
  size_t i = (size_t)((la_list *)(void *)head - first);
  if (i < (size_t)LA_TIMER_LEVELS * LA_TIMER_SLOTS)
    q->occupied[i / LA_TIMER_SLOTS] &= ~(UINT64_C(1) << i % LA_TIMER_SLOTS);
}

void la_timer_cancel(la_timer_queue *q, la_timer *t) {
  if (la_timer_idle(t)) return;
  unlink_timer(q, t);
  la_waker_drop(t->waker);
}

/* ---- firing ---------------------------------------------------------------------*/

static uint64_t rotate_right(uint64_t x, unsigned n) {
  return n == 0 ? x : x >> n | x << (64 - n);
}

/* The next slot that is not empty: false when there is none. A lower level's slots all
** come before a higher one's. */
static bool next_slot(const la_timer_queue *q, int *level, unsigned *slot, uint64_t *start) {
  for (int l = 0; l < LA_TIMER_LEVELS; l++) {
    if (q->occupied[l] == 0) continue;
    unsigned here = slot_of(q->elapsed, l);
    unsigned ahead = (unsigned)__builtin_ctzll(rotate_right(q->occupied[l], here));
    *level = l;
    *slot = (here + ahead) % LA_TIMER_SLOTS;
    *start = ((q->elapsed >> (BITS * l)) + ahead) << (BITS * l);
    return true;
  }
  return false;
}

/* A timer that is woken may put in or take out others, so the list is taken first;
** what is taken out of it by a cancel is not fired. */
static unsigned fire(la_timer_queue *q, la_list *list) {
  la_list now;
  unsigned fired = 0;
  la_node *n;
  la_list_take(&now, list);
  while ((n = la_list_pop(&now)) != NULL) {
    la_timer *t = la_container(n, la_timer, node);
    q->count--;
    fired++;
    la_waker_wake(t->waker);
  }
  return fired;
}

static void move_down(la_timer_queue *q, la_list *list) {
  la_list all;
  la_node *n;
  la_list_take(&all, list);
  while ((n = la_list_pop(&all)) != NULL) place(q, la_container(n, la_timer, node));
}

unsigned la_timer_queue_advance(la_timer_queue *q, uint64_t now_ns) {
  uint64_t target = now_ns / LA_TIMER_TICK_NS, start;
  unsigned fired = fire(q, &q->due), slot;
  int level;
  while (next_slot(q, &level, &slot, &start) && start <= target) {
    q->elapsed = start;
    q->occupied[level] &= ~(UINT64_C(1) << slot);
    if (level == 0) {
      fired += fire(q, &q->slots[0][slot]);
    } else {
      move_down(q, &q->slots[level][slot]);
      fired += fire(q, &q->due);
    }
  }
  if (target > q->elapsed) q->elapsed = target;
  return fired;
}

uint64_t la_timer_queue_next(const la_timer_queue *q) {
  int level;
  unsigned slot;
  uint64_t start;
  if (!la_list_empty(&q->due)) return 0;
  if (!next_slot(q, &level, &slot, &start)) return LA_TIMER_NEVER;
  return start > LA_TIMER_NEVER / LA_TIMER_TICK_NS ? LA_TIMER_NEVER - 1 : start * LA_TIMER_TICK_NS;
}
