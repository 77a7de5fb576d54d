/*
** watch.h - a value that changes, less the value: who has seen which version of it.
**
** Receivers wait for a version that they have not seen, and see the newest. Owner thread.
** After tokio's watch.
*/
#ifndef LA_SYNC_WATCH_H
#define LA_SYNC_WATCH_H

#include <stdint.h>

#include "sync/queue.h"

typedef struct la_watch {
  uint64_t version;   /* of the newest value; the first is 1 */
  uint32_t receivers; /* those that are open */
  bool closed;        /* there will be no other version */
  la_list lines;      /* of receivers where somebody may wait */
} la_watch;

typedef struct la_watch_rx {
  la_watch *watch; /* it outlives the receiver */
  uint64_t seen;
  la_queued_line waiting;
  bool closed;
} la_watch_rx;

void la_watch_init(la_watch *w);

/* There is a new version. */
void la_watch_publish(la_watch *w);

/* No more versions: who waits is woken. */
void la_watch_close(la_watch *w);

/* A receiver that has seen `seen` (the newest version, or what another has seen). */
void la_watch_subscribe(la_watch *w, la_watch_rx *rx, uint64_t seen);
void la_watch_unsubscribe(la_watch_rx *rx);

static inline bool la_watch_changed(const la_watch_rx *rx) {
  return rx->seen != rx->watch->version;
}

/* ---- changed: ready when there is a version unseen, or none will come -----------*/

typedef struct la_changed {
  la_queued q;
  la_watch_rx *rx;
} la_changed;

void la_changed_init(la_changed *c, la_watch_rx *rx);

#endif
