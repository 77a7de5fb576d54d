#include "sync/batch.h"

#include <stdlib.h>

/* The future that waits for the next message, made if there is none; NULL: no memory. */
static la_future *next(la_batch *b) {
  if (b->made > b->held) return b->futures[b->held];
  if (b->made == b->room) {
    size_t room = b->room == 0 ? 4 : b->room * 2;
    la_future **futures = realloc(b->futures, room * sizeof(la_future *));
    if (futures == NULL) return NULL;
    b->futures = futures;
    b->room = room;
  }
  la_future *f = b->kind->make(b->end, b->held != 0);
  if (f != NULL) b->futures[b->made++] = f;
  return f;
}

/* Some are held, and no other is there: whether the time for more is over. Past a deadline
** there is none. */
static la_poll linger(la_batch *b, la_context *cx) {
  if (b->wait == 0 || b->sleep.ex->trying) return LA_READY;
  if (b->wait == LA_TIMER_NEVER) return LA_PENDING;
  if (!b->sleeps) {
    uint64_t now = la_executor_now(b->sleep.ex);
    la_sleep_init(&b->sleep, b->sleep.ex, now + b->wait < now ? LA_TIMER_NEVER : now + b->wait);
    b->sleeps = true;
  }
  return la_future_poll(&b->sleep.base, cx);
}

static la_poll batch_poll(la_future *f, la_context *cx) {
  la_batch *b = la_batch_of(f);
  while (b->held < b->max) {
    la_future *one = next(b);
    if (one == NULL) return LA_READY;
    if (la_future_poll(one, cx) == LA_PENDING) return b->held == 0 ? LA_PENDING : linger(b, cx);
    if (!b->kind->granted(one)) return LA_READY;
    b->held++;
  }
  return LA_READY;
}

static void batch_drop(la_future *f) {
  la_batch *b = la_batch_of(f);
  for (size_t i = 0; i < b->made; i++) {
    la_future_drop(b->futures[i]);
    free(b->futures[i]);
  }
  if (b->sleeps) la_future_drop(&b->sleep.base);
  free(b->futures);
  free(b);
}

static const la_future_vtable batch_vtable = {batch_poll, batch_drop, "channel.recv_many", NULL};

la_batch *la_batch_new(const la_batch_kind *kind, void *end, size_t max, uint64_t wait,
                       la_executor *ex) {
  la_batch *b = malloc(sizeof *b);
  if (b == NULL) return NULL;
  *b = (la_batch){.base = {&batch_vtable}, .kind = kind, .end = end, .max = max, .wait = wait};
  b->sleep.ex = ex;
  return b;
}
