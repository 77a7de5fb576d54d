/*
** A hierarchical timing wheel: Varghese & Lauck, "Hashed and Hierarchical Timing
** Wheels", SOSP 1987, scheme 7, in the form of tokio's runtime/time/wheel.
**
** Write `when` and `elapsed` in base 64. A timer lies at the level of the highest
** digit in which they differ, in the slot of that digit of `when`. So
**
** - a slot of level n is 64^n ticks, and one of level 0 is a single tick;
** - what lies at a level is earlier than all that lies at those above it, and no
**   slot wraps around: the earliest is the lowest bit of the lowest level;
** - where a timer lies follows from `when` and `elapsed` alone. `elapsed` never
**   passes the start of an occupied slot without emptying it (cascading it to the
**   levels below), which keeps that true. Timers of one tick are therefore in one
**   list at all times, and lists move in order: first in, first fired.
**
** tokio has six levels and folds what is beyond two years into the sixth. Two more,
** 2 KB, make the statements above hold without exception.
**
** bench/core/timer_queue.c measures it against a 4-ary heap.
*/
#include "core/timer_queue.h"

enum { DIGIT_BITS = 6, DIGIT_MASK = LA_TIMER_SLOTS - 1 };

/* The last tick that a clock of 64 bits can reach. Later deadlines, of the last
** half millisecond in 584 years, are of this tick, lest they never come. */
#define LAST_TICK (UINT64_MAX / LA_TIMER_TICK_NS)

_Static_assert(LA_TIMER_SLOTS == 1 << DIGIT_BITS, "a slot for each digit, a bit for each slot");
_Static_assert(LAST_TICK >> (LA_TIMER_LEVELS * DIGIT_BITS) == 0, "a level for each digit");

static uint64_t tick_at(uint64_t ns) { return ns / LA_TIMER_TICK_NS; }

static uint64_t tick_after(uint64_t ns) {
  uint64_t tick = ns / LA_TIMER_TICK_NS + (ns % LA_TIMER_TICK_NS != 0);
  return tick < LAST_TICK ? tick : LAST_TICK;
}

/* ---- slots --------------------------------------------------------------------*/

typedef struct place {
  unsigned level, index;
} place;

/* Where a timer that is not due lies. */
static place place_of(const la_timer_queue *q, uint64_t when) {
  unsigned bit = 63 - (unsigned)__builtin_clzll(when ^ q->elapsed);
  unsigned level = bit / DIGIT_BITS;
  return (place){level, (unsigned)(when >> (level * DIGIT_BITS)) & DIGIT_MASK};
}

/* The earliest occupied slot; false when there is none. */
static bool first_place(const la_timer_queue *q, place *p) {
  for (unsigned level = 0; level < LA_TIMER_LEVELS; level++) {
    if (q->occupied[level] == 0) continue;
    *p = (place){level, (unsigned)__builtin_ctzll(q->occupied[level])};
    return true;
  }
  return false;
}

/* The first tick of a slot: its own digit, below those it shares with `elapsed`. */
static uint64_t start_of(const la_timer_queue *q, place p) {
  unsigned shift = p.level * DIGIT_BITS;
  return ((q->elapsed >> shift & ~(uint64_t)DIGIT_MASK) | p.index) << shift;
}

static void put(la_timer_queue *q, la_timer *t) {
  if (t->when <= q->elapsed) {
    la_list_push(&q->due, &t->node);
    return;
  }
  place p = place_of(q, t->when);
  q->occupied[p.level] |= UINT64_C(1) << p.index;
  la_list_push(&q->slots[p.level][p.index], &t->node);
}

static void mark_empty(la_timer_queue *q, place p) {
  q->occupied[p.level] &= ~(UINT64_C(1) << p.index);
}

/* ---- time passes ----------------------------------------------------------------*/

