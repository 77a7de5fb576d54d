#include "bridge/task_object.h"

#include <lauxlib.h>

#include "bridge/await.h"
#include "bridge/error.h"
#include "bridge/report.h"
#include "bridge/traceback.h"
#include "core/group.h"

char la_task_names_key, la_task_metatable_key, la_task_unbegun_key;

enum { UV_VALUE = 1, UV_ARGS = 2, MAX_ARGS = 250 };
enum { FAILURE_ERROR = 1, FAILURE_RECORD = 2 }; /* in the table of a failure */

la_coro *la_task_coro(la_task *t) {
  return la_task_is_member(t) ? NULL : (la_coro *)(void *)la_task_future(t);
}

void la_task_object_push(lua_State *L, la_runtime *rt, la_task *t) {
  la_owner_push(rt, ((la_coro *)(void *)la_task_future(t))->slot);
  lua_xmove(rt->store, L, 1);
}

/* ---- the future --------------------------------------------------------------------*/

/* The Task, at index `object`, shall not keep what they captured. */
static void forget_call(la_task_object *o, lua_State *store, int object) {
  for (int i = 0; i <= o->nargs; i++) {
    lua_pushnil(store);
    lua_setiuservalue(store, object, UV_VALUE + i);
  }
  o->begun = true;
}

/* A task has no coroutine before its first poll, so that tasks which wait to begin
** cost little, and those which end at once share one. */
static bool load_call(la_coro *c) {
  const la_task_object *o = c->owner;
  lua_State *store = la_rt->store;
  int n = o->nargs, object = LA_STORE_TOP + 1;
  if (n > LUA_MINSTACK / 2 && !lua_checkstack(store, n + LUA_MINSTACK)) return false;
  la_owner_push(la_rt, c->slot);
  lua_getiuservalue(store, object, UV_VALUE);
  for (int i = 0; i < n; i++) lua_getiuservalue(store, object, UV_ARGS + i);
  bool loaded = la_coro_load(c, store, n);
  lua_settop(store, object);
  forget_call(c->owner, store, object);
  lua_settop(store, LA_STORE_TOP);
  return loaded;
}

/* It has ended, and never began. */
static void drop_call(la_coro *c) {
  lua_State *store = la_rt->store;
  int top = lua_gettop(store), object = top + 1;
  la_owner_push(la_rt, c->slot);
  if (lua_getiuservalue(store, object, UV_ARGS) == LUA_TUSERDATA && lua_getmetatable(store, -1)) {
    lua_rawgetp(store, -1, &la_task_unbegun_key);
    la_task_unbegun unbegun = (la_task_unbegun)(uintptr_t)lua_touserdata(store, -1);
    if (unbegun != NULL) unbegun(lua_touserdata(store, object + 1));
  }
  lua_settop(store, object);
  forget_call(c->owner, store, object);
  lua_settop(store, top);
}

static la_poll task_poll(la_future *f, la_context *cx) {
  la_coro *c = (la_coro *)(void *)f;
  if (c->co == NULL && !la_coro_root_cancelled(c) && !load_call(c)) {
    la_coro_fail(c);
    return LA_READY;
  }
  return la_coro_poll(c, cx);
}

static void task_drop(la_future *f) { la_coro_drop((la_coro *)(void *)f); }

static const la_future_vtable task_vtable = {task_poll, task_drop, "task", NULL};

/* ---- the end -----------------------------------------------------------------------*/

/* Called protected: packs the arguments into a table with "n". */
static int pack(lua_State *L) {
  int n = lua_gettop(L);
  lua_createtable(L, n, 1);
  lua_insert(L, 1);
  for (int i = n; i >= 1; i--) lua_rawseti(L, 1, i);
  lua_pushinteger(L, n);
  lua_setfield(L, 1, "n");
  return 1;
}

