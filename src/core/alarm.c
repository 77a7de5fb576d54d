#include "core/alarm.h"

static la_alarm *at(la_node *n) { return la_container(n, la_alarm, node); }

static la_waker take(la_alarm *a) {
  la_waker w = a->waker;
  if (la_node_linked(&a->node)) la_node_unlink(&a->node);
  a->waker = (la_waker){0};
  return w;
}

static void forget(la_alarm *a) {
  la_waker w = take(a);
  if (w.vt != NULL) la_waker_drop(w);
}

static la_poll alarm_poll(la_future *f, la_context *cx) {
  la_alarm *a = la_container(f, la_alarm, base);
  forget(a);
  if (la_executor_real_time(a->ex) >= a->deadline) return LA_READY;
  a->waker = la_waker_clone(cx->waker);
  la_list_push(&a->ex->alarms, &a->node);
  return LA_PENDING;
}

static void alarm_drop(la_future *f) { forget(la_container(f, la_alarm, base)); }

static const la_future_vtable alarm_vtable = {alarm_poll, alarm_drop, "alarm", NULL};

void la_alarm_init(la_alarm *a, la_executor *ex, uint64_t ns) {
  *a = (la_alarm){.base = {&alarm_vtable}, .ex = ex, .deadline = la_executor_real_time(ex) + ns};
}

uint64_t la_alarms_next(const la_executor *ex) {
  uint64_t next = LA_TIMER_NEVER;
  for (la_node *n = ex->alarms.head.next; n != &ex->alarms.head; n = n->next)
    if (at(n)->deadline < next) next = at(n)->deadline;
  return next;
}

void la_alarms_fire(la_executor *ex, uint64_t now) {
  la_node *next;
  for (la_node *n = ex->alarms.head.next; n != &ex->alarms.head; n = next) {
    next = n->next;
    if (at(n)->deadline <= now) la_waker_wake(take(at(n)));
  }
}
