/*
** await.h - how a C function called from Lua waits for a future.
*/
#ifndef LA_BRIDGE_AWAIT_H
#define LA_BRIDGE_AWAIT_H

#include "bridge/coro.h"
#include "core/export.h"

/* The coroutine that L is, checked to be one that can be suspended here and now, and made ready
** to await. Raises an error that says what to do instead. When cancellation is due
** (la_coro_cancelled) la_await_cancelled is how to go on. */
LA_PART la_coro *la_await_coro(lua_State *L);

/* Raises in the coroutine of L, which la_await_coro returned, that it is cancelled. Like an
** operation that is over at once it costs budget: without it, others go first. A tail call of a
** lua_CFunction. */
LA_PART int la_await_cancelled(lua_State *L, la_coro *c);

/* The coroutine that L is, if it can be suspended here and now; NULL otherwise. */
LA_PART la_coro *la_await_possible(lua_State *L);

/* The same, without making it ready. */
la_coro *la_await_context(lua_State *L);

/* Cancellation is due, but what need not wait may still be had: only a deadline has passed, and the
** budget lasts, so that a loop of such operations ends. */
bool la_await_may_try(const la_coro *c);

/* The same, and `c` may wait the turn that la_await_overdue takes, which it has taken by this. */
bool la_await_may_ask(la_coro *c);

/* Suspends until `f` is ready, then returns what `finish` pushed; `f` is dropped, at the next
** await when `finish` raises: one that lives on L's stack has to be dropped (la_coro_drop_inner)
** by its `finish` itself, before that can raise.
** `c` is what la_await_coro just returned. A tail call of a lua_CFunction, whose
** own stack `finish` finds as it was. */
LA_PART int la_await_future(lua_State *L, la_coro *c, la_future *f, la_finish finish);

/* The same, but `f` is polled first when the coroutine of `c` is, which has to be woken. */
int la_await_polled_later(lua_State *L, la_coro *c, la_future *f, la_finish finish);

/* The same where a deadline has passed (la_await_may_try), but not for long: what need not wait
** may be had. `f` is polled now, and once more when all who are ready now have had their turn, and
** the outside was looked at. What is not ready then is cancelled, except that one made of parts
** may take more turns, as long as somebody is ready. */
int la_await_overdue(lua_State *L, la_coro *c, la_future *f, la_finish finish);

/* The same for a future that is ready once those who are ready now have had their turn, without
** results. */
int la_await_turn(lua_State *L, la_coro *c);

/* Raises in the coroutine of L that it is cancelled; the second for the cancellation that is due in
** `c`, which begins to unwind. */
int la_raise_cancelled(lua_State *L);
int la_await_raise_due(lua_State *L, la_coro *c);

/* ---- operations ------------------------------------------------------------------*/

/* A function of the module that waits. It serves both ways: called, it awaits;
** named in async.future(f, ...), it becomes the future itself. */
typedef struct la_operation {
  const char *name;
  /* Reads the arguments on L's stack, from index 1 on. Either makes the future, in
  ** `room` (LA_SLOT_SIZE bytes, which stay with it) or elsewhere, sets *f and
  ** returns 0; or pushes the results of what is done, or has failed, already, and
  ** returns how many. Raises on misuse, having kept nothing. What could not be given
  ** back it takes only while la_operation_may_take says so: a Future that is begun and given
  ** up before anybody has its results loses nothing. */
  int (*begin)(lua_State *L, void *room, la_future **f);
  la_finish finish; /* finds the arguments where `begin` did */
} la_operation;

/* For `begin`: the task has budget left, and the results are for whoever called. */
static inline bool la_operation_may_take(void) { return la_rt->ex->budget != 0; }

/* Takes one operation from the budget of the task that runs. False: it must wait a turn. */
static inline bool la_operation_proceed(void) {
  unsigned *budget = &la_rt->ex->budget; /* what the contexts of its tasks point to */
  if (*budget == 0) return false;
  --*budget;
  return true;
}

/* An operation that need not wait may go about it directly, and is spared la_operate; so it
** also succeeds where it could not wait. False when it is due to raise, or in doubt. */
static inline bool la_operation_direct(const lua_State *L) {
  const la_runtime *rt = la_rt;
  const la_coro *c = rt != NULL && rt->running == L ? rt->current : NULL;
  if (c == NULL || c->inner != NULL) return false;
  if (c->scope != NULL || (c->flags & LA_CORO_TASK) == 0) return !la_coro_cancelled(c);
  return !la_task_has((const la_task *)(const void *)c - 1, LA_TASK_CANCELLED);
}

/* The body of the lua_CFunction of an operation. */
LA_PART int la_operate(lua_State *L, const la_operation *op);

/* The table of functions `{name, function, operation}` that async.future consults. */
typedef struct la_operation_entry {
  lua_CFunction function;
  const la_operation *op;
} la_operation_entry;

/* Makes operations known (static storage, ended by a null function); any thread
** may load the module, so it is safe to repeat. */
LA_PART void la_operations_add(lua_State *L, const la_operation_entry *entries);

/* The operation that the function at index i is, or NULL. */
LA_PART const la_operation *la_operation_of(lua_State *L, int i);

/* ---- the C face ------------------------------------------------------------------*/

int la_api_await(lua_State *L, la_future *f, la_finish finish);

#endif
