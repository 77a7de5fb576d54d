/*
** seat.h - who waits, on its own thread, for what other threads do.
**
** As la_queued (sync/queue.h), with one difference: whom it waits for is on another thread.
** What it waits on has a mutex; `node`, `state` and `waker` are under it while `known` is true,
** and else, as all other fields are, the waiting thread's, which polls and drops. A wake happens
** after the mutex has been released: the waker is taken out first and put aside. Wakers are
** cloned and dropped outside of it, too.
*/
#ifndef LA_THREAD_SEAT_H
#define LA_THREAD_SEAT_H

#include <pthread.h>

#include "core/list.h"
#include "core/task.h"

typedef enum la_seat_state {
  LA_SEAT_NEW,     /* not polled, or to look again */
  LA_SEAT_WAITING, /* in line */
  LA_SEAT_GRANTED, /* it has what it waited for; not taken */
  LA_SEAT_REFUSED, /* what it waited on was closed */
  LA_SEAT_OVER     /* taken: a drop gives nothing back */
} la_seat_state;

typedef struct la_seat {
  la_future base;
  la_node node;
  la_waker waker; /* vt is NULL: none */
  la_node mine; /* in the list of the handle that it was made for, of the waiting thread's alone */
  unsigned state; /* la_seat_state */
  bool known;     /* it may be in line, or have something: a drop needs the mutex */
  bool more;      /* of a batch that has something already: see la_port_recv_more_init */
} la_seat;

static inline void la_seat_init(la_seat *s, const la_future_vtable *vt) {
  *s = (la_seat){.base = {vt}, .state = LA_SEAT_NEW};
}

static inline la_seat *la_seat_of(la_future *f) { return la_container(f, la_seat, base); }
static inline la_seat *la_seat_at(la_node *n) { return la_container(n, la_seat, node); }

/* ---- under the mutex ------------------------------------------------------------*/

/* Out of the line, in this state. */
static inline void la_seat_turn(la_seat *s, la_seat_state state) {
  if (la_node_linked(&s->node)) la_node_unlink(&s->node);
  s->state = state;
}

/* Takes the waker out, into `out`, which is none if there was none. */
static inline void la_seat_take(la_seat *s, la_waker *out) {
  *out = s->waker;
  s->waker.vt = NULL;
}

/* ---- outside of it --------------------------------------------------------------*/

/* The waker that a seat waits with, for another thread to call: while it exists the executor does
** not take "every task waits" for a deadlock, but for one of all threads (core/circle.h). */
la_waker la_seat_keep(const la_waker *w);

static inline void la_seat_wake(la_waker w) {
  if (w.vt != NULL) la_waker_wake(w);
}
static inline void la_seat_forget(la_waker w) {
  if (w.vt != NULL) la_waker_drop(w);
}

/* ---- both -----------------------------------------------------------------------*/

/* The poll of every seat. `look`, under the mutex, turns the seat to GRANTED or REFUSED if it can,
** whatever state it is in, and otherwise leaves it as it is. Not ready, it waits in `line`. */
la_poll la_seat_poll(la_seat *s, pthread_mutex_t *mutex, la_list *line, void (*look)(la_seat *s),
                     la_context *cx);

/* Turns all in line to `state`, and wakes them. Who waits again meanwhile is not of them. Locked
** before, unlocked after; in between now this, now that. */
void la_seat_wake_all(la_list *line, la_seat_state state, pthread_mutex_t *mutex);

/* A handle is closed: those in its list that are in line are refused. The list is empty then. */
void la_seat_refuse(la_list *own, pthread_mutex_t *mutex);

/* For the drop, of the handle's list. */
static inline void la_seat_disown(la_seat *s) {
  if (la_node_linked(&s->mine)) la_node_unlink(&s->mine);
}

/* For the drop: out of the line, and no wake any more. What was granted stays so. */
void la_seat_leave(la_seat *s, pthread_mutex_t *mutex);

/* A mutex whose critical sections are a few stores long: who finds it taken spins, before it
** sleeps. False: no memory. */
bool la_seat_mutex_init(pthread_mutex_t *mutex);

#endif
