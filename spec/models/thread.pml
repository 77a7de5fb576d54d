/*
** A thread of thread.spawn, its end, and who waits for it.
**
**   atomic        what thread_run.c and thread_service.c do under la_thread_run's mutex
**   waiter        future_poll (look, press), future_cancel, future_drop
**   has_parent, has_child    the wakers in the la_thread_run; parent_woken, child_woken: called
**   thread        the service (orders_poll, orders_finish, orders_drop), forward, thread_main
**   refs          la_thread_run_unref by both
**   joined        pthread_join; before it the thread may be sent the signal
**
** The waiter waits for the end, or cancels and waits, or drops the future in any state. `endless`:
** what runs there ends by the order alone; `deaf`: it never hears it. `hurry`: the time that it has
** for that may be over at any moment.
*/
#define REPORTS 2

bool has_parent, has_child, parent_woken, child_woken;
bool cancel, heard, orphan, ended;
byte reports, refs = 2;
bool freed, joined, detached, exited;
bool endless, deaf, hurry, patient;
byte told, printed; /* reports, there and here */

#define USE assert(!freed)

inline unref() {
  atomic {
    USE;
    refs--;
    if :: refs == 0 -> freed = true; assert(reports == 0) :: else fi
  }
}

inline order() { /* la_thread_run_cancel */
  atomic {
    USE;
    cancel = true;
    w = has_child;
    has_child = false
  }
  if :: w -> child_woken = true; w = false :: else fi
}

mtype = { RUNS, ORDERED, KICKED, HEARD, LEFT };

inline has_heard() {
  atomic { USE; h = heard }
}

proctype waiter() {
  bool w, h, e;
  mtype stage = RUNS;
poll:
  parent_woken = false;
  atomic {
    USE;
    e = ended;
    has_parent = !e;
    told = told + reports;
    reports = 0
  }
  if :: e -> goto drop :: else fi;
press:
  if
  :: (stage == ORDERED || stage == KICKED) && hurry ->
    has_heard();
    if
    :: h -> stage = HEARD
    :: !h && stage == KICKED -> stage = LEFT; goto drop
    :: !h && stage == ORDERED -> assert(!joined && !detached); stage = KICKED /* pthread_kill */
    fi
  :: else
  fi;
  if
  :: stage == RUNS && !patient -> /* future_cancel */
    atomic { USE; e = ended }
    if :: e -> goto drop :: else fi;
    stage = ORDERED;
    if :: patient = true :: skip fi; /* from here on */
    order();
    goto poll
  :: !patient -> goto drop
  :: parent_woken -> goto poll
  :: (stage == ORDERED || stage == KICKED) && hurry -> goto press
  fi;
drop:
  atomic {
    USE;
    e = ended;
    orphan = true;
    has_parent = false;
#ifndef BROKEN_A_DROP_FORGETS_REPORTS
    told = told + reports;
    reports = 0
#endif
  }
  if
  :: e -> exited; joined = true
  :: else -> detached = true; if :: stage != LEFT -> order() :: else fi
  fi;
  unref()
}

inline report() {
  atomic {
    USE;
    printed++;
    if
    :: orphan
    :: else -> printed--; reports++; w = has_parent; has_parent = false
    fi
  }
  if :: w -> parent_woken = true; w = false :: else fi
}

proctype thread() {
  bool w, o;
  byte n;
  do
  :: !deaf -> /* the service */
    child_woken = false;
#ifdef BROKEN_IT_LOOKS_BEFORE_IT_SITS_DOWN
    o = cancel && !heard;
    atomic { has_child = !o }
#else
    atomic { USE; o = cancel && !heard; has_child = !o }
#endif
    if
    :: o -> atomic { heard = true } break
    :: !o && n < REPORTS -> n++; report()
    :: !o ->
      if
      :: child_woken
      :: !endless -> break
      fi
    fi
  :: deaf && n < REPORTS -> n++; report()
  :: deaf -> break
  od;
  atomic { USE; has_child = false; heard = true } /* orders_drop */
  if :: n < REPORTS -> n++; report() :: skip fi; /* as it unwinds */
#ifdef BROKEN_ITS_END_IS_TOLD_UNLOCKED
  w = has_parent;
  atomic { ended = true; has_parent = false }
#else
  atomic { USE; ended = true; w = has_parent; has_parent = false }
#endif
#ifdef BROKEN_IT_GIVES_UP_ITS_HOLD_FIRST
  unref();
  atomic { USE; if :: w -> parent_woken = true :: else fi }
#else
  if :: w -> parent_woken = true :: else fi;
  unref();
#endif
  exited = true;
  assert(told + printed + reports == n)
}

init {
  atomic {
    if :: endless = true :: patient = true :: skip fi;
    if :: deaf = true; hurry = true; endless = false; patient = false :: hurry = true :: skip fi;
    run waiter();
    run thread()
  }
  _nr_pr == 1;
  assert(freed && joined != detached && exited);
  assert(reports == 0)
}
