#include "core/future.h"

static la_waker noop_clone(void *data) {
  (void)data;
  return la_waker_noop;
}

static void noop(void *data) { (void)data; }

static const la_waker_vtable noop_vtable = {noop_clone, noop, noop, noop};
const la_waker la_waker_noop = {NULL, &noop_vtable};

static void drop_nothing(la_future *f) { (void)f; }

static la_poll ready_poll(la_future *f, la_context *cx) {
  (void)f;
  (void)cx;
  return LA_READY;
}

static la_poll pending_poll(la_future *f, la_context *cx) {
  (void)f;
  (void)cx;
  return LA_PENDING;
}

static const la_future_vtable ready_vtable = {ready_poll, drop_nothing, "ready", NULL};
static const la_future_vtable pending_vtable = {pending_poll, drop_nothing, "pending", NULL};
static const la_future_vtable yielded_vtable = {ready_poll, drop_nothing, "yield", NULL};
la_future la_ready = {&ready_vtable}, la_pending = {&pending_vtable};
la_future la_yielded = {&yielded_vtable};

static la_poll yield_poll(la_future *f, la_context *cx) {
  la_yield *y = (la_yield *)(void *)f;
  if (y->polls == 0) return LA_READY;
  y->polls--;
  la_waker_wake_by_ref(cx->waker);
  return LA_PENDING;
}

static const la_future_vtable yield_vtable = {yield_poll, drop_nothing, "yield", NULL};

void la_yield_init(la_yield *y, unsigned polls) {
  *y = (la_yield){.base = {&yield_vtable}, .polls = polls};
}
