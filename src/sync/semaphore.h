/*
** semaphore.h - permits, and those who wait for some of them, first come, first served.
**
** A release serves the line before anyone else: permits are granted to the first in it, as
** many as it asked for, before its task has run, so that nobody who comes meanwhile takes
** them. A large request at the head is not overtaken by small ones behind it. A waiter that is
** dropped passes on what it was granted; one that leaves the head lets those behind it go.
** Nothing is allocated and nothing fails. Owner thread.
**
** After tokio's batch semaphore, which all of its locks and its bounded channel stand on.
*/
#ifndef LA_SYNC_SEMAPHORE_H
#define LA_SYNC_SEMAPHORE_H

#include <stdint.h>

#include "sync/queue.h"

/* The most permits that there can be: sums do not overflow. */
#define LA_SEMAPHORE_MAX (UINT32_MAX / 2)

typedef struct la_semaphore {
  uint32_t permits; /* free ones; with a line, fewer than its head wants */
  bool closed;
  la_list line;    /* la_acquire, WAITING */
  la_list granted; /* GRANTED or HELD, oldest first */
} la_semaphore;

void la_semaphore_init(la_semaphore *s, uint32_t permits);

/* n permits more; the caller sees to it that there are at most LA_SEMAPHORE_MAX. */
void la_semaphore_release(la_semaphore *s, uint32_t n);

/* n of them could be had at once. */
static inline bool la_semaphore_can(const la_semaphore *s, uint32_t n) {
  return s->permits >= n && la_list_empty(&s->line);
}

/* Takes n of them, if it can at once; also from a closed one. */
static inline bool la_semaphore_try(la_semaphore *s, uint32_t n) {
  if (!la_semaphore_can(s, n)) return false;
  s->permits -= n;
  return true;
}

/* Those who wait and were made for `owner` (NULL: all) are refused; returns how many. What
** was granted stays so. */
unsigned la_semaphore_refuse(la_semaphore *s, const void *owner);

/* The same for those that have this vtable. */
unsigned la_semaphore_refuse_kind(la_semaphore *s, const la_future_vtable *vt);

/* Nobody waits any more: whoever does is refused, now and from now on. */
void la_semaphore_close(la_semaphore *s);

/* Takes the newest grant whose future was not polled since back, and puts the future first in
** line again. The permits are the caller's. False when there is none. For grants of 1. */
bool la_semaphore_revoke(la_semaphore *s);

/* The semaphore goes. Futures that may be dropped after it (a finish that raised, whose frame
** is gone) forget it. */
void la_semaphore_end(la_semaphore *s);

/* ---- acquire: a future that has permits when it is ready ---------------------*/

/* Ready, it is HELD or REFUSED. Dropped while HELD it gives the permits back. */
typedef struct la_acquire {
  la_queued q;       /* count: how many it wants */
  la_semaphore *s;   /* NULL when that has gone */
  const void *owner; /* for la_semaphore_refuse */
} la_acquire;

void la_acquire_init(la_acquire *a, la_semaphore *s, uint32_t n, const void *owner);

/* After ready: the permits are the caller's; false when it was refused. */
bool la_acquire_take(la_acquire *a);

/* For those who give the same future another name. */
la_poll la_acquire_poll(la_future *f, la_context *cx);
void la_acquire_drop(la_future *f);

static inline la_acquire *la_acquire_of(la_future *f) {
  return la_container(la_queued_of(f), la_acquire, q);
}

#endif
