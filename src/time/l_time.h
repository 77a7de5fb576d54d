/* l_time.h - sleeping, timeouts and the clock. */
#ifndef LA_TIME_L_TIME_H
#define LA_TIME_L_TIME_H

#include <lua.h>

void la_open_time(lua_State *L);     /* into async itself: sleep, timeout, … */
void la_open_clock(lua_State *L);    /* async.time */
void la_open_interval(lua_State *L); /* a part of it */

#endif
