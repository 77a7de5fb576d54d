/* l_net.h - what the parts of async.net share. */
#ifndef LA_NET_L_NET_H
#define LA_NET_L_NET_H

#include "bridge/lib.h"
#include "net/tcp.h"
#include "net/unix.h"

/* Fields `nodelay` and `keepalive` of the options table at `arg`. */
void la_check_socket_options(lua_State *L, int arg, la_socket_options *o);

/* A host at `arg`, not empty: getaddrinfo would take that for all addresses, or for this machine.
 */
const char *la_check_host(lua_State *L, int arg);
/* la_fail_address, with a hint if the name could not be found since it is no name. Returns 2. */
int la_fail_lookup(lua_State *L, int error, const char *op, const char *host, int port);
int la_check_port(lua_State *L, int arg, int min);

/* Pushes the connection for a stream, whose reference *s it takes over. */
void la_connection_push(lua_State *L, la_uv_stream **s, const la_socket_options *options);
void la_unix_connection_push(lua_State *L, la_uv_stream **s);

/* Push host and port, or the path ("" for none); or the failure. */
int la_push_address(lua_State *L, int error, const la_address *a, const char *op);
int la_push_path(lua_State *L, int error, const la_unix_address *a, const char *op);

#define LA_LISTENER_NAME "lua_async.Listener"

typedef struct la_listener_object {
  la_listener *listener;
  la_socket_options options; /* of what it accepts, but for those that it inherits */
  bool local;                /* a Unix socket */
} la_listener_object;

/* Pushes the object for a descriptor from elsewhere, which is the object's then: a connection, a
** listener, a Pipe. 0, or a negative errno; UV_ENOTSUP: it is of no such kind. */
int la_net_adopt(lua_State *L, la_reactor *r, int fd);

/* Pushes the table whose keys are the listeners of this Lua state. */
void la_listeners_push(lua_State *L);

/* Pushes a Listener without its listener, to be filled in. */
la_listener_object *la_listener_push(lua_State *L);

void la_open_net(lua_State *L); /* async.net */

/* Its parts: each sets its functions there. */
void la_open_listener(lua_State *L);
void la_open_unix(lua_State *L);
void la_open_udp(lua_State *L);
void la_open_dns(lua_State *L);

#endif
