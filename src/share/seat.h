/*
** seat.h - who waits, on its own thread, for what other threads do.
**
** As la_queued (sync/queue.h), with one difference: whom it waits for is on another thread.
** What it waits on has a mutex; `node`, `state` and `waker` are under it. A wake happens after
** the mutex has been released: the waker is taken out first (la_seat_take) and put aside.
** Polls, drops and the future's own fields are the waiting thread's.
*/
#ifndef LA_SHARE_SEAT_H
#define LA_SHARE_SEAT_H

#include "core/list.h"
#include "core/task.h"

typedef enum la_seat_state {
  LA_SEAT_NEW,     /* not polled */
  LA_SEAT_WAITING, /* in line */
  LA_SEAT_GRANTED, /* it has what it waited for; not taken */
  LA_SEAT_REFUSED, /* what it waited on was closed */
  LA_SEAT_OVER     /* taken: a drop gives nothing back */
} la_seat_state;

typedef struct la_seat {
  la_future base;
  la_node node;
  la_waker waker; /* vt is NULL: none */
  unsigned state; /* la_seat_state */
} la_seat;

#endif
