#include "core/group.h"

static la_task *task_of(la_member *m) { return (la_task *)(void *)m - 1; }

/* ---- a member as the future of its task ---------------------------------------------*/

static bool has_to_unwind(la_member *m) {
  return m->f->vt->cancel != NULL && m->f->vt->cancel(m->f) != LA_CANCEL_DROP;
}

static la_poll member_poll(la_future *f, la_context *cx) {
  la_member *m = la_container(f, la_member, base);
  if (!m->unwinding && la_task_has(task_of(m), LA_TASK_CANCELLED)) {
    if (!has_to_unwind(m)) return LA_READY;
    m->unwinding = true;
  }
  la_poll r = la_future_poll(m->f, cx);
  m->ready = r == LA_READY && !m->unwinding;
  return r;
}

static void member_drop(la_future *f) {
  la_member *m = la_container(f, la_member, base);
  m->cls->release(m);
}

static const la_future_vtable member_vtable = {member_poll, member_drop, "member", NULL};

static void wake_owner(la_group *g) {
  if (g->count <= g->enough) la_kept_wake(&g->waits);
}

void la_member_finished(la_task *t, bool dropped) {
  la_member *m = (la_member *)(void *)la_task_future(t);
  la_group *g = m->group;
  if (g != NULL) {
    la_node_unlink(&m->node);
    g->count--;
  }
  bool decides = m->cls->over(m, m->ready && !dropped);
  if (g == NULL) return;
  if (!decides || la_group_cancel(g))
    wake_owner(g);
  else
    m->group = NULL;
}

/* The hare and the tortoise (Floyd; Knuth, "Seminumerical Algorithms", 3.1, exercise 6). */
la_task *la_task_for_whom(la_task *t) {
  la_task *slow = t;
  for (bool odd = false; t != NULL && la_task_is_member(t); odd = !odd) {
    t = la_member_owner(t);
    if (odd) slow = la_member_owner(slow);
    if (t == slow) return NULL;
  }
  return t;
}

/* ---- the group ----------------------------------------------------------------------*/

/* Polled by hand, whoever waits may be another task each time. */
static void set_owner(la_group *g, la_task *t) {
  if (t == g->owner) return;
  if (g->owner != NULL) la_task_unref(g->owner);
  if (t != NULL) la_task_ref(t);
  g->owner = t;
}

void la_group_init(la_group *g, la_executor *ex, const char *name) {
  *g = (la_group){.ex = ex, .name = name};
  la_list_init(&g->members);
  set_owner(g, ex->current);
}

la_member *la_member_new(la_group *g, const la_group_class *cls, size_t index) {
  la_task *t = la_task_new(g->ex, &cls->task);
  if (t == NULL) return NULL;
  la_member *m = (la_member *)(void *)la_task_future(t);
  *m = (la_member){.base = {&member_vtable}, .cls = cls, .index = index};
  return m;
}

void la_member_discard(la_member *m) { la_task_discard(task_of(m)); }

void la_member_start(la_member *m, la_group *g, la_future *f) {
  m->group = g;
  m->f = f;
  la_list_push(&g->members, &m->node);
  g->count++;
  la_task_spawn(task_of(m));
}

la_poll la_group_poll(la_group *g, la_context *cx, size_t left) {
  set_owner(g, g->ex->current);
  if (g->count <= left) return la_budget_take(cx) ? LA_READY : LA_PENDING;
  g->enough = left;
  la_kept_set(&g->waits, cx);
  return LA_PENDING;
}

la_cancel la_group_cancel_waiting(la_group *g, bool decided) {
  if (decided || g->count == 0) return LA_CANCEL_FINISH;
  la_group_cancel(g);
  return g->count > 0 ? LA_CANCEL_UNWIND : LA_CANCEL_DROP;
}

/* The next member that was not told yet: those that were go to the end. */
static la_member *next_untold(la_group *g) {
  if (la_list_empty(&g->members)) return NULL;
  la_member *m = la_container(g->members.head.next, la_member, node);
  if (m->told) return NULL;
  m->told = true;
  la_node_unlink(&m->node);
  la_list_push(&g->members, &m->node);
  return m;
}

bool la_group_cancel(la_group *g) {
  bool gone = false;
  if (g->cancelled) return true;
  g->cancelled = true;
  g->gone = &gone; /* cppcheck-suppress autoVariables ; until we return */
  for (la_member *m; !gone && (m = next_untold(g)) != NULL;) {
    la_task *t = task_of(m);
    if (m->f->vt->cancel != NULL || !la_task_abort(t)) la_task_cancel(t);
  }
  if (!gone) g->gone = NULL;
  return !gone;
}

void la_group_drop(la_group *g) {
  if (g->gone != NULL) *g->gone = true;
  g->gone = NULL;
  la_kept_drop(&g->waits);
  for (la_node *n; (n = la_list_pop(&g->members)) != NULL;) {
    la_member *m = la_container(n, la_member, node);
    m->group = NULL;
    g->count--;
    if (!la_task_abort(task_of(m))) la_task_cancel(task_of(m));
  }
  set_owner(g, NULL);
}
