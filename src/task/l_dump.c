#include "task/l_dump.h"

#include <lauxlib.h>
#include <stdatomic.h>

#include "bridge/combine.h"
#include "bridge/future_object.h"
#include "bridge/task_object.h"

const char *la_task_state(const la_task *t) {
  if (t->ex->current == t) return "running";
  return la_task_scheduled(t) ? "ready" : "waiting";
}

/* ", waits for sleep", ", waits for task 3", or nothing. */
static void add_awaited(lua_State *L, const la_future *awaited) {
  const la_future *f = la_future_beneath(awaited);
  if (f == NULL) {
    lua_pushstring(L, awaited != NULL ? ", waits for a future" : "");
    return;
  }
  const la_task *t = la_join_task(f);
  const char *name = f->vt->name;
  if (t != NULL)
    lua_pushfstring(L, ", waits for task %I", (lua_Integer)t->id);
  else
    lua_pushfstring(L, ", waits for %s", name != NULL ? name : "a future");
}

static void add_state(lua_State *L, const la_task *t) {
  lua_pushfstring(L, ": %s%s", la_task_state(t),
                  la_task_has(t, LA_TASK_CANCELLED) ? ", cancelled" : "");
}

static void add_traceback(lua_State *L, const la_coro *c) {
  if (c->co != NULL)
    luaL_traceback(L, c->co, NULL, c->co == L ? 1 : 0);
  else
    lua_pushliteral(L, "(not started)");
  lua_pushliteral(L, "\n");
}

static const la_future *awaited_by(const la_coro *c) { return la_coro_awaits(c) ? c->inner : NULL; }

/* Pushes "task 3", with its name. */
static void push_title(lua_State *L, la_runtime *rt, la_task *t) {
  int base = lua_gettop(L);
  lua_pushfstring(L, "task %I", (lua_Integer)t->id);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &la_task_names_key);
  la_task_object_push(L, rt, t);
  if (lua_rawget(L, -2) == LUA_TSTRING) {
    lua_pushfstring(L, "%s '%s'", lua_tostring(L, base + 1), lua_tostring(L, -1));
    lua_replace(L, base + 1);
  }
  lua_settop(L, base + 1);
}

/* ", of the scope in task 3", or nothing. */
static void add_nursery(lua_State *L, const la_nursery *n) {
  if (n != NULL)
    lua_pushfstring(L, ", of the %s in task %I", n->drops ? "map" : "scope", (lua_Integer)n->of);
  else
    lua_pushliteral(L, "");
}

/* Pushes the block of one task. */
static void push_task(lua_State *L, la_runtime *rt, la_task *t) {
  const la_coro *c = la_task_coro(t);
  int base = lua_gettop(L);
  push_title(L, rt, t);
  add_state(L, t);
  add_awaited(L, rt->ex->current != t ? awaited_by(c) : NULL);
  add_nursery(L, la_task_nursery(t));
  lua_pushliteral(L, ", spawned at ");
  la_place_push(L, &rt->places, ((const la_task_object *)c->owner)->place);
  lua_pushliteral(L, "\n");
  add_traceback(L, c);
  lua_concat(L, lua_gettop(L) - base);
}

enum { TITLE_ARMS = 8 }; /* of more the outer ones are left out: a dump is linear in their depth */

/* Pushes what an arm is part of: "task 3, arm 2 of join, arm 1 of select". */
static void push_arm_title(lua_State *L, la_runtime *rt, la_task *t) {
  int base = lua_gettop(L), count = 0;
  la_task *arms[TITLE_ARMS], *whose = t;
  for (; whose != NULL && la_task_is_member(whose) && count < TITLE_ARMS; count++) {
    arms[count] = whose;
    whose = la_member_owner(whose);
  }
  bool more = whose != NULL && la_task_is_member(whose);
  whose = la_task_for_whom(whose);
  if (whose == NULL)
    lua_pushliteral(L, "nobody's");
  else
    push_title(L, rt, whose);
  if (more) lua_pushliteral(L, ", …");
  while (count-- > 0) {
    const la_group *g = la_task_group(arms[count]);
    const la_member *m = (const la_member *)(const void *)la_task_future(arms[count]);
    lua_pushfstring(L, ", arm %I of %s", (lua_Integer)m->index + 1,
                    g != NULL ? g->name : "what is gone");
  }
  lua_concat(L, lua_gettop(L) - base);
}

/* Pushes the block of a member of a group. */
static void push_arm(lua_State *L, la_runtime *rt, la_task *t) {
  int base = lua_gettop(L);
  la_arm_info arm = la_arm_of(t);
  push_arm_title(L, rt, t);
  add_state(L, t);
  add_awaited(L, arm.coro != NULL ? awaited_by(arm.coro) : arm.waits_for);
  lua_pushliteral(L, "\n");
  if (arm.coro != NULL) add_traceback(L, arm.coro);
  lua_concat(L, lua_gettop(L) - base);
}

/* Called protected. */
static int push_all(lua_State *L) {
  la_runtime *rt = lua_touserdata(L, 1);
  luaL_Buffer b;
  luaL_checkstack(L, 3 * LUA_MINSTACK, "async.dump");
  luaL_buffinit(L, &b);
  for (la_node *n = rt->ex->live.head.next; n != &rt->ex->live.head; n = n->next) {
    la_task *t = la_container(n, la_task, live);
    if (t == rt->service) continue;
    if (la_task_is_member(t))
      push_arm(L, rt, t);
    else
      push_task(L, rt, t);
    luaL_addvalue(&b);
  }
  luaL_pushresult(&b);
  return 1;
}

/* Without the collector: a finaliser might end one of the tasks that are looked at. */
void la_push_dump(lua_State *L, la_runtime *rt) {
  bool collects = lua_gc(L, LUA_GCISRUNNING);
  luaL_checkstack(L, LUA_MINSTACK, "async.dump");
  lua_gc(L, LUA_GCSTOP);
  lua_pushcfunction(L, push_all);
  lua_pushlightuserdata(L, rt);
  int status = lua_pcall(L, 1, 1, 0);
  if (collects) lua_gc(L, LUA_GCRESTART);
  if (status != LUA_OK) lua_error(L);
}

/* ---- beyond this runtime -------------------------------------------------------------*/

static _Atomic(void (*)(lua_State *L, la_runtime *rt)) beyond;

void la_dump_also(void (*push)(lua_State *L, la_runtime *rt)) {
  atomic_store_explicit(&beyond, push, memory_order_release);
}

void la_push_dump_beyond(lua_State *L, la_runtime *rt) {
  void (*push)(lua_State *, la_runtime *) = atomic_load_explicit(&beyond, memory_order_acquire);
  if (push != NULL)
    push(L, rt);
  else
    lua_pushliteral(L, "");
}
