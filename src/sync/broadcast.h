/*
** broadcast.h - every receiver gets every message, less the messages: where each of them is.
**
** The newest `capacity` messages are kept. A sender never waits: a receiver that is further
** behind has lost the others, and is told how many. A message is claimed when the future is
** ready; one that is dropped then, without its output having been taken, gives it back unless
** a later one was claimed meanwhile. Owner thread. After tokio's broadcast.
*/
#ifndef LA_SYNC_BROADCAST_H
#define LA_SYNC_BROADCAST_H

#include <stdint.h>

#include "sync/queue.h"

typedef struct la_broadcast {
  uint64_t sent; /* messages so far; message i is in slot i % capacity */
  uint32_t capacity, receivers;
  bool closed;   /* there will be no other message */
  la_list lines; /* of receivers where somebody may wait */
} la_broadcast;

typedef struct la_broadcast_rx {
  la_broadcast *b;  /* it outlives the receiver */
  uint64_t next;    /* the message that it gets next */
  uint64_t skipped; /* messages given back behind one that was taken: lost, and to be told */
  la_list held;     /* la_receiveds that are ready and not taken, in the order of their messages */
  la_queued_line waiting;
  bool closed;
} la_broadcast_rx;

void la_broadcast_init(la_broadcast *b, uint32_t capacity);

/* The message is in slot sent % capacity. */
void la_broadcast_send(la_broadcast *b);

/* No more messages: who waits is woken. */
void la_broadcast_close(la_broadcast *b);

/* It gets what is sent from now on. */
void la_broadcast_subscribe(la_broadcast *b, la_broadcast_rx *rx);
void la_broadcast_unsubscribe(la_broadcast_rx *rx);

/* How many messages before `next` are not kept any more. */
static inline uint64_t la_broadcast_lost(const la_broadcast *b, uint64_t next) {
  return b->sent - next > b->capacity ? b->sent - next - b->capacity : 0;
}

/* ---- received: ready when there is a message, or none will come -----------------*/

typedef struct la_received {
  la_queued q; /* HELD: a message is claimed, in line in rx->held; REFUSED: there is none */
  la_broadcast_rx *rx;
  uint64_t at; /* the message, until the take: it moves when one before it is given back */
} la_received;

void la_received_init(la_received *r, la_broadcast_rx *rx);

/* After ready: `at` is this future's for good. It may be lost by now. */
bool la_received_take(la_received *r);

#endif
