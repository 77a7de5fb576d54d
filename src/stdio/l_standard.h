/* l_standard.h - the standard streams of the process. */
#ifndef LA_STDIO_L_STANDARD_H
#define LA_STDIO_L_STANDARD_H

#include <lua.h>

void la_open_standard(lua_State *L); /* async.stdin, stdout and stderr */

#endif
