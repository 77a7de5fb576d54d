#include "bridge/module.h"

#include <lauxlib.h>
#include <string.h>

#include "bridge/alias.h"
#include "lua_async_version.h"

static char module_key; /* registry: the table of the module */
static char closed_key; /* registry: table of a sub-module that is not open yet -> its la_module */
static char lazy_key;   /* registry: the metatable of such tables */

void la_module_begin(lua_State *L) {
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &module_key);
}

void la_module_push(lua_State *L) { lua_rawgetp(L, LUA_REGISTRYINDEX, &module_key); }

void la_module_fill(lua_State *L, void (*open)(lua_State *L)) {
  luaL_checkstack(L, LUA_MINSTACK, "opening a module");
  int to = lua_gettop(L), from = to + 1;
  lua_newtable(L);
  open(L);
  for (lua_pushnil(L); lua_next(L, from); lua_settop(L, from + 1)) {
    lua_pushvalue(L, from + 1);
    if (lua_rawget(L, to) != LUA_TNIL) continue;
    lua_pushvalue(L, from + 1);
    lua_pushvalue(L, from + 2);
    lua_rawset(L, to);
  }
  lua_settop(L, to);
}

/* Opens the one whose table is on top, unless it is open. It counts as open when all is done: one
** that failed for want of memory is opened again. */
static void open_top(lua_State *L) {
  int t = lua_gettop(L);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &closed_key);
  lua_pushvalue(L, t);
  lua_rawget(L, -2);
  const la_module *m = lua_touserdata(L, -1);
  lua_settop(L, t);
  if (m == NULL) return;
  la_module_fill(L, m->open);
  lua_pushnil(L);
  lua_setmetatable(L, t);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &closed_key);
  lua_pushvalue(L, t);
  lua_pushnil(L);
  lua_rawset(L, -3);
  lua_settop(L, t);
}

static int lazy_index(lua_State *L) {
  lua_settop(L, 2);
  lua_insert(L, 1);
  open_top(L);
  lua_insert(L, 1);
  lua_rawget(L, 1);
  return 1;
}

/* `next` itself may be gone from the globals. */
static int next_field(lua_State *L) {
  lua_settop(L, 2);
  return lua_next(L, 1) ? 2 : 0;
}

int la_module_pairs(lua_State *L) {
  lua_pushcfunction(L, next_field);
  lua_insert(L, -2);
  lua_pushnil(L);
  return 3;
}

static int lazy_pairs(lua_State *L) {
  lua_settop(L, 1);
  open_top(L);
  return la_module_pairs(L);
}

void la_module_add(lua_State *L, const la_module *modules) {
  static const luaL_Reg meta[] = {{"__index", lazy_index}, {"__pairs", lazy_pairs}, {NULL, NULL}};
  int top = lua_gettop(L);
  luaL_newlib(L, meta);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &lazy_key);
  lua_newtable(L);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &closed_key);
  for (const la_module *m = modules; m->name != NULL; m++) {
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_setfield(L, top, m->name);
    const char *name = lua_pushfstring(L, "lua_async.%s", m->name);
    lua_pushvalue(L, -2);
    la_alias_add(L, name);
    lua_pop(L, 1);
    lua_pushvalue(L, -1);
    lua_pushlightuserdata(L, (void *)(uintptr_t)m);
    lua_rawset(L, top + 2);
    lua_pushvalue(L, top + 1);
    lua_setmetatable(L, -2);
    lua_pop(L, 1);
  }
  lua_settop(L, top);
}

void la_module_need(lua_State *L, const char *name) {
  luaL_checkstack(L, LUA_MINSTACK, "opening a module");
  la_module_push(L);
  lua_pushstring(L, name);
  lua_rawget(L, -2);
  if (lua_istable(L, -1)) open_top(L);
  lua_pop(L, 2);
}

void la_part_check(lua_State *L, const char *name, const char *version, const char *interface) {
  la_module_push(L);
  bool ours = lua_istable(L, -1);
  lua_pop(L, 1);
  if (!ours)
    luaL_error(L,
               "lua_async.%s was linked with another copy of lua_async.so than the one that "
               "require \"lua_async\" finds: install both into one tree, or put its tree first in "
               "package.cpath",
               name);
  if (strcmp(version, LA_VERSION) != 0)
    luaL_error(L, "lua_async.%s is of version %s, lua_async of %s: install both from one version",
               name, version, LA_VERSION);
  if (strcmp(interface, LA_INTERFACE) != 0)
    luaL_error(L,
               "lua_async.%s and lua_async are both of version %s, but were built from different "
               "sources (interface %s and %s): build both from one checkout",
               name, version, interface, LA_INTERFACE);
}
