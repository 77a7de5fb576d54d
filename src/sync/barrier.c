#include "sync/barrier.h"

void la_barrier_init(la_barrier *b, uint32_t n) {
  b->n = n;
  b->arrived = 0;
  b->closed = false;
  la_list_init(&b->line);
}

static void let_go(la_barrier *b, la_queued_state state) {
  b->arrived = 0;
  la_queued_wake_all(&b->line, state);
}

void la_barrier_close(la_barrier *b) {
  b->closed = true;
  let_go(b, LA_QUEUED_REFUSED);
}

/* ---- arrival ------------------------------------------------------------------*/

static la_arrival *arrival_of(la_future *f) { return la_container(la_queued_of(f), la_arrival, q); }

static la_poll first_poll(la_arrival *a, la_context *cx) {
  la_barrier *b = a->b;
  if (!b->closed && b->arrived + 1 < b->n) {
    b->arrived++;
    la_queued_wait(&a->q, &b->line, cx);
    return LA_PENDING;
  }
  if (!la_budget_take(cx)) return LA_PENDING;
  if (b->closed) {
    a->q.state = LA_QUEUED_REFUSED;
    return LA_READY;
  }
  let_go(b, LA_QUEUED_GRANTED);
  a->q.state = LA_QUEUED_GRANTED;
  a->q.count = 1;
  return LA_READY;
}

static la_poll arrival_poll(la_future *f, la_context *cx) {
  la_arrival *a = arrival_of(f);
  if (a->q.state == LA_QUEUED_NEW) return first_poll(a, cx);
  if (a->q.state == LA_QUEUED_WAITING) {
    la_kept_set(&a->q.kept, cx);
    return LA_PENDING;
  }
  return la_budget_take(cx) ? LA_READY : LA_PENDING;
}

static void arrival_drop(la_future *f) {
  la_arrival *a = arrival_of(f);
  if (a->q.state == LA_QUEUED_WAITING) a->b->arrived--;
  la_queued_leave(&a->q);
}

static const la_future_vtable arrival_vtable = {arrival_poll, arrival_drop, "barrier.wait", NULL};

void la_arrival_init(la_arrival *a, la_barrier *b) {
  la_queued_init(&a->q, &arrival_vtable, 0);
  a->b = b;
}
