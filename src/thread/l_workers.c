/*
** async.thread.workers, whose supervision is in Lua (lua_async/workers.lua), and what that needs
** besides the public functions: the module lua_async.internals.
*/
#include "bridge/module.h"
#include "bridge/report.h"
#include "bridge/task_object.h"
#include "core/group.h"
#include "net/l_listener.h"
#include "thread/l_thread.h"

/* close_listeners(): all of this Lua state, so that whoever accepts ends, once it has had those who
** have connected; those that this run makes later, too. */
static int close_listeners(lua_State *L) {
  la_check_reactor(L, "close_listeners")->stopping = true;
  la_listeners_push(L);
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
    la_listener_object *o = lua_touserdata(L, -2);
    if (o->listener != NULL) la_listener_stop(o->listener);
  }
  return 0;
}

/* report(task): tells on_error that it has failed. */
static int report(lua_State *L) {
  luaL_checkudata(L, 1, LA_TASK_NAME);
  if (!la_task_object_push_failure(L, 1)) return 0;
  lua_pushvalue(L, 1);
  la_report_failure(L);
  return 0;
}

/* ---- drained -------------------------------------------------------------------------*/

typedef struct drained {
  la_future base;
  la_runtime *rt;
} drained;

/* A task is alive besides the root, and the one that waits. */
static bool others_live(la_runtime *rt) {
  const la_task *self = la_task_current(rt);
  for (la_node *n = rt->ex->live.head.next; n != &rt->ex->live.head; n = n->next) {
    la_task *t = la_container(n, la_task, live);
    if (t != self && t != rt->root && t != rt->service && !la_task_is_member(t)) return true;
  }
  return false;
}

static la_poll drained_poll(la_future *f, la_context *cx) {
  la_runtime *rt = la_container(f, drained, base)->rt;
  if (!others_live(rt)) return LA_READY;
  if (rt->task_ended.vt == NULL) rt->task_ended = la_waker_clone(cx->waker);
  return LA_PENDING;
}

static void drained_drop(la_future *f) {
  la_runtime *rt = la_container(f, drained, base)->rt;
  la_waker w = rt->task_ended;
  rt->task_ended = (la_waker){0};
  if (w.vt != NULL) la_waker_drop(w);
}

static const la_future_vtable drained_vtable = {drained_poll, drained_drop, "drained", NULL};

static int drained_begin(lua_State *L, void *room, la_future **f) {
  (void)L;
  drained *d = room;
  *d = (drained){{&drained_vtable}, la_rt};
  *f = &d->base;
  return 0;
}

static const la_operation drained_operation = {"drained", drained_begin, NULL};
/* drained(): waits until no other task is left. One at a time. */
static int l_drained(lua_State *L) { return la_operate(L, &drained_operation); }

/* ---- the module ----------------------------------------------------------------------*/

static int workers_ended(lua_State *L, int status, lua_KContext k) {
  (void)status;
  (void)k;
  return lua_gettop(L);
}

#define WORKERS "lua_async.workers"

/* Raises what sending the n arguments would, and for what only one of the workers could have. */
static void check_arguments(lua_State *L, int n) {
  la_parcel *p = la_parcel_pack(L, 1, n, "argument");
  bool moves = p->moves;
  la_parcel_drop(p);
  if (moves)
    luaL_error(
        L,
        "an argument of workers contains something that only one thread can own, such as a connection: send it through a channel");
}

static int workers(lua_State *L) {
  la_runtime_check(L, "async.thread.workers");
  la_thread_check_callable(L, 2);
  int n = lua_gettop(L);
  check_arguments(L, n);
  la_require(L, WORKERS, sizeof WORKERS - 1);
  lua_getfield(L, -1, "supervise");
  lua_replace(L, n + 1);
  lua_insert(L, 1);
  lua_callk(L, n, LUA_MULTRET, 0, workers_ended);
  return workers_ended(L, LUA_OK, 0);
}

static int cores(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)uv_available_parallelism());
  return 1;
}

void la_open_workers(lua_State *L) {
  static const luaL_Reg functions[] = {{"workers", workers}, {"cores", cores}, {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}

void la_push_worker_internals(lua_State *L) {
  static const luaL_Reg internals[] = {{"close_listeners", close_listeners},
                                       {"report", report},
                                       {"drained", l_drained},
                                       {NULL, NULL}};
  la_require(L, LA_MODULE, sizeof LA_MODULE - 1);
  lua_pop(L, 1);
  la_module_need(L, "thread");
  luaL_newlib(L, internals);
}