/* Called protected: (coroutine, error) -> {error, traceback and where it was spawned} */
static int pack_failure(lua_State *L) {
  const la_coro *c = lua_touserdata(L, 1);
  const la_task_object *o = c->owner;
  lua_createtable(L, 2, 0);
  lua_insert(L, 2);
  lua_rawseti(L, 2, FAILURE_ERROR);
  if ((c->flags & LA_CORO_BROKEN) != 0 && c->co != NULL)
    luaL_traceback(L, c->co, NULL, 0);
  else
    la_coro_push_traceback(L, c);
  if (!lua_isstring(L, -1)) lua_pushliteral(L, "(no traceback)");
  lua_pushfstring(L, "\n\ttask %I, spawned at ", la_task_object_id(o));
  la_place_push(L, &la_rt->places, o->place);
  lua_concat(L, 3);
  lua_rawseti(L, 2, FAILURE_RECORD);
  lua_settop(L, 2);
  return 1;
}

/* L's stack: the Task, then the n > 1 results; leaves the Task. */
static la_outcome keep_many(lua_State *L, int n) {
  lua_pushcfunction(L, pack);
  lua_insert(L, -n - 1);
  bool packed = lua_pcall(L, n, 1, 0) == LUA_OK;
  lua_setiuservalue(L, -2, UV_VALUE);
  return packed ? LA_OUTCOME_MANY : LA_OUTCOME_FAILED_BARE;
}

/* L's stack: the Task. For want of memory the error stands alone. */
static la_outcome keep_failure(lua_State *L, la_coro *c) {
  la_coro_take(c, L);
  if (la_is_cancelled(L, -1) && la_coro_root_cancelled(c)) {
    lua_pop(L, 1);
    return LA_OUTCOME_CANCELLED;
  }
  lua_pushcfunction(L, pack_failure);
  lua_pushlightuserdata(L, c);
  lua_pushvalue(L, -3);
  if (lua_pcall(L, 2, 1, 0) == LUA_OK) {
    lua_setiuservalue(L, -3, UV_VALUE);
    lua_pop(L, 1);
    return LA_OUTCOME_FAILED;
  }
  lua_pop(L, 1);
  lua_setiuservalue(L, -2, UV_VALUE);
  return LA_OUTCOME_FAILED_BARE;
}

/* Pushes the error of a failed Task at index i, and its record or nil. */
static void push_failure(lua_State *L, int i) {
  const la_task_object *o = lua_touserdata(L, i);
  lua_getiuservalue(L, i, UV_VALUE);
  if (o->outcome == LA_OUTCOME_FAILED_BARE) {
    lua_pushnil(L);
    return;
  }
  lua_rawgeti(L, -1, FAILURE_ERROR);
  lua_rawgeti(L, -2, FAILURE_RECORD);
  lua_remove(L, -3);
}

/* Everything but the results that most tasks have: none, or one. */
static void keep_unusual(lua_State *L, la_coro *c, bool report) {
  la_task_object *o = c->owner;
  la_outcome outcome = LA_OUTCOME_FAILED_BARE;
  lua_Integer id = la_task_object_id(o);
  la_owner_push(la_rt, c->slot);
  if (lua_checkstack(L, LUA_MINSTACK + c->values)) {
    lua_xmove(la_rt->store, L, 1);
    int object = lua_gettop(L);
    if ((c->flags & LA_CORO_FAILED) != 0)
      outcome = keep_failure(L, c);
    else
      outcome = keep_many(L, la_coro_take(c, L));
    o->outcome = (unsigned char)outcome;
    o->ended_id = id;
    if (outcome >= LA_OUTCOME_FAILED && report) {
      push_failure(L, object);
      lua_pushvalue(L, object);
      la_report_failure(L);
    }
    lua_settop(L, object - 1);
  } else { /* no memory for the results: no room to say so either */
    o->outcome = (unsigned char)outcome;
    o->ended_id = id;
    lua_pop(la_rt->store, 1);
  }
}

