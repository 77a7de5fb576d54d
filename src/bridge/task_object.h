/*
** task_object.h - the Task that Lua sees, and the task behind it.
**
** The userdata outlives the la_task: when that ends, it takes over the results.
** Until then the runtime's `owners` keeps the userdata alive, so it needs no
** finaliser. User values:
**             waiting to start    running    done      failed
**   1         the function        -          result    the error
**   2, 3, …   arguments           -          -         -
** One that is cancelled before it starts has neither.
** More than one result: 1 is a table of them with their count at "n". A failure: 1 is a
** table of the error and its traceback.
*/
#ifndef LA_BRIDGE_TASK_OBJECT_H
#define LA_BRIDGE_TASK_OBJECT_H

#include "bridge/coro.h"
#include "bridge/nursery.h"

#define LA_TASK_NAME "lua_async.Task"

typedef enum la_outcome {
  LA_OUTCOME_NONE, /* it has not ended */
  LA_OUTCOME_EMPTY,
  LA_OUTCOME_ONE,
  LA_OUTCOME_MANY,
  LA_OUTCOME_CANCELLED,
  LA_OUTCOME_FAILED,
  LA_OUTCOME_FAILED_BARE /* 1 is the error itself: there was no memory for more */
} la_outcome;

typedef struct la_task_object {
  union {
    la_task *task; /* before it has ended */
    lua_Integer ended_id;
  };
  la_place place;        /* where it was spawned */
  unsigned char outcome; /* la_outcome */
  unsigned char nargs;
  bool begun; /* the function and its arguments are not here any more */
} la_task_object;

/* In the metatable of a userdata that is the first argument of a Task: light userdata, a
** la_task_unbegun, which is called if the Task ends before it began. */
extern char la_task_unbegun_key;
typedef void (*la_task_unbegun)(void *ud);

static inline bool la_task_object_ended(const la_task_object *o) {
  return o->outcome != LA_OUTCOME_NONE;
}

static inline lua_Integer la_task_object_id(const la_task_object *o) {
  return la_task_object_ended(o) ? o->ended_id : (lua_Integer)o->task->id;
}

/* Pops a function and its `nargs` arguments, and pushes the Task of their call, a child of
** `nursery` unless that is NULL.
** `owners` and `metatable` are the indices of those on L (la_owners_push,
** la_task_metatable_key); `level` of its call stack is where it is spawned. Raises for
** want of memory. */
la_task_object *la_task_object_spawn(lua_State *L, la_runtime *rt, int nargs, int level, int owners,
                                     int metatable, la_nursery *nursery);

/* Raises unless the task may be awaited here: of this run, and not the one that runs. */
void la_task_object_check(lua_State *L, const la_task_object *o);

/* The Task in which L runs: of its own task, or of the one whose group it is a member of.
** NULL: none. */
la_task *la_task_current(const la_runtime *rt);

/* Pushes the results of a Task that has ended (at index i) and returns how many, or
** raises its error, with the record of where it came from. */
int la_task_object_results(lua_State *L, int i);

/* The same outside of a task, as for the root task of a run to whoever called run: a string
** that was raised has the traceback appended, since nobody after us can. Other values stay as
** they are. */
int la_task_object_return(lua_State *L, int i);

/* Pushes the error of the Task at index i and its record or nil, if it failed. */
bool la_task_object_push_failure(lua_State *L, int i);

/* The Task at index `task` failed, with the very value at index `error`. */
bool la_task_object_failed_with(lua_State *L, int task, int error);

/* The coroutine behind a task that has not ended; NULL for a member of a group. */
la_coro *la_task_coro(la_task *t);

/* The Task object of a task that has not ended. */
void la_task_object_push(lua_State *L, la_runtime *rt, la_task *t);

/* That of la_task_current, or nil. */
void la_task_object_push_current(lua_State *L, la_runtime *rt);

extern char la_task_metatable_key; /* registry: the metatable of Tasks */
extern char la_task_names_key;     /* registry: weak table, Task -> name */

/* The nursery whose child the task is; NULL: none, or its call is gone. */
la_nursery *la_task_nursery(la_task *t);

#endif
