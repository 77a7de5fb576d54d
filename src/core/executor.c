#include "core/executor.h"

#include <sched.h>
#include <stdlib.h>

#include "core/alarm.h"
#include "core/circle.h"
#include "core/tls.h"

/* Each thread's address of this is its name; a comparison costs less than asking
** the system who we are. */
static LA_THREAD_LOCAL char thread_name;

enum { SPARE_MAX = 4096, CLOCK_EVERY = 16 };

static inline bool is_owner(const la_executor *ex) { return ex->owner == &thread_name; }
bool la_executor_is_here(const la_executor *ex) { return is_owner(ex); }

static _Atomic uint64_t made;

la_executor *la_executor_new(la_parker parker) {
  la_executor *ex = calloc(1, sizeof *ex);
  if (ex == NULL) return NULL;
  ex->ready = &ex->ready_end;
  ex->ready_tail = &ex->ready;
  ex->owner = &thread_name;
  la_mpsc_init(&ex->foreign);
  ex->parker = parker;
  la_timer_queue_init(&ex->timers, la_executor_now(ex));
  la_list_init(&ex->live);
  la_list_init(&ex->alarms);
  ex->number = 1 + atomic_fetch_add_explicit(&made, 1, memory_order_relaxed);
  ex->random.state = la_executor_real_time(ex) ^ (uint64_t)(uintptr_t)ex;
  la_circle_join(ex);
  return ex;
}

/* ---- queues -------------------------------------------------------------------*/

static inline bool none_ready(const la_executor *ex) { return ex->ready == &ex->ready_end; }

static void push_ready(la_executor *ex, la_task *t) {
  t->ready.next = &ex->ready_end;
  *ex->ready_tail = &t->ready;
  ex->ready_tail = &t->ready.next;
}

static la_task *pop_ready(la_executor *ex) {
  if (none_ready(ex)) return NULL;
  la_task *t = la_container(ex->ready, la_task, ready);
  ex->ready = t->ready.next;
  t->ready.next = NULL;
  if (none_ready(ex)) ex->ready_tail = &ex->ready;
  return t;
}

/* A foreign thread may use the executor between `enter` and `leave` if `enter`
** said so. Both sides write before they read, in one total order: either the
** closing owner sees `inside`, or the thread sees `closing`. */
static bool enter(la_executor *ex) {
  atomic_fetch_add_explicit(&ex->inside, 1, memory_order_seq_cst);
  return !atomic_load_explicit(&ex->closing, memory_order_seq_cst);
}

static void leave(la_executor *ex) {
  atomic_fetch_sub_explicit(&ex->inside, 1, memory_order_release);
}

static void push_foreign(la_executor *ex, la_task *t) {
  if (la_mpsc_push(&ex->foreign, &t->foreign)) ex->parker.vt->unpark(ex->parker.self);
}

/* Release, even when the flag is set already: what this thread wrote before the wake is
** seen by the poll. The flag is set inside, so that whoever has set it gets the task into
** the list: `complete` relies on it. */
static void notify(la_executor *ex, la_task *t) {
  if (enter(ex)) {
    uint64_t old = atomic_load_explicit(&t->state, memory_order_relaxed);
    while ((old & LA_TASK_COMPLETE) == 0 &&
           !atomic_compare_exchange_weak_explicit(&t->state, &old, old | LA_TASK_NOTIFIED,
                                                  memory_order_acq_rel, memory_order_relaxed)) {
    }
    if ((old & (LA_TASK_NOTIFIED | LA_TASK_COMPLETE)) == 0) push_foreign(ex, t);
  }
  leave(ex);
}

static void rouse(la_executor *ex) {
  ex->resting = false;
  ex->parker.vt->rouse(ex->parker.self);
}

void la_executor_schedule(la_executor *ex, la_task *t) {
  if (!is_owner(ex))
    notify(ex, t);
  else if (t->ready.next == NULL && !la_task_has(t, LA_TASK_COMPLETE) && !ex->closed) {
    push_ready(ex, t);
    if (ex->resting) rouse(ex);
  }
}

static bool only_peers(uint64_t outside) { return outside % LA_KEEP_PEER == 0; }

