#include "sync/broadcast.h"

void la_broadcast_init(la_broadcast *b, uint32_t capacity) {
  *b = (la_broadcast){.capacity = capacity};
  la_list_init(&b->line);
}

/* Whoever is woken looks again. */
static void wake_all(la_broadcast *b) { la_queued_wake_all(&b->line, LA_QUEUED_NEW); }

void la_broadcast_send(la_broadcast *b) {
  b->sent++;
  wake_all(b);
}

void la_broadcast_close(la_broadcast *b) {
  b->closed = true;
  wake_all(b);
}

void la_broadcast_subscribe(la_broadcast *b, la_broadcast_rx *rx) {
  *rx = (la_broadcast_rx){.b = b, .next = b->sent};
  b->receivers++;
}

void la_broadcast_unsubscribe(la_broadcast_rx *rx) {
  rx->closed = true;
  rx->b->receivers--;
  wake_all(rx->b);
}

/* ---- received -----------------------------------------------------------------*/

static la_received *received_of(la_future *f) {
  return la_container(la_queued_of(f), la_received, q);
}

static la_poll received_poll(la_future *f, la_context *cx) {
  la_received *r = received_of(f);
  la_broadcast_rx *rx = r->rx;
  bool has = rx->next != rx->b->sent && !rx->closed;
  if (has || rx->b->closed || rx->closed) {
    if (!la_budget_take(cx)) return LA_PENDING;
    r->q.state = has ? LA_QUEUED_HELD : LA_QUEUED_REFUSED;
    if (has) r->at = rx->next++;
    return LA_READY;
  }
  if (r->q.state == LA_QUEUED_NEW)
    la_queued_wait(&r->q, &rx->b->line, cx);
  else
    la_kept_set(&r->q.kept, cx);
  return LA_PENDING;
}

static void received_drop(la_future *f) {
  la_received *r = received_of(f);
  la_queued_leave(&r->q);
  if (r->q.state == LA_QUEUED_HELD && r->rx->next == r->at + 1) r->rx->next = r->at;
}

bool la_received_take(la_received *r) {
  if (r->q.state != LA_QUEUED_HELD) return false;
  r->q.state = LA_QUEUED_TAKEN;
  return true;
}

static const la_future_vtable received_vtable = {received_poll, received_drop, "broadcast.recv",
                                                 NULL};

void la_received_init(la_received *r, la_broadcast_rx *rx) {
  la_queued_init(&r->q, &received_vtable, 0);
  r->rx = rx;
  r->at = 0;
}
