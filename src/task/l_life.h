/*
** life.h - a runtime from its first task to its last byte: what async.run and async.loop share.
*/
#ifndef LA_TASK_L_LIFE_H
#define LA_TASK_L_LIFE_H

#include "bridge/runtime.h"
#include "driver/reactor.h"

typedef struct la_life {
  la_runtime rt;
  la_reactor *reactor; /* NULL: it has not begun, or is over */
  bool begun;
} la_life;

/* async.run for who has to tell somebody else what came of it: pushes the results, or the error of
** the root task and its traceback (or nil), and returns how many these are. `ending` is called when
** all tasks are over, before the executor goes. Raises what async.run raises on misuse. */
int la_run_outcome(lua_State *L, void (*ending)(void), bool *failed);

/* The option `seed` of the table at `arg`, or of LUA_ASYNC_SEED in the environment; false:
** neither. Misuse raises. */
bool la_life_find_seed(lua_State *L, int arg, uint64_t *seed);

/* Begins and enters the runtime on `reactor`, which the caller has set. `seed`: NULL for none.
** Raises for want of memory; la_life_end follows in any case. */
void la_life_begin(lua_State *L, la_life *s, const uint64_t *seed);

/* Cancels every task; what is spawned from here on never begins, unless a shield may wait for it.
 */
void la_life_cancel(la_life *s);

/* Runs until no task is left, or none can go on, and drops what runs with nobody to wait for it:
** entered. */
void la_life_unwind(la_life *s);

/* The same for one whose host gives it turns, after each of them: drops what only runs with nobody
** to wait for it, when that is all there is or keeps all others waiting. */
void la_life_settle(la_life *s);

/* Called after the end of each runtime, on its thread. It stays; any thread. */
void la_life_after(void (*f)(void));

/* Drops what is left and ends the reactor; on the loop of a host that goes on closing while the
** host runs it. Nothing when it is over. Returns what was lost, to be told. */
la_loss *la_life_end(lua_State *L, la_life *s);

#endif
