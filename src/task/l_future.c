/* Futures, contexts and wakers. */
#include "task/l_future.h"

#include "bridge/future_object.h"
#include "bridge/lib.h"
#include "bridge/poll_fn.h"
#include "bridge/task_object.h"
#include "bridge/waker_object.h"
#include "core/task.h"
#include "task/l_task.h"

/* ---- futures -----------------------------------------------------------------------*/

/* Whatever is passed on to it is not for a Future or Task. */
static int await_value(lua_State *L) {
  lua_settop(L, 1);
  if (luaL_testudata(L, 1, LA_FUTURE_NAME) != NULL) return la_future_object_await(L);
  return la_task_await(L);
}

int la_push_callable(lua_State *L, int arg) {
  la_check_awaitable(L, arg);
  if (lua_type(L, arg) != LUA_TUSERDATA) return 0;
  if (luaL_testudata(L, arg, LA_FUTURE_NAME) == NULL &&
      luaL_testudata(L, arg, LA_TASK_NAME) == NULL)
    return 0;
  lua_pushcfunction(L, await_value);
  lua_insert(L, arg);
  return 1;
}

static int future(lua_State *L) {
  if (!lua_isfunction(L, 1)) la_push_callable(L, 1);
  la_future_object_call(L, lua_gettop(L) - 1);
  return 1;
}

static int call_fn(lua_State *L) {
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  la_future_object_call(L, lua_gettop(L) - 1);
  return 1;
}

static int fn(lua_State *L) {
  luaL_argexpected(L, la_is_callable(L, 1), 1, "function");
  lua_settop(L, 1);
  lua_pushcclosure(L, call_fn, 1);
  return 1;
}

static int called(lua_State *L, int status, lua_KContext k) {
  (void)status;
  (void)k;
  return lua_gettop(L);
}

static int await(lua_State *L) {
  la_check_awaitable(L, 1);
  lua_settop(L, 1);
  if (luaL_testudata(L, 1, LA_FUTURE_NAME) != NULL) return la_future_object_await(L);
  if (luaL_testudata(L, 1, LA_TASK_NAME) != NULL) return la_task_await(L);
  la_coro *c = la_await_coro(L);
  if (la_coro_cancelled(c) && !la_await_may_try(c)) return la_await_cancelled(L, c);
  lua_callk(L, 0, LUA_MULTRET, 0, called);
  return called(L, LUA_OK, 0);
}

static int poll_fn(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  if (!lua_isnoneornil(L, 2)) luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_settop(L, 2);
  la_future_object_poll_fn(L);
  return 1;
}

static la_context *check_context(lua_State *L, int arg) {
  la_context_object *o = luaL_checkudata(L, arg, LA_CONTEXT_NAME);
  luaL_argcheck(L, o->cx != NULL, arg,
                "a context is valid only during the poll it was made for: keep a waker instead");
  return o->cx;
}

static int future_poll(lua_State *L) {
  luaL_checkudata(L, 1, LA_FUTURE_NAME);
  la_context *cx = check_context(L, 2);
  if (la_future_object_poll(L, 1, cx) == LA_PENDING) {
    lua_pushliteral(L, "pending");
    return 1;
  }
  lua_pushliteral(L, "ready");
  return 1 + la_future_object_take(L, 1);
}

static int future_await(lua_State *L) {
  luaL_checkudata(L, 1, LA_FUTURE_NAME);
  lua_settop(L, 1);
  return la_future_object_await(L);
}

static int future_gc(lua_State *L) {
  la_future_object_collect(luaL_checkudata(L, 1, LA_FUTURE_NAME));
  return 0;
}

static int future_tostring(lua_State *L) {
  static const char *const states[] = {"new", "pending", "ready", "finished"};
  const la_future_object *o = luaL_checkudata(L, 1, LA_FUTURE_NAME);
  lua_pushfstring(L, "Future (%s): %p", states[o->state], (const void *)o);
  return 1;
}

/* ---- contexts and wakers -------------------------------------------------------------*/

static int context_waker(lua_State *L) {
  la_context *cx = check_context(L, 1);
  la_api_push_waker(L, la_waker_clone(cx->waker));
  return 1;
}

static int context_tostring(lua_State *L) {
  const la_context_object *o = luaL_checkudata(L, 1, LA_CONTEXT_NAME);
  lua_pushfstring(L, "Context%s: %p", o->cx != NULL ? "" : " (over)", (const void *)o);
  return 1;
}

static int waker_tostring(lua_State *L) {
  const la_waker_object *o = luaL_checkudata(L, 1, LA_WAKER_NAME);
  lua_pushfstring(L, "Waker%s: %p", o->live ? "" : " (used up)", (const void *)o);
  return 1;
}

static la_waker_object *check_waker(lua_State *L, int arg) {
  la_waker_object *o = luaL_checkudata(L, arg, LA_WAKER_NAME);
  luaL_argcheck(L, o->live, arg,
                "this waker was consumed by wake(): keep a clone(), or call "
                "wake_by_ref()");
  return o;
}

static int waker_wake(lua_State *L) {
  la_waker_object *o = check_waker(L, 1);
  o->live = false;
  la_waker_wake(o->waker);
  return 0;
}

static int waker_wake_by_ref(lua_State *L) {
  la_waker_wake_by_ref(&check_waker(L, 1)->waker);
  return 0;
}

static int waker_clone(lua_State *L) {
  la_api_push_waker(L, la_waker_clone(&check_waker(L, 1)->waker));
  return 1;
}

static int waker_will_wake(lua_State *L) {
  const la_waker *a = &check_waker(L, 1)->waker, *b = &check_waker(L, 2)->waker;
  const la_task *t = la_waker_task(a);
  lua_pushboolean(L, t != NULL ? t == la_waker_task(b) : la_waker_will_wake(a, b));
  return 1;
}

static int waker_gc(lua_State *L) {
  la_waker_object *o = luaL_checkudata(L, 1, LA_WAKER_NAME);
  if (o->live) la_waker_drop(o->waker);
  o->live = false;
  return 0;
}

/* ---- the module --------------------------------------------------------------------*/

void la_open_future(lua_State *L) {
  static const luaL_Reg methods[] = {{"poll", future_poll}, {"await", future_await}, {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__gc", future_gc},
                                  {"__tostring", future_tostring},
                                  {NULL, NULL}};
  static const luaL_Reg context_methods[] = {{"waker", context_waker}, {NULL, NULL}};
  static const luaL_Reg waker_methods[] = {{"wake", waker_wake},
                                           {"clone", waker_clone},
                                           {"wake_by_ref", waker_wake_by_ref},
                                           {"will_wake", waker_will_wake},
                                           {NULL, NULL}};
  static const luaL_Reg context_meta[] = {{"__tostring", context_tostring}, {NULL, NULL}};
  static const luaL_Reg waker_meta[] = {{"__gc", waker_gc},
                                        {"__tostring", waker_tostring},
                                        {NULL, NULL}};
  static const luaL_Reg functions[] = {{"future", future},
                                       {"fn", fn},
                                       {"await", await},
                                       {"poll_fn", poll_fn},
                                       {NULL, NULL}};
  la_new_class(L, LA_FUTURE_NAME, meta, methods);
  la_new_class(L, LA_CONTEXT_NAME, context_meta, context_methods);
  la_new_class(L, LA_WAKER_NAME, waker_meta, waker_methods);
  luaL_setfuncs(L, functions, 0);
}
