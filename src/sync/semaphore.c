#include "sync/semaphore.h"

void la_semaphore_init(la_semaphore *s, uint32_t permits) {
  s->permits = permits;
  s->closed = false;
  la_list_init(&s->line);
  la_list_init(&s->granted);
}

static la_acquire *acquire_at(la_node *n) {
  return la_container(la_container(n, la_queued, node), la_acquire, q);
}

/* Serves the line as far as the permits go. */
static void serve(la_semaphore *s) {
  while (!la_list_empty(&s->line)) {
    la_acquire *a = acquire_at(s->line.head.next);
    if (a->q.count > s->permits) return;
    s->permits -= a->q.count;
    la_queued_wake(&a->q, LA_QUEUED_GRANTED);
    la_list_push(&s->granted, &a->q.node);
  }
}

void la_semaphore_release(la_semaphore *s, uint32_t n) {
  s->permits += n;
  if (!la_list_empty(&s->line)) serve(s);
}

/* Refuses those in line that have this owner, or this vtable; NULL: any. */
static unsigned refuse(la_semaphore *s, const void *owner, const la_future_vtable *vt) {
  unsigned refused = 0;
  la_list line; /* those who stay go back in the same order */
  la_list_take(&line, &s->line);
  la_node *n;
  while ((n = la_list_pop(&line)) != NULL) {
    la_acquire *a = acquire_at(n);
    if ((owner != NULL && a->owner != owner) || (vt != NULL && a->q.base.vt != vt)) {
      la_list_push(&s->line, n);
      continue;
    }
    la_queued_wake(&a->q, LA_QUEUED_REFUSED);
    refused++;
  }
  serve(s);
  return refused;
}

unsigned la_semaphore_refuse(la_semaphore *s, const void *owner) { return refuse(s, owner, NULL); }

unsigned la_semaphore_refuse_kind(la_semaphore *s, const la_future_vtable *vt) {
  return refuse(s, NULL, vt);
}

void la_semaphore_close(la_semaphore *s) {
  s->closed = true;
  la_semaphore_refuse(s, NULL);
}

bool la_semaphore_revoke(la_semaphore *s) {
  for (la_node *n = s->granted.head.prev; n != &s->granted.head; n = n->prev) {
    la_queued *q = &acquire_at(n)->q;
    if (q->state != LA_QUEUED_GRANTED) continue;
    la_node_unlink(n);
    n->prev = &s->line.head;
    n->next = s->line.head.next;
    n->next->prev = n;
    s->line.head.next = n;
    q->state = LA_QUEUED_WAITING;
    return true;
  }
  return false;
}

void la_semaphore_end(la_semaphore *s) {
  la_semaphore_close(s);
  la_node *n;
  while ((n = la_list_pop(&s->granted)) != NULL) acquire_at(n)->s = NULL;
}

/* ---- acquire ------------------------------------------------------------------*/

/* It has the permits, or had them since its grant. */
static la_poll hold(la_acquire *a) {
  a->q.state = LA_QUEUED_HELD;
  if (!la_node_linked(&a->q.node)) la_list_push(&a->s->granted, &a->q.node);
  return LA_READY;
}

static la_poll first_poll(la_acquire *a, la_context *cx) {
  la_semaphore *s = a->s;
  bool can = la_semaphore_can(s, a->q.count);
  if (!can && !s->closed) {
    la_queued_wait(&a->q, &s->line, cx);
    return LA_PENDING;
  }
  if (!la_budget_take(cx)) return LA_PENDING;
  if (can) {
    s->permits -= a->q.count;
    return hold(a);
  }
  a->q.state = LA_QUEUED_REFUSED;
  return LA_READY;
}

la_poll la_acquire_poll(la_future *f, la_context *cx) {
  la_acquire *a = la_acquire_of(f);
  switch ((la_queued_state)a->q.state) {
  case LA_QUEUED_NEW: return first_poll(a, cx);
  case LA_QUEUED_WAITING: la_kept_set(&a->q.kept, cx); return LA_PENDING;
  case LA_QUEUED_GRANTED: return la_budget_take(cx) ? hold(a) : LA_PENDING;
  default: return la_budget_take(cx) ? LA_READY : LA_PENDING;
  }
}

void la_acquire_drop(la_future *f) {
  la_acquire *a = la_acquire_of(f);
  unsigned state = a->q.state;
  la_queued_leave(&a->q);
  if (a->s == NULL) return;
  if (state == LA_QUEUED_GRANTED || state == LA_QUEUED_HELD)
    la_semaphore_release(a->s, a->q.count);
  else if (state == LA_QUEUED_WAITING)
    serve(a->s);
}

bool la_acquire_take(la_acquire *a) {
  if (a->q.state != LA_QUEUED_HELD || a->s == NULL) return false;
  la_node_unlink(&a->q.node);
  a->q.state = LA_QUEUED_TAKEN;
  return true;
}

static const la_future_vtable acquire_vtable = {la_acquire_poll, la_acquire_drop, "acquire", NULL};

void la_acquire_init(la_acquire *a, la_semaphore *s, uint32_t n, const void *owner) {
  la_queued_init(&a->q, &acquire_vtable, n);
  a->s = s;
  a->owner = owner;
}
