#include "bridge/await.h"

#include <lauxlib.h>

#include "bridge/error.h"
#include "bridge/scope.h"
#include "core/future.h"

static char operations_key;

/* ---- where one can wait ----------------------------------------------------------*/

static int cannot_wait(lua_State *L) {
  la_runtime *rt = la_runtime_of(L);
  if (rt == NULL)
    return luaL_error(L, "cannot wait outside a runtime: call this in a function given to "
                         "async.run");
  if (rt->running != L && lua_isyieldable(L))
    return luaL_error(L, "cannot wait inside a plain coroutine, which hides the task: make it with "
                         "async.coroutine.wrap (or create) instead, and do not resume it inside a "
                         "call that cannot be suspended, such as table.sort or string.gsub");
  if (rt->current == NULL)
    return luaL_error(L, "cannot wait here, outside of any task (a poll or drop function, an "
                         "on_error handler): async.spawn a task that does");
  return luaL_error(L, "cannot wait inside a call that cannot be suspended (table.sort, "
                       "string.gsub, require, load, __tostring, __gc): wait before it, or "
                       "after it");
}

la_coro *la_await_possible(lua_State *L) {
  la_runtime *rt = la_rt;
  return rt != NULL && rt->running == L && lua_isyieldable(L) ? rt->current : NULL;
}

la_coro *la_await_context(lua_State *L) {
  la_coro *c = la_await_possible(L);
  if (c == NULL) cannot_wait(L);
  return c;
}

int la_raise_cancelled(lua_State *L) {
  la_push_cancelled(L);
  return lua_error(L);
}

la_coro *la_await_coro(lua_State *L) {
  la_coro *c = la_await_context(L);
  if (c->inner != NULL) la_coro_drop_inner(c); /* its finish raised */
  return c;
}

/* ---- waiting ---------------------------------------------------------------------*/

static int finish_now(lua_State *L, la_coro *c, la_finish finish) {
  c->flags |= LA_CORO_SPENT;
  int n = finish != NULL ? finish(L, c->inner) : 0;
  if (c->inner != NULL) la_coro_drop_inner(c);
  return n;
}

/* The coroutine that the executor has resumed; raises when that was for a cancellation.
** NULL: someone resumed this thread behind the executor's back, and it waits on. */
static la_coro *awoken(lua_State *L) {
  la_runtime *rt = la_rt;
  la_coro *c = rt != NULL && rt->running == L ? rt->current : NULL;
  if (c == NULL || (!la_coro_awaits(c) && (c->flags & LA_CORO_INTERRUPT) == 0)) return NULL;
  if ((c->flags & LA_CORO_INTERRUPT) != 0) {
    c->flags &= ~(unsigned)LA_CORO_INTERRUPT;
    la_raise_cancelled(L);
  }
  return c;
}

static int resumed(lua_State *L, int status, lua_KContext k) {
  (void)status;
  la_coro *c = awoken(L);
  return c != NULL ? finish_now(L, c, (la_finish)k) : lua_yieldk(L, 0, k, resumed);
}

int la_await_raise_due(lua_State *L, la_coro *c) {
  if (c->inner != NULL) la_coro_drop_inner(c);
  if (c->scope != NULL) la_scope_unwind(c);
  return la_raise_cancelled(L);
}

static int raise_later(lua_State *L, int status, lua_KContext k) {
  (void)status;
  la_coro *c = awoken(L);
  return c != NULL ? la_await_raise_due(L, c) : lua_yieldk(L, 0, k, raise_later);
}

bool la_await_may_try(const la_coro *c) { return la_rt->ex->budget != 0 && la_coro_overdue(c); }

bool la_await_may_ask(la_coro *c) { return la_await_may_try(c) && la_coro_take_turn(c); }

int la_await_cancelled(lua_State *L, la_coro *c) {
  if (la_budget_take(la_rt->cx)) return la_await_raise_due(L, c);
  la_coro_set_inner(c, &la_ready, false);
  return lua_yieldk(L, 0, 0, raise_later);
}

static int await_inner(lua_State *L, la_coro *c, la_finish finish) {
  if (la_future_poll(c->inner, la_rt->cx) == LA_READY) return finish_now(L, c, finish);
  return lua_yieldk(L, 0, (lua_KContext)finish, resumed);
}

int la_await_future(lua_State *L, la_coro *c, la_future *f, la_finish finish) {
  la_coro_set_inner(c, f, false);
  return await_inner(L, c, finish);
}

