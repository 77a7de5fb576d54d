#include "bridge/nursery.h"

#include <lauxlib.h>

#include "bridge/await.h"
#include "bridge/error.h"
#include "bridge/report.h"
#include "bridge/scope.h"
#include "bridge/task_object.h"
#include "bridge/traceback.h"

/* ---- children -----------------------------------------------------------------------*/

void la_nursery_add(la_nursery *n, la_nursery_child *child, la_task *t) {
  child->nursery = n;
  child->task = t;
  la_list_push(&n->children, &child->sibling);
  n->count++;
  if (n->cancelled) la_task_cancel(t);
}

static void wake(la_nursery *n) {
  if (n->count <= n->left) la_kept_wake(&n->waits);
}

void la_nursery_child_over(la_nursery_child *child, bool failed, la_runtime *rt) {
  la_nursery *n = child->nursery;
  if (n == NULL) return;
  la_node_unlink(&child->sibling);
  n->count--;
  if (failed && !n->failed && !n->supervises) {
    n->failed = true;
    la_owner_push(rt, n->pin);
    lua_pushvalue(rt->store, -2);
    lua_setiuservalue(rt->store, -2, 1);
    lua_pop(rt->store, 1);
    la_nursery_cancel(n);
  }
  wake(n);
}

void la_nursery_cancel(la_nursery *n) {
  if (n->cancelled) return;
  n->cancelled = true;
  if (n->scope != NULL) la_scope_cancel(n->scope);
  for (la_node *i = n->children.head.next; i != &n->children.head; i = i->next) {
    la_task *t = la_container(i, la_nursery_child, sibling)->task;
    if (n->drops) la_task_coro(t)->flags |= LA_CORO_CANCELLED;
    la_task_cancel(t);
  }
}

static void close_call(la_nursery *n) {
  la_kept_drop(&n->waits);
  n->scope = NULL;
  n->rt = NULL;
  la_owner_remove(la_rt, n->pin);
}

void la_nursery_abandon(la_nursery *n) {
  for (la_node *i; (i = la_list_pop(&n->children)) != NULL;) {
    la_nursery_child *child = la_container(i, la_nursery_child, sibling);
    child->nursery = NULL;
    la_task_cancel(child->task);
  }
  n->count = 0;
  close_call(n);
}

/* ---- waiting ------------------------------------------------------------------------*/

static la_poll wait_poll(la_future *f, la_context *cx) {
  la_nursery *n = la_container(f, la_nursery, base);
  if (n->count <= n->left) return la_budget_take(cx) ? LA_READY : LA_PENDING;
  la_kept_set(&n->waits, cx);
  return LA_PENDING;
}

static void wait_drop(la_future *f) { la_kept_drop(&la_container(f, la_nursery, base)->waits); }

/* What comes out of it, in the end, is decided by `children_over`. */
static la_cancel wait_cancel(la_future *f) {
  la_nursery_cancel(la_container(f, la_nursery, base));
  return LA_CANCEL_FINISH;
}

/* Dropped without having unwound, the call is over. */
static void last_drop(la_future *f) {
  la_nursery *n = la_container(f, la_nursery, base);
  wait_drop(f);
  if (n->rt != NULL) la_nursery_abandon(n);
}

static const la_future_vtable slot_vtable = {wait_poll, wait_drop, "scope", NULL};
static const la_future_vtable last_vtable = {wait_poll, last_drop, "scope", wait_cancel};

la_future *la_nursery_wait(la_nursery *n, size_t left) {
  n->base.vt = &slot_vtable;
  n->left = left;
  return &n->base;
}

/* The end of the call: cancelled, it cancels the children, and waits on. */
static la_future *wait_for_all(la_nursery *n) {
  n->base.vt = &last_vtable;
  n->left = 0;
  return &n->base;
}

/* ---- the call -----------------------------------------------------------------------*/

/* Stack: the nursery, the message handler, the results of the body or its error. */
enum { NURSERY = 1, HANDLER, RESULTS };
typedef enum body_end { RETURNED, FAILED, CANCELLED } body_end;

/* The error of the body, on top, comes after a child's, which is raised. */
static void report_second(lua_State *L, la_coro *c) {
  lua_pushvalue(L, -1);
  la_coro_push_traceback(L, c);
  la_task_object_push_current(L, la_rt);
  la_report_failure(L);
}

