/* l_scripts.h - what is written in Lua. */
#ifndef LA_LUA_L_SCRIPTS_H
#define LA_LUA_L_SCRIPTS_H

#include <lua.h>

void la_open_control(lua_State *L); /* async.defer and retry; they replace the table on top */

#endif