/* Once nothing may wake a task any more, or only peers, a run that is parked has to see that it
** waits in vain, or has to say so to the circle. */
static void keep(la_executor *ex, uint64_t change) {
  uint64_t old = atomic_fetch_add_explicit(&ex->outside, change, memory_order_acq_rel);
  uint64_t now = old + change;
  if (!only_peers(now) || (now != 0 && only_peers(old)) || is_owner(ex)) return;
  if (enter(ex)) ex->parker.vt->unpark(ex->parker.self);
  leave(ex);
}

void la_executor_keep_alive(la_executor *ex, int change) {
  keep(ex, (uint64_t)change * LA_KEEP_ALIVE);
}

void la_executor_keep_peer(la_executor *ex, int change) {
  keep(ex, (uint64_t)change * LA_KEEP_PEER);
}

/* ---- the memory of tasks ------------------------------------------------------*/

/* After `closing` the tasks that are left count up from minus their number, which
** the owner subtracts once it is done: who reaches zero frees the executor. */
static void freed_late(la_executor *ex, long change) {
  long old = atomic_fetch_add_explicit(&ex->freed_late, change, memory_order_acq_rel);
  if (old + change == 0) free(ex);
}

static void keep_or_free(la_executor *ex, la_task *t) {
  ex->tasks--;
  la_spare *spare = la_executor_spare(ex, t->cls->future_size);
  if (spare == NULL || spare->count >= SPARE_MAX) {
    free(t);
    return;
  }
  t->ready.next = spare->first;
  spare->first = &t->ready;
  spare->count++;
}

void la_executor_release(la_executor *ex, la_task *t) {
  if (is_owner(ex) && !ex->closed) {
    keep_or_free(ex, t);
  } else if (enter(ex)) {
    push_foreign(ex, t);
    leave(ex);
  } else {
    free(t);
    leave(ex);
    freed_late(ex, 1);
  }
}

/* ---- tasks --------------------------------------------------------------------*/

/* One that completed while it was queued (it woke itself) has left the executor's
** reference to the queue that it leaves last. */
static void give_up_queued(la_task *t) {
  if (!la_task_scheduled(t)) la_task_unref(t);
}

/* Oldest awaiter first: the list has the newest at its head. */
static void wake_joins(la_task *t) {
  la_join *oldest = NULL;
  for (la_join *j = t->joins; j != NULL; j = j->next)
    if (j->next == NULL) oldest = j;
  while (oldest != NULL) {
    la_join *j = oldest;
    oldest = j->link == &t->joins ? NULL : la_container(j->link, la_join, next);
    *j->link = NULL;
    j->link = NULL;
    la_waker_wake(j->waker);
  }
}

static void complete(la_executor *ex, la_task *t, bool cancelled) {
  la_future *f = la_task_future(t);
  if (t->cls->finished != NULL) t->cls->finished(t, cancelled);
  la_future_drop(f);
  la_node_unlink(&t->live);
  ex->live_count--;
  uint64_t old = atomic_fetch_or_explicit(&t->state, LA_TASK_COMPLETE, memory_order_acq_rel);
  if (t == ex->until) ex->stop = true;
  wake_joins(t);
  bool queued = t->ready.next != NULL || (old & LA_TASK_NOTIFIED) != 0;
  if (!queued || ex->closed) la_task_unref(t);
}

bool la_task_abort(la_task *t) {
  if (t->ex->current == t) return false;
  if (!la_task_has(t, LA_TASK_COMPLETE)) complete(t->ex, t, true);
  return true;
}

static void run_task(la_executor *ex, la_task *t) {
  if (la_task_has(t, LA_TASK_COMPLETE)) {
    give_up_queued(t);
    return;
  }
  if (la_task_has(t, LA_TASK_CANCELLED) && !t->cls->unwinds) {
    complete(ex, t, true);
    return;
  }
  la_waker waker = la_task_borrow_waker(t);
  la_context cx = {&waker, &ex->budget};
  ex->budget = LA_TASK_BUDGET;
  ex->polls++;
  ex->current = t;
  la_poll r = la_future_poll(la_task_future(t), &cx);
  ex->current = NULL;
  if (r == LA_READY) complete(ex, t, false);
}

