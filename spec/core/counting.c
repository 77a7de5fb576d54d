#include "counting.h"

static la_poll counting_poll(la_future *f, la_context *cx) {
  counting *c = la_container(f, counting, base)->report;
  c->polls++;
  if (c->during != NULL) c->during(c, cx);
  if (c->ready_at != 0 && c->polls >= c->ready_at) return LA_READY;
  if (c->keep) {
    if (c->has_waker) la_waker_drop(c->waker);
    c->waker = la_waker_clone(cx->waker);
    c->has_waker = true;
  }
  return LA_PENDING;
}

static void counting_drop(la_future *f) { la_container(f, counting, base)->report->drops++; }

static const la_future_vtable counting_vtable = {counting_poll, counting_drop, "counting", NULL};

static void counting_finished(la_task *t, bool cancelled) {
  counting *c = ((counting *)(void *)la_task_future(t))->report;
  assert_int_equal(c->drops, 0); /* the output is taken before the drop */
  c->finished++;
  c->cancelled += cancelled;
}

static const la_task_class plain = {counting_finished, false, sizeof(counting)};
static const la_task_class unwinding = {counting_finished, true, sizeof(counting)};

static la_task *spawn(la_executor *ex, counting *c, const la_task_class *cls) {
  la_task *t = la_task_new(ex, cls);
  assert_non_null(t);
  *(counting *)(void *)la_task_future(t) = (counting){.base = {&counting_vtable}, .report = c};
  la_task_spawn(t);
  return t;
}

la_task *counting_task(la_executor *ex, counting *c) { return spawn(ex, c, &plain); }
la_task *counting_unwinding_task(la_executor *ex, counting *c) { return spawn(ex, c, &unwinding); }

la_waker counting_take(counting *c) {
  assert_true(c->has_waker);
  c->has_waker = false;
  return c->waker;
}

int executor_setup(void **state) {
  static fixture f;
  f.parker = la_parker_thread_new();
  f.ex = f.parker.self != NULL ? la_executor_new(f.parker) : NULL;
  *state = &f;
  return f.ex == NULL;
}

void executor_close(void **state) {
  fixture *f = *state;
  la_executor_close(f->ex);
  f->ex = NULL;
}

int executor_teardown(void **state) {
  fixture *f = *state;
  la_parker_thread_free(f->parker);
  return 0;
}

void turns(la_executor *ex) {
  while (la_executor_turn(ex)) continue;
}
