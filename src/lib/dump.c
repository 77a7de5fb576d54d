#include "lib/dump.h"

#include <lauxlib.h>
#include <string.h>

#include "bridge/task_object.h"

const char *la_task_state(const la_runtime *rt, const la_task *t) {
  if (rt->ex->current == t) return "running";
  return la_task_scheduled(t) ? "ready" : "waiting";
}

/* "waits for sleep", "waits for task 3". */
static void add_awaited(lua_State *L, const la_coro *c) {
  if (!la_coro_awaits(c)) {
    lua_pushliteral(L, "");
    return;
  }
  const la_task *t = la_join_task(c->inner);
  const char *name = c->inner->vt->name;
  if (t != NULL)
    lua_pushfstring(L, ", waits for task %I", (lua_Integer)t->id);
  else
    lua_pushfstring(L, ", waits for %s", name != NULL ? name : "a future");
}

/* Pushes the block of one task. */
static void push_task(lua_State *L, la_runtime *rt, la_task *t) {
  la_coro *c = (la_coro *)(void *)la_task_future(t);
  int base = lua_gettop(L);
  la_task_object_push(L, rt, t);
  lua_pushfstring(L, "task %I", (lua_Integer)t->id);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &la_task_names_key);
  lua_pushvalue(L, base + 1);
  if (lua_rawget(L, -2) == LUA_TSTRING)
    lua_pushfstring(L, " '%s'", lua_tostring(L, -1));
  else
    lua_pushliteral(L, "");
  lua_replace(L, base + 3);
  lua_settop(L, base + 3);
  lua_pushfstring(L, ": %s%s", la_task_state(rt, t),
                  la_task_has(t, LA_TASK_CANCELLED) ? ", cancelled" : "");
  if (rt->ex->current != t)
    add_awaited(L, c);
  else
    lua_pushliteral(L, "");
  lua_pushliteral(L, ", spawned at ");
  la_place_push(L, &rt->places, ((const la_task_object *)c->owner)->place);
  lua_pushliteral(L, "\n");
  if (c->co != NULL)
    luaL_traceback(L, c->co, NULL, c->co == L ? 1 : 0);
  else
    lua_pushliteral(L, "(it has not begun)");
  lua_pushliteral(L, "\n");
  lua_concat(L, lua_gettop(L) - base - 1);
  lua_replace(L, base + 1);
}

void la_push_dump(lua_State *L, la_runtime *rt) {
  luaL_Buffer b;
  luaL_checkstack(L, 2 * LUA_MINSTACK, "async.dump");
  luaL_buffinit(L, &b);
  for (la_node *n = rt->ex->live.head.next; n != &rt->ex->live.head; n = n->next) {
    push_task(L, rt, la_container(n, la_task, live));
    luaL_addvalue(&b);
  }
  luaL_pushresult(&b);
}
