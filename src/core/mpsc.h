/*
** mpsc.h - lock-free list: any thread pushes, its owner takes all.
**
** A Treiber stack (R. K. Treiber, "Systems programming: coping with
** parallelism", IBM RJ 5118, 1986) that is only ever emptied whole: since no
** single node is popped, the ABA problem cannot arise. What was taken is
** reversed, so the owner sees the nodes in the order they were pushed.
*/
#ifndef LA_CORE_MPSC_H
#define LA_CORE_MPSC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct la_mpsc_node {
  struct la_mpsc_node *next;
} la_mpsc_node;

typedef struct la_mpsc {
  _Atomic(la_mpsc_node *) top;
} la_mpsc;

static inline void la_mpsc_init(la_mpsc *q) { atomic_init(&q->top, NULL); }

/* Any thread. The node is the list's until it is taken. True when the list was
** empty: the pusher that has to wake the owner. */
static inline bool la_mpsc_push(la_mpsc *q, la_mpsc_node *n) {
  la_mpsc_node *top = atomic_load_explicit(&q->top, memory_order_relaxed);
  do n->next = top;
  while (!atomic_compare_exchange_weak_explicit(&q->top, &top, n, memory_order_release,
                                                memory_order_relaxed));
  return top == NULL;
}

/* The owner. All nodes, oldest first; NULL when there is none. */
static inline la_mpsc_node *la_mpsc_take(la_mpsc *q) {
  if (atomic_load_explicit(&q->top, memory_order_relaxed) == NULL) return NULL;
  la_mpsc_node *n = atomic_exchange_explicit(&q->top, NULL, memory_order_acquire), *first = NULL;
  while (n != NULL) {
    la_mpsc_node *next = n->next;
    n->next = first;
    first = n;
    n = next;
  }
  return first;
}

#endif
