/*
** alias.h - tables of the module in package.loaded, by names such as "lua_async.net".
**
** There luaL_argerror and luaL_traceback look for the name of a function that is called through
** pcall, a task or a timeout, two levels deep: without it they say '?'. For the classes, whose
** methods are found so as well, it is the name of the metatable: "lua_async.Connection".
*/
#ifndef LA_BRIDGE_ALIAS_H
#define LA_BRIDGE_ALIAS_H

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>

#include "core/export.h"

/* The table on top, which goes, gets the name. May raise for want of memory. */
LA_PART void la_alias_add(lua_State *L, const char *name);

/* The same for a new table of these functions, which are in the tables of several classes: they are
** to be found there first, or by their class. */
LA_PART void la_alias_functions(lua_State *L, const char *name, const luaL_Reg *functions);

/* The value at index i is such a table: what is in it has another name, from the module itself. */
LA_PART bool la_alias_is(lua_State *L, int i);

#endif
