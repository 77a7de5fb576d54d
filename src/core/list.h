/*
** list.h - intrusive doubly linked list, circular, with a sentinel.
**
** A node that is in no list has next == NULL, so a membership test is one load,
** and unlinking is O(1) without knowing the list (the shape of Linux's
** list_head and libuv's queue.h). One thread.
*/
#ifndef LA_CORE_LIST_H
#define LA_CORE_LIST_H

#include <stdbool.h>
#include <stddef.h>

typedef struct la_node {
  struct la_node *next, *prev;
} la_node;

typedef struct la_list {
  la_node head;
} la_list;

/* The struct of type T whose member M is the node at P. */
#define la_container(P, T, M) ((T *)(void *)((char *)(P)-offsetof(T, M)))

static inline void la_list_init(la_list *l) { l->head.next = l->head.prev = &l->head; }
static inline bool la_list_empty(const la_list *l) { return l->head.next == &l->head; }
static inline bool la_node_linked(const la_node *n) { return n->next != NULL; }

static inline void la_list_push(la_list *l, la_node *n) {
  n->next = &l->head;
  n->prev = l->head.prev;
  n->prev->next = n;
  l->head.prev = n;
}

static inline void la_node_unlink(la_node *n) {
  /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): a linked node has neighbours */
  n->prev->next = n->next;
  n->next->prev = n->prev;
  n->next = n->prev = NULL;
}

/* The first node, unlinked; NULL when there is none. */
static inline la_node *la_list_pop(la_list *l) {
  la_node *n = l->head.next;
  if (n == &l->head) return NULL;
  la_node_unlink(n);
  return n;
}

/* Moves all of `from` into `to`, which is overwritten; `from` is empty after. */
static inline void la_list_take(la_list *to, la_list *from) {
  if (la_list_empty(from)) {
    la_list_init(to);
    return;
  }
  to->head = from->head;
  to->head.next->prev = &to->head;
  to->head.prev->next = &to->head;
  la_list_init(from);
}

#endif
