/*
** A wake from another thread, and the executor that parks, ends, and frees its tasks.
**
**   waker         external_wake, external_drop (task.c): notify, la_executor_keep_alive,
**                 la_task_unref, la_executor_release, push_foreign (executor.c)
**   owner         la_executor_run: take_foreign, run_task, complete, deadlocked, park;
**                 la_executor_close: closing, inside, the last take_foreign, freed_late
**   push          la_mpsc_push: one compare-and-swap that says whether the list was empty
**   unparked      parker_park and parker_unpark (parker_thread.c), or uv_async_send
**
** TASKS tasks; WAKERS wakers, each of one task, that is woken with what its task waits for, or
** dropped. A task completes when all its wakers have brought something; else all that remains for
** the owner is the deadlock. The owner may also close with tasks that wait, at any turn.
** Each atomic operation of C is one step; memory is sequentially consistent here.
** shape: -DWAKERS=2 -DYIELDS=1
** shape: -DWAKERS=3 -DYIELDS=0
*/
#define TASKS 2
#ifndef WAKERS
#define WAKERS 3
#endif
#ifndef YIELDS
#define YIELDS 1
#endif
#define TASK(w) ((w) % TASKS)
#define WAKERS_OF(t) ((WAKERS + TASKS - 1 - (t)) / TASKS)

bool notified[TASKS], complete[TASKS]; /* with refs: one atomic word */
byte refs[TASKS];
bool freed[TASKS];
bool listed[TASKS]; /* in ex->foreign */
bool ready[TASKS];
byte brought[TASKS], lost[TASKS];
bool unparked, parked, closing, closed, ex_freed;
byte inside, outside;
short freed_late;
byte tasks; /* ex->tasks, the owner's */

#define EMPTY (!listed[0] && !listed[1])

inline use(t) { assert(!freed[t] && !ex_freed) }
inline release_memory(t) { assert(!freed[t] && refs[t] == 0); freed[t] = true }

inline unpark() {
#ifdef BROKEN_UNPARK_IS_NOT_KEPT
  atomic { if :: parked -> unparked = true :: else fi }
#else
  unparked = true
#endif
}

inline push(t) {
  atomic {
    assert(!listed[t]); /* in a list once */
    was_empty = EMPTY;
    listed[t] = true
  }
  if :: was_empty -> assert(!ex_freed); unpark() :: else fi
}

inline enter(ok) {
  atomic { assert(!ex_freed); inside++ }
  ok = !closing
}

inline late(change) {
  atomic {
    freed_late = freed_late + change;
    if :: freed_late == 0 -> assert(!ex_freed); ex_freed = true :: else fi
  }
}

inline wake_by_ref(t) {
  enter(in);
  if
  :: in ->
    atomic {
      use(t);
      first = !notified[t] && !complete[t];
      if :: !complete[t] -> notified[t] = true :: else fi
    }
    if :: first -> push(t) :: else fi
  :: else
  fi;
  atomic { assert(!ex_freed); inside-- }
}

inline stop_counting(t) { /* la_executor_keep_alive(-1) */
  atomic { use(t); outside--; last = outside == 0 }
  if
  :: last ->
    enter(in);
    if :: in -> unpark() :: else fi;
    atomic { assert(!ex_freed); inside-- }
  :: else
  fi
}

inline unref_foreign(t) {
  atomic { use(t); refs[t]--; last = refs[t] == 0 }
  if
  :: last ->
    enter(in);
    if
    :: in -> push(t); atomic { assert(!ex_freed); inside-- }
    :: else -> release_memory(t); atomic { assert(!ex_freed); inside-- }; late(1)
    fi
  :: else
  fi
}

proctype waker(byte t) {
  bool in, first, last, was_empty;
  if
  :: brought[t]++;
#ifdef BROKEN_COUNT_BEFORE_THE_WAKE
    stop_counting(t);
    wake_by_ref(t);
#else
    wake_by_ref(t);
    stop_counting(t);
#endif
    unref_foreign(t)
  :: lost[t]++; stop_counting(t); unref_foreign(t)
  fi
}

