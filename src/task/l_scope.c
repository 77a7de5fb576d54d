/* Structured concurrency: scope, and map on top of it. */
#include "bridge/lib.h"
#include "bridge/nursery.h"
#include "bridge/task_object.h"
#include "task/l_future.h"
#include "task/l_task.h"

/* ---- scope -------------------------------------------------------------------------*/

static int scope(lua_State *L) {
  static const char *const names[] = {"supervise", NULL};
  bool options = la_is_plain_table(L, 1), supervise = false;
  if (options) {
    la_check_options(L, 1, names);
    supervise = la_option_boolean(L, 1, "supervise", false);
    luaL_argcheck(L, la_is_callable(L, 2), 2, "function expected, which gets the scope");
    lua_remove(L, 1);
  }
  luaL_argcheck(L, options || la_is_callable(L, 1), 1,
                "function expected, which gets the scope, or options before it");
  return la_nursery_call(L, lua_gettop(L) - 1, supervise);
}

static la_nursery *check(lua_State *L) {
  la_nursery *n = luaL_checkudata(L, 1, LA_NURSERY_NAME);
  if (n->rt == NULL) luaL_error(L, "this scope has ended and cannot start tasks any more");
  if (n->rt != la_runtime_of(L)) luaL_error(L, "this scope belongs to another run");
  return n;
}

/* Upvalues: the table of owners, the metatable of Tasks. */
static int scope_spawn(lua_State *L) {
  la_nursery *n = check(L);
  la_push_callable(L, 2);
  la_task_object_spawn(L, n->rt, lua_gettop(L) - 2, 1, lua_upvalueindex(1), lua_upvalueindex(2), n);
  return 1;
}

static int scope_cancel(lua_State *L) {
  la_nursery *n = luaL_checkudata(L, 1, LA_NURSERY_NAME);
  lua_pushboolean(L, n->rt != NULL && !n->cancelled);
  if (n->rt != NULL) la_nursery_cancel(n);
  return 1;
}

static int scope_tostring(lua_State *L) {
  const la_nursery *n = luaL_checkudata(L, 1, LA_NURSERY_NAME);
  if (n->rt == NULL)
    lua_pushliteral(L, "Scope (over)");
  else
    lua_pushfstring(L, "Scope (%I tasks%s)", (lua_Integer)n->count,
                    n->cancelled ? ", cancelled" : "");
  return 1;
}

/* ---- map ---------------------------------------------------------------------------*/

/* Upvalues: the function, the results, the index. */
static int item_over(lua_State *L, int status, lua_KContext k) {
  (void)status;
  (void)k;
  lua_rawseti(L, lua_upvalueindex(2), lua_tointeger(L, lua_upvalueindex(3)));
  return 0;
}

static int map_item(lua_State *L) {
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_callk(L, lua_gettop(L) - 1, 1, 0, item_over);
  return item_over(L, LUA_OK, 0);
}

/* The body of the scope: while there is room, the next item is fetched and started. Its stack,
** the context of the continuations is how many have been started. Upvalues as scope_spawn's. */
enum { SCOPE = 1, SOURCE, FUNCTION, LIMIT, COUNT_STACK = LIMIT, ITEMS };

static int map_next(lua_State *L, lua_Integer started);

/* The results, from upvalue 3 on, are where map_body put them. */
static int map_start(lua_State *L, int status, lua_KContext started) {
  (void)status;
  if (lua_gettop(L) < ITEMS || lua_isnil(L, ITEMS)) {
    lua_pushvalue(L, lua_upvalueindex(3));
    return 1;
  }
  la_nursery *n = lua_touserdata(L, SCOPE);
  int nargs = lua_gettop(L) - COUNT_STACK;
  lua_pushvalue(L, FUNCTION);
  lua_pushvalue(L, lua_upvalueindex(3));
  lua_pushinteger(L, started + 1);
  lua_pushcclosure(L, map_item, 3);
  lua_insert(L, ITEMS);
  la_task_object_spawn(L, n->rt, nargs, 1, lua_upvalueindex(1), lua_upvalueindex(2), n);
  return map_next(L, started + 1);
}

