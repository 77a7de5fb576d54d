/*
** counter_future: a future written in C that Lua awaits.
**
** It is the CounterFuture of the Rust books: not ready until it was polled `target`
** times, each time asking to be polled again. Built against lua_async.h alone:
**     cc -shared -fPIC -o counter_future.so counter_future.c
**
**     local counter_future = require "counter_future"
**     async.run(function() print(counter_future.count(3)) end)          --> 3
**     local fut = counter_future.future(3)                               -- lazy
*/
#include <lauxlib.h>
#include <lua.h>
#include <lua_async.h>
#include <stdlib.h>

typedef struct counter {
  la_future base; /* first: an la_future * is a counter * */
  lua_Integer count, target;
} counter;

static la_poll counter_poll(la_future *f, la_context *cx) {
  counter *c = (counter *)f;
  if (c->count >= c->target) return LA_READY;
  c->count++;
  la_waker_wake_by_ref(cx->waker); /* there is always more to do: poll me again */
  return LA_PENDING;
}

static void counter_drop(la_future *f) { free(f); }

static const la_future_vtable counter_vtable = {counter_poll, counter_drop, "counter", NULL};

/* The output becomes Lua values inside the task that awaited. */
static int counter_finish(lua_State *L, la_future *f) {
  lua_pushinteger(L, ((counter *)f)->count);
  return 1;
}

static la_future *new_counter(lua_State *L) {
  lua_Integer target = luaL_checkinteger(L, 1);
  counter *c = malloc(sizeof *c);
  if (c == NULL) luaL_error(L, "not enough memory");
  *c = (counter){.base = {&counter_vtable}, .count = 0, .target = target};
  return &c->base;
}

static const la_api *api_of(lua_State *L) {
  return (const la_api *)lua_touserdata(L, lua_upvalueindex(1));
}

/* count(n): waits at once. */
static int count(lua_State *L) { return api_of(L)->await(L, new_counter(L), counter_finish); }

/* future(n): a Future, polled only when it is awaited. */
static int future(lua_State *L) {
  api_of(L)->push_future(L, new_counter(L), counter_finish);
  return 1;
}

int luaopen_counter_future(lua_State *L) {
  static const luaL_Reg functions[] = {{"count", count}, {"future", future}, {NULL, NULL}};
  const la_api *api = la_import(L);
  luaL_newlibtable(L, functions);
  lua_pushlightuserdata(L, (void *)api);
  luaL_setfuncs(L, functions, 1);
  return 1;
}
