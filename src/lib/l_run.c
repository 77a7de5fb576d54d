/* async.run: a runtime from its first task to its last byte. */
#include <stdlib.h>

#include "bridge/error.h"
#include "bridge/future_object.h"
#include "bridge/task_object.h"
#include "bridge/traceback.h"
#include "core/group.h"
#include "driver/interrupt.h"
#include "io/process.h"
#include "lib/dump.h"
#include "lib/l_future.h"
#include "lib/lib.h"

#define RUN_NAME "lua_async.run"

typedef struct run_state {
  la_runtime rt;
  la_reactor *reactor;
  bool entered, seeded;
  bool sigint; /* cancels the root task */
  uint64_t seed;
} run_state;

/* Members of groups are cancelled by those who wait for them. */
static void cancel_all(la_executor *ex) {
  for (la_node *n = ex->live.head.next; n != &ex->live.head; n = n->next) {
    la_task *t = la_container(n, la_task, live);
    if (!la_task_is_member(t)) la_task_cancel(t);
  }
}

static int raise_deadlock(lua_State *L, int dump) {
  lua_pushliteral(L, "deadlock: every task waits, and nothing is left that could wake one\n");
  lua_pushvalue(L, dump);
  lua_concat(L, 2);
  la_push_error(L,
                &(la_error_info){.code = "EDEADLK", .op = "run", .message = lua_tostring(L, -1)});
  return lua_error(L);
}

/* (run_state, function, arguments…) -> Task, dump of a deadlock or nil */
static int run_tasks(lua_State *L) {
  run_state *s = lua_touserdata(L, 1);
  la_runtime *rt = &s->rt;
  int error = la_reactor_new(&s->reactor);
  if (error != 0) {
    la_fail(L, error, "run");
    return lua_error(L);
  }
  rt->ex = s->reactor->ex;
  rt->reactor = s->reactor;
  if (s->seeded) la_executor_seed(rt->ex, s->seed);
  s->entered = true;
  la_runtime_enter(L, rt);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &la_task_metatable_key);
  la_owners_push(L);
  lua_rotate(L, 2, 2); /* the state, metatable, owners, function, arguments */
  rt->root = la_task_object_spawn(L, rt, lua_gettop(L) - 4, 2, 3, 2, NULL)->task;
  la_task_ref(rt->root);
  if (s->sigint) la_interrupt_begin(s->reactor, rt->root);
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
  la_interrupt_pause(s->reactor);
  la_task_unref(rt->root);
  rt->ending = true;
  cancel_all(rt->ex);
  la_future_objects_drop_left(rt);
  la_executor_run(rt->ex, NULL);
  return 2;
}

static void end_run(run_state *s) {
  if (s->entered) la_future_objects_drop_all(&s->rt);
  if (s->reactor != NULL) la_reactor_free(s->reactor);
  la_process_reap();
  s->reactor = NULL;
  if (s->entered) la_runtime_leave(&s->rt);
  s->entered = false;
}

/* The state closes in the middle of a run (os.exit in a task). */
static int run_gc(lua_State *L) {
  end_run(lua_touserdata(L, 1));
  return 0;
}

/* The seed of `options`, or of LUA_ASYNC_SEED in the environment; false: neither. */
static bool find_seed(lua_State *L, bool options, uint64_t *seed) {
  if (options) {
    if (lua_getfield(L, 1, "seed") != LUA_TNIL) {
      int is;
      *seed = (uint64_t)lua_tointegerx(L, -1, &is);
      luaL_argcheck(L, is, 1, "option 'seed' must be an integer");
      lua_pop(L, 1);
      return true;
    }
    lua_pop(L, 1);
  }
  const char *s = getenv("LUA_ASYNC_SEED");
  if (s == NULL || *s == '\0') return false;
  char *end;
  *seed = strtoull(s, &end, 0);
  if (*end != '\0') luaL_error(L, "LUA_ASYNC_SEED must be an integer, not '%s'", s);
  return true;
}

static int run(lua_State *L) {
  static const char *const names[] = {"seed", "sigint", NULL};
  uint64_t seed = 0; /* a plain table before the function is options */
  bool options = la_is_plain_table(L, 1);
  if (options) la_check_options(L, 1, names);
  bool seeded = find_seed(L, options, &seed);
  bool sigint = !options || la_option_boolean(L, 1, "sigint", true);
  if (options) lua_remove(L, 1);
  la_push_callable(L, 1);
  if (la_runtime_of(L) != NULL)
    return luaL_error(L, "async.run inside of async.run: use async.spawn, or call the function");
  int n = lua_gettop(L);
  run_state *s = lua_newuserdatauv(L, sizeof *s, 0);
  *s = (run_state){.seeded = seeded, .seed = seed, .sigint = sigint};
  luaL_setmetatable(L, RUN_NAME);
  lua_insert(L, 1);
  lua_pushcfunction(L, run_tasks);
  lua_insert(L, 1);
  lua_pushvalue(L, 2);
  lua_insert(L, 1); /* the state, run_tasks, the state, function, arguments */
  int status = lua_pcall(L, n + 1, 2, 0);
  end_run(s);
  if (status != LUA_OK) return lua_error(L);
  if (!lua_isnil(L, 3)) return raise_deadlock(L, 3);
  lua_settop(L, 2);
  return la_task_object_return(L, 2);
}

void la_open_run(lua_State *L) {
  static const luaL_Reg meta[] = {{"__gc", run_gc}, {NULL, NULL}};
  la_new_class(L, RUN_NAME, meta, NULL);
  lua_pushcfunction(L, run);
  lua_setfield(L, -2, "run");
}
