/* What goes by its name from one state to another: see parcel.h. */
#include <lauxlib.h>
#include <string.h>

#include "bridge/alias.h"
#include "bridge/error.h"
#include "thread/l_parcel.h"

#define CANCELLED "=cancelled" /* what a cancelled task fails with */

/* registry: { value -> name, weak }; false: it has none. Functions in Lua without one are there by
** their place in the source, since there are new ones all the time. [&names_key] is true when
** modules have been loaded since it was made. */
static char names_key;

/* The __newindex of package.loaded: (loaded, name, module). Takes no memory but for that. */
static int module_comes(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_checkany(L, 3);
  lua_settop(L, 3);
  lua_rawset(L, 1);
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &names_key) != LUA_TTABLE) return 0;
  lua_pushboolean(L, 1);
  lua_rawsetp(L, -2, &names_key);
  return 0;
}

/* A walk through all modules for each message would cost more than the message. Where the program
** has a metatable of its own there, modules are seen to have come by their functions alone. */
static void watch_modules(lua_State *L, int loaded) {
  if (lua_getmetatable(L, loaded)) {
    lua_pop(L, 1);
    return;
  }
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, module_comes);
  lua_setfield(L, -2, "__newindex");
  lua_setmetatable(L, loaded);
}

static bool is_outdated(lua_State *L) {
  lua_rawgetp(L, -1, &names_key);
  bool is = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return is;
}

/* The value at the top, which goes, has the name below it, which stays, unless it has one. */
static void name(lua_State *L, int names) {
  if (lua_isnil(L, -1)) { /* something of ours, where the module has not been required yet */
    lua_pop(L, 1);
    return;
  }
  lua_pushvalue(L, -1);
  if (lua_rawget(L, names) == LUA_TNIL) {
    lua_pushvalue(L, -2); /* the value */
    lua_pushvalue(L, -4); /* the name */
    lua_rawset(L, names);
  }
  lua_pop(L, 2);
}

/* A key that may be in a name; those of ours begin with '='. */
static bool is_text(lua_State *L, int i) {
  size_t len;
  if (lua_type(L, i) != LUA_TSTRING) return false;
  const char *s = lua_tolstring(L, i, &len);
  return strlen(s) == len && *s != '=';
}

static bool is_nameable(lua_State *L, int i, bool globals) {
  int type = lua_type(L, i);
  if (globals) return lua_iscfunction(L, i);
  return type == LUA_TFUNCTION || type == LUA_TTABLE || type == LUA_TUSERDATA;
}

/* package.loaded and package.preload: what is in them is named, or sent, by itself. */
static bool is_register(lua_State *L, int i) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  bool is = lua_rawequal(L, i, -1) || lua_rawequal(L, i, -2);
  lua_pop(L, 2);
  return is;
}

/* Names what stands in the table at the top, whose own name is below it; `levels` deep. */
static void name_fields(lua_State *L, int names, bool globals, int levels) {
  int table = lua_gettop(L);
  lua_pushnil(L);
  while (lua_next(L, table)) {
    if (is_text(L, -2) && is_nameable(L, -1, globals)) {
      lua_pushvalue(L, table - 1);
      lua_pushlstring(L, "", 1);
      lua_pushvalue(L, table + 1);
      lua_concat(L, 3);
      lua_insert(L, -2); /* the name, the value */
      lua_pushvalue(L, -1);
      bool is_new = lua_rawget(L, names) == LUA_TNIL;
      lua_pop(L, 1);
      if (is_new && levels > 1 && lua_istable(L, -1) && !is_register(L, lua_gettop(L)))
        name_fields(L, names, false, levels - 1);
      name(L, names);
    }
    lua_settop(L, table + 1);
  }
}

/* The module at the top, whose name is below it. */
static void name_module(lua_State *L, int names, bool fields) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
  bool globals = lua_rawequal(L, -1, -2);
  lua_pop(L, 1);
  if (!fields && !globals)
    name(L, names);
  else if (fields && lua_istable(L, -1))
    name_fields(L, names, globals, globals ? 1 : 2);
}

/* Pushes a new table of names: the modules first, since one may stand in another. */
static void make_names(lua_State *L, int loaded) {
  lua_newtable(L);
  int names = lua_gettop(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "k");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, names);
  lua_pushfstring(L, "=%s", la_error_metatable);
  luaL_getmetatable(L, la_error_metatable);
  name(L, names);
  lua_settop(L, names);
  lua_pushliteral(L, CANCELLED);
  la_push_cancelled(L);
  name(L, names);
  lua_settop(L, names);
  for (int fields = 0; fields <= 1; fields++) {
    lua_pushnil(L);
    while (lua_next(L, loaded)) {
      lua_pushvalue(L, names + 1);
      lua_insert(L, -2);
      bool alias = la_alias_is(L, -1);
      if (!alias && is_text(L, -2) && is_nameable(L, -1, false)) name_module(L, names, fields != 0);
      lua_settop(L, names + 1);
    }
  }
}

