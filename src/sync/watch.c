#include "sync/watch.h"

void la_watch_init(la_watch *w) {
  *w = (la_watch){.version = 1};
  la_list_init(&w->lines);
}

/* Whoever is woken looks again. */
static void wake_all(la_watch *w) { la_queued_lines_wake(&w->lines, LA_QUEUED_NEW); }

void la_watch_publish(la_watch *w) {
  w->version++;
  wake_all(w);
}

void la_watch_close(la_watch *w) {
  w->closed = true;
  wake_all(w);
}

void la_watch_subscribe(la_watch *w, la_watch_rx *rx, uint64_t seen) {
  *rx = (la_watch_rx){.watch = w, .seen = seen};
  la_queued_line_init(&rx->waiting);
  w->receivers++;
}

void la_watch_unsubscribe(la_watch_rx *rx) {
  rx->closed = true;
  rx->watch->receivers--;
  la_queued_line_wake(&rx->waiting, LA_QUEUED_NEW);
}

/* ---- changed ------------------------------------------------------------------*/

static la_changed *changed_of(la_future *f) { return la_container(la_queued_of(f), la_changed, q); }

static la_poll changed_poll(la_future *f, la_context *cx) {
  la_changed *c = changed_of(f);
  la_watch *w = c->rx->watch;
  if (la_watch_changed(c->rx) || w->closed || c->rx->closed)
    return la_budget_take(cx) ? LA_READY : LA_PENDING;
  if (c->q.state == LA_QUEUED_NEW)
    la_queued_line_wait(&c->rx->waiting, &w->lines, &c->q, cx);
  else
    la_kept_set(&c->q.kept, cx);
  return LA_PENDING;
}

static void changed_drop(la_future *f) { la_queued_leave(&changed_of(f)->q); }

static const la_future_vtable changed_vtable = {changed_poll, changed_drop, "watch.changed", NULL};

void la_changed_init(la_changed *c, la_watch_rx *rx) {
  la_queued_init(&c->q, &changed_vtable, 0);
  c->rx = rx;
}
