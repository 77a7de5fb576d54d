/* async.test: a test of other people's suites, in a runtime of its own. */
#include "bridge/task_object.h"
#include "bridge/traceback.h"
#include "driver/handle.h"
#include "lib/dump.h"
#include "lib/lib.h"

/* ---- what is left ------------------------------------------------------------------*/

static size_t count_handles(const la_reactor *r) {
  size_t n = 0;
  for (const la_node *i = r->handles.head.next; i != &r->handles.head; i = i->next)
    n += la_handle_is_open(la_container(i, la_handle, node));
  return n;
}

/* How many there are of the kind of the first. */
static size_t count_resources(const la_reactor *r, const char **name) {
  size_t n = 0;
  for (const la_node *i = r->resources.head.next; i != &r->resources.head; i = i->next) {
    const char *its = la_container(i, la_resource, node)->name;
    if (n == 0 && its != NULL) *name = its;
    if (its == *name) n++;
  }
  return n;
}

static int raise_left(lua_State *L, size_t n, const char *what, const char *mend) {
  return luaL_error(L, "the test left %I %s%s: %s", (lua_Integer)n, what, n == 1 ? "" : "s", mend);
}

/* Raises when the test has left something: tasks, which explain the rest, before the rest. */
static int check_left(lua_State *L) {
  la_runtime *rt = la_rt;
  la_reactor *r = rt->reactor;
  const char *name = "";
  size_t tasks = rt->ex->live_count - 1, resources = count_resources(r, &name);
  if (tasks > 0) {
    lua_pushliteral(L, "await or cancel what it starts\n");
    la_push_dump(L, rt);
    lua_concat(L, 2);
    return raise_left(L, tasks, "task", lua_tostring(L, -1));
  }
  size_t handles = count_handles(r);
  if (handles > 0) return raise_left(L, handles, "open socket", "close it, or declare it <close>");
  if (resources > 0) return raise_left(L, resources, name, "close it, or declare it <close>");
  size_t timers = la_timer_queue_count(&rt->ex->timers);
  if (timers > 0) return raise_left(L, timers, "timer", "a Future was begun, and not finished");
  return 0;
}

/* ---- running -----------------------------------------------------------------------*/

/* The root task: upvalue 1 is the test. What was ready when it returned, or was cancelled by
** it, gets a few turns to end. */
enum { LAST_TURN = 3 };

static int returned(lua_State *L, int status, lua_KContext turns) {
  (void)status;
  lua_settop(L, 0);
  if (turns == LAST_TURN) return check_left(L);
  lua_getfield(L, lua_upvalueindex(2), "yield");
  lua_callk(L, 0, 0, turns + 1, returned);
  return returned(L, LUA_OK, turns + 1);
}

static int body(lua_State *L) {
  la_executor_pause(la_rt->ex);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_callk(L, lua_gettop(L) - 1, 0, 0, returned);
  return returned(L, LUA_OK, 0);
}

/* The on_error of a test, (error, traceback, task): upvalue 1 is a list, of the first report. */
static int keep_failure(lua_State *L) {
  lua_settop(L, 2);
  if (lua_rawlen(L, lua_upvalueindex(1)) > 0) return 0;
  la_push_report(L, 1, 2);
  lua_rawseti(L, lua_upvalueindex(1), 1);
  return 0;
}

/* Upvalues: the test, the module. A task that fails with nobody awaiting it fails the test. */
static int run_test(lua_State *L) {
  int n = lua_gettop(L);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &la_error_handler_key);
  lua_newtable(L);
  lua_pushvalue(L, -1);
  lua_pushcclosure(L, keep_failure, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &la_error_handler_key);
  lua_rotate(L, 1, 2); /* the handler before, the list, the arguments */
  lua_getfield(L, lua_upvalueindex(2), "run");
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_pushcclosure(L, body, 2);
  lua_rotate(L, 3, 2);
  int status = lua_pcall(L, n + 1, 0, 0);
  lua_pushvalue(L, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &la_error_handler_key);
  if (status != LUA_OK) return lua_error(L);
  if (lua_rawgeti(L, 2, 1) == LUA_TSTRING)
    return luaL_error(L, "a task failed, and nobody awaited it: %s", lua_tostring(L, -1));
  return 0;
}

static int test(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_settop(L, 1);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushcclosure(L, run_test, 2);
  return 1;
}

void la_open_test(lua_State *L) {
  lua_pushvalue(L, -1);
  lua_pushcclosure(L, test, 1);
  lua_setfield(L, -2, "test");
}
