#include "bridge/coro.h"

#include <lauxlib.h>

#include "bridge/error.h"
#include "bridge/future_object.h"
#include "bridge/report.h"
#include "bridge/scope.h"
#include "bridge/task_object.h"
#include "bridge/traceback.h"
#include "core/future.h"

void la_coro_init(la_coro *c, const la_future_vtable *vt, void *owner, int slot) {
  c->base.vt = vt;
  c->co = NULL;
  c->inner = NULL;
  c->scope = NULL;
  c->owner = owner;
  c->anchor = 0;
  c->slot = slot;
  c->values = 0;
  c->flags = 0;
  c->hook = 0;
  c->waited = NULL;
}

bool la_coro_cancelled(const la_coro *c) {
  return c->scope != NULL ? la_scope_target(c) != LA_SCOPE_NONE : la_coro_root_cancelled(c);
}

bool la_coro_overdue(const la_coro *c) {
  const la_scope *target = la_scope_target(c);
  return target != LA_SCOPE_NONE && target != LA_SCOPE_ROOT && target->nursery == NULL;
}

bool la_coro_take_turn(la_coro *c) {
  la_scope *target = la_coro_overdue(c) ? la_scope_target(c) : NULL;
  if (target == NULL || target->turns == 0) return false;
  target->turns--;
  return true;
}

bool la_coro_root_cancelled(const la_coro *c) {
  if ((c->flags & LA_CORO_TASK) != 0)
    return la_task_has((const la_task *)(const void *)c - 1, LA_TASK_CANCELLED);
  return (c->flags & LA_CORO_CANCELLED) != 0;
}

void la_coro_set_inner(la_coro *c, la_future *f, bool foreign) {
  c->inner = f;
  if (foreign) {
    c->flags |= LA_CORO_FOREIGN;
    la_executor_keep_alive(la_rt->ex, 1);
  }
}

void la_coro_drop_inner(la_coro *c) {
  la_future *f = c->inner;
  c->inner = NULL;
  if ((c->flags & LA_CORO_FOREIGN) != 0) la_executor_keep_alive(la_rt->ex, -1);
  c->flags &= ~(unsigned)(LA_CORO_FOREIGN | LA_CORO_SPENT | LA_CORO_OVERDUE);
  la_future_drop(f);
}

void la_coro_thread_closed(la_coro *c) {
  if (!la_coro_awaits(c)) return;
  la_coro_drop_inner(c);
  la_coro_set_inner(c, &la_ready, false);
  c->flags |= LA_CORO_SPENT;
}

/* ---- the body -------------------------------------------------------------------*/

/* Its stack: the message handler, then the results or the error. */
static int body_end(lua_State *L, int status, lua_KContext k) {
  (void)k;
  if (status != LUA_OK && status != LUA_YIELD) {
    la_rt->current->flags |= LA_CORO_FAILED;
    return 1;
  }
  return lua_gettop(L) - 1;
}

static int body(lua_State *L) {
  int n = lua_gettop(L) - 2;
  return body_end(L, lua_pcallk(L, n, LUA_MULTRET, 1, 0, body_end), 0);
}

/* A plain coroutine.yield in a task would wait for a resume that never comes. It is resumed at
** once, and raises as it returns: then a pcall around it catches that. */
static const char stray_yield[] = "attempt to yield from outside a coroutine: a task is none; to "
                                  "give the others a turn call async.yield()";

static void restore_hook(lua_State *L) {
  lua_sethook(L, la_rt->user_hook.function, la_rt->user_hook.mask, la_rt->user_hook.count);
}

static void raise_stray_yield(lua_State *L, lua_Debug *ar) {
  (void)ar;
  restore_hook(L);
  lua_pushstring(L, stray_yield);
  lua_error(L);
}

/* Called protected, for one that yields again before it has returned. */
static int push_stray_yield(lua_State *L) {
  lua_pushstring(L, stray_yield);
  return 1;
}

/* Leaves the error, or that of having no memory for it, on `L`, which is not suspended. */
static void push_stray_error(lua_State *L, lua_State *co) {
  lua_pushcfunction(L, push_stray_yield);
  lua_pcall(L, 0, 1, 0);
  if (lua_checkstack(co, 1)) lua_xmove(L, co, 1);
}

