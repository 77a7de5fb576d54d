/*
** threads.h - blocking code that may take long, on threads of our own, as a future.
**
** Name lookups wait for somebody else, up to minutes; on libuv's pool of four threads they
** would hold up files, and one another. So would the work of spawn_blocking. Each kind has a
** pool of the whole process: threads made when work comes and none is idle, up to
** LA_THREADS_MAX (and as many more as have an abandoned job, up to LA_THREADS_LEFT_MAX), gone
** after some idle seconds, and at once when the last reactor has. Signals are blocked in
** them, but for the one that la_job_kick sends, and those that a fault raises.
**
** A job is a struct that begins with la_job. `run` is executed once on a thread; it sees the
** job's own plain memory and nothing else: no Lua, no reactor, no waker. A job that is dropped
** before a thread took it never runs. One that is dropped while it runs is abandoned: nobody
** waits for it, not even the end of the reactor, and the thread frees it when `run` returns.
** So `release` may run on any thread, at any later time, and code of this library may be
** running after the last Lua state that loaded it was closed: see docs/decisions.md, nodelete.
**
** After a fork the child has none of the threads: what was in flight there never ends, and
** may only be dropped; jobs begun in the child get threads of its own.
*/
#ifndef LA_DRIVER_THREADS_H
#define LA_DRIVER_THREADS_H

#include <pthread.h>
#include <signal.h>

#include "core/export.h"
#include "driver/op.h"

enum { LA_THREADS_MAX = 64, LA_THREADS_LEFT_MAX = 192 };

/* Used by few, and ignored where nobody has a handler for it. */
#define LA_JOB_SIGNAL SIGURG

/* A thread of its own, in which signals are blocked but for LA_JOB_SIGNAL, those that the thread
** raises by a fault, and SIGPROF; to be joined or detached. 0, or UV_EAGAIN, UV_ENOMEM: none can
** be made. */
int la_thread_start(pthread_t *thread, void *(*body)(void *), void *arg);

/* The signal mask that the program chose: of this thread, or if it is ours, of the one that it was
** started from in the end. What a child should have. */
void la_thread_program_mask(sigset_t *mask);

typedef enum la_pool_of { LA_POOL_NAMES, LA_POOL_WORK, LA_POOLS } la_pool_of;

typedef struct la_job la_job;

typedef struct la_job_class {
  la_op_class op;              /* LA_JOB_OP("name", release) */
  ssize_t (*run)(la_job *job); /* its return value becomes op.result */
  la_pool_of pool;
} la_job_class;

/* Where a job in flight is; under the mutex of the pool. */
typedef enum la_job_place {
  LA_JOB_QUEUED,
  LA_JOB_RUNNING,
  LA_JOB_ABANDONED, /* dropped while running: the thread's own */
  LA_JOB_FINISHED   /* in its reactor's list of those */
} la_job_place;

struct la_job {
  la_op op;
  la_job_place place;
  unsigned generation; /* of the process: how many forks lay behind it */
  la_node node;        /* in the queue */
  la_mpsc_node finished;
  pthread_t thread; /* that runs it */
  ssize_t ran;
};

LA_PART void la_job_init(la_job *job, const la_job_class *cls, la_reactor *r);

/* UV_EAGAIN: there is no thread, and none can be made. */
LA_PART int la_job_op_submit(la_op *op);
LA_PART void la_job_drop(la_future *f);

/* Where a job in flight stands. */
LA_PART la_job_place la_job_where(const la_job *job);

/* Sends LA_JOB_SIGNAL to the thread that runs the job, if one does. */
LA_PART void la_job_kick(la_job *job);
#define LA_JOB_OP(NAME, RELEASE)                                                                   \
  { {la_op_poll, la_job_drop, NAME, NULL}, la_job_op_submit, RELEASE, NULL }

/* For reactor.c. A reactor is there, and may have jobs; it goes, after all of its futures: when
** it was the last, threads that have nothing to do any more are waited for. */
void la_threads_enter(void);
void la_threads_leave(la_reactor *r);
/* Completes the jobs that threads have finished for this reactor. */
void la_threads_collect(la_reactor *r);

#endif
