/*
** letter.h - what goes from one thread to another: plain memory with a way to end it.
**
** A letter belongs to one thread at a time, and whoever hands it on stops looking at it; what
** hands it over (port.h, bus.h, cell.h) orders the memory. One that goes to many (bus, cell) is
** not changed any more and is counted.
**
** What a letter holds may be the last to hold others, such as the receiver of the next one, and so
** on: a letter that ends within the end of another on the same thread does so right after it, so
** that a chain of any length takes no stack.
*/
#ifndef LA_THREAD_LETTER_H
#define LA_THREAD_LETTER_H

#include <stdatomic.h>
#include <stddef.h>

typedef struct la_letter la_letter;
struct la_letter {
  la_letter *next;                 /* of whoever has it */
  void (*drop)(la_letter *letter); /* any thread: the last reference is gone, nobody has read it */
  atomic_uint refs;                /* 1 at first */
};

static inline void la_letter_init(la_letter *l, void (*drop)(la_letter *)) {
  l->next = NULL;
  l->drop = drop;
  atomic_init(&l->refs, 1);
}
static inline la_letter *la_letter_ref(la_letter *l) {
  atomic_fetch_add_explicit(&l->refs, 1, memory_order_relaxed);
  return l;
}
/* The last reference is gone: drops it, now or when the drop that goes on has returned. */
void la_letter_end(la_letter *l);

static inline void la_letter_unref(la_letter *l) {
  if (atomic_fetch_sub_explicit(&l->refs, 1, memory_order_acq_rel) == 1) la_letter_end(l);
}

#endif