/* Wakes from other threads, and tasks whose last reference went there. */
static void take_foreign(la_executor *ex) {
  la_mpsc_node *n = la_mpsc_take(&ex->foreign);
  while (n != NULL) {
    la_task *t = la_container(n, la_task, foreign);
    n = n->next;
    uint64_t old =
        atomic_fetch_and_explicit(&t->state, ~(uint64_t)LA_TASK_NOTIFIED, memory_order_acq_rel);
    if (old / LA_TASK_REF == 0)
      keep_or_free(ex, t);
    else if ((old & LA_TASK_COMPLETE) != 0)
      give_up_queued(t);
    else if (t->ready.next == NULL)
      push_ready(ex, t);
  }
}

/* ---- turns --------------------------------------------------------------------*/

/* Fisher and Yates' shuffle of the ready list; without memory it stays as it is. */
static void shuffle(la_executor *ex) {
  size_t n = 0;
  for (la_mpsc_node *i = ex->ready; i != &ex->ready_end; i = i->next) n++;
  la_task **tasks = n > 1 ? malloc(n * sizeof *tasks) : NULL;
  if (tasks == NULL) return;
  for (size_t i = 0; i < n; i++) tasks[i] = pop_ready(ex);
  for (; n > 0; n--) {
    size_t k = la_random_below(&ex->random, n);
    push_ready(ex, tasks[k]);
    tasks[k] = tasks[n - 1];
  }
  free(tasks);
}

/* The tasks that were ready when the turn began are polled before the reactor is asked again,
** if need be in several turns: whom it wakes would be behind them all the same, and a reactor
** that is asked tells again of every socket whose task has not been polled yet. Tasks that wake
** one another go on for LA_TURN_POLLS polls, since a look at the reactor costs a system call. */
bool la_executor_turn(la_executor *ex) {
  uint64_t start = la_executor_real_time(ex);
  la_timer_queue_advance(&ex->timers, la_clock_time(&ex->clock, start));
  if (!la_list_empty(&ex->alarms)) la_alarms_fire(ex, start);
  take_foreign(ex);
  if (ex->shuffled) shuffle(ex);
  ex->look_soon = false;
  if (ex->generation == NULL || ex->shuffled) {
    ex->generation = none_ready(ex) ? NULL : ex->ready_tail;
    ex->looked = start;
  }
  unsigned polls = 0;
  la_task *t;
  while ((t = pop_ready(ex)) != NULL) {
    if (&t->ready.next == ex->generation) ex->generation = NULL;
    run_task(ex, t);
    polls++;
    if (ex->stop) break;
    bool long_enough = polls >= LA_TURN_POLLS || ex->shuffled || ex->look_soon;
    if (ex->generation == NULL && long_enough) break;
    if (polls % CLOCK_EVERY != 0 || ex->shuffled) continue; /* a seed's order takes no time */
    if (la_executor_real_time(ex) - start > LA_TURN_NS) break;
  }
  if (ex->after_turn != NULL) {
    void (*after)(void *) = ex->after_turn;
    ex->after_turn = NULL;
    after(ex->after_turn_arg);
  }
  return !none_ready(ex);
}

bool la_executor_is_woken(la_executor *ex) {
  return atomic_load_explicit(&ex->foreign.top, memory_order_acquire) != NULL;
}

static bool is_timed(la_executor *ex) {
  return la_timer_queue_next(&ex->timers) != LA_TIMER_NEVER || !la_list_empty(&ex->alarms);
}

/* Only wakes that other executors may send are left; none at all, if not `peers`. */
static bool waits(la_executor *ex, bool peers) {
  if (is_timed(ex)) return false;
  if (ex->parker.vt->alive(ex->parker.self)) return false;
  /* In this order: a wake is queued before its waker stops to count. */
  uint64_t outside = atomic_load_explicit(&ex->outside, memory_order_acquire);
  return only_peers(outside) && (outside != 0) == peers && !la_executor_is_woken(ex);
}

static bool deadlocked(la_executor *ex) { return waits(ex, false); }
static bool waits_for_peers(la_executor *ex) { return waits(ex, true); }

static bool nothing_ready(la_executor *ex) { return none_ready(ex) && !la_executor_is_woken(ex); }

static bool outside_works(const la_executor *ex) {
  return ex->parker.vt->working != NULL && ex->parker.vt->working(ex->parker.self);
}

