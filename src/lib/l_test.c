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
    lua_pushfstring(L, "the test left %I tasks: await or cancel them\n",
                    (lua_Integer)rt->ex->live_count - 1);
    la_push_dump(L, rt);
    lua_concat(L, 2);
    return lua_error(L);
  }
  uv_walk(&r->loop, count_handle, &left);
  size_t files = count_resources(r), timers = la_timer_queue_count(&rt->ex->timers);
  if (left.handles > 0)
    return luaL_error(L,
                      "the test left %I open handles (sockets): close them, or declare them "
                      "<close>",
                      (lua_Integer)left.handles);
  if (files > 0)
    return luaL_error(L, "the test left %I open files: close them, or declare them <close>",
                      (lua_Integer)files);
  if (timers > 0)
    return luaL_error(L, "the test left %I timers: a Future that was begun and never finished",
                      (lua_Integer)timers);
  return 0;
}

/* ---- running -----------------------------------------------------------------------*/

/* The root task: upvalue 1 is the test. What was ready when it returned, or was cancelled by
** it, gets a turn to end. */
static int checked(lua_State *L, int status, lua_KContext k) {
  (void)status;
  (void)k;
  return check_left(L);
}

static int returned(lua_State *L, int status, lua_KContext k) {
  (void)status;
  (void)k;
  lua_settop(L, 0);
  lua_getfield(L, lua_upvalueindex(2), "sleep");
  lua_pushnumber(L, 0.001);
  lua_callk(L, 1, 0, 0, checked);
  return checked(L, LUA_OK, 0);
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