static int map_fetch(lua_State *L, int status, lua_KContext started) {
  (void)status;
  lua_settop(L, COUNT_STACK);
  if (la_is_plain_table(L, SOURCE)) {
    if (lua_rawgeti(L, SOURCE, started + 1) != LUA_TNIL) return map_start(L, LUA_OK, started);
    lua_settop(L, COUNT_STACK);
    if (luaL_getmetafield(L, SOURCE, "__index") == LUA_TFUNCTION) { /* it may wait */
      lua_pushvalue(L, SOURCE);
      lua_pushinteger(L, started + 1);
      lua_callk(L, 2, 1, started, map_start);
    } else {
      lua_settop(L, COUNT_STACK);
      lua_geti(L, SOURCE, started + 1);
    }
    return map_start(L, LUA_OK, started);
  }
  lua_pushvalue(L, SOURCE);
  lua_callk(L, 0, LUA_MULTRET, started, map_start);
  return map_start(L, LUA_OK, started);
}

static int map_waited(lua_State *L) {
  la_nursery *n = lua_touserdata(L, 1);
  la_coro *c = la_await_coro(L);
  bool due = la_coro_cancelled(c);
  if (due && !la_await_may_ask(c)) return la_await_cancelled(L, c);
  return (due ? la_await_overdue
              : la_await_future)(L, c, la_nursery_wait(n, (size_t)lua_tointeger(L, 2) - 1), NULL);
}

static int map_next(lua_State *L, lua_Integer started) {
  const la_nursery *n = lua_touserdata(L, SCOPE);
  lua_settop(L, COUNT_STACK);
  if (n->count < (size_t)lua_tointeger(L, LIMIT)) return map_fetch(L, LUA_OK, started);
  lua_pushcfunction(L, map_waited);
  lua_pushvalue(L, SCOPE);
  lua_pushvalue(L, LIMIT);
  lua_callk(L, 2, 0, started, map_fetch);
  return map_fetch(L, LUA_OK, started);
}

static int map_body(lua_State *L) {
  ((la_nursery *)lua_touserdata(L, SCOPE))->drops = true;
  return map_next(L, 0);
}

/* Upvalues as scope_spawn's. */
static int map(lua_State *L) {
  static const char *const options[] = {"limit", NULL};
  luaL_argcheck(L, lua_type(L, 1) == LUA_TTABLE || la_is_callable(L, 1), 1,
                "list, or function that gives the next item, expected");
  luaL_argcheck(L, la_is_callable(L, 2), 2, "function expected");
  la_check_options(L, 3, options);
  lua_Integer limit = la_option_integer(L, 3, "limit", LUA_MAXINTEGER, 1, LUA_MAXINTEGER);
  lua_settop(L, 2);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_newtable(L);
  lua_pushcclosure(L, map_body, 3);
  lua_insert(L, 1);
  lua_pushinteger(L, limit);
  return la_nursery_call(L, 3, false);
}

/* ---- the module --------------------------------------------------------------------*/

static void push_spawner(lua_State *L, lua_CFunction f) {
  la_owners_push(L);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &la_task_metatable_key);
  lua_pushcclosure(L, f, 2);
}

void la_open_scope(lua_State *L) {
  static const luaL_Reg methods[] = {{"cancel", scope_cancel}, {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__tostring", scope_tostring}, {NULL, NULL}};
  la_new_class(L, LA_NURSERY_NAME, meta, methods);
  luaL_getmetatable(L, LA_NURSERY_NAME);
  lua_getfield(L, -1, "__index");
  push_spawner(L, scope_spawn);
  lua_setfield(L, -2, "spawn");
  lua_pop(L, 2);
  lua_pushcfunction(L, scope);
  lua_setfield(L, -2, "scope");
  push_spawner(L, map);
  lua_setfield(L, -2, "map");
}
