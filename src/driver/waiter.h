/*
** waiter.h - the place where an outside event finds the waker of who waits for it.
**
** Empty (zeroed) or holding one waker, which it owns. While it holds one, the
** reactor counts it: see `waiting` in reactor.h. Owner thread.
*/
#ifndef LA_DRIVER_WAITER_H
#define LA_DRIVER_WAITER_H

#include "driver/reactor.h"

typedef struct la_waiter {
  la_waker waker; /* vt is NULL when empty */
} la_waiter;

static inline bool la_waiter_holds(const la_waiter *w) { return w->waker.vt != NULL; }

/* Keeps a clone of the context's waker, unless it holds one that wakes the same task. */
static inline void la_waiter_set(la_waiter *w, la_reactor *r, const la_context *cx) {
  if (!la_waiter_holds(w))
    r->waiting++;
  else if (la_waker_will_wake(&w->waker, cx->waker))
    return;
  else
    la_waker_drop(w->waker);
  w->waker = la_waker_clone(cx->waker);
}

/* Takes the waker out; false when it was empty. */
static inline bool la_waiter_take(la_waiter *w, la_reactor *r, la_waker *out) {
  if (!la_waiter_holds(w)) return false;
  *out = w->waker;
  w->waker.vt = NULL;
  r->waiting--;
  return true;
}

static inline void la_waiter_wake(la_waiter *w, la_reactor *r) {
  la_waker waker;
  if (la_waiter_take(w, r, &waker)) la_waker_wake(waker);
}

static inline void la_waiter_clear(la_waiter *w, la_reactor *r) {
  la_waker waker;
  if (la_waiter_take(w, r, &waker)) la_waker_drop(waker);
}

#endif
