#include "bridge/scope.h"

#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>

#include "bridge/await.h"
#include "bridge/error.h"
#include "bridge/nursery.h"
#include "bridge/traceback.h"

char la_scope_root;

/* Enough for what is nested, and soon over for those who go on. */
enum { TURNS_OVERDUE = 16 };

static bool scope_cancelled(la_scope *s) {
  if (!s->cancelled && s->deadline != LA_TIMER_NEVER && la_timer_idle(&s->timer))
    s->cancelled = true;
  return s->cancelled;
}

la_scope *la_scope_target(const la_coro *c) {
  la_scope *target = LA_SCOPE_NONE;
  for (la_scope *s = c->scope; s != NULL; s = s->parent) {
    if (scope_cancelled(s)) target = s;
    if (s->shield) return target;
  }
  return la_coro_root_cancelled(c) ? LA_SCOPE_ROOT : target;
}

static void arm(la_scope *s, la_context *cx) {
  la_timer_insert(&la_rt->ex->timers, &s->timer, s->deadline, la_waker_clone(cx->waker));
}

void la_scope_unwind(la_coro *c) {
  const la_scope *target = la_scope_target(c);
  for (la_scope *s = c->scope; s != NULL && s != target; s = s->parent)
    if (s->nursery != NULL) la_nursery_cancel(s->nursery);
}

void la_scope_rewake(la_coro *c, la_context *cx) {
  for (la_scope *s = c->scope; s != NULL; s = s->parent) {
    if (la_kept_holds(&s->waits)) la_kept_set(&s->waits, cx);
    if (la_timer_idle(&s->timer) || la_waker_will_wake(&s->timer.waker, cx->waker)) continue;
    la_timer_cancel(&la_rt->ex->timers, &s->timer);
    arm(s, cx);
  }
}

/* What was spawned for the sake of a shield, as the run ends, ends with the last one. */
static void leave_shield(la_runtime *rt) {
  if (--rt->shields != 0 || !rt->late) return;
  rt->late = false;
  la_runtime_cancel_all(rt);
}

void la_scope_leave(la_coro *c) {
  la_scope *s = c->scope;
  if (s->shield) leave_shield(la_rt);
  la_timer_cancel(&la_rt->ex->timers, &s->timer);
  la_kept_drop(&s->waits);
  c->scope = s->parent;
  c->waited = NULL;
  free(s);
}

void la_scope_cancel(la_scope *s) {
  s->cancelled = true;
  la_waker_wake_by_ref(&s->waits.waker);
}

void la_scope_abandon_to(la_coro *c, la_scope *outer) {
  while (c->scope != outer) {
    if (c->scope->nursery != NULL) la_nursery_abandon(c->scope->nursery);
    la_scope_leave(c);
  }
}

la_scope *la_scope_enter(la_coro *c, uint64_t deadline, bool shield) {
  la_scope *s = malloc(sizeof *s);
  if (s == NULL) return NULL;
  *s = (la_scope){.parent = c->scope,
                  .deadline = deadline,
                  .shield = shield,
                  .turns = TURNS_OVERDUE};
  s->entered = la_executor_now(la_rt->ex);
  if (deadline <= s->entered)
    s->cancelled = true;
  else if (deadline != LA_TIMER_NEVER)
    arm(s, la_rt->cx);
  if (shield) la_rt->shields++;
  c->scope = s;
  c->waited = NULL;
  return s;
}

/* Pushes the error of a call that had `ns` nanoseconds, and waited then. */
static void push_timed_out(lua_State *L, const char *op, const char *waited, uint64_t ns) {
  char text[160];
  double seconds = (double)ns / 1e9;
  snprintf(text, sizeof text, "no result%s%.100s within %.9g s", waited != NULL ? " from " : "",
           waited != NULL ? waited : "", seconds);
  la_push_error(L, &(la_error_info){.code = "ETIMEDOUT", .op = op, .message = text});
  lua_pushnumber(L, seconds);
  lua_setfield(L, -2, "seconds");
}

/* The handler is at index 1, behind it the results or the error. The scope is the innermost:
** those inside of it have been left, or their thread was closed. */
static int leave(lua_State *L, int status, lua_KContext k) {
  la_scope *s = (la_scope *)k;
  la_coro *c = la_rt->current;
  bool failed = status != LUA_OK && status != LUA_YIELD;
  bool mine = failed && la_scope_target(c) == s && la_is_cancelled(L, -1);
  const char *op = s->op, *waited = c->waited;
  uint64_t ns = s->deadline > s->entered ? s->deadline - s->entered : 0;
  la_scope_leave(c);
  if (!failed) return lua_gettop(L) - 1;
  if (!mine) return la_rethrow(L);
  lua_pushnil(L);
  push_timed_out(L, op, waited, ns);
  return 2;
}

/* Calls it in the scope that was entered; NULL: there was no memory. */
static int call(lua_State *L, int nargs, la_scope *s) {
  int first = lua_gettop(L) - nargs;
  if (s == NULL) return luaL_error(L, "not enough memory");
  lua_pushcfunction(L, la_traceback_handler);
  lua_insert(L, first);
  if (first > 1) { /* what stood below the function is not a result */
    lua_rotate(L, 1, -(first - 1));
    lua_pop(L, first - 1);
  }
  return leave(L, lua_pcallk(L, nargs, LUA_MULTRET, 1, (lua_KContext)s, leave), (lua_KContext)s);
}

int la_scope_call(lua_State *L, int nargs, const char *op, uint64_t deadline) {
  la_scope *s = la_scope_enter(la_await_context(L), deadline, false);
  if (s != NULL) s->op = op;
  return call(L, nargs, s);
}

int la_scope_timeout(lua_State *L, int nargs, uint64_t ns) {
  la_coro *c = la_await_context(L);
  uint64_t now = la_executor_now(la_rt->ex);
  la_scope *s = la_scope_enter(c, ns < LA_TIMER_NEVER - now ? now + ns : LA_TIMER_NEVER, false);
  if (s != NULL) s->op = "timeout";
  if (s != NULL) s->entered = now;
  return call(L, nargs, s);
}

int la_scope_shield(lua_State *L, int nargs) {
  return call(L, nargs, la_scope_enter(la_await_context(L), LA_TIMER_NEVER, true));
}