/* Some are ready: a look outside, when it is time. */
static void look(la_executor *ex) {
  if (ex->generation != NULL && la_executor_real_time(ex) - ex->looked < LA_LOOK_NS) return;
  ex->generation = NULL;
  ex->parker.vt->park(ex->parker.self, 0);
}

/* Nothing is ready. A paused clock: a look outside, and only if that has woken nobody and
** nothing is at work there, time passes. */
static void wait(la_executor *ex) {
  const la_parker *p = &ex->parker;
  uint64_t next = la_timer_queue_next(&ex->timers), alarm = la_alarms_next(ex);
  if (!ex->clock.paused || next == LA_TIMER_NEVER) {
    uint64_t real = la_clock_real(&ex->clock, next);
    p->vt->park(p->self, real < alarm ? real : alarm);
    return;
  }
  p->vt->park(p->self, 0);
  if (!none_ready(ex) || la_executor_is_woken(ex)) return;
  if (outside_works(ex))
    p->vt->park(p->self, alarm);
  else
    la_clock_jump(&ex->clock, next);
}

la_run_end la_executor_run(la_executor *ex, la_task *task) {
  ex->until = task;
  ex->generation = NULL;
  ex->stop = ex->resting = false;
  for (;;) {
    bool busy = la_executor_turn(ex);
    if (task != NULL ? la_task_has(task, LA_TASK_COMPLETE) : ex->live_count == 0)
      return LA_RUN_DONE;
    if (!busy && deadlocked(ex)) return LA_RUN_DEADLOCK;
    bool peers = !busy && waits_for_peers(ex);
    if (peers) la_circle_park(ex);
    if (busy)
      look(ex);
    else
      wait(ex);
    if (peers && la_circle_unpark(ex, nothing_ready(ex))) return LA_RUN_DEADLOCK;
  }
}

/* ---- driven by others ---------------------------------------------------------*/

bool la_executor_stuck(la_executor *ex) { return none_ready(ex) && deadlocked(ex); }

void la_executor_step(la_executor *ex) {
  uint64_t next = la_timer_queue_next(&ex->timers);
  if (ex->clock.paused && next != LA_TIMER_NEVER && nothing_ready(ex) && !outside_works(ex))
    la_clock_jump(&ex->clock, next);
  ex->until = NULL;
  ex->generation = NULL;
  ex->stop = ex->resting = false;
  la_executor_turn(ex);
  ex->resting = none_ready(ex) && ex->parker.vt->rouse != NULL;
}

uint64_t la_executor_patience(la_executor *ex) {
  if (!nothing_ready(ex)) return 0;
  uint64_t next = la_timer_queue_next(&ex->timers), alarm = la_alarms_next(ex);
  bool stands = ex->clock.paused && outside_works(ex);
  if (ex->clock.paused && next != LA_TIMER_NEVER && !stands) return 0;
  if (stands || next == LA_TIMER_NEVER)
    next = alarm;
  else if (la_clock_real(&ex->clock, next) > alarm)
    next = alarm;
  else
    next = la_clock_real(&ex->clock, next);
  if (next == LA_TIMER_NEVER) return LA_TIMER_NEVER;
  uint64_t now = la_executor_real_time(ex);
  return next > now ? next - now : 0;
}

/* ---- the end ------------------------------------------------------------------*/

/* Once nobody pushes and all queues are empty, a task is in none of them: `complete` gives up the
 * executor's reference at once. It leaves the circle last: the drops may wake others. */
void la_executor_close(la_executor *ex) {
  ex->resting = false;
  atomic_store_explicit(&ex->closing, true, memory_order_seq_cst);
  while (atomic_load_explicit(&ex->inside, memory_order_acquire) != 0) sched_yield();
  take_foreign(ex);
  la_task *t;
  while ((t = pop_ready(ex)) != NULL)
    if (la_task_has(t, LA_TASK_COMPLETE)) give_up_queued(t);
  ex->closed = true;
  while (!la_list_empty(&ex->live))
    complete(ex, la_container(ex->live.head.next, la_task, live), true);
  for (la_spare *s = ex->spare; s < ex->spare + LA_SPARES; s++) {
    for (la_mpsc_node *n = s->first; n != NULL;) {
      t = la_container(n, la_task, ready);
      n = n->next;
      free(t);
    }
  }
  la_circle_leave(ex);
  freed_late(ex, -(long)ex->tasks);
}
