/*
** barrier.h - n of them wait for one another; the last to come is the leader, and lets all go.
**
** It can be used again at once: who comes after the last waits for the next n. One that is
** dropped while it waits has not come. Owner thread.
*/
#ifndef LA_SYNC_BARRIER_H
#define LA_SYNC_BARRIER_H

#include <stdint.h>

#include "sync/queue.h"

typedef struct la_barrier {
  uint32_t n;       /* at least 1 */
  uint32_t arrived; /* in line */
  bool closed;
  la_list line;
} la_barrier;

void la_barrier_init(la_barrier *b, uint32_t n);

/* Whoever waits is refused, now and from now on. */
void la_barrier_close(la_barrier *b);

typedef struct la_arrival {
  la_queued q; /* count: 1 for the leader */
  la_barrier *b;
} la_arrival;

void la_arrival_init(la_arrival *a, la_barrier *b);

/* After ready. */
static inline bool la_arrival_refused(const la_arrival *a) {
  return a->q.state == LA_QUEUED_REFUSED;
}
static inline bool la_arrival_leads(const la_arrival *a) { return a->q.count != 0; }

#endif
