/*
** The verdict of core/circle.c: EXECUTORS that wait for one another, and a thread without one.
**
**   judge         find and judge, under circle's mutex: here one step. While it finds all of them
**                 stuck and none at work nobody can push a wake, so that reading one after another
**                 sees the same
**   turn          la_executor_turn: take_foreign and the poll, after which `polls` differs from
**                 `settled`
**   park          waits_for_peers, la_circle_park, the park, la_circle_unpark, as in
**                 la_executor_run; a park may return early
**   push          notify and push_foreign: the wake is listed first, and unparks after
**   told          LA_RUN_DEADLOCK: the caller collects, which may wake somebody; told again with
**                 nothing polled in between, it ends, which may wake somebody, too: only then does
**                 it leave (la_executor_close)
**   worker        la_circle_working around a thread of ours that wakes somebody, or nobody
**
** Each may wake others WAKES times in all.
*/
#define EXECUTORS 3
#define WAKES 2

bool woken[EXECUTORS], unparked[EXECUTORS];
bool here[EXECUTORS], stuck[EXECUTORS], told[EXECUTORS], settled[EXECUTORS];
byte working = 1;

/* What is so, and circle.c cannot see: `busy` may wake somebody by itself. */
bool busy[EXECUTORS], was_told[EXECUTORS];
bool worker_busy = true;
byte wakes = WAKES;

hidden byte j, who;
hidden byte all;
#define NOBODY 255

inline judge() {
  all = true;
  who = NOBODY;
  for (j : 0 .. EXECUTORS - 1) {
    if :: here[j] && !stuck[j] -> all = false :: else fi;
#ifndef BROKEN_A_WAKE_ON_ITS_WAY_IS_NOT_SEEN
    if :: here[j] && woken[j] -> all = false :: else fi;
#endif
    if :: here[j] && told[j] -> all = false :: else fi
  }
#ifndef BROKEN_WHO_WORKS_IS_NOT_ASKED
  if :: working != 0 -> all = false :: else fi;
#endif
  if
  :: all ->
    for (j : 0 .. EXECUTORS - 1) {
      if :: here[j] && settled[j] -> who = j :: else fi /* the youngest has the highest number */
    }
    for (j : 0 .. EXECUTORS - 1) {
      if :: here[j] && !settled[j] -> who = j :: else fi
    }
    if
    :: who != NOBODY ->
      assert(!worker_busy);
      for (j : 0 .. EXECUTORS - 1) { assert(!here[j] || (!busy[j] && !woken[j])) }
      told[who] = true;
      unparked[who] = true
    :: else
    fi
  :: else
  fi
}

/* Anybody but `me`, or not. Two steps: a task is woken before its executor is unparked. */
inline wake_somebody(me) {
  if
  :: wakes > 0 ->
    for (t : 0 .. EXECUTORS - 1) {
      if
      :: atomic { t != me && wakes > 0 && here[t] && !woken[t] -> wakes--; woken[t] = true }
        atomic { unparked[t] = true }
        break
      :: skip
      fi
    }
  :: skip
  fi;
  t = 0
}

proctype executor(byte me) {
  byte t;
  bool verdict;
turn:
  atomic {
    if :: woken[me] -> woken[me] = false; busy[me] = true; settled[me] = false :: else fi
  }
  if :: busy[me] -> wake_somebody(me) :: else fi;
  busy[me] = false;
  if :: woken[me] -> goto turn :: else fi;
  atomic {
    stuck[me] = true;
    judge()
  }
  if
  :: atomic { unparked[me] -> unparked[me] = false }
  :: woken[me] /* early, as by the timer of another poll */
  fi;
  atomic {
    verdict = told[me] && !woken[me];
    stuck[me] = false;
    told[me] = false;
    if
    :: verdict && settled[me] -> busy[me] = true; goto end
    :: verdict && !settled[me] -> settled[me] = true; busy[me] = true; was_told[me] = true
    :: else
    fi
  }
  if
  :: verdict -> wake_somebody(me); busy[me] = false; verdict = false /* it collects */
  :: else
  fi;
  goto turn;
end:
  atomic { /* each was told before, and nobody is younger */
    for (j : 0 .. EXECUTORS - 1) { assert(!here[j] || (was_told[j] && settled[j] && j <= me)) }
  }
#ifdef BROKEN_IT_LEAVES_BEFORE_ITS_TASKS_ARE_DROPPED
  atomic { here[me] = false; judge() }
  wake_somebody(me);
  busy[me] = false
#else
  wake_somebody(me);
  busy[me] = false;
#ifdef BROKEN_WHO_LEAVES_DOES_NOT_JUDGE
  here[me] = false
#else
  atomic { here[me] = false; judge() }
#endif
#endif
}

proctype worker() {
  byte t;
  wake_somebody(EXECUTORS);
  worker_busy = false;
#ifdef BROKEN_WHO_HAS_WORKED_DOES_NOT_JUDGE
  working--
#else
  atomic { working--; judge() }
#endif
}

/* All of them end: nobody waits for ever. */
init {
  byte i;
  atomic {
    for (i : 0 .. EXECUTORS - 1) { here[i] = true; busy[i] = true }
    for (i : 0 .. EXECUTORS - 1) { run executor(i) }
    run worker()
  }
  _nr_pr == 1
}
