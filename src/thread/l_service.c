/* What a thread of thread_run.h does in its own run. */
#include <stdlib.h>
#include <string.h>

#include "bridge/error.h"
#include "bridge/lib.h"
#include "bridge/task_object.h"
#include "core/circle.h"
#include "task/l_dump.h"
#include "task/l_life.h"
#include "thread/l_call.h"
#include "thread/l_run.h"
#include "thread/seat.h"

/* ---- orders -----------------------------------------------------------------------*/

typedef struct orders { /* ready when there are some */
  la_future base;
  la_thread_run *run;
  bool heard; /* what it was ready with was done */
} orders;

static orders *orders_of(la_future *f) { return la_container(f, orders, base); }

static bool has_orders(const la_thread_run *r) { return r->asked || (r->cancel && !r->heard); }

static la_poll orders_poll(la_future *f, la_context *cx) {
  orders *o = orders_of(f);
  la_thread_run *r = o->run;
  la_waker kept = la_waker_clone(cx->waker); /* which is not "external": it excuses no deadlock */
  pthread_mutex_lock(&r->mutex);
  la_waker old = la_waker_out(&r->child);
  bool ready = has_orders(r);
  if (!ready) r->child = la_waker_out(&kept);
  pthread_mutex_unlock(&r->mutex);
  la_seat_forget(old);
  la_seat_forget(kept);
  return ready ? LA_READY : LA_PENDING;
}

static void orders_drop(la_future *f) {
  orders *o = orders_of(f);
  la_thread_run *r = o->run;
  pthread_mutex_lock(&r->mutex);
  la_waker old = la_waker_out(&r->child);
  if (!o->heard) { /* the run is over */
    r->heard = true;
    r->asked = false;
    pthread_cond_broadcast(&r->answered);
  }
  pthread_mutex_unlock(&r->mutex);
  la_seat_forget(old);
}

static const la_future_vtable orders_vtable = {orders_poll, orders_drop, "orders", NULL};

static int orders_begin(lua_State *L, void *room, la_future **f) {
  orders *o = room;
  *o = (orders){{&orders_vtable}, lua_touserdata(L, 1), false};
  *f = &o->base;
  return 0;
}

/* (la_thread_run) -> text. Threads of this one are to answer before the time is up for this one. */
static int push_own_dump(lua_State *L) {
  la_thread_run *r = lua_touserdata(L, 1);
  pthread_mutex_lock(&r->mutex);
  long patience = r->patience / 4 * 3;
  pthread_mutex_unlock(&r->mutex);
  la_push_dump(L, la_rt);
  la_thread_push_dumps(L, la_rt, patience);
  lua_concat(L, 2);
  return 1;
}

static void answer(lua_State *L, la_thread_run *r) {
  lua_pushcfunction(L, push_own_dump);
  lua_pushlightuserdata(L, r);
  char *text = lua_pcall(L, 1, 1, 0) == LUA_OK ? strdup(lua_tostring(L, -1)) : NULL;
  lua_pop(L, 1);
  pthread_mutex_lock(&r->mutex);
  char *old = r->dump;
  r->dump = text;
  r->asked = false;
  pthread_cond_broadcast(&r->answered);
  pthread_mutex_unlock(&r->mutex);
  free(old);
}

static int orders_finish(lua_State *L, la_future *f) {
  la_thread_run *r = orders_of(f)->run;
  orders_of(f)->heard = true;
  pthread_mutex_lock(&r->mutex);
  bool dump = r->asked, cancel = r->cancel && !r->heard;
  r->heard = r->heard || cancel;
  pthread_mutex_unlock(&r->mutex);
  if (dump) answer(L, r);
  if (cancel && la_rt->root != NULL) la_task_cancel(la_rt->root);
  return 0;
}

static const la_operation orders_operation = {"orders", orders_begin, orders_finish};
static int hear(lua_State *L) { return la_operate(L, &orders_operation); }

/* The body of the service: it ends when the run does. */
static int serve_on(lua_State *L, int status, lua_KContext k) {
  (void)status;
  while (lua_gettop(L) == 1) { /* always */
    lua_pushcfunction(L, hear);
    lua_pushvalue(L, 1);
    lua_callk(L, 1, 0, k, serve_on);
  }
  return 0;
}
static int serve(lua_State *L) { return serve_on(L, LUA_OK, 0); }

/* ---- the run ----------------------------------------------------------------------*/

static LA_THREAD_LOCAL bool spoken_for;

/* The executor is about to go. */
static void ending(void) {
  if (spoken_for) la_circle_working(1);
  spoken_for = false;
}

static int run_root(lua_State *L) {
  bool failed;
  int n = la_run_outcome(L, ending, &failed);
  if (!failed) return n;
  la_thread_join_error(L);
  return lua_error(L);
}

static int root_returned(lua_State *L, int status, lua_KContext base) {
  (void)status;
  return lua_gettop(L) - (int)base;
}

/* The root task: (la_thread_run). */
static int root(lua_State *L) {
  la_runtime *rt = la_rt;
  la_thread_run *r = lua_touserdata(L, 1);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &la_task_metatable_key);
  la_owners_push(L);
  lua_pushcfunction(L, serve);
  lua_pushvalue(L, 1);
  rt->service = la_task_object_spawn(L, rt, 1, 1, 3, 2, NULL)->task;
  lua_settop(L, 1);
  la_circle_working(-1); /* from here on its executor speaks for the thread */
  spoken_for = true;
  pthread_mutex_lock(&r->mutex);
  bool cancelled = r->cancel;
  pthread_mutex_unlock(&r->mutex);
  if (cancelled) {
    la_push_cancelled(L);
    return lua_error(L);
  }
  int n = la_parcel_unpack(L, r->in);
  la_parcel_drop(r->in);
  r->in = NULL;
  lua_callk(L, n - 1, LUA_MULTRET, 1, root_returned);
  return root_returned(L, LUA_OK, 1);
}

int la_thread_run_enter(lua_State *L) {
  la_thread_run *r = lua_touserdata(L, 1);
  la_require(L, LA_MODULE, sizeof LA_MODULE - 1);
  lua_pop(L, 1);
  lua_pushcfunction(L, run_root);
  lua_createtable(L, 0, 1);
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "sigint");
  lua_pushcfunction(L, root);
  lua_pushlightuserdata(L, r);
  lua_call(L, 3, LUA_MULTRET);
  return lua_gettop(L) - 1;
}