/* la_task_unref on the owner's thread; after `closed` as a foreign one that cannot enter. */
inline unref_here(t) {
  atomic {
    use(t);
    refs[t]--;
    if
    :: refs[t] == 0 && !closed -> release_memory(t); tasks--
    :: refs[t] == 0 && closed -> release_memory(t); freed_late++
    :: else
    fi
  }
}

#define SCHEDULED(t) (ready[t] || notified[t])

inline finish(t) { /* complete() */
  atomic { use(t); complete[t] = true; was = notified[t] }
  if :: ready[t] || was -> if :: closed -> unref_here(t) :: else fi :: else -> unref_here(t) fi
}

inline give_up_queued(t) { if :: !SCHEDULED(t) -> unref_here(t) :: else fi }

/* The load, and then the exchange: what is pushed between is taken, too. */
inline take_foreign() {
  if
  :: EMPTY
  :: else ->
    atomic {
      for (i : 0 .. TASKS - 1) { taken[i] = listed[i]; listed[i] = false }
    }
    for (i : 0 .. TASKS - 1) {
      if
      :: taken[i] ->
        taken[i] = false;
        atomic {
          assert(!freed[i]);
#ifndef BROKEN_NOTIFIED_CLEARED_AFTER_THE_POLL
          notified[i] = false;
#endif
          none = refs[i] == 0
        }
        if
        :: none -> release_memory(i); tasks--
        :: !none && complete[i] -> give_up_queued(i)
        :: else -> ready[i] = true
        fi
      :: else
      fi
    }
  fi
}

inline run_tasks() {
  for (i : 0 .. TASKS - 1) {
    if
    :: ready[i] ->
      ready[i] = false;
      if
      :: complete[i] -> give_up_queued(i)
      :: else ->
        all = brought[i] == WAKERS_OF(i); /* the poll, which may wake the task itself */
        if :: skip :: YIELDS -> ready[i] = true fi;
#ifdef BROKEN_NOTIFIED_CLEARED_AFTER_THE_POLL
        notified[i] = false;
#endif
        if :: all -> finish(i) :: else fi
      fi
    :: else
    fi
  }
}

proctype owner() {
  byte i;
  bool taken[TASKS], none, all, was;
  do
  :: take_foreign();
    run_tasks();
    if
    :: complete[0] && complete[1] -> break
    :: !(complete[0] && complete[1]) -> break /* the run is given up */
    :: !(complete[0] && complete[1]) ->
      /* deadlocked: the count first, then the list */
      if
      :: outside == 0 && !ready[0] && !ready[1] ->
        if
        :: EMPTY ->
          for (i : 0 .. TASKS - 1) { assert(complete[i] || lost[i] > 0) }
          break
        :: else
        fi
      :: else
      fi;
      if
      :: ready[0] || ready[1] -> unparked = false /* only a look */
      :: else ->
        parked = true;
        atomic { unparked -> unparked = false; parked = false }
      fi
    fi
  od;
  /* la_executor_close */
  closing = true;
#ifndef BROKEN_CLOSE_DOES_NOT_WAIT
  inside == 0;
#endif
  take_foreign();
  for (i : 0 .. TASKS - 1) {
    if
    :: ready[i] ->
      ready[i] = false;
      if :: complete[i] -> give_up_queued(i) :: else fi
    :: else
    fi
  }
  closed = true;
  for (i : 0 .. TASKS - 1) {
    if :: !complete[i] -> finish(i) :: else fi
  }
  late(0 - tasks)
}

init {
  byte w;
  atomic {
    for (w : 0 .. TASKS - 1) { refs[w] = 1; ready[w] = true }
    for (w : 0 .. WAKERS - 1) { refs[TASK(w)]++ }
    tasks = TASKS;
    outside = WAKERS;
    for (w : 0 .. WAKERS - 1) { run waker(TASK(w)) }
    run owner()
  }
  _nr_pr == 1;
  assert(freed[0] && freed[1] && ex_freed)
}
