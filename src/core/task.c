#include "core/task.h"

#include <stdlib.h>

#include "core/executor.h"

la_task *la_task_new(la_executor *ex, const la_task_class *cls) {
  la_task *t;
  la_spare *spare = la_executor_spare(ex, cls->future_size);
  if (spare != NULL && spare->first != NULL) {
    t = la_container(spare->first, la_task, ready);
    spare->first = t->ready.next;
    spare->count--;
  } else {
    t = malloc(sizeof(la_task) + cls->future_size);
    if (t == NULL) return NULL;
  }
  ex->tasks++;
  atomic_init(&t->state, LA_TASK_REF);
  t->ready.next = NULL;
  t->ex = ex;
  t->cls = cls;
  t->joins = NULL;
  t->live = (la_node){NULL, NULL};
  t->id = 0;
  return t;
}

void la_task_discard(la_task *t) { la_executor_release(t->ex, t); }

void la_task_unref(la_task *t) {
  uint64_t old = atomic_fetch_sub_explicit(&t->state, LA_TASK_REF, memory_order_acq_rel);
  if (old / LA_TASK_REF == 1) la_executor_release(t->ex, t);
}

void la_task_spawn(la_task *t) {
  la_executor *ex = t->ex;
  t->id = ++ex->next_id;
  la_list_push(&ex->live, &t->live);
  ex->live_count++;
  la_executor_schedule(ex, t);
}

static void wake_by_ref(void *data) {
  la_task *t = data;
  la_executor_schedule(t->ex, t);
}

bool la_task_cancel(la_task *t) {
  if (la_task_has(t, LA_TASK_COMPLETE | LA_TASK_CANCELLED)) return false;
  atomic_fetch_or_explicit(&t->state, LA_TASK_CANCELLED, memory_order_relaxed);
  wake_by_ref(t);
  return true;
}

/* ---- wakers -------------------------------------------------------------------*/

static la_waker waker_clone(void *data) {
  la_task_ref(data);
  return (la_waker){data, &la_task_waker};
}

static void waker_drop(void *data) { la_task_unref(data); }

static void waker_wake(void *data) {
  wake_by_ref(data);
  la_task_unref(data);
}

const la_waker_vtable la_task_waker = {waker_clone, waker_wake, wake_by_ref, waker_drop};

static la_waker external_clone(void *data) { return la_task_clone_external(data); }

/* The count goes down after the wake is queued, so that the executor never sees
** neither. The task keeps the executor's memory. */
static void external_drop(void *data) {
  la_task *t = data;
  la_executor_keep_alive(t->ex, -1);
  la_task_unref(t);
}

static void external_wake(void *data) {
  wake_by_ref(data);
  external_drop(data);
}

const la_waker_vtable la_task_external_waker = {external_clone, external_wake, wake_by_ref,
                                                external_drop};

la_waker la_task_clone_external(la_task *t) {
  la_task_ref(t);
  la_executor_keep_alive(t->ex, 1);
  return (la_waker){t, &la_task_external_waker};
}

static la_waker peer_clone(void *data) { return la_task_clone_peer(data); }

static void peer_drop(void *data) {
  la_task *t = data;
  la_executor_keep_peer(t->ex, -1);
  la_task_unref(t);
}

static void peer_wake(void *data) {
  wake_by_ref(data);
  peer_drop(data);
}

const la_waker_vtable la_task_peer_waker = {peer_clone, peer_wake, wake_by_ref, peer_drop};

la_waker la_task_clone_peer(la_task *t) {
  la_task_ref(t);
  la_executor_keep_peer(t->ex, 1);
  return (la_waker){t, &la_task_peer_waker};
}

/* ---- join ---------------------------------------------------------------------*/

static la_poll join_poll(la_future *f, la_context *cx) {
  la_join *j = la_container(f, la_join, base);
  la_task *t = j->task;
  if (la_task_has(t, LA_TASK_COMPLETE)) return la_budget_take(cx) ? LA_READY : LA_PENDING;
  if (j->link == NULL) {
    j->next = t->joins;
    j->link = &t->joins;
    if (j->next != NULL) j->next->link = &j->next;
    t->joins = j;
  } else if (la_waker_will_wake(&j->waker, cx->waker)) {
    return LA_PENDING;
  } else {
    la_waker_drop(j->waker);
  }
  j->waker = la_waker_clone(cx->waker);
  return LA_PENDING;
}

static void join_drop(la_future *f) {
  la_join *j = la_container(f, la_join, base);
  if (j->link != NULL) {
    *j->link = j->next;
    if (j->next != NULL) j->next->link = j->link;
    la_waker_drop(j->waker);
  }
  la_task_unref(j->task);
}

static const la_future_vtable join_vtable = {join_poll, join_drop, "task", NULL};

const la_task *la_join_task(const la_future *f) {
  return f->vt == &join_vtable ? ((const la_join *)(const void *)f)->task : NULL;
}

void la_join_init(la_join *j, la_task *t) {
  la_task_ref(t);
  *j = (la_join){.base = {&join_vtable}, .task = t};
}
