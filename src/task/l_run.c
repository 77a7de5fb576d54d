/* async.run: a root task, and a runtime around it. */
#include <errno.h>
#include <string.h>

#include "bridge/error.h"
#include "bridge/lib.h"
#include "bridge/losses.h"
#include "bridge/report.h"
#include "bridge/task_object.h"
#include "driver/interrupt.h"
#include "task/l_dump.h"
#include "task/l_future.h"
#include "task/l_kick.h"
#include "task/l_life.h"
#include "task/l_task.h"

#define RUN_NAME "lua_async.run"

typedef struct run_state {
  la_life life;
  bool seeded;
  bool sigint; /* cancels the root task */
  bool exit;   /* and ends the process, when all has unwound */
  bool interrupted;
  uint64_t seed;
} run_state;

static int raise_deadlock(lua_State *L, int dump) {
  lua_pushliteral(L, "deadlock: every task is waiting and nothing can wake one\n");
  lua_pushvalue(L, dump);
  lua_concat(L, 2);
  la_push_error(L,
                &(la_error_info){.code = "EDEADLK", .op = "run", .message = lua_tostring(L, -1)});
  return lua_error(L);
}

/* (run_state, function, arguments…) -> Task, dump of a deadlock or nil */
static int run_tasks(lua_State *L) {
  run_state *s = lua_touserdata(L, 1);
  la_runtime *rt = &s->life.rt;
  int error = la_reactor_new(&s->life.reactor);
  if (error != 0) {
    la_fail(L, error, "run");
    return lua_error(L);
  }
  la_life_begin(L, &s->life, s->seeded ? &s->seed : NULL);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &la_task_metatable_key);
  la_owners_push(L);
  lua_rotate(L, 2, 2); /* the state, metatable, owners, function, arguments */
  rt->root = la_task_object_spawn(L, rt, lua_gettop(L) - 4, 2, 3, 2, NULL)->task;
  la_task_ref(rt->root);
  if (s->sigint) la_interrupt_begin(s->life.reactor, rt->root);
  s->life.reactor->unwanted = la_kick_wanted;
  s->life.reactor->unwanted_root = rt->root;
  la_kick_begin_run(&s->life.reactor->async);
  lua_pushnil(L);
  la_run_end end = la_executor_run(rt->ex, rt->root);
  uint64_t polls = rt->ex->polls - 1;
  while (end == LA_RUN_DEADLOCK && rt->ex->polls != polls) {
    polls = rt->ex->polls; /* what is garbage may close as it is collected, and wake */
    lua_gc(L, LUA_GCCOLLECT);
    end = la_executor_run(rt->ex, rt->root);
  }
  if (end == LA_RUN_DEADLOCK) {
    la_push_dump(L, rt);
    lua_replace(L, -2);
  }
  la_interrupt_pause(s->life.reactor);
  s->interrupted = s->life.reactor->interrupted;
  s->life.reactor->unwanted_root = NULL;
  la_task_unref(rt->root);
  rt->root = NULL;
  la_life_cancel(&s->life);
  la_life_unwind(&s->life);
  return 2;
}

/* The state closes in the middle of a run (os.exit in a task). */
static int run_gc(lua_State *L) {
  run_state *s = lua_touserdata(L, 1);
  la_losses_tell(L, la_life_end(L, &s->life));
  return 0;
}

/* Option `sigint`: a boolean, or "exit". */
static void check_sigint(lua_State *L, run_state *s) {
  int type = lua_getfield(L, 1, "sigint");
  s->exit = type == LUA_TSTRING && strcmp(lua_tostring(L, -1), "exit") == 0;
  luaL_argcheck(L, s->exit || type == LUA_TNIL || type == LUA_TBOOLEAN, 1,
                "option 'sigint' must be a boolean or \"exit\"");
  s->sigint = type != LUA_TBOOLEAN || lua_toboolean(L, -1);
  lua_pop(L, 1);
}

/* Leaves the root Task at index 2, and at 3 why the last bytes of stdout could not be written, or
 * nil. */
