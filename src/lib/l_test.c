/* async.test: a test of other people's suites, in a runtime of its own. */
#include "bridge/task_object.h"
#include "lib/dump.h"
#include "lib/lib.h"

/* ---- what is left ------------------------------------------------------------------*/

typedef struct leftovers {
  la_runtime *rt;
  size_t handles;
} leftovers;

/* The reactor's own handles carry no la_handle. */
static void count_handle(uv_handle_t *uv, void *arg) {
  if (uv->data != NULL && !uv_is_closing(uv)) ((leftovers *)arg)->handles++;
}

static size_t count_resources(const la_reactor *r) {
  size_t n = 0;
  for (const la_node *i = r->resources.head.next; i != &r->resources.head; i = i->next) n++;
  return n;
}

/* Raises when the test has left something: tasks, which explain the rest, before the rest. */
static int check_left(lua_State *L) {
  la_runtime *rt = la_rt;
  la_reactor *r = rt->reactor;
  leftovers left = {.rt = rt};
  if (rt->ex->live_count > 1) {
    lua_pushfstring(L, "tasks left by the test: %I. Await or cancel them\n",
                    (lua_Integer)rt->ex->live_count - 1);
    la_push_dump(L, rt);
    lua_concat(L, 2);
    return lua_error(L);
  }
  uv_walk(&r->loop, count_handle, &left);
  size_t files = count_resources(r), timers = la_timer_queue_count(&rt->ex->timers);
  if (left.handles > 0)
    return luaL_error(L, "open sockets left by the test: %I. Close them, or declare them <close>",
                      (lua_Integer)left.handles);
  if (files > 0)
    return luaL_error(L, "open files left by the test: %I. Close them, or declare them <close>",
                      (lua_Integer)files);
  if (timers > 0)
    return luaL_error(L, "timers left by the test: %I. A Future was begun, and not finished",
                      (lua_Integer)timers);
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

/* Upvalues: the test, the module. */
static int run_test(lua_State *L) {
  int n = lua_gettop(L);
  lua_getfield(L, lua_upvalueindex(2), "run");
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_pushcclosure(L, body, 2);
  lua_rotate(L, 1, 2);
  lua_call(L, n + 1, 0);
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
