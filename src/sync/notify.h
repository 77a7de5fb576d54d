/*
** notify.h - wakes one who waits, or all of them.
**
** la_notify_one wakes the first in line; when nobody waits it is kept for the next who comes,
** once, however often it was called. A waiter that is dropped after it was chosen passes that
** on, to the next in line or to be kept. la_notify_all wakes those who wait now, and is not
** kept. Owner thread.
**
** The semantics are tokio's Notify.
*/
#ifndef LA_SYNC_NOTIFY_H
#define LA_SYNC_NOTIFY_H

#include "sync/queue.h"

typedef struct la_notify {
  bool kept;
  bool closed;
  la_list line;
} la_notify;

void la_notify_init(la_notify *n);
void la_notify_one(la_notify *n);
void la_notify_all(la_notify *n);

/* Takes one that was kept. */
static inline bool la_notify_try(la_notify *n) {
  bool kept = n->kept;
  n->kept = false;
  return kept;
}

/* Whoever waits is refused, now and from now on. */
void la_notify_close(la_notify *n);

/* ---- notified: a future that is ready when it was notified, or refused --------*/

typedef struct la_notified {
  la_queued q; /* count: 1 when what it got is to be passed on at a drop */
  la_notify *n;
} la_notified;

void la_notified_init(la_notified *w, la_notify *n);

/* After ready: it has come to its end, and passes nothing on; false when refused. */
bool la_notified_take(la_notified *w);

#endif