static void run_to_end(lua_State *L, void (*ending)(void)) {
  static const char *const names[] = {"seed", "sigint", NULL};
  run_state begin = {.sigint = true};
  bool options = la_is_plain_table(L, 1); /* a plain table before the function */
  if (options) la_check_options(L, 1, names);
  begin.seeded = la_life_find_seed(L, options ? 1 : lua_gettop(L) + 1, &begin.seed);
  if (options) check_sigint(L, &begin);
  if (options) lua_remove(L, 1);
  la_push_callable(L, 1);
  if (la_runtime_of(L) != NULL)
    luaL_error(
        L, "async.run cannot be called inside async.run: use async.spawn, or call the function");
  int n = lua_gettop(L);
  run_state *s = lua_newuserdatauv(L, sizeof *s, 0);
  *s = begin;
  luaL_setmetatable(L, RUN_NAME);
  lua_insert(L, 1);
  lua_pushcfunction(L, run_tasks);
  lua_insert(L, 1);
  lua_pushvalue(L, 2);
  lua_insert(L, 1); /* the state, run_tasks, the state, function, arguments */
  int status = lua_pcall(L, n + 1, 2, 0);
  if (ending != NULL) ending();
  if (s->exit && s->life.reactor != NULL) s->interrupted = la_interrupt_claim(s->life.reactor);
  la_loss *losses = la_life_end(L, &s->life);
  la_kick_go_on();
  if (status == LUA_OK && lua_isnil(L, 3)) {
    lua_settop(L, 2);
    la_losses_tell_others(L, losses);
    return;
  }
  la_losses_tell(L, losses);
  if (status == LUA_OK) raise_deadlock(L, 3);
  lua_error(L);
}

/* What the root task has failed with is raised; that of stdout is told then. */
static bool root_failed(lua_State *L) {
  if (!la_task_object_push_failure(L, 2)) return false;
  if (!lua_isnil(L, 3)) {
    lua_pushvalue(L, 3);
    la_losses_tell_error(L);
  }
  return true;
}

/* As lua.c's own error for it, where the root task did not see to it otherwise. */
static int raise_interrupted(lua_State *L) {
  la_push_error(L, &(la_error_info){.code = "EINTR", .number = EINTR, .message = "interrupted!"});
  return lua_error(L);
}

/* The root's error has nobody else to tell it. The state is closed as by os.exit. */
static int end_process(lua_State *L, int task) {
  if (la_task_object_push_failure(L, task)) {
    lua_pushvalue(L, task);
    la_report_failure(L);
  }
  lua_close(L);
  la_interrupt_end_process();
  return 0;
}

static int run(lua_State *L) {
  run_to_end(L, NULL);
  const run_state *s = lua_touserdata(L, 1);
  const la_task_object *root = lua_touserdata(L, 2);
  bool cancelled = root->outcome == LA_OUTCOME_CANCELLED;
  bool interrupted = s->interrupted && (s->exit || cancelled);
  if (!root_failed(L) && !lua_isnil(L, 3)) {
    lua_settop(L, 3);
    if (!interrupted && !cancelled) return lua_error(L);
    la_losses_tell_error(L);
  }
  lua_settop(L, 2);
  if (interrupted) return s->exit ? end_process(L, 2) : raise_interrupted(L);
  return la_task_object_return(L, 2);
}

int la_run_outcome(lua_State *L, void (*ending)(void), bool *failed) {
  run_to_end(L, ending);
  *failed = root_failed(L);
  if (*failed) return 2;
  if (lua_isnil(L, 3)) return la_task_object_results(L, 2);
  *failed = true;
  lua_settop(L, 3);
  lua_pushnil(L);
  return 2;
}

void la_open_run(lua_State *L) {
  static const luaL_Reg meta[] = {{"__gc", run_gc}, {NULL, NULL}};
  la_new_class(L, RUN_NAME, meta, NULL);
  lua_pushcfunction(L, run);
  lua_setfield(L, -2, "run");
}
