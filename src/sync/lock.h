/*
** lock.h - mutex, read-write lock and semaphore: permits that somebody is known to hold.
**
** A mutex is a lock with one permit; a read-write lock has LA_LOCK_WRITE of them, of which a
** reader takes one and a writer all: one line for both, so neither starves. A hold is what a
** guard has while it is locked; the lock lists them, so that whoever is about to wait for a
** lock that he holds himself can be told so. Owner thread.
*/
#ifndef LA_SYNC_LOCK_H
#define LA_SYNC_LOCK_H

#include "sync/semaphore.h"

enum { LA_LOCK_WRITE = 1 << 29 };

/* Who holds: a task, and within it one of the coroutines that run in it, since each may wait
** for the other. Never dereferenced. */
typedef struct la_holder {
  uint64_t task; /* its id; 0 for none */
  const void *coroutine;
} la_holder;

typedef struct la_lock {
  la_semaphore s;
  la_list holds;
  uint32_t permits; /* all there are: free, granted and held */
} la_lock;

typedef struct la_hold {
  la_node node;  /* in lock->holds while it holds */
  la_lock *lock; /* it outlives the hold */
  la_holder holder;
  uint32_t permits;
} la_hold;

void la_lock_init(la_lock *l, uint32_t permits);

/* n permits more. False, and nothing: there would be more than LA_SEMAPHORE_MAX. */
bool la_lock_add(la_lock *l, uint32_t n);

/* True when `who` holds some of it. */
bool la_lock_held_by(const la_lock *l, la_holder who);

/* Records that n permits, which were acquired, are held. */
void la_hold_begin(la_hold *h, la_lock *l, uint32_t n, la_holder who);

static inline bool la_hold_holds(const la_hold *h) { return la_node_linked(&h->node); }

/* Gives them back; false when it held nothing. */
bool la_hold_end(la_hold *h);

/* The permits are gone for good. */
bool la_hold_forget(la_hold *h);

#endif
