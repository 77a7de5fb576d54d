/* stream:timeout(seconds): a limit for each read and write that has to wait. */
#include <stdlib.h>

#include "core/sleep.h"
#include "stream/l_io.h"

/* Stands before the future of an operation, which is in the caller's room. */
typedef struct timed {
  la_future base;
  la_future_vtable vt; /* the one below, with the name of the operation */
  la_future *inner;
  la_sleep sleep;
  const char *op;
  size_t (*give_up)(la_future *inner); /* of a write; else NULL */
  bool over;                           /* the time is */
} timed;

static la_poll timed_poll(la_future *f, la_context *cx) {
  timed *t = (timed *)(void *)f;
  if (la_future_poll(t->inner, cx) == LA_READY) return LA_READY;
  t->over = la_future_poll(&t->sleep.base, cx) == LA_READY;
  return t->over ? LA_READY : LA_PENDING;
}

static void timed_drop(la_future *f) {
  timed *t = (timed *)(void *)f;
  la_future_drop(&t->sleep.base);
  la_future_drop(t->inner);
  free(t);
}

const la_future_vtable la_io_timed_vtable = {timed_poll, timed_drop, "stream", NULL};

uint64_t la_io_deadline(const la_io_object *o) {
  return o->timed ? la_time_after(la_executor_now(la_rt->ex), o->timeout) : LA_TIMER_NEVER;
}

int la_io_begun_until(lua_State *L, uint64_t deadline, const char *op,
                      size_t (*give_up)(la_future *), la_future **f) {
  timed *t = malloc(sizeof *t);
  if (t == NULL) {
    la_future_drop(*f);
    return la_no_memory(L);
  }
  *t = (timed){.vt = la_io_timed_vtable, .inner = *f, .op = op, .give_up = give_up};
  t->vt.name = op;
  t->base.vt = &t->vt;
  la_sleep_init(&t->sleep, la_rt->ex, deadline);
  *f = &t->base;
  return 0;
}

static int fail(lua_State *L, timed *t) {
  const la_io_object *o = la_io_test(L, 1);
  size_t done = t->give_up != NULL ? t->give_up(t->inner) : 0;
  int n = la_fail(L, UV_ETIMEDOUT, t->op);
  luaL_tolstring(L, 1, NULL);
  lua_pushfstring(L, "not done within %f s, the timeout of this stream: %s",
                  (lua_Number)(o != NULL ? o->timeout : 0) / 1e9, lua_tostring(L, -1));
  lua_setfield(L, -3, "message");
  lua_pop(L, 1);
  if (t->give_up == NULL) return n;
  lua_pushinteger(L, (lua_Integer)done);
  lua_setfield(L, -2, "partial");
  return n;
}

int la_io_timed_finish(lua_State *L, la_future *f, la_finish finish) {
  timed *t = (timed *)(void *)f;
  return t->over ? fail(L, t) : finish(L, t->inner);
}

/* timeout() -> seconds or nil; timeout(seconds), timeout(nil or false) -> the stream */
int la_io_timeout(lua_State *L) {
  la_io_object *o = la_io_check_any(L);
  if (lua_gettop(L) == 1) {
    if (o->timed)
      lua_pushnumber(L, (lua_Number)o->timeout / 1e9);
    else
      lua_pushnil(L);
    return 1;
  }
  bool some = lua_toboolean(L, 2);
  if (some)
    luaL_argcheck(L, luaL_checknumber(L, 2) >= 0, 2,
                  "seconds, 0 or more, expected; nil takes the timeout off");
  o->timeout = some ? la_check_seconds(L, 2) : LA_TIMER_NEVER;
  o->timed = o->timeout != LA_TIMER_NEVER;
  lua_settop(L, 1);
  return 1;
}
