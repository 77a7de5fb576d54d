/*
** waiter.h - the place where an outside event finds the waker of who waits for it.
**
** A kept waker (core/kept_waker.h) that the reactor counts while it holds one: see
** `waiting` in reactor.h.
*/
#ifndef LA_DRIVER_WAITER_H
#define LA_DRIVER_WAITER_H

#include "core/kept_waker.h"
#include "driver/reactor.h"

typedef struct la_waiter {
  la_kept_waker kept;
} la_waiter;

static inline bool la_waiter_holds(const la_waiter *w) { return la_kept_holds(&w->kept); }

static inline void la_waiter_set(la_waiter *w, la_reactor *r, const la_context *cx) {
  if (!la_waiter_holds(w)) r->waiting++;
  la_kept_set(&w->kept, cx);
}

/* Takes the waker out; false when it was empty. */
static inline bool la_waiter_take(la_waiter *w, la_reactor *r, la_waker *out) {
  if (!la_kept_take(&w->kept, out)) return false;
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
