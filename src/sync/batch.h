/*
** batch.h - a future of several receptions from one channel: at least one, then as many as come
** within a time after the first.
**
** It holds one future for each message. What those were granted they hold, and take when all is
** over; dropped, each gives back what it holds, in order. So a batch that is dropped has received
** nothing. Owner thread.
*/
#ifndef LA_SYNC_BATCH_H
#define LA_SYNC_BATCH_H

#include <stdbool.h>
#include <stddef.h>

#include "core/sleep.h"

typedef struct la_batch_kind {
  /* A future for one more message from `end`, in memory of its own that free() takes: NULL for want
  ** of it. `more`: others are held, so that one which could only get what is given back is of no
  ** use: it is refused once no sender is left. */
  la_future *(*make)(void *end, bool more);
  bool (*granted)(const la_future *f); /* of one that is ready; else it was refused */
} la_batch_kind;

typedef struct la_batch {
  la_future base;
  const la_batch_kind *kind;
  void *end;         /* of the channel: what it receives from */
  uint64_t wait;     /* nanoseconds after the first message; LA_TIMER_NEVER */
  size_t max, held;  /* the futures that hold a message come first */
  size_t made, room; /* of the futures; the one behind those that hold a message waits */
  la_future **futures;
  la_sleep sleep;
  bool sleeps;
} la_batch;

/* A batch of at most `max` messages. Its drop frees it. NULL: no memory. Ready with held == 0, the
** channel has ended, or there was no memory for the first future (made == 0). */
la_batch *la_batch_new(const la_batch_kind *kind, void *end, size_t max, uint64_t wait,
                       la_executor *ex);

static inline la_batch *la_batch_of(la_future *f) { return la_container(f, la_batch, base); }

#endif