static int end_call(lua_State *L, la_nursery *n, body_end end) {
  la_coro *c = la_rt->current;
  bool child_failed = lua_getiuservalue(L, NURSERY, 1) != LUA_TNIL;
  /* A body that awaited the child has failed with the same error. */
  if (child_failed && end == FAILED && !la_is_cancelled(L, -2) &&
      !la_task_object_failed_with(L, -1, -2)) {
    lua_insert(L, -2);
    report_second(L, c);
    lua_insert(L, -2);
  }
  close_call(n);
  la_coro_drop_inner(c); /* now: what follows may raise, and then `n` is garbage */
  if (child_failed) {
    lua_pushnil(L); /* it need not keep it any longer */
    lua_setiuservalue(L, NURSERY, 1);
    return la_task_object_results(L, lua_gettop(L));
  }
  lua_pop(L, 1);
  if (end == FAILED) return la_rethrow(L);
  /* Whole results are not lost to a cancellation of the same turn: the next await raises it. */
  if (n->cancelled && la_coro_cancelled(c)) return la_raise_cancelled(L);
  return end == RETURNED ? lua_gettop(L) - HANDLER : 0;
}

static int children_over_returned(lua_State *L, la_future *f) {
  return end_call(L, la_container(f, la_nursery, base), RETURNED);
}
static int children_over_failed(lua_State *L, la_future *f) {
  return end_call(L, la_container(f, la_nursery, base), FAILED);
}
static int children_over_cancelled(lua_State *L, la_future *f) {
  return end_call(L, la_container(f, la_nursery, base), CANCELLED);
}

static int body_over(lua_State *L, int status, lua_KContext k) {
  static const la_finish finish[] = {children_over_returned, children_over_failed,
                                     children_over_cancelled};
  la_nursery *n = (la_nursery *)k;
  la_coro *c = la_rt->current;
  body_end end = RETURNED;
  if (status != LUA_OK && status != LUA_YIELD)
    end = la_is_cancelled(L, -1) && la_scope_target(c) == n->scope ? CANCELLED : FAILED;
  n->scope = NULL;
  la_scope_leave(c);
  if (end == FAILED) n->failed = true;
  /* A cancellation that has come already will not come to what begins to wait now. */
  bool due = n->count > 0 && la_coro_cancelled(c);
  bool asks = due && end == RETURNED && la_await_may_ask(c);
  if (end == FAILED || (due && !asks)) la_nursery_cancel(n);
  if (c->inner != NULL) la_coro_drop_inner(c); /* its finish raised */
  return (asks ? la_await_overdue : la_await_future)(L, c, wait_for_all(n), finish[end]);
}

/* Pushes it. */
static la_nursery *new_nursery(lua_State *L, la_coro *c) {
  la_nursery *n = lua_newuserdatauv(L, sizeof *n, 1);
  *n = (la_nursery){.base = {&last_vtable}};
  la_list_init(&n->children);
  luaL_setmetatable(L, LA_NURSERY_NAME);
  la_owners_push(L);
  lua_pushvalue(L, -2);
  n->pin = la_owner_add(L, la_rt, lua_gettop(L) - 1);
  lua_pop(L, 1);
  n->scope = la_scope_enter(c, LA_TIMER_NEVER, false);
  if (n->scope == NULL) {
    la_owner_remove(la_rt, n->pin);
    luaL_error(L, "not enough memory");
    return NULL;
  }
  n->rt = la_rt;
  const la_task *t = la_task_current(la_rt);
  n->of = t != NULL ? t->id : 0;
  n->scope->nursery = n;
  la_kept_set(&n->scope->waits, la_rt->cx);
  return n;
}

int la_nursery_call(lua_State *L, int nargs, bool supervises) {
  la_coro *c = la_await_coro(L);
  if (la_coro_cancelled(c) && !la_await_may_try(c)) return la_await_cancelled(L, c);
  int function = lua_gettop(L) - nargs;
  la_nursery *n = new_nursery(L, c);
  n->supervises = supervises;
  lua_pushcfunction(L, la_traceback_handler);
  lua_pushvalue(L, -2);
  lua_insert(L, function + 1); /* the function, the nursery, its arguments, … */
  lua_rotate(L, function, 2);  /* the nursery, the handler, the function, … */
  if (function > 1) lua_rotate(L, 1, -(function - 1));
  lua_settop(L, lua_gettop(L) - (function - 1));
  return body_over(L, lua_pcallk(L, nargs + 1, LUA_MULTRET, HANDLER, (lua_KContext)n, body_over),
                   (lua_KContext)n);
}
