/* async.sync.once: a function that runs once, whoever calls it, however often. */
#include "sync/l_lock.h"

enum { UV_FUNCTION = LA_LOCK_UV_SPARE + 1, UV_RESULTS, UV_COUNT = UV_RESULTS };

typedef struct once_object {
  la_lock_object base; /* held by who runs the function */
  bool done;
  int results;
} once_object;

static void once_close(void *object) { la_semaphore_close(&((once_object *)object)->base.lock.s); }
static void once_end(void *object) { la_semaphore_end(&((once_object *)object)->base.lock.s); }

static const la_object_class once_class = {"lua_async.Once", once_close, once_end};

static once_object *check_once(lua_State *L) { return la_object_check(L, 1, &once_class); }

static const la_future_vtable once_wait = LA_LOCK_WAIT("once.call");

static int enter_begin(lua_State *L, void *room, la_future **f) {
  return la_lock_begin(L, &check_once(L)->base, 1, &once_wait, room, f);
}

static const la_operation enter_operation = {"once", enter_begin, la_lock_finish};
static int enter(lua_State *L) { return la_operate(L, &enter_operation); }

static int push_results(lua_State *L, const once_object *o) {
  lua_getiuservalue(L, 1, UV_RESULTS);
  int table = lua_gettop(L);
  luaL_checkstack(L, o->results, "too many results");
  for (int i = 1; i <= o->results; i++) lua_rawgeti(L, table, i);
  return o->results;
}

/* Stack: once, guard, results. Those who wait find that it is done. */
static int called(lua_State *L, int status, lua_KContext k) {
  once_object *o = lua_touserdata(L, 1);
  int n = lua_gettop(L) - 2;
  (void)status;
  (void)k;
  luaL_checkstack(L, 2, "too many results");
  lua_createtable(L, n, 0);
  for (int i = 1; i <= n; i++) {
    lua_pushvalue(L, 2 + i);
    lua_rawseti(L, -2, i);
  }
  lua_setiuservalue(L, 1, UV_RESULTS);
  o->results = n;
  o->done = true;
  la_semaphore_close(&o->base.lock.s);
  return n;
}

/* Stack: once, arguments, guard or nil, error. */
static int entered(lua_State *L, int status, lua_KContext k) {
  once_object *o = lua_touserdata(L, 1);
  (void)status;
  (void)k;
  if (lua_isnil(L, -2)) return o->done ? push_results(L, o) : 2;
  lua_pop(L, 1);
  lua_insert(L, 2);
  lua_toclose(L, 2);
  if (o->done) return push_results(L, o);
  lua_getiuservalue(L, 1, UV_FUNCTION);
  lua_insert(L, 3);
  lua_callk(L, lua_gettop(L) - 3, LUA_MULTRET, 0, called);
  return called(L, LUA_OK, 0);
}

/* Once it is done it need not wait, but for its turn. */
static int call(lua_State *L) {
  once_object *o = check_once(L);
  if (o->done && (la_await_possible(L) == NULL || la_operation_proceed()))
    return push_results(L, o);
  lua_pushcfunction(L, enter);
  lua_pushvalue(L, 1);
  lua_callk(L, 1, 2, 0, entered);
  return entered(L, LUA_OK, 0);
}

static int once(lua_State *L) {
  if (!la_is_callable(L, 1)) return luaL_typeerror(L, 1, "function");
  lua_settop(L, 1);
  la_lock_new(L, &once_class, 1, sizeof(once_object), UV_COUNT);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, UV_FUNCTION);
  return 1;
}

void la_open_once(lua_State *L) {
  static const luaL_Reg methods[] = {{NULL, NULL}};
  static const luaL_Reg meta[] = {{"__call", call}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"once", once}, {NULL, NULL}};
  static const la_operation_entry operations[] = {{enter, &enter_operation}, {NULL, NULL}};
  la_object_class_open(L, &once_class, meta, methods);
  la_operations_add(L, operations);
  luaL_setfuncs(L, functions, 0);
}
