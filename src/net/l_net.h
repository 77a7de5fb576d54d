/* l_net.h - async.net. */
#ifndef LA_NET_L_NET_H
#define LA_NET_L_NET_H

#include <lua.h>

void la_open_net(lua_State *L); /* async.net */
void la_open_dns(lua_State *L); /* resolve and reverse, into it */

#endif
