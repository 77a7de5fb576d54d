/*
** timer_queue.h - deadlines, each with a waker that is woken when it has passed.
**
** Times are nanoseconds of one monotonic clock, which the caller reads and
** hands in, so the queue itself never asks what time it is (a virtual clock is
** only another caller). A timer never fires before its deadline, and at most
** one tick (LA_TIMER_TICK_NS) after it. Insert and cancel are O(1); they cannot
** fail, since the node is the caller's. One thread.
*/
#ifndef LA_CORE_TIMER_QUEUE_H
#define LA_CORE_TIMER_QUEUE_H

#include <stdint.h>

#include "list.h"
#include "lua_async.h"

#define LA_TIMER_TICK_NS UINT64_C(1000000)
#define LA_TIMER_NEVER UINT64_MAX

/* now + ns, LA_TIMER_NEVER instead of an overflow. */
static inline uint64_t la_time_after(uint64_t now, uint64_t ns) {
  return ns >= LA_TIMER_NEVER - now ? LA_TIMER_NEVER : now + ns;
}

/* Owned by whoever waits. Zeroed, or after it has fired or was cancelled, it is
** idle. While it is in the queue it must not move. */
typedef struct la_timer {
  la_node node;
  uint64_t when;  /* deadline in ticks, rounded up */
  la_waker waker; /* owned while it is in the queue */
} la_timer;

/* A tick number has 45 bits at the most (2^64 ns in milliseconds), and eight
** levels of six bits hold any: no deadline is beyond the top level. */
enum { LA_TIMER_LEVELS = 8, LA_TIMER_SLOTS = 64 };

/* A hierarchical timing wheel: see timer_queue.c. It must not move. */
typedef struct la_timer_queue {
  uint64_t elapsed; /* the tick up to which everything has fired */
  size_t count;
  uint64_t occupied[LA_TIMER_LEVELS]; /* bit s: slot s of the level is not empty */
  la_list due;                        /* put in with a deadline that had passed */
  la_list never;                      /* put in with LA_TIMER_NEVER */
  la_list slots[LA_TIMER_LEVELS][LA_TIMER_SLOTS];
} la_timer_queue;

void la_timer_queue_init(la_timer_queue *q, uint64_t now_ns);

/* Puts an idle timer in; takes the waker over. A deadline that has passed fires
** at the next `advance`, also when a wake of the present one puts it in; one of
** LA_TIMER_NEVER does not fire. */
void la_timer_insert(la_timer_queue *q, la_timer *t, uint64_t deadline_ns, la_waker waker);

/* Takes it out, dropping its waker; nothing when it is idle. */
void la_timer_cancel(la_timer_queue *q, la_timer *t);

static inline int la_timer_idle(const la_timer *t) { return !la_node_linked(&t->node); }

/* Fires all timers whose deadline, rounded up to a tick, is not after now_ns, in
** the order of those ticks, those of one tick in the order they were put in. (A
** deadline that had passed when it was put in counts as the tick of the `advance`
** before it.) Each is idle by the time its waker is woken. Waking may insert timers,
** which wait for a later `advance`, and cancel any, which then do not fire. Returns
** how many fired. A clock that goes backwards is taken as standing still. */
unsigned la_timer_queue_advance(la_timer_queue *q, uint64_t now_ns);

/* A time at which `advance` is next worth calling: no timer fires before it;
** LA_TIMER_NEVER when none will, 0 when a timer in it is due already. It is
** exact within the nearest level of the queue (64 ticks) and for a timer that is alone
** in its slot; else it may be early, and `advance` at it brings the timers nearer. */
uint64_t la_timer_queue_next(const la_timer_queue *q);

/* How many timers are in it. */
size_t la_timer_queue_count(const la_timer_queue *q);

#endif
