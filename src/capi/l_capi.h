/* l_capi.h - puts the functions of lua_async.h where la_import finds them. */
#ifndef LA_CAPI_L_CAPI_H
#define LA_CAPI_L_CAPI_H

#include <lua.h>

void la_capi_open(lua_State *L);

#endif