static void end(la_task_object *o, la_outcome outcome) {
  lua_Integer id = la_task_object_id(o);
  o->outcome = (unsigned char)outcome;
  o->ended_id = id;
}

/* Its failure is somebody's: of who called run, of the scope around it. */
static bool is_expected(la_task *t);

static void task_finished(la_task *t, bool dropped) {
  la_runtime *rt = la_rt;
  la_coro *c = (la_coro *)(void *)la_task_future(t);
  la_task_object *o = c->owner;
  if (!o->begun) drop_call(c);
  if (dropped) {
    end(o, LA_OUTCOME_CANCELLED);
  } else if ((c->flags & LA_CORO_FAILED) != 0 || c->values > 1) {
    keep_unusual(rt->running, c, t->joins == NULL && !is_expected(t));
  } else if (c->values == 0) {
    end(o, LA_OUTCOME_EMPTY);
  } else {
    la_owner_push(rt, c->slot);
    la_coro_take(c, rt->store);
    lua_setiuservalue(rt->store, -2, UV_VALUE);
    lua_pop(rt->store, 1);
    end(o, LA_OUTCOME_ONE);
  }
  la_owner_remove(rt, c->slot);
  if (rt->task_ended.vt != NULL) la_waker_wake_by_ref(&rt->task_ended);
}

static const la_task_class task_class = {task_finished, true, sizeof(la_coro)};

/* ---- children of a nursery -----------------------------------------------------------*/

typedef struct child {
  la_coro coro;
  la_nursery_child in;
} child;

static la_nursery_child *child_of(la_task *t) { return &((child *)(void *)la_task_future(t))->in; }

/* The first that fails is the nursery's, which raises its error. */
static void child_finished(la_task *t, bool dropped) {
  la_runtime *rt = la_rt;
  la_coro *c = (la_coro *)(void *)la_task_future(t);
  la_task_object *o = c->owner;
  la_owner_push(rt, c->slot); /* for as long as `o` is looked at */
  task_finished(t, dropped);
  la_nursery_child_over(child_of(t), o->outcome >= LA_OUTCOME_FAILED, rt);
  lua_pop(rt->store, 1);
}

static const la_task_class child_class = {child_finished, true, sizeof(child)};

la_nursery *la_task_nursery(la_task *t) {
  return t->cls == &child_class ? child_of(t)->nursery : NULL;
}

static bool is_expected(la_task *t) {
  return t == la_rt->root || (t->cls == &child_class && la_nursery_takes_failure(child_of(t)));
}

la_task *la_task_current(const la_runtime *rt) {
  la_task *t = la_task_for_whom(rt->ex->current);
  return t != NULL && la_task_has(t, LA_TASK_COMPLETE) ? NULL : t;
}

void la_task_object_push_current(lua_State *L, la_runtime *rt) {
  la_task *t = la_task_current(rt);
  if (t != NULL)
    la_task_object_push(L, rt, t);
  else
    lua_pushnil(L);
}

void la_task_object_check(lua_State *L, const la_task_object *o) {
  if (la_rt == NULL || o->task->ex != la_rt->ex) luaL_error(L, "this task belongs to another run");
  if (o->task == la_task_current(la_rt))
    luaL_error(L, "a task cannot await itself: it would wait for ever");
}

/* Raises what whoever awaits the cancelled Task at index i is told: of its own cancellation, where
** that is due as well. */
static int raise_cancelled(lua_State *L, int i) {
  la_runtime *rt = la_rt;
  la_coro *c = rt != NULL && rt->running == L ? rt->current : NULL;
  if (c != NULL && la_coro_cancelled(c) && !la_coro_overdue(c)) return la_await_raise_due(L, c);
  lua_Integer id = la_task_object_id(lua_touserdata(L, i));
  i = lua_absindex(L, i);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &la_task_names_key);
  lua_pushvalue(L, i);
  if (lua_rawget(L, -2) == LUA_TSTRING)
    lua_pushfstring(L, "task %I '%s' was cancelled", id, lua_tostring(L, -1));
  else
    lua_pushfstring(L, "task %I was cancelled", id);
  la_push_error(L, &(la_error_info){.code = "ECANCELED",
                                    .op = "await",
                                    .message = lua_tostring(L, -1)});
  la_error_set_task(L, i);
  return lua_error(L);
}