int la_await_polled_later(lua_State *L, la_coro *c, la_future *f, la_finish finish) {
  la_coro_set_inner(c, f, false);
  return lua_yieldk(L, 0, (lua_KContext)finish, resumed);
}

int la_await_overdue(lua_State *L, la_coro *c, la_future *f, la_finish finish) {
  la_coro_set_inner(c, f, false);
  c->flags |= LA_CORO_OVERDUE;
  if (la_coro_poll_inner(c, la_rt->cx) == LA_READY) return finish_now(L, c, finish);
  la_waker_wake_by_ref(la_rt->cx->waker);
  la_rt->ex->look_soon = true;
  return lua_yieldk(L, 0, (lua_KContext)finish, resumed);
}

int la_await_turn(lua_State *L, la_coro *c) {
  la_waker_wake_by_ref(la_rt->cx->waker);
  la_coro_set_inner(c, &la_yielded, false);
  return lua_yieldk(L, 0, 0, resumed);
}

/* The results of what was over as it began, on top of the stack, after others had a turn. They
** are never lost: a cancellation is raised at the next await. */
static int given(lua_State *L, int status, lua_KContext n) {
  la_runtime *rt = la_rt;
  (void)status;
  la_coro *c = rt != NULL && rt->running == L ? rt->current : NULL;
  bool interrupted = c != NULL && (c->flags & LA_CORO_INTERRUPT) != 0;
  if (c == NULL || (!la_coro_awaits(c) && !interrupted)) return lua_yieldk(L, 0, n, given);
  c->flags &= ~(unsigned)LA_CORO_INTERRUPT;
  if (!interrupted) la_coro_drop_inner(c);
  return (int)n;
}

/* Past a deadline. Without a turn left it is polled just once. */
static int await_once(lua_State *L, la_coro *c, la_future *f, la_finish finish) {
  if (la_coro_take_turn(c)) return la_await_overdue(L, c, f, finish);
  la_coro_set_inner(c, f, false);
  c->flags |= LA_CORO_OVERDUE;
  if (la_coro_poll_inner(c, la_rt->cx) == LA_READY) return finish_now(L, c, finish);
  if (c->waited == NULL) c->waited = c->inner->vt->name;
  la_coro_drop_inner(c);
  return la_await_cancelled(L, c);
}

/* What is over as it begins costs budget, too: without it, others go first. */
int la_operate(lua_State *L, const la_operation *op) {
  la_coro *c = la_await_coro(L);
  bool due = la_coro_cancelled(c);
  if (due && !la_await_may_try(c)) {
    if (c->waited == NULL) c->waited = op->name;
    return la_await_cancelled(L, c);
  }
  la_future *f = NULL;
  int n = op->begin(L, &c->room, &f);
  if (f != NULL && due) return await_once(L, c, f, op->finish);
  if (f != NULL) return la_await_future(L, c, f, op->finish);
  if (la_budget_take(la_rt->cx)) return n;
  la_coro_set_inner(c, &la_ready, false);
  return lua_yieldk(L, 0, n, given);
}

/* ---- operations ------------------------------------------------------------------*/

void la_operations_add(lua_State *L, const la_operation_entry *entries) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &operations_key) == LUA_TNIL) {
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &operations_key);
  }
  for (; entries->function != NULL; entries++) {
    lua_pushcfunction(L, entries->function);
    lua_pushlightuserdata(L, (void *)(uintptr_t)entries->op);
    lua_rawset(L, -3);
  }
  lua_pop(L, 1);
}

const la_operation *la_operation_of(lua_State *L, int i) {
  const la_operation *op = NULL;
  i = lua_absindex(L, i);
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &operations_key) == LUA_TTABLE) {
    lua_pushvalue(L, i);
    lua_rawget(L, -2);
    op = lua_touserdata(L, -1);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return op;
}

/* ---- the C face ------------------------------------------------------------------*/

int la_api_await(lua_State *L, la_future *f, la_finish finish) {
  la_coro *c = la_await_possible(L);
  if (c != NULL && c->inner != NULL) la_coro_drop_inner(c);
  bool due = c != NULL && la_coro_cancelled(c);
  if (c == NULL || due) la_future_drop(f);
  c = la_await_coro(L);
  if (due) return la_await_cancelled(L, c); /* its first poll may begin what nobody can foresee */
  la_coro_set_inner(c, f, true);
  return await_inner(L, c, finish);
}
