/*
** kept_waker.h - the place where a future that waits keeps the waker of who polled it last.
**
** Empty (zeroed), or the owner of one waker. Owner thread.
*/
#ifndef LA_CORE_KEPT_WAKER_H
#define LA_CORE_KEPT_WAKER_H

#include <stdbool.h>

#include "lua_async.h"

typedef struct la_kept_waker {
  la_waker waker; /* vt is NULL when empty */
} la_kept_waker;

static inline bool la_kept_holds(const la_kept_waker *k) { return k->waker.vt != NULL; }

/* Who polls with `cx` is woken from now on. */
static inline void la_kept_set(la_kept_waker *k, const la_context *cx) {
  if (la_kept_holds(k)) {
    if (la_waker_will_wake(&k->waker, cx->waker)) return;
    la_waker_drop(k->waker);
  }
  k->waker = la_waker_clone(cx->waker);
}

/* Takes the waker out; false when it was empty. */
static inline bool la_kept_take(la_kept_waker *k, la_waker *out) {
  if (!la_kept_holds(k)) return false;
  *out = k->waker;
  k->waker.vt = NULL;
  return true;
}

static inline void la_kept_wake(la_kept_waker *k) {
  la_waker w;
  if (la_kept_take(k, &w)) la_waker_wake(w);
}

static inline void la_kept_drop(la_kept_waker *k) {
  la_waker w;
  if (la_kept_take(k, &w)) la_waker_drop(w);
}

#endif
