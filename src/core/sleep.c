#include "core/sleep.h"

static la_poll sleep_poll(la_future *f, la_context *cx) {
  la_sleep *s = la_container(f, la_sleep, base);
  if (!la_timer_idle(&s->timer)) {
    if (la_waker_will_wake(&s->timer.waker, cx->waker)) return LA_PENDING;
    la_timer_cancel(&s->ex->timers, &s->timer);
  } else if (la_executor_now(s->ex) >= s->deadline) {
    return la_budget_take(cx) ? LA_READY : LA_PENDING;
  }
  la_timer_insert(&s->ex->timers, &s->timer, s->deadline, la_waker_clone(cx->waker));
  return LA_PENDING;
}

static void sleep_drop(la_future *f) {
  la_sleep *s = la_container(f, la_sleep, base);
  la_timer_cancel(&s->ex->timers, &s->timer);
}

static const la_future_vtable sleep_vtable = {sleep_poll, sleep_drop, "sleep", NULL};

void la_sleep_init(la_sleep *s, la_executor *ex, uint64_t deadline) {
  *s = (la_sleep){.base = {&sleep_vtable}, .ex = ex, .deadline = deadline};
}
