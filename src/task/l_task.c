/* Tasks: spawn, current, yield, on_error, dump, and the methods of a Task. */
#include <string.h>

#include "bridge/alias.h"
#include "bridge/error.h"
#include "bridge/future_object.h"
#include "bridge/lib.h"
#include "bridge/report.h"
#include "bridge/task_object.h"
#include "core/future.h"
#include "task/l_dump.h"
#include "task/l_future.h"
#include "task/l_task.h"

/* ---- await -------------------------------------------------------------------------*/

static int await_begin(lua_State *L, void *room, la_future **f) {
  la_task_object *o = luaL_checkudata(L, 1, LA_TASK_NAME);
  if (la_task_object_ended(o)) {
    if (o->outcome < LA_OUTCOME_CANCELLED || la_operation_proceed())
      return la_task_object_results(L, 1);
    la_yield_init(room, la_executor_yield_polls(la_rt->ex)); /* what raises costs budget, too */
    *f = &((la_yield *)room)->base;
    return 0;
  }
  la_task_object_check(L, o);
  la_join *j = room;
  la_join_init(j, o->task);
  *f = &j->base;
  return 0;
}

static int await_finish(lua_State *L, la_future *f) {
  (void)f;
  return la_task_object_results(L, 1);
}

static const la_operation await_operation = {"task.await", await_begin, await_finish};

/* A host that drives a Loop is in no task, and may have the results of those that are over. */
int la_task_await(lua_State *L) {
  const la_task_object *o = luaL_checkudata(L, 1, LA_TASK_NAME);
  if (la_task_object_ended(o) && la_runtime_of(L) == NULL) return la_task_object_return(L, 1);
  return la_operate(L, &await_operation);
}

static int task_try_await(lua_State *L) {
  const la_task_object *o = luaL_checkudata(L, 1, LA_TASK_NAME);
  if (!la_task_object_ended(o)) return la_fail_again(L, "try_await");
  return la_runtime_of(L) == NULL ? la_task_object_return(L, 1) : la_task_object_results(L, 1);
}

/* ---- methods -----------------------------------------------------------------------*/

static la_task_object *check(lua_State *L) { return luaL_checkudata(L, 1, LA_TASK_NAME); }

static int task_cancel(lua_State *L) {
  la_task_object *o = check(L);
  lua_pushboolean(L, !la_task_object_ended(o) && la_task_cancel(o->task));
  return 1;
}

static const char *status(const la_task_object *o) {
  if (o->outcome == LA_OUTCOME_NONE) return la_task_state(o->task);
  if (o->outcome >= LA_OUTCOME_FAILED) return "failed";
  return o->outcome == LA_OUTCOME_CANCELLED ? "cancelled" : "done";
}

static int task_status(lua_State *L) {
  lua_pushstring(L, status(check(L)));
  return 1;
}

static int task_name(lua_State *L) {
  check(L);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &la_task_names_key);
  lua_pushvalue(L, 1);
  if (lua_gettop(L) == 3) {
    lua_rawget(L, -2);
    return 1;
  }
  luaL_checkstring(L, 2);
  lua_pushvalue(L, 2);
  lua_rawset(L, -3);
  lua_settop(L, 1);
  return 1;
}

static int task_tostring(lua_State *L) {
  la_task_object *o = check(L);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &la_task_names_key);
  lua_pushvalue(L, 1);
  if (lua_rawget(L, -2) == LUA_TSTRING)
    lua_pushfstring(L, "Task %I '%s' (%s)", la_task_object_id(o), lua_tostring(L, -1), status(o));
  else
    lua_pushfstring(L, "Task %I (%s)", la_task_object_id(o), status(o));
  return 1;
}

