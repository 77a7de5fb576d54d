#include "sync/lock.h"

void la_lock_init(la_lock *l, uint32_t permits) {
  la_semaphore_init(&l->s, permits);
  la_list_init(&l->holds);
  l->permits = permits;
}

bool la_lock_add(la_lock *l, uint32_t n) {
  if (n > LA_SEMAPHORE_MAX - l->permits) return false;
  l->permits += n;
  la_semaphore_release(&l->s, n);
  return true;
}

bool la_lock_held_by(const la_lock *l, la_holder who) {
  for (la_node *n = l->holds.head.next; who.task != 0 && n != &l->holds.head; n = n->next) {
    const la_hold *h = la_container(n, la_hold, node);
    if (h->holder.task == who.task && h->holder.coroutine == who.coroutine) return true;
  }
  return false;
}

void la_hold_begin(la_hold *h, la_lock *l, uint32_t n, la_holder who) {
  h->lock = l;
  h->holder = who;
  h->permits = n;
  la_list_push(&l->holds, &h->node);
}

static bool let_go(la_hold *h) {
  if (!la_hold_holds(h)) return false;
  la_node_unlink(&h->node);
  return true;
}

bool la_hold_forget(la_hold *h) {
  if (!let_go(h)) return false;
  h->lock->permits -= h->permits;
  return true;
}

bool la_hold_end(la_hold *h) {
  if (!let_go(h)) return false;
  la_semaphore_release(&h->lock->s, h->permits);
  return true;
}
