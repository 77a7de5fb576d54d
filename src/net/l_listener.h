/* l_listener.h - listeners, for TCP and for Unix sockets. */
#ifndef LA_NET_L_LISTENER_H
#define LA_NET_L_LISTENER_H

#include <lua.h>

#include "net/listener.h"

#define LA_LISTENER_NAME "lua_async.Listener"

typedef struct la_listener_object {
  la_listener *listener;
  la_socket_options options; /* of what it accepts, but for those that it inherits */
  bool local;                /* a Unix socket */
} la_listener_object;

/* Pushes the table whose keys are the listeners of this Lua state. */
void la_listeners_push(lua_State *L);

/* Pushes a Listener without its listener, to be filled in. */
la_listener_object *la_listener_push(lua_State *L);

void la_open_listener(lua_State *L); /* into async.net */

#endif