/* Moves all of `from` behind what is in `to`. */
static void append(la_list *to, la_list *from) {
  if (la_list_empty(from)) return;
  la_node *first = from->head.next, *last = from->head.prev;
  first->prev = to->head.prev;
  to->head.prev->next = first;
  last->next = &to->head;
  to->head.prev = last;
  la_list_init(from);
}

/* Puts each timer of a slot, whose start has come, nearer. The nodes are not unlinked
** one by one: the list they leave is reset as a whole, and so each is touched once. */
static void cascade(la_timer_queue *q, la_list *slot) {
  la_list old;
  la_list_take(&old, slot);
  for (la_node *n = old.head.next, *next; n != &old.head; n = next) {
    next = n->next;
    put(q, la_container(n, la_timer, node));
  }
}

/* Moves `elapsed` to `target`, and what is due by then to the due list, in order. */
static void collect(la_timer_queue *q, uint64_t target) {
  place p;
  while (first_place(q, &p) && start_of(q, p) <= target) {
    la_list *slot = &q->slots[p.level][p.index];
    q->elapsed = start_of(q, p);
    mark_empty(q, p);
    if (p.level == 0)
      append(&q->due, slot); /* all of it is of this tick */
    else
      cascade(q, slot);
  }
  q->elapsed = target;
}

/* All that is due is collected before the first wake, so that wakes find a queue
** that is at rest, and one that inserts a timer which is due at once cannot keep
** us here. What is still to fire stays linked, in a list no insert can reach, and
** can be cancelled. */
unsigned la_timer_queue_advance(la_timer_queue *q, uint64_t now_ns) {
  uint64_t target = tick_at(now_ns);
  if (target > q->elapsed) collect(q, target);
  la_list firing;
  la_node *n;
  unsigned fired = 0;
  la_list_take(&firing, &q->due);
  while ((n = la_list_pop(&firing)) != NULL) {
    q->count--;
    fired++;
    la_waker_wake(la_container(n, la_timer, node)->waker);
  }
  return fired;
}

/* A timer that is alone in its slot is looked at, so that a program that waits for
** one timer is not roused to cascade it. */
uint64_t la_timer_queue_next(const la_timer_queue *q) {
  if (!la_list_empty(&q->due)) return 0;
  place p;
  if (!first_place(q, &p)) return LA_TIMER_NEVER;
  const la_node *first = q->slots[p.level][p.index].head.next;
  bool alone = first->next == first->prev;
  uint64_t tick = alone ? la_container(first, la_timer, node)->when : start_of(q, p);
  return tick * LA_TIMER_TICK_NS;
}

/* ---- in and out -----------------------------------------------------------------*/

void la_timer_queue_init(la_timer_queue *q, uint64_t now_ns) {
  q->elapsed = tick_at(now_ns);
  q->count = 0;
  la_list_init(&q->due);
  la_list_init(&q->never);
  for (unsigned level = 0; level < LA_TIMER_LEVELS; level++) {
    q->occupied[level] = 0;
    for (unsigned i = 0; i < LA_TIMER_SLOTS; i++) la_list_init(&q->slots[level][i]);
  }
}

size_t la_timer_queue_count(const la_timer_queue *q) { return q->count; }

void la_timer_insert(la_timer_queue *q, la_timer *t, uint64_t deadline_ns, la_waker waker) {
  t->waker = waker;
  q->count++;
  if (deadline_ns == LA_TIMER_NEVER) {
    t->when = LA_TIMER_NEVER;
    la_list_push(&q->never, &t->node);
    return;
  }
  t->when = tick_after(deadline_ns);
  put(q, t);
}

void la_timer_cancel(la_timer_queue *q, la_timer *t) {
  if (la_timer_idle(t)) return;
  bool alone = t->node.next == t->node.prev; /* both are the list's head */
  la_node_unlink(&t->node);
  if (alone && t->when > q->elapsed && t->when != LA_TIMER_NEVER)
    mark_empty(q, place_of(q, t->when));
  q->count--;
  la_waker_drop(t->waker);
}
