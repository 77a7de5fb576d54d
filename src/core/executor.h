/*
** executor.h - runs tasks on one thread, and parks it while there is none to run.
**
** Wakes on the owner thread go on the ready list, others through a lock-free
** list and `unpark`. A turn polls a bounded number of tasks; between turns the
** parker sees what the outside has for us. An executor without a reactor parks
** on a condition variable (la_parker_thread).
*/
#ifndef LA_CORE_EXECUTOR_H
#define LA_CORE_EXECUTOR_H

#include "clock.h"
#include "random.h"
#include "task.h"
#include "timer_queue.h"

/* How an executor waits. `self` is the first argument of each. */
typedef struct la_parker_vtable {
  /* Waits until `deadline` (of `now`; LA_TIMER_NEVER: without end; one in the
  ** past: only looks), until something outside wakes a task, or until unparked:
  ** an unpark that comes first is not lost. May return early. */
  void (*park)(void *self, uint64_t deadline);
  /* Any thread. */
  void (*unpark)(void *self);
  /* True while something outside may still wake a task: requests in flight, open
  ** handles. When nothing may, and no timer is set, all tasks wait for ever. */
  bool (*alive)(void *self);
  /* True while something is at work outside that ends by itself and soon, whoever waits
  ** for it: a paused clock does not jump over that. NULL: never. */
  bool (*working)(void *self);
  /* Monotonic nanoseconds. */
  uint64_t (*now)(void *self);
  /* A task is ready while the executor rests (la_executor_step): whoever drives it has to be
  ** told. Owner thread. NULL: nobody has to. */
  void (*rouse)(void *self);
} la_parker_vtable;

typedef struct la_parker {
  void *self;
  const la_parker_vtable *vt;
} la_parker;

/* Operations a task may finish in one poll before it lets others run (as tokio's
** coop budget), tasks polled in a turn, and the time after which a turn ends; the time after which
** the outside is looked at though some of those who were ready at the last look still wait. */
enum { LA_TASK_BUDGET = 128, LA_TURN_POLLS = 256 };
#define LA_TURN_NS UINT64_C(5000000)
#define LA_LOOK_NS UINT64_C(20000000)

/* Ended tasks whose memory is kept for the next ones of the same size. */
enum { LA_SPARES = 4 };
typedef struct la_spare {
  la_mpsc_node *first;
  size_t future_size, count;
} la_spare;

struct la_executor {
  la_mpsc_node *ready, **ready_tail; /* the last one's next is ready_end: NULL says "in no list" */
  la_mpsc_node ready_end;
  la_mpsc_node **generation; /* behind the last task that was ready when the outside was last
                             ** looked at, until it is polled; NULL */
  uint64_t looked;           /* when that was */
  bool look_soon;            /* as soon as `generation` is NULL, not only at the end of a turn */
  unsigned budget;
  bool closed, stop; /* `stop`: the turn ends, since `until` is COMPLETE */
  bool trying;       /* the poll under way is for somebody who will not wait: a future that is
                     ** not begun begins nothing that goes on without it */
  bool resting;      /* between two steps, with nothing ready when the last one ended */
  void (*after_turn)(void *arg); /* NULL: nothing. Called once, when this turn ends */
  void *after_turn_arg;
  const la_task *until; /* what la_executor_run waits for */
  la_task *current;     /* the one being polled */
  const void *owner;
  la_mpsc foreign;
  la_parker parker;
  la_timer_queue timers;
  la_list alarms; /* see alarm.h */
  la_clock clock;
  la_random random;
  bool shuffled; /* each turn polls what was ready in a random order */
  la_list live;
  size_t live_count;
  uint64_t next_id;
  uint64_t polls;            /* of tasks, so far */
  uint64_t number;           /* of this executor, which no other of the process has had */
  la_spare spare[LA_SPARES]; /* memory of ended tasks, by size */
  size_t tasks;              /* tasks whose memory is not freed (spare ones do not count) */
  _Atomic uint64_t outside;  /* what may wake a task unseen by the parker: LA_KEEP_ALIVE and
                             ** LA_KEEP_PEER each, in one word, so that nobody sees half a change */
  _Atomic unsigned inside;   /* foreign threads that are using the executor */
  _Atomic bool closing;
  _Atomic long freed_late; /* tasks freed since `closing`; see executor.c */
  struct {
    la_node node;
    bool stuck, told;
    uint64_t settled; /* `polls` when it was told last */
  } circle;           /* of circle.c */
};

#define LA_KEEP_ALIVE UINT64_C(1)
#define LA_KEEP_PEER (UINT64_C(1) << 32)