static la_poll run(la_coro *c, la_context *cx, int nargs) {
  la_runtime *rt = la_rt;
  la_coro *current = rt->current;
  lua_State *running = rt->running;
  la_context *outer_cx = rt->cx;
  int status, n;
  bool strayed = false;
  if (!la_hook_unused(&rt->hook)) la_hook_follow(rt, c->co, &c->hook);
  do {
    rt->current = c;
    rt->running = c->co;
    rt->cx = cx;
    if (!strayed) la_about_to_run(c->co);
    status = lua_resume(c->co, running, nargs, &n);
    rt->current = current;
    rt->running = running;
    rt->cx = outer_cx;
    la_about_to_run(running);
    if (status != LUA_YIELD) break;
    if (n > 0) lua_pop(c->co, n);
    if (la_coro_awaits(c)) return LA_PENDING;
    if (lua_gethook(c->co) == raise_stray_yield) { /* in a C function that yields for ever */
      restore_hook(c->co);
      push_stray_error(running, c->co);
      break;
    }
    rt->user_hook.function = lua_gethook(c->co);
    rt->user_hook.mask = lua_gethookmask(c->co);
    rt->user_hook.count = lua_gethookcount(c->co);
    lua_sethook(c->co, raise_stray_yield, LUA_MASKRET, 0);
    strayed = true;
    nargs = 0;
  } while (true);
  if (status == LUA_OK) n -= LA_THREAD_GUARD; /* lua_resume counts all that is on the stack */
  c->flags |= LA_CORO_ENDED;
  c->values = status == LUA_OK ? n : 1;
  if (status != LUA_OK) c->flags |= LA_CORO_FAILED | LA_CORO_BROKEN;
  if (c->inner != NULL) la_coro_drop_inner(c);
  return LA_READY;
}

bool la_coro_load(la_coro *c, lua_State *from, int nargs) {
  lua_State *co = la_thread_take(la_rt, &c->anchor);
  if (co == NULL) return false;
  if (nargs > LUA_MINSTACK / 2 && !lua_checkstack(co, nargs + LUA_MINSTACK)) {
    la_thread_give(la_rt, co, c->anchor, true);
    return false;
  }
  lua_pushcfunction(co, body);
  lua_pushcfunction(co, la_traceback_handler);
  lua_xmove(from, co, nargs + 1);
  c->co = co;
  c->values = nargs + 2;
  return true;
}

void la_coro_fail(la_coro *c) { c->flags |= LA_CORO_FAILED | LA_CORO_BROKEN; }

/* Ready as soon as the inner future may be dropped. */
static la_poll unwind_inner(la_coro *c, la_context *cx) {
  if ((c->flags & LA_CORO_UNWINDING) != 0) return LA_PENDING;
  const la_future *waits_for = c->waited == NULL ? la_future_beneath(c->inner) : NULL;
  if (waits_for != NULL) c->waited = waits_for->vt->name;
  if (c->scope != NULL) la_scope_unwind(c);
  la_cancel (*cancel)(la_future *) = c->inner->vt->cancel;
  la_cancel how = cancel != NULL ? cancel(c->inner) : LA_CANCEL_DROP;
  if (how != LA_CANCEL_FINISH) c->flags |= LA_CORO_UNWINDING;
  return how == LA_CANCEL_DROP ? LA_READY : la_future_poll(c->inner, cx);
}

/* Whatever unwinds is more than a leaf: its parts are polled on their own, or are Lua's. */
static bool is_leaf(const la_future *f) { return f->vt->cancel == NULL; }

la_poll la_coro_poll_inner(la_coro *c, la_context *cx) {
  if ((c->flags & LA_CORO_OVERDUE) == 0 || !is_leaf(c->inner)) return la_future_poll(c->inner, cx);
  la_executor *ex = la_rt->ex;
  ex->trying = true;
  la_poll r = la_future_poll(c->inner, cx);
  ex->trying = false;
  return r;
}

/* It is pending past a deadline, but made of parts, some of which may not have been polled yet. */
static bool waits_on(la_coro *c, const la_context *cx) {
  if ((c->flags & LA_CORO_OVERDUE) == 0 || is_leaf(c->inner)) return false;
  if (!la_executor_has_ready(la_rt->ex) || !la_coro_take_turn(c)) return false;
  la_waker_wake_by_ref(cx->waker);
  return true;
}

