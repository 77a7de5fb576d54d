#include "bridge/alias.h"

#include "bridge/lib.h"

static char aliases_key; /* registry: table -> true, weak */

static void push_aliases(lua_State *L) { la_push_registered(L, &aliases_key, "k"); }

void la_alias_add(lua_State *L, const char *name) {
  push_aliases(L);
  lua_pushvalue(L, -2);
  lua_pushboolean(L, 1);
  lua_rawset(L, -3);
  lua_pop(L, 1);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_insert(L, -2);
  lua_pushstring(L, name);
  lua_insert(L, -2);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

void la_alias_functions(lua_State *L, const char *name, const luaL_Reg *functions) {
  lua_newtable(L);
  luaL_setfuncs(L, functions, 0);
  la_alias_add(L, name);
}

bool la_alias_is(lua_State *L, int i) {
  i = lua_absindex(L, i);
  push_aliases(L);
  lua_pushvalue(L, i);
  lua_rawget(L, -2);
  bool is = lua_toboolean(L, -1);
  lua_pop(L, 2);
  return is;
}
