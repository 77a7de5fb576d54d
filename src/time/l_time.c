/* Time: sleeping, deadlines, and the shield that keeps them off. */
#include <math.h>

#include "bridge/lib.h"
#include "bridge/scope.h"
#include "core/future.h"
#include "core/sleep.h"
#include "task/l_future.h"
#include "time/l_time.h"

static lua_Number seconds(uint64_t ns) { return (lua_Number)ns / 1e9; }

static int sleep_until_ns(la_runtime *rt, uint64_t deadline, void *room, la_future **f) {
  la_sleep *s = room;
  la_sleep_init(s, rt->ex, deadline);
  *f = &s->base;
  return 0;
}

static int sleep_begin(lua_State *L, void *room, la_future **f) {
  uint64_t ns = la_check_seconds(L, 1);
  la_runtime *rt = la_runtime_check(L, "async.sleep");
  return sleep_until_ns(rt, la_time_after(la_executor_now(rt->ex), ns), room, f);
}

static int sleep_until_begin(lua_State *L, void *room, la_future **f) {
  uint64_t t = la_check_seconds(L, 1);
  return sleep_until_ns(la_runtime_check(L, "async.sleep_until"), t, room, f);
}

static const la_operation sleep_operation = {"sleep", sleep_begin, NULL};
static const la_operation sleep_until_operation = {"sleep_until", sleep_until_begin, NULL};
static int l_sleep(lua_State *L) { return la_operate(L, &sleep_operation); }
static int l_sleep_until(lua_State *L) { return la_operate(L, &sleep_until_operation); }

static int now(lua_State *L) {
  la_runtime *rt = la_runtime_of(L);
  lua_pushnumber(L, seconds(rt != NULL ? la_executor_now(rt->ex) : uv_hrtime()));
  return 1;
}

/* ---- the virtual clock -------------------------------------------------------------*/

static int pause_clock(lua_State *L) {
  lua_pushboolean(L, la_executor_pause(la_runtime_check(L, "async.time.pause")->ex));
  return 1;
}

static int resume_clock(lua_State *L) {
  lua_pushboolean(L, la_executor_resume(la_runtime_check(L, "async.time.resume")->ex));
  return 1;
}

/* Those whom the timers wake are ahead of us in the queue when we yield. */
static int advance_begin(lua_State *L, void *room, la_future **f) {
  uint64_t ns = la_check_seconds(L, 1);
  la_executor *ex = la_runtime_check(L, "async.time.advance")->ex;
  if (!ex->clock.paused)
    return luaL_error(L, "the clock is running: call async.time.pause() before advance");
  luaL_argcheck(L, ns != LA_TIMER_NEVER, 1,
                "number of seconds too large for the clock: 9.2e9 (292 years) at most");
  la_executor_advance(ex, la_time_after(la_executor_now(ex), ns));
  la_yield_init(room, la_executor_yield_polls(ex));
  *f = &((la_yield *)room)->base;
  return 0;
}

static const la_operation advance_operation = {"advance", advance_begin, NULL};
static int advance(lua_State *L) { return la_operate(L, &advance_operation); }

/* ---- scopes ------------------------------------------------------------------------*/

/* The awaitable at index `i` and its arguments become a call; returns how many arguments. */
static int make_call(lua_State *L, int i) {
  la_check_awaitable(L, i);
  la_push_callable(L, i);
  return lua_gettop(L) - i;
}

static int timeout(lua_State *L) {
  uint64_t ns = la_check_seconds(L, 1);
  la_await_context(L);
  int nargs = make_call(L, 2);
  return la_scope_timeout(L, nargs, ns);
}

static int deadline(lua_State *L) {
  uint64_t t = la_check_seconds(L, 1);
  int nargs = make_call(L, 2);
  return la_scope_call(L, nargs, "deadline", t);
}

static int shield(lua_State *L) {
  int nargs = make_call(L, 1);
  return la_scope_shield(L, nargs);
}

void la_open_time(lua_State *L) {
  static const luaL_Reg functions[] = {{"sleep", l_sleep},   {"now", now},
                                       {"timeout", timeout}, {"deadline", deadline},
                                       {"shield", shield},   {NULL, NULL}};
  static const la_operation_entry operations[] = {{l_sleep, &sleep_operation}, {NULL, NULL}};
  la_operations_add(L, operations);
  luaL_setfuncs(L, functions, 0);
}

void la_open_clock(lua_State *L) {
  static const luaL_Reg functions[] = {{"sleep", l_sleep},     {"sleep_until", l_sleep_until},
                                       {"now", now},           {"timeout", timeout},
                                       {"pause", pause_clock}, {"resume", resume_clock},
                                       {"advance", advance},   {NULL, NULL}};
  static const la_operation_entry operations[] = {{l_sleep_until, &sleep_until_operation},
                                                  {advance, &advance_operation},
                                                  {NULL, NULL}};
  la_operations_add(L, operations);
  luaL_setfuncs(L, functions, 0);
  la_open_interval(L);
}
