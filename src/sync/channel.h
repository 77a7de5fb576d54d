/*
** channel.h - a bounded queue between tasks, less its values: who may send, who may receive.
**
** Two semaphores: `space` for senders, `items` for receivers. A sender acquires one of space;
** then, and only then, its owner puts the value, and la_channel_put releases one of items. A
** receiver acquires one of items, its owner takes the value, and la_channel_take releases one
** of space. So one that is cancelled has sent, or taken, nothing. Values are the owner's, in a
** ring whose slots are counted here.
**
** Capacity 0 is a rendezvous: there is no space, but each receiver that waits lends one, and
** takes it back when it gives up: from those that are free, from a sender who was granted it
** and has not been polled since, or, when the sender is past that, from the next that comes
** back (`debt`).
**
** Ends: when the last sender is closed, receivers get what is there and are refused then (who
** waits while the last values are granted to others waits on: one of those may give up). When
** the last receiver is closed, senders are refused. Owner thread.
*/
#ifndef LA_SYNC_CHANNEL_H
#define LA_SYNC_CHANNEL_H

#include "sync/semaphore.h"

/* As capacity: no limit but LA_SEMAPHORE_MAX. */
#define LA_CHANNEL_UNBOUNDED LA_SEMAPHORE_MAX

typedef struct la_channel {
  la_semaphore space, items;
  uint32_t capacity;
  uint32_t senders, receivers; /* those that are open */
  uint32_t debt;               /* loans to take back; capacity 0 */
  uint32_t head, count, size;  /* the ring: oldest value, how many, slots */
} la_channel;

/* One sender and one receiver; the ring has no slots. */
void la_channel_init(la_channel *c, uint32_t capacity);
void la_channel_end(la_channel *c);

/* A sender, or receiver, closes. Operations that were made for it and wait are refused. */
void la_channel_close_sender(la_channel *c, const void *sender);
void la_channel_close_receiver(la_channel *c, const void *receiver);

/* ---- futures ------------------------------------------------------------------*/

/* Ready: there is room for a value, or it was refused. */
void la_channel_send_init(la_acquire *a, la_channel *c, const void *sender);

/* Ready: there is a value, or it was refused. */
void la_channel_recv_init(la_acquire *a, la_channel *c, const void *receiver);

/* The same for one of a batch, others of which hold values: it is refused once no sender is left,
** though a value might be given back. */
void la_channel_recv_more_init(la_acquire *a, la_channel *c, const void *receiver);

/* ---- the ring -----------------------------------------------------------------*/

/* There is no slot free: the owner makes room first. */
static inline bool la_channel_full(const la_channel *c) { return c->count == c->size; }

/* The next free slot, from 0. */
static inline uint32_t la_channel_slot(const la_channel *c) {
  uint32_t i = c->head + c->count;
  return i >= c->size ? i - c->size : i;
}

/* Puts back what a loan is due, after anything that gave space back. */
void la_channel_settle(la_channel *c);

/* The value is in la_channel_slot; a permit of space has been taken for it. With a debt and
** nobody in line, that permit was the loan of one who gave up: it stays, as an item. */
static inline void la_channel_put(la_channel *c) {
  c->count++;
  if (c->debt != 0 && la_list_empty(&c->items.line)) c->debt--;
  la_semaphore_release(&c->items, 1);
  if (c->debt != 0) la_channel_settle(c);
}

/* Takes the value out of the slot that is returned; a permit of items has been taken. */
static inline uint32_t la_channel_take(la_channel *c) {
  uint32_t i = c->head;
  c->head = i + 1 == c->size ? 0 : i + 1;
  c->count--;
  if (c->capacity != 0) la_semaphore_release(&c->space, 1);
  if (c->count == 0 && c->senders == 0) la_semaphore_close(&c->items);
  return i;
}

#endif
