/* l_unix.h - Unix sockets, and descriptors from elsewhere. */
#ifndef LA_NET_L_UNIX_H
#define LA_NET_L_UNIX_H

#include <lua.h>

#include "driver/reactor.h"

/* Pushes the object for a descriptor from elsewhere, which is the object's then: a connection, a
** listener, a Pipe. 0, or a negative errno; UV_ENOTSUP: it is of no such kind. */
int la_net_adopt(lua_State *L, la_reactor *r, int fd);

void la_open_unix(lua_State *L); /* into async.net */

#endif