la_poll la_coro_poll(la_coro *c, la_context *cx) {
  if ((c->flags & LA_CORO_BEGUN) == 0) {
    c->flags |= LA_CORO_BEGUN;
    if (!la_coro_root_cancelled(c)) return run(c, cx, c->values);
    c->flags |= LA_CORO_FAILED;
    if (c->co != NULL) la_thread_give(la_rt, c->co, c->anchor, true);
    c->co = NULL;
    return LA_READY;
  }
  if (c->scope != NULL) la_scope_rewake(c, cx);
  bool unwinding = (c->flags & LA_CORO_UNWINDING) != 0;
  bool dropped = (c->flags & LA_CORO_CANCELLED) != 0 && !unwinding && la_coro_cancelled(c);
  la_poll r = dropped ? LA_PENDING : la_coro_poll_inner(c, cx);
  if (r == LA_PENDING && la_coro_cancelled(c) && !waits_on(c, cx)) r = unwind_inner(c, cx);
  if (r == LA_PENDING) return LA_PENDING;
  if ((c->flags & LA_CORO_UNWINDING) != 0) {
    la_coro_drop_inner(c);
    c->flags = (c->flags & ~(unsigned)LA_CORO_UNWINDING) | LA_CORO_INTERRUPT;
  }
  return run(c, cx, 0);
}

int la_coro_take(la_coro *c, lua_State *to) {
  if (c->co == NULL) { /* it never began: cancelled, or no memory for it */
    if ((c->flags & LA_CORO_BROKEN) != 0)
      lua_pushliteral(to, "not enough memory, or too many polls inside one another");
    else
      la_push_cancelled(to);
    return 1;
  }
  if (lua_gettop(c->co) < c->values) { /* its thread is the program's, too */
    lua_pushliteral(to, "its results are lost: its coroutine was closed elsewhere");
    return 1;
  }
  lua_xmove(c->co, to, c->values);
  return c->values;
}

enum { RECORD_ERROR = 1, RECORD_TRACEBACK = 2 };

void la_coro_set_traceback(lua_State *L, const la_coro *c, int error) {
  error = lua_absindex(L, error);
  lua_createtable(L, 2, 0);
  lua_insert(L, -2);
  lua_rawseti(L, -2, RECORD_TRACEBACK);
  lua_pushvalue(L, error);
  lua_rawseti(L, -2, RECORD_ERROR);
  lua_pushvalue(la_rt->store, LA_STORE_TRACEBACKS);
  lua_xmove(la_rt->store, L, 1);
  lua_insert(L, -2);
  lua_rawseti(L, -2, c->slot);
  lua_pop(L, 1);
}

/* Pushes a field of the record, or nil. */
static void push_record(lua_State *L, const la_coro *c, int field) {
  lua_State *store = la_rt->store;
  lua_rawgeti(store, LA_STORE_TRACEBACKS, c->slot);
  if (lua_istable(store, -1))
    lua_rawgeti(store, -1, field);
  else
    lua_pushnil(store);
  lua_xmove(store, L, 1);
  lua_pop(store, 1);
}

void la_coro_push_traceback(lua_State *L, const la_coro *c) { push_record(L, c, RECORD_TRACEBACK); }

bool la_coro_has_traceback(lua_State *L, const la_coro *c, int error) {
  error = lua_absindex(L, error);
  push_record(L, c, RECORD_ERROR);
  bool has = lua_rawequal(L, error, -1);
  lua_pop(L, 1);
  return has;
}

/* Its <close> variables run, in nobody's name; what they raise has nobody else to be told. */
static void close_suspended(la_runtime *rt, const la_coro *c, lua_State *co) {
  la_coro *current = rt->current;
  lua_State *L = rt->running;
  rt->current = NULL;
  int status = la_thread_close(co, L);
  rt->current = current;
  if (status == LUA_OK || (c->flags & LA_CORO_BROKEN) != 0 || !lua_checkstack(L, LUA_MINSTACK))
    return;
  lua_xmove(co, L, 1);
  lua_pushnil(L);
  lua_pushnil(L);
  la_report_failure(L);
}

void la_coro_drop(la_coro *c) {
  la_runtime *rt = la_rt;
  if (c->inner != NULL) la_coro_drop_inner(c);
  la_scope_abandon_to(c, NULL);
  if ((c->flags & LA_CORO_FAILED) != 0) la_store_clear(rt, LA_STORE_TRACEBACKS, c->slot);
  lua_State *co = c->co;
  if (co == NULL) return;
  c->co = NULL;
  bool ended = (c->flags & (LA_CORO_ENDED | LA_CORO_BROKEN)) == LA_CORO_ENDED ||
               (c->flags & LA_CORO_BEGUN) == 0;
  if (!ended) close_suspended(rt, c, co);
  la_thread_give(rt, co, c->anchor, ended);
}
