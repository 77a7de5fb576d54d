#include "sync/notify.h"

enum { ALL, ONE }; /* which of the two a waiter got: its `count` */

void la_notify_init(la_notify *n) {
  n->kept = n->closed = false;
  la_list_init(&n->line);
}

void la_notify_one(la_notify *n) {
  if (la_list_empty(&n->line)) {
    n->kept = true;
    return;
  }
  la_queued *q = la_container(n->line.head.next, la_queued, node);
  q->count = ONE;
  la_queued_wake(q, LA_QUEUED_GRANTED);
}

void la_notify_all(la_notify *n) { la_queued_wake_all(&n->line, LA_QUEUED_GRANTED); }

void la_notify_close(la_notify *n) {
  n->closed = true;
  la_queued_wake_all(&n->line, LA_QUEUED_REFUSED);
}

/* ---- notified -----------------------------------------------------------------*/

static la_notified *notified_of(la_future *f) {
  return la_container(la_queued_of(f), la_notified, q);
}

static la_poll first_poll(la_notified *w, la_context *cx) {
  la_notify *n = w->n;
  if (!n->kept && !n->closed) {
    la_queued_wait(&w->q, &n->line, cx);
    return LA_PENDING;
  }
  if (!la_budget_take(cx)) return LA_PENDING;
  w->q.count = ONE;
  w->q.state = la_notify_try(n) ? LA_QUEUED_HELD : LA_QUEUED_REFUSED;
  return LA_READY;
}

static la_poll notified_poll(la_future *f, la_context *cx) {
  la_notified *w = notified_of(f);
  if (w->q.state == LA_QUEUED_NEW) return first_poll(w, cx);
  if (w->q.state == LA_QUEUED_WAITING) {
    la_kept_set(&w->q.kept, cx);
    return LA_PENDING;
  }
  if (!la_budget_take(cx)) return LA_PENDING;
  if (w->q.state == LA_QUEUED_GRANTED) w->q.state = LA_QUEUED_HELD;
  return LA_READY;
}

static void notified_drop(la_future *f) {
  la_notified *w = notified_of(f);
  bool has = w->q.state == LA_QUEUED_GRANTED || w->q.state == LA_QUEUED_HELD;
  la_queued_leave(&w->q);
  if (has && w->q.count == ONE) la_notify_one(w->n);
}

bool la_notified_take(la_notified *w) {
  if (w->q.state != LA_QUEUED_HELD) return false;
  w->q.state = LA_QUEUED_TAKEN;
  return true;
}

static const la_future_vtable notified_vtable = {notified_poll, notified_drop, "notify.wait", NULL};

void la_notified_init(la_notified *w, la_notify *n) {
  la_queued_init(&w->q, &notified_vtable, ALL);
  w->n = n;
}