/* What had no name, and did not get one, has none in the table at the top either; and what had one,
** which stands for something else now, has it again when it comes back there. */
static void keep_old(lua_State *L, int old) {
  enum { MOST = 4096 };
  int n = 0, names = lua_gettop(L);
  for (lua_pushnil(L); lua_next(L, old) && n < MOST;) {
    lua_pushvalue(L, -2);
    if (!lua_islightuserdata(L, -1) && lua_rawget(L, names) == LUA_TNIL) {
      n++;
      lua_pushvalue(L, -3);
      lua_pushvalue(L, -3);
      lua_rawset(L, names);
    }
    lua_settop(L, names + 1); /* the key */
  }
  lua_settop(L, names);
}

bool la_parcel_push_names(lua_State *L, bool again) {
  luaL_checkstack(L, 24, NULL);
  int old = lua_gettop(L) + 1;
  bool kept = lua_rawgetp(L, LUA_REGISTRYINDEX, &names_key) == LUA_TTABLE;
  if (kept && !again && !is_outdated(L)) return true;
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  watch_modules(L, old + 1);
  make_names(L, old + 1);
  lua_pushboolean(L, 0);
  lua_rawsetp(L, -2, &names_key);
  if (kept) keep_old(L, old);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &names_key);
  lua_replace(L, old);
  lua_settop(L, old);
  return false;
}

/* The value at index i, not above -2, still stands where the name at the top says. */
static bool has_name(lua_State *L, int i) {
  size_t len;
  const char *s = lua_tolstring(L, -1, &len), *end = s + len;
  if (*s == '=') return true;
  i = lua_absindex(L, i);
  int top = lua_gettop(L);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  for (size_t n; s < end && lua_istable(L, -1); s += n + 1) {
    n = strnlen(s, (size_t)(end - s));
    lua_pushlstring(L, s, n);
    lua_rawget(L, -2);
  }
  bool is = s >= end && lua_rawequal(L, i, -1);
  lua_settop(L, top);
  return is;
}

/* A number for where the function in Lua at the top comes from. */
static lua_Integer place(lua_State *L) {
  lua_Debug about;
  lua_pushvalue(L, -1);
  lua_getinfo(L, ">S", &about);
  uint64_t h = (uint64_t)(uintptr_t)about.source * UINT64_C(0x9E3779B97F4A7C15);
  h += (uint64_t)about.linedefined * UINT64_C(0xC2B2AE3D27D4EB4F) + (uint64_t)about.lastlinedefined;
  return (lua_Integer)(h >> 1);
}

static bool is_lua(lua_State *L) { return lua_isfunction(L, -1) && !lua_iscfunction(L, -1); }

void la_parcel_push_name(lua_State *L, int names) {
  lua_pushvalue(L, -1);
  int type = lua_rawget(L, names);
  if (type == LUA_TBOOLEAN || (type == LUA_TSTRING && has_name(L, -2))) return;
  lua_pop(L, 1);
  if (type == LUA_TSTRING) {
    lua_pushboolean(L, 0);
    return;
  }
  if (is_lua(L))
    lua_rawgeti(L, names, place(L));
  else
    lua_pushnil(L);
}

/* (value, names) */
static int set_nameless(lua_State *L) {
  lua_pushboolean(L, 0);
  lua_pushvalue(L, 1);
  if (is_lua(L)) {
    lua_Integer at = place(L);
    lua_pop(L, 1);
    lua_rawseti(L, 2, at);
  } else {
    lua_insert(L, -2);
    lua_rawset(L, 2);
  }
  return 0;
}

void la_parcel_set_nameless(lua_State *L, int names) {
  lua_pushcfunction(L, set_nameless);
  lua_pushvalue(L, -2);
  lua_pushvalue(L, names);
  if (lua_pcall(L, 2, 0, 0) != LUA_OK) lua_pop(L, 1); /* no memory: it is looked for again */
}

static char require_key; /* registry: see la_require_keep */

void la_require_keep(lua_State *L) {
  lua_getglobal(L, "require");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &require_key);
}

void la_require(lua_State *L, const char *name, size_t len) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_pushlstring(L, name, len);
  if (lua_rawget(L, -2) == LUA_TNIL) {
    lua_pop(L, 1);
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &require_key) == LUA_TNIL) {
      lua_pop(L, 1);
      lua_getglobal(L, "require");
    }
    lua_pushlstring(L, name, len);
    lua_call(L, 1, 1);
  }
  lua_remove(L, -2);
}

void la_parcel_push_named(lua_State *L, const char *s, size_t len) {
  const char *end = s + len;
  size_t n = strnlen(s, len);
  if (*s == '=') { /* something of ours, which is there once the module is */
    la_require(L, LA_MODULE, sizeof LA_MODULE - 1);
    lua_pop(L, 1);
    if (len == sizeof CANCELLED - 1 && memcmp(s, CANCELLED, len) == 0)
      la_push_cancelled(L);
    else
      luaL_getmetatable(L, la_error_metatable);
    return;
  }
  la_require(L, s, n);
  for (const char *key = s + n; key < end; key += n) {
    key++;
    n = strnlen(key, (size_t)(end - key));
    lua_pushlstring(L, key, n);
    if (lua_isnil(L, -2) || lua_gettable(L, -2) == LUA_TNIL)
      luaL_error(L, "the module '%s' has no '%s' in this thread", s, key);
    lua_remove(L, -2);
  }
}
