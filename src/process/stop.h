/*
** process_stop.h - children that are asked to end, and made to.
**
** SIGTERM at first, to the whole process group of a child that leads one. SIGKILL to those that
** are left when the time is over, also to the members of such a group that live on after their
** leader: until then they are looked for now and then, since nobody tells of their end. (Their
** group keeps its number while it has a member, so nobody else is met.)
*/
#ifndef LA_PROCESS_STOP_H
#define LA_PROCESS_STOP_H

#include "core/sleep.h"
#include "process/process.h"

typedef struct la_stopped {
  la_process *process; /* a reference */
  bool group;          /* it led one, and lived, when this began */
} la_stopped;

/* Ready when all have ended, or were closed. */
typedef struct la_process_stop {
  la_future base;
  la_executor *ex;
  uint64_t deadline;
  la_sleep timer; /* to the deadline, or to the next look at the groups */
  bool timed, killed;
  la_process_wait wait; /* for `at`, unless all have been waited for */
  size_t at, count;
  la_stopped of[];
} la_process_stop;

/* Signals them, and waits; `grace` in nanoseconds. Its drop frees it; who was stopped is left as it
** is then. NULL: no memory, and nobody was signalled. count > 0. */
la_process_stop *la_process_stop_new(la_executor *ex, la_process *const *processes, size_t count,
                                     uint64_t grace);

#endif
