/*
** module.h - the table of the module, and those of its sub-modules, which are opened when somebody
** asks for something in them.
**
** The table of a sub-module is there from the start, empty, with a metatable that opens it: in
** `async`, and in package.loaded under "lua_async.NAME". What the program has set in it meanwhile
** stays. A program that uses a few of them is spared most of what opening all costs.
*/
#ifndef LA_BRIDGE_MODULE_H
#define LA_BRIDGE_MODULE_H

#include <lua.h>

#include "core/export.h"

typedef struct la_module {
  const char *name;
  void (*open)(lua_State *L); /* sets its functions in the table on top; twice is harmless */
} la_module;

/* Makes the table on top of the stack that of the module. */
void la_module_begin(lua_State *L);

/* Adds sub-modules (static storage, ended by a null name) to it; it is on top of the stack. */
void la_module_add(lua_State *L, const la_module *modules);

/* What la_module_add does when somebody asks, done now to the table on top: calls `open` and adds
** what that sets, but for what is there already. */
void la_module_fill(lua_State *L, void (*open)(lua_State *L));

/* The module itself (lua_async.c), for package.preload of new states. */
int luaopen_lua_async(lua_State *L);

/* The results of __pairs for the table on top of the stack. */
int la_module_pairs(lua_State *L);

/* Pushes the table of the module. */
LA_PART void la_module_push(lua_State *L);

/* For la_part_open (part.h): raises unless the part is of this version, and this is the lua_async
** that L has. `interface` tells checkouts of one version apart. */
LA_PART void la_part_check(lua_State *L, const char *name, const char *version,
                           const char *interface);

/* Opens the sub-module, unless it is open: for objects of its classes. */
LA_PART void la_module_need(lua_State *L, const char *name);

#endif
