/*
** task.h - a future that an executor owns, and the references to it.
**
** State. `state` is one atomic word: flags below, reference count above. The ready list
** is the owner thread's alone, so that a wake there costs nothing atomic.
**   NOTIFIED   the task is in the executor's list of foreign wakes, or about to be. Set by
**              a wake on a foreign thread, by whoever finds it and COMPLETE clear, who then
**              puts the task there; cleared by the owner as it takes the task out, before
**              the poll, so that a wake during a poll counts.
**   CANCELLED  cancellation was asked for. Set by la_task_cancel, on the owner
**              thread, never after COMPLETE; never cleared.
**   COMPLETE   the future has been dropped and `finished` has run. Set once, by
**              the owner thread; no flag is set after it.
** A task is in the ready list while ready.next is not NULL; the executor takes it out
** before the poll, so that one which wakes itself is queued again. Only the owner polls,
** hence no RUNNING.
**
** References, counted together in `state`:
**   the executor's  from spawn until COMPLETE; when the task completes while it is
**                   in a queue (it woke itself), until it is taken out of the last one.
**   wakers          one each, on any thread.
**   joins           one each; la_task_ref and la_task_unref serve other holders.
** The last one given up frees the task's memory and nothing else, since its future
** went at COMPLETE. On a foreign thread it does not even do that: the task is sent
** to its owner, which frees it; only after the executor has closed, when there is
** no owner any more, is the memory freed where the last waker was dropped.
** Fields other than `state` and `foreign` belong to the owner thread.
**
** Modelled on async-task's and tokio's task states, less what needs many pollers.
*/
#ifndef LA_CORE_TASK_H
#define LA_CORE_TASK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "list.h"
#include "lua_async.h"
#include "mpsc.h"

typedef struct la_executor la_executor;
typedef struct la_task la_task;
typedef struct la_join la_join;

/* What the owner of a kind of tasks adds. */
typedef struct la_task_class {
  /* The task is over; `cancelled` says that its future was dropped before it was
  ** ready. Called once, on the owner thread, just before the future is dropped:
  ** the moment to take its output. Awaiters are woken after it. */
  void (*finished)(la_task *task, bool cancelled);
  /* A cancelled task of this class is polled on until its future is ready, for a
  ** future that unwinds; otherwise its future is dropped at the next turn. */
  bool unwinds;
  size_t future_size; /* bytes for the future of each task */
} la_task_class;

struct la_task {
  _Atomic uint64_t state;
  la_mpsc_node ready;   /* in the ready list, or among the spare ones */
  la_mpsc_node foreign; /* in the list of foreign wakes */
  la_executor *ex;
  const la_task_class *cls;
  la_join *joins; /* awaiters, newest first */
  la_node live;   /* in the executor's list until COMPLETE */
  uint64_t id;    /* 1, 2, 3, … in the order of spawning, within one executor */
};

enum { LA_TASK_NOTIFIED = 1, LA_TASK_CANCELLED = 2, LA_TASK_COMPLETE = 4, LA_TASK_REF = 16 };

/* The future of a task stands right behind it. */
static inline la_future *la_task_future(la_task *t) { return (la_future *)(void *)(t + 1); }

/* A task with uninitialised room for its future, which begins with an la_future
** that the caller fills in before la_task_spawn. NULL: no memory. */
la_task *la_task_new(la_executor *ex, const la_task_class *cls);

/* Hands it to the executor: it is polled in the next turn. */
void la_task_spawn(la_task *t);

/* Gives back a task that was never spawned, without dropping its future. */
void la_task_discard(la_task *t);

/* Asks for cancellation; the owner thread. A task that was never polled is never
** polled. False when it had already ended or been cancelled. */
bool la_task_cancel(la_task *t);

/* Drops its future here and now, as cancelled, whatever it has to unwind. False, having done
** nothing, while its poll is under way. The owner thread; nothing when it is COMPLETE. */
bool la_task_abort(la_task *t);

static inline bool la_task_has(const la_task *t, unsigned flag) {
  return (atomic_load_explicit(&t->state, memory_order_relaxed) & flag) != 0;
}

/* It will be polled, unless it is COMPLETE. Owner thread. */
static inline bool la_task_scheduled(const la_task *t) {
  return t->ready.next != NULL || la_task_has(t, LA_TASK_NOTIFIED);
}

/* Any thread. */
static inline void la_task_ref(la_task *t) {
  atomic_fetch_add_explicit(&t->state, LA_TASK_REF, memory_order_relaxed);
}
void la_task_unref(la_task *t);

/* The waker of a task; it borrows the caller's reference. Its clones own one. */
extern const la_waker_vtable la_task_waker;
static inline la_waker la_task_borrow_waker(la_task *t) {
  return (la_waker){.data = t, .vt = &la_task_waker};
}

/* A clone for someone whom the parker cannot see, such as a thread of another
** library: while it or a clone of it exists, the executor does not take "every
** task waits" for a deadlock. Owner thread. */
extern const la_waker_vtable la_task_external_waker;
la_waker la_task_clone_external(la_task *t);

/* The same for another executor of ours: when all of them wait for one another, that is a
** deadlock (circle.h). Owner thread. */
extern const la_waker_vtable la_task_peer_waker;
la_waker la_task_clone_peer(la_task *t);

/* The task that a waker wakes, NULL for one that is not a task's. */
static inline la_task *la_waker_task(const la_waker *w) {
  bool is =
      w->vt == &la_task_waker || w->vt == &la_task_external_waker || w->vt == &la_task_peer_waker;
  return is ? (la_task *)w->data : NULL;
}

/* ---- join: a future that is ready when a task is COMPLETE -------------------*/

struct la_join {
  la_future base;
  la_task *task; /* a reference, kept until the drop so that the output can be read */
  la_join *next, **link;
  la_waker waker;
};

/* The task that a future waits for; NULL for one that is no join. */
const la_task *la_join_task(const la_future *f);

/* Takes a reference of its own. Dropping a join does not cancel the task. */
void la_join_init(la_join *j, la_task *t);

#endif