int la_task_object_results(lua_State *L, int i) {
  const la_task_object *o = lua_touserdata(L, i);
  switch ((la_outcome)o->outcome) {
  case LA_OUTCOME_EMPTY: return 0;
  case LA_OUTCOME_ONE: lua_getiuservalue(L, i, UV_VALUE); return 1;
  case LA_OUTCOME_MANY: {
    lua_getiuservalue(L, i, UV_VALUE);
    int t = lua_gettop(L);
    lua_getfield(L, t, "n");
    int n = (int)lua_tointeger(L, -1);
    luaL_checkstack(L, n, "too many results");
    for (int k = 1; k <= n; k++) lua_rawgeti(L, t, k);
    return n;
  }
  case LA_OUTCOME_CANCELLED: return raise_cancelled(L, i);
  default: push_failure(L, i); return la_raise_from(L);
  }
}

int la_task_object_return(lua_State *L, int i) {
  if (!la_task_object_push_failure(L, i)) return la_task_object_results(L, i);
  la_disown_cancellation(L, -2);
  if (lua_type(L, -2) == LUA_TSTRING)
    la_push_report(L, -2, -1);
  else
    lua_pop(L, 1);
  return lua_error(L);
}

bool la_task_object_push_failure(lua_State *L, int i) {
  const la_task_object *o = lua_touserdata(L, i);
  if (o->outcome < LA_OUTCOME_FAILED) return false;
  push_failure(L, i);
  return true;
}

bool la_task_object_failed_with(lua_State *L, int task, int error) {
  error = lua_absindex(L, error);
  push_failure(L, lua_absindex(L, task));
  bool same = lua_rawequal(L, -2, error);
  lua_pop(L, 2);
  return same;
}

/* ---- spawning ----------------------------------------------------------------------*/

la_task_object *la_task_object_spawn(lua_State *L, la_runtime *rt, int nargs, int level, int owners,
                                     int metatable, la_nursery *nursery) {
  if (nargs > MAX_ARGS) luaL_error(L, "too many arguments for a task: pass them in a table");
  int base = lua_gettop(L) - nargs;
  la_task_object *o = lua_newuserdatauv(L, sizeof *o, UV_ARGS - 1 + nargs);
  o->ended_id = 0;
  o->outcome = LA_OUTCOME_CANCELLED; /* until there is a task */
  o->nargs = (unsigned char)nargs;
  o->begun = false;
  o->place = la_place_here(L, &rt->places, level);
  lua_pushvalue(L, metatable);
  lua_setmetatable(L, -2);
  lua_insert(L, base);
  for (int i = nargs; i >= 0; i--) lua_setiuservalue(L, base, UV_VALUE + i);
  lua_pushvalue(L, base);
  int slot = la_owner_add(L, rt, owners);
  la_task *t = la_task_new(rt->ex, nursery != NULL ? &child_class : &task_class);
  if (t == NULL) {
    la_owner_remove(rt, slot);
    luaL_error(L, "not enough memory");
    return NULL;
  }
  la_coro *c = (la_coro *)(void *)la_task_future(t);
  la_coro_init(c, &task_vtable, o, slot);
  c->flags = LA_CORO_TASK;
  o->task = t;
  o->outcome = LA_OUTCOME_NONE;
  la_task_spawn(t);
  if (nursery != NULL) la_nursery_add(nursery, child_of(t), t);
  if (rt->ending && rt->shields == 0) la_task_cancel(t);
  rt->late = rt->ending && rt->shields != 0;
  return o;
}
