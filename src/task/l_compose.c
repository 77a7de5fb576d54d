/* Composition: join and select. */
#include "bridge/combine.h"
#include "bridge/future_object.h"
#include "bridge/lib.h"
#include "bridge/task_object.h"
#include "task/l_task.h"

/* While they wait, the stack is: the keys of the arms (or nil), the arms, and above them the
** combination. */
enum { KEYS = 1, ARMS };

/* ---- arms --------------------------------------------------------------------------*/

/* Pops a value; puts the Future or Task that it is, or a Future of its call, into the table
** of arms. `arg` is the argument it came from. */
static void add_arm(lua_State *L, int arms, lua_Integer i, int arg) {
  if (luaL_testudata(L, -1, LA_FUTURE_NAME) == NULL &&
      luaL_testudata(L, -1, LA_TASK_NAME) == NULL) {
    if (!la_is_callable(L, -1))
      luaL_argerror(L, arg,
                    lua_pushfstring(L, "function, Future or Task expected to run, got %s",
                                    luaL_typename(L, -1)));
    la_future_object_call(L, 0);
  }
  lua_rawseti(L, arms, i);
}

/* Numbers before strings before what cannot be compared. */
static bool before(lua_State *L, int a, int b) {
  int ta = lua_type(L, a), tb = lua_type(L, b);
  if (ta != tb) return ta == LUA_TNUMBER || (ta == LUA_TSTRING && tb != LUA_TNUMBER);
  return (ta == LUA_TNUMBER || ta == LUA_TSTRING) && lua_compare(L, a, b, LUA_OPLT);
}

static void swap(lua_State *L, int t, lua_Integer i, lua_Integer k) {
  lua_rawgeti(L, t, i);
  lua_rawgeti(L, t, k);
  lua_rawseti(L, t, i);
  lua_rawseti(L, t, k);
}

/* Key i is before key k. */
static bool is_before(lua_State *L, lua_Integer i, lua_Integer k) {
  lua_rawgeti(L, KEYS, i);
  lua_rawgeti(L, KEYS, k);
  bool is = before(L, -2, -1);
  lua_pop(L, 2);
  return is;
}

static void swap_arms(lua_State *L, lua_Integer i, lua_Integer k) {
  swap(L, KEYS, i, k);
  swap(L, ARMS, i, k);
}

/* Restores the heap of `n` arms, the last key first, below arm i. */
static void sift(lua_State *L, lua_Integer i, lua_Integer n) {
  for (lua_Integer k; (k = 2 * i) <= n; i = k) {
    if (k < n && is_before(L, k, k + 1)) k++;
    if (!is_before(L, i, k)) return;
    swap_arms(L, i, k);
  }
}

/* The order of keys in a table is another in each process; under a seed it shall not matter.
** Heapsort (Williams 1964). */
static void sort_arms(lua_State *L, lua_Integer n) {
  for (lua_Integer i = n / 2; i >= 1; i--) sift(L, i, n);
  for (; n > 1; n--) {
    swap_arms(L, 1, n);
    sift(L, 1, n - 1);
  }
}

/* The table at index 1 becomes its keys, and the arms. Returns how many. */
static lua_Integer arms_of_table(lua_State *L) {
  lua_Integer n = 0;
  lua_settop(L, 1);
  lua_newtable(L);
  lua_newtable(L);
  lua_pushnil(L);
  while (lua_next(L, 1) != 0) {
    n++;
    add_arm(L, 3, n, 1);
    lua_pushvalue(L, -1);
    lua_rawseti(L, 2, n);
  }
  lua_remove(L, 1);
  if (la_rt != NULL && la_rt->ex->shuffled) sort_arms(L, n);
  return n;
}

/* All arguments become nil, and the arms. */
static lua_Integer arms_of_arguments(lua_State *L) {
  int n = lua_gettop(L);
  lua_createtable(L, n, 0);
  lua_insert(L, 1);
  for (int i = n; i >= 1; i--) add_arm(L, 1, i, i);
  lua_pushnil(L);
  lua_insert(L, KEYS);
  return n;
}

static int await_all(lua_State *L, lua_Integer n, bool select, la_finish finish) {
  la_coro *c = la_await_coro(L);
  bool due = la_coro_cancelled(c);
  if (due && !la_await_may_ask(c)) return la_await_cancelled(L, c);
  la_combined *all = la_combine(L, ARMS, n, select);
  return (due ? la_await_overdue : la_await_future)(L, c, &all->base, finish);
}

/* ---- join --------------------------------------------------------------------------*/

static void first_value(lua_State *L, lua_Integer i) {
  int top = lua_gettop(L);
  la_combined_take(L, ARMS, i);
  lua_settop(L, top + 1);
}

static int join_finish(lua_State *L, la_future *f) {
  la_combined *all = la_container(f, la_combined, base);
  lua_Integer n = all->count;
  la_combined_finish(all);
  if (all->first != 0) {
    la_combined_drop_losers(L, ARMS, all);
    return la_combined_take(L, ARMS, all->first);
  }
  if (lua_isnil(L, KEYS)) {
    luaL_checkstack(L, (int)n, "too many results: join a table");
    for (lua_Integer i = 1; i <= n; i++) first_value(L, i);
    return (int)n;
  }
  lua_newtable(L);
  for (lua_Integer i = 1; i <= n; i++) {
    lua_rawgeti(L, KEYS, i);
    first_value(L, i);
    lua_rawset(L, -3);
  }
  return 1;
}

static int join_all(lua_State *L) {
  bool table = lua_gettop(L) == 1 && la_is_plain_table(L, 1);
  lua_Integer n = table ? arms_of_table(L) : arms_of_arguments(L);
  return await_all(L, n, false, join_finish);
}

/* ---- select ------------------------------------------------------------------------*/

static int select_finish(lua_State *L, la_future *f) {
  la_combined *all = la_container(f, la_combined, base);
  la_combined_finish(all);
  la_combined_drop_losers(L, ARMS, all);
  lua_rawgeti(L, KEYS, all->first);
  return 1 + la_combined_take(L, ARMS, all->first);
}

static int select_first(lua_State *L) {
  luaL_argexpected(L, la_is_plain_table(L, 1), 1, "table of functions, Futures and Tasks");
  lua_Integer n = arms_of_table(L);
  luaL_argcheck(L, n > 0, 1, "an empty select would wait forever: it needs at least one arm");
  return await_all(L, n, true, select_finish);
}

void la_open_compose(lua_State *L) {
  static const luaL_Reg functions[] = {{"join", join_all}, {"select", select_first}, {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
