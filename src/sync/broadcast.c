#include "sync/broadcast.h"

void la_broadcast_init(la_broadcast *b, uint32_t capacity) {
  *b = (la_broadcast){.capacity = capacity};
  la_list_init(&b->lines);
}

/* Whoever is woken looks again. */
static void wake_all(la_broadcast *b) { la_queued_lines_wake(&b->lines, LA_QUEUED_NEW); }

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
  la_list_init(&rx->held);
  la_queued_line_init(&rx->waiting);
  b->receivers++;
}

void la_broadcast_unsubscribe(la_broadcast_rx *rx) {
  rx->closed = true;
  rx->b->receivers--;
  la_queued_line_wake(&rx->waiting, LA_QUEUED_NEW);
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
    if (has) {
      r->at = rx->next++;
      la_list_push(&rx->held, &r->q.node);
    }
    return LA_READY;
  }
  if (r->q.state == LA_QUEUED_NEW)
    la_queued_line_wait(&rx->waiting, &rx->b->lines, &r->q, cx);
  else
    la_kept_set(&r->q.kept, cx);
  return LA_PENDING;
}

/* What is given back goes to those behind it, each of which gives its own on, so that the one
** which nobody has is the last. Only if a later one was taken already it cannot come again. */
static void give_back(la_received *r) {
  la_broadcast_rx *rx = r->rx;
  uint64_t at = r->at;
  for (la_node *n = r->q.node.next; n != &rx->held.head; n = n->next) {
    la_received *later = la_container(la_container(n, la_queued, node), la_received, q);
    uint64_t own = later->at;
    later->at = at;
    at = own;
  }
  if (rx->next == at + 1)
    rx->next = at;
  else
    rx->skipped++;
}

static void received_drop(la_future *f) {
  la_received *r = received_of(f);
  if (r->q.state == LA_QUEUED_HELD) give_back(r);
  la_queued_leave(&r->q);
}

bool la_received_take(la_received *r) {
  if (r->q.state != LA_QUEUED_HELD) return false;
  r->q.state = LA_QUEUED_TAKEN;
  la_node_unlink(&r->q.node);
  return true;
}

static const la_future_vtable received_vtable = {received_poll, received_drop, "broadcast.recv",
                                                 NULL};

void la_received_init(la_received *r, la_broadcast_rx *rx) {
  la_queued_init(&r->q, &received_vtable, 0);
  r->rx = rx;
  r->at = 0;
}
