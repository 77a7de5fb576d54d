/* Intervals: ticks at regular times, as those of tokio::time::interval. */
#include <string.h>

#include "bridge/lib.h"
#include "core/sleep.h"
#include "time/l_time.h"

#define INTERVAL_NAME "lua_async.Interval"

typedef enum missed { SKIP, BURST, DELAY } missed;

typedef struct interval {
  uint64_t period, next; /* nanoseconds; `next` as la_executor_now */
  uint64_t run;          /* the number of the executor it was made with */
  missed missed;
  bool closed;
} interval;

static interval *check(lua_State *L) { return luaL_checkudata(L, 1, INTERVAL_NAME); }

/* ---- ticks -------------------------------------------------------------------------*/

static la_executor *check_run(lua_State *L, const interval *iv, const char *what) {
  la_executor *ex = la_runtime_check(L, what)->ex;
  if (ex->number != iv->run) luaL_error(L, "this interval belongs to another run");
  return ex;
}

static int tick_begin(lua_State *L, void *room, la_future **f) {
  const interval *iv = check(L);
  la_executor *ex = check_run(L, iv, "a tick");
  if (iv->closed) {
    lua_pushnil(L);
    return 1;
  }
  la_sleep_init(room, ex, iv->next);
  *f = &((la_sleep *)room)->base;
  return 0;
}

/* `late` is how many whole periods ago the tick was due: so many nobody took. Nothing has
** changed before this, so a tick that was given up is there for the next. A reset meanwhile
** stands. */
static int take_tick(lua_State *L, interval *iv, uint64_t due, uint64_t now) {
  uint64_t late = (now - due) / iv->period;
  if (iv->next != due)
    late = 0;
  else if (iv->missed == DELAY && late > 0)
    iv->next = la_time_after(now, iv->period);
  else
    iv->next = la_time_after(due, (iv->missed == SKIP ? late + 1 : 1) * iv->period);
  lua_pushnumber(L, (lua_Number)due / 1e9);
  lua_pushinteger(L, iv->missed == BURST ? 0 : (lua_Integer)late);
  return 2;
}

static int tick_finish(lua_State *L, la_future *f) {
  interval *iv = check(L);
  const la_sleep *s = la_container(f, la_sleep, base);
  if (!iv->closed) return take_tick(L, iv, s->deadline, la_executor_now(s->ex));
  lua_pushnil(L);
  return 1;
}

static int try_tick(lua_State *L) {
  interval *iv = check(L);
  uint64_t now = la_executor_now(check_run(L, iv, "try_tick"));
  if (iv->closed) {
    lua_pushnil(L);
    return 1;
  }
  if (now < iv->next) return la_fail_again(L, "try_tick");
  return take_tick(L, iv, iv->next, now);
}

static const la_operation tick_operation = {"interval", tick_begin, tick_finish};

/* A call, or the step of a for loop, whose state and control are nothing to us. */
static int tick(lua_State *L) {
  lua_settop(L, 1);
  return la_operate(L, &tick_operation);
}

/* ---- the object --------------------------------------------------------------------*/

static int reset(lua_State *L) {
  interval *iv = check(L);
  iv->next = la_time_after(la_executor_now(check_run(L, iv, "reset")), iv->period);
  lua_pushboolean(L, true);
  return 1;
}

static int close_interval(lua_State *L) {
  check(L)->closed = true;
  lua_pushboolean(L, true);
  return 1;
}

static int to_string(lua_State *L) {
  const interval *iv = check(L);
  lua_pushfstring(L, "Interval (%f s%s)", (lua_Number)iv->period / 1e9,
                  iv->closed ? ", closed" : "");
  return 1;
}

static missed option_missed(lua_State *L, int arg) {
  static const char *const names[] = {"skip", "burst", "delay", NULL};
  if (lua_isnoneornil(L, arg) || lua_getfield(L, arg, "missed") == LUA_TNIL) return SKIP;
  const char *s = lua_tostring(L, -1);
  for (int i = 0; s != NULL && names[i] != NULL; i++)
    if (strcmp(s, names[i]) == 0) return (missed)i;
  return (missed)luaL_argerror(L, arg, "option 'missed' must be \"skip\", \"burst\" or \"delay\"");
}

/* The iterator, and for a for loop what it closes. */
static int new_interval(lua_State *L) {
  static const char *const options[] = {"missed", NULL};
  uint64_t period = la_check_seconds(L, 1);
  la_executor *ex = la_runtime_check(L, "async.time.interval")->ex;
  luaL_argcheck(L, period > 0 && period != LA_TIMER_NEVER, 1,
                "the period must be more than 0 seconds, and finite");
  la_check_options(L, 2, options);
  missed how = option_missed(L, 2);
  interval *iv = lua_newuserdatauv(L, sizeof *iv, 0);
  *iv = (interval){.period = period, .next = la_executor_now(ex), .run = ex->number, .missed = how};
  luaL_setmetatable(L, INTERVAL_NAME);
  lua_pushnil(L);
  lua_pushnil(L);
  lua_pushvalue(L, -3);
  return 4;
}

void la_open_interval(lua_State *L) {
  static const luaL_Reg methods[] = {{"reset", reset},
                                     {"try_tick", try_tick},
                                     {"close", close_interval},
                                     {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__call", tick},
                                  {"__close", close_interval},
                                  {"__tostring", to_string},
                                  {NULL, NULL}};
  la_new_class(L, INTERVAL_NAME, meta, methods);
  lua_pushcfunction(L, new_interval);
  lua_setfield(L, -2, "interval");
}
