/*
** circle.h - deadlocks that no executor sees alone: each waits for another thread's tasks.
**
** A task of another executor that may wake one of ours holds a peer waker (la_task_clone_peer).
** An executor in which every task waits, and only peers could wake one, parks "stuck". When all
** executors of the process are stuck so, and nothing else of ours is at work (la_circle_working),
** nobody will wake anybody: each in turn is told so once by LA_RUN_DEADLOCK, that it may collect
** what is garbage, which may close ends that others wait for. When that has woken nobody, the
** youngest of them is told again, and that is its end; the others may go on from there.
**
** What is not seen, so that its circles wait on: executors with timers, handles or other
** outside wakers, and any program in which a host drives a Loop.
*/
#ifndef LA_CORE_CIRCLE_H
#define LA_CORE_CIRCLE_H

#include "core/executor.h"

/* For executor.c. Any executor belongs from its making to its close. */
void la_circle_join(la_executor *ex);
void la_circle_leave(la_executor *ex);

/* Around the park of one that is stuck but for its peers. True: it was told of a deadlock, and
** unparked for it. `idle`: nothing is ready; else the parker has seen something in between, as a
** signal, and it is none. */
void la_circle_park(la_executor *ex);
bool la_circle_unpark(la_executor *ex, bool idle);

/* +1, -1: a thread of ours without an executor is at work, and may wake tasks. Any thread. */
void la_circle_working(int change);

#endif