/* Upvalue 1: the methods. */
static int task_index(lua_State *L) {
  const la_task_object *o = lua_touserdata(L, 1);
  if (lua_type(L, 2) == LUA_TSTRING && strcmp(lua_tostring(L, 2), "id") == 0) {
    lua_pushinteger(L, la_task_object_id(o));
    return 1;
  }
  lua_pushvalue(L, 2);
  lua_rawget(L, lua_upvalueindex(1));
  return 1;
}

/* ---- functions ---------------------------------------------------------------------*/

/* Upvalues: the table of owners, the metatable of Tasks. */
static int spawn(lua_State *L) {
  la_runtime *rt = la_rt;
  if (rt == NULL || rt->running != L) rt = la_runtime_check(L, "async.spawn");
  if (!lua_isfunction(L, 1)) la_push_callable(L, 1);
  la_task_object_spawn(L, rt, lua_gettop(L) - 1, 1, lua_upvalueindex(1), lua_upvalueindex(2), NULL);
  return 1;
}

static int current(lua_State *L) {
  la_runtime *rt = la_runtime_of(L);
  if (rt != NULL)
    la_task_object_push_current(L, rt);
  else
    lua_pushnil(L);
  return 1;
}

static int yield_begin(lua_State *L, void *room, la_future **f) {
  (void)L;
  la_yield_init(room, la_executor_yield_polls(la_rt->ex));
  *f = &((la_yield *)room)->base;
  return 0;
}

static const la_operation yield_operation = {"yield", yield_begin, NULL};

/* Where tasks are polled in their order, one that is woken behind the others needs no future. */
static int yield(lua_State *L) {
  const la_runtime *rt = la_rt;
  if (rt == NULL || rt->ex->shuffled) return la_operate(L, &yield_operation);
  la_coro *c = la_await_coro(L);
  return la_coro_cancelled(c) ? la_await_cancelled(L, c) : la_await_turn(L, c);
}

static int on_error(lua_State *L) {
  if (!lua_isnoneornil(L, 1)) luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_settop(L, 1);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &la_error_handler_key);
  lua_insert(L, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &la_error_handler_key);
  return 1;
}

static int dump(lua_State *L) {
  la_runtime *rt = la_runtime_check(L, "async.dump");
  la_push_dump(L, rt);
  la_push_dump_beyond(L, rt);
  lua_concat(L, 2);
  return 1;
}

static int is_cancelled(lua_State *L) {
  luaL_checkany(L, 1);
  lua_pushboolean(L, la_is_cancelled(L, 1));
  return 1;
}

/* ---- the module --------------------------------------------------------------------*/

static void open_names(lua_State *L) {
  la_push_registered(L, &la_task_names_key, "k");
  lua_pop(L, 1);
}

void la_open_task(lua_State *L) {
  static const luaL_Reg methods[] = {{"await", la_task_await}, {"try_await", task_try_await},
                                     {"cancel", task_cancel},  {"status", task_status},
                                     {"name", task_name},      {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__tostring", task_tostring}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"current", current},           {"yield", yield},
                                       {"on_error", on_error},         {"dump", dump},
                                       {"is_cancelled", is_cancelled}, {NULL, NULL}};
  static const la_operation_entry operations[] = {{la_task_await, &await_operation},
                                                  {yield, &yield_operation},
                                                  {NULL, NULL}};
  la_new_class(L, LA_TASK_NAME, meta, NULL);
  luaL_getmetatable(L, LA_TASK_NAME);
  lua_newtable(L);
  luaL_setfuncs(L, methods, 0);
  lua_pushvalue(L, -1);
  la_alias_add(L, LA_TASK_NAME);
  lua_pushcclosure(L, task_index, 1);
  lua_setfield(L, -2, "__index");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &la_task_metatable_key);
  open_names(L);
  luaL_setfuncs(L, functions, 0);
  la_owners_push(L);
  luaL_getmetatable(L, LA_TASK_NAME);
  lua_pushcclosure(L, spawn, 2);
  lua_setfield(L, -2, "spawn");
  la_operations_add(L, operations);
}