/* The calling thread is the owner. NULL: no memory. */
la_executor *la_executor_new(la_parker parker);

/* Drops the futures of all tasks that are left (as cancelled), waits for foreign
** wakes that are under way, and gives up the memory, which goes when the last
** waker does. The parker is not called after it. */
void la_executor_close(la_executor *ex);

typedef enum la_run_end { LA_RUN_DONE, LA_RUN_DEADLOCK } la_run_end;

/* Runs until `task` is COMPLETE, or, when it is NULL, until no task is left.
** LA_RUN_DEADLOCK: every task waits and nothing can wake one; calling it again
** after a wake or a cancel goes on. Not re-entrant. */
la_run_end la_executor_run(la_executor *ex, la_task *task);

/* One turn: timers that are due, then tasks. True while some are ready; with `generation` set, some
** of those who were ready as the first turn since the last look at the outside began. */
bool la_executor_turn(la_executor *ex);

/* For one that is driven from a loop of somebody else's: a turn, without waiting. Who calls it
** has looked at the outside since the last one, so that a paused clock jumps if that has woken
** nobody. Between steps it rests, and rouses who drives it when a task gets ready. */
void la_executor_step(la_executor *ex);

/* Nanoseconds until it wants a step, unless something wakes a task before: 0, if some are ready;
** LA_TIMER_NEVER. */
uint64_t la_executor_patience(la_executor *ex);

/* Every task waits, and nothing that we know of can wake one. */
bool la_executor_stuck(la_executor *ex);

/* Another thread has woken a task, and the owner has not seen it yet. Any thread. */
bool la_executor_is_woken(la_executor *ex);

/* Some task is ready to be polled. */
static inline bool la_executor_has_ready(const la_executor *ex) {
  return ex->ready != &ex->ready_end;
}

/* The calling thread is the one that made it. */
bool la_executor_is_here(const la_executor *ex);

/* From here on random choices, and the order in which tasks that are ready are polled, follow
** from the seed: for tests that shall not depend on the order of tasks. */
static inline void la_executor_seed(la_executor *ex, uint64_t seed) {
  ex->random.state = seed;
  ex->shuffled = true;
}

/* For la_yield_init. In a shuffled turn who yields may be drawn before those who were ready
** with him: a whole turn has to lie between. */
static inline unsigned la_executor_yield_polls(const la_executor *ex) {
  return ex->shuffled ? 2 : 1;
}

/* The time outside, and the time that timers and tasks go by. */
static inline uint64_t la_executor_real_time(const la_executor *ex) {
  return ex->parker.vt->now(ex->parker.self);
}
static inline uint64_t la_executor_now(const la_executor *ex) {
  return la_clock_time(&ex->clock, la_executor_real_time(ex));
}

/* The clock of the executor stands still, until it is resumed; when every task waits, and
** nothing outside is at work, it jumps to the next timer. False when it was so already. */
static inline bool la_executor_pause(la_executor *ex) {
  return la_clock_pause(&ex->clock, la_executor_real_time(ex));
}
static inline bool la_executor_resume(la_executor *ex) {
  return la_clock_resume(&ex->clock, la_executor_real_time(ex));
}

/* Puts a paused clock on to `t`, and wakes those whose timers are due then. */
static inline void la_executor_advance(la_executor *ex, uint64_t t) {
  la_clock_jump(&ex->clock, t);
  la_timer_queue_advance(&ex->timers, la_executor_now(ex));
}

/* Counts (+1, -1) what may wake a task from outside unseen by the parker: while
** there is any, a run in which every task waits is no deadlock. Any thread. */
void la_executor_keep_alive(la_executor *ex, int change);

/* The same for what another executor of ours has: only the circle sees such deadlocks (circle.h).
 */
void la_executor_keep_peer(la_executor *ex, int change);

/* ---- for task.c ---------------------------------------------------------------*/

/* Has it polled, unless it is COMPLETE. Any thread that holds a reference to it. */
void la_executor_schedule(la_executor *ex, la_task *t);

/* The list for tasks whose future has this size; NULL: there is none any more. */
static inline la_spare *la_executor_spare(la_executor *ex, size_t future_size) {
  for (la_spare *s = ex->spare; s < ex->spare + LA_SPARES; s++) {
    if (s->future_size == 0) s->future_size = future_size;
    if (s->future_size == future_size) return s;
  }
  return NULL;
}

/* The last reference is gone: frees the memory, or sends it to the owner. */
void la_executor_release(la_executor *ex, la_task *t);

/* ---- a parker with no reactor behind it --------------------------------------*/

la_parker la_parker_thread_new(void); /* self is NULL when there is no memory */
void la_parker_thread_free(la_parker p);

#endif
