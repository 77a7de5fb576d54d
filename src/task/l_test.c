/* async.test: a test of other people's suites, in a runtime of its own. */
#include <string.h>

#include "bridge/lib.h"
#include "bridge/module.h"
#include "bridge/report.h"
#include "bridge/task_object.h"
#include "bridge/traceback.h"
#include "driver/handle.h"
#include "task/l_describe.h"
#include "task/l_dump.h"
#include "task/l_task.h"

/* ---- what is left ------------------------------------------------------------------*/

enum { LISTED = 8 }; /* of more only so many are named */

/* A list of what is left: "\n  127.0.0.1 port 80" each, on top of the stack. */
typedef struct left {
  lua_State *L;
  size_t count;
  int base; /* the stack below it */
} left;

static void add(left *l, int fd) {
  if (++l->count > LISTED || fd < 0) return;
  luaL_checkstack(l->L, LUA_MINSTACK, NULL);
  lua_pushliteral(l->L, "\n  ");
  la_push_descriptor(l->L, fd);
  lua_concat(l->L, 2);
}

static int raise_left(const left *l, const char *what, const char *mend) {
  lua_concat(l->L, lua_gettop(l->L) - l->base);
  const char *end = l->count == 1 ? "" : strcmp(what, "open watch") == 0 ? "es" : "s";
  return luaL_error(l->L, "the test left %I %s%s: %s%s", (lua_Integer)l->count, what, end, mend,
                    lua_tostring(l->L, -1));
}

static const char close_it[] = "close it, or declare it <close>";

/* Those of the kind of the first, whose name is returned. */
static const char *add_handles(left *l, const la_reactor *r) {
  const char *name = NULL;
  for (const la_node *i = r->handles.head.next; i != &r->handles.head; i = i->next) {
    la_handle *h = la_container((la_node *)(uintptr_t)i, la_handle, node);
    uv_os_fd_t fd;
    if (!la_handle_is_open(h)) continue;
    if (name == NULL) name = h->cls->name;
    if (strcmp(h->cls->name, name) == 0) add(l, uv_fileno(h->cls->uv(h), &fd) == 0 ? fd : -1);
  }
  return name;
}

/* The same. */
static const char *add_resources(left *l, const la_reactor *r) {
  const char *name = NULL;
  for (const la_node *i = r->resources.head.next; i != &r->resources.head; i = i->next) {
    const la_resource *its = la_container(i, const la_resource, node);
    if (name == NULL) name = its->name;
    if (its->name == NULL || its->name != name) continue;
    add(l, its->fd != NULL ? *its->fd : -1);
  }
  return name;
}

/* Raises when the test has left something: tasks, which explain the rest, before the rest. */
static int check_left(lua_State *L) {
  la_runtime *rt = la_rt;
  left l = {.L = L, .base = lua_gettop(L), .count = rt->ex->live_count - 1};
  if (l.count > 0) {
    lua_pushliteral(L, "\n");
    la_push_dump(L, rt);
    return raise_left(&l, "task", "await or cancel what it starts");
  }
  const char *name = add_handles(&l, rt->reactor);
  if (l.count > 0) return raise_left(&l, name, close_it);
  name = add_resources(&l, rt->reactor);
  if (l.count > 0) return raise_left(&l, name, close_it);
  l.count = la_timer_queue_count(&rt->ex->timers);
  if (l.count > 0) return raise_left(&l, "timer", "a Future was started and not finished");
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
    return luaL_error(L, "a task failed and no task awaited it: %s", lua_tostring(L, -1));
  return 0;
}

static int test(lua_State *L) {
  luaL_argexpected(L, la_is_callable(L, 1), 1, "function");
  lua_settop(L, 1);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushcclosure(L, run_test, 2);
  return 1;
}

void la_open_test(lua_State *L) {
  la_module_push(L);
  lua_pushcclosure(L, test, 1);
  lua_setfield(L, -2, "test");
}
