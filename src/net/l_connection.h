/* l_connection.h - connections, over TCP and Unix sockets. */
#ifndef LA_NET_L_CONNECTION_H
#define LA_NET_L_CONNECTION_H

#include "net/tcp.h"
#include "net/unix.h"
#include "stream/l_stream.h"

/* Pushes the connection for a stream, whose reference *s it takes over. */
void la_connection_push(lua_State *L, la_uv_stream **s, const la_socket_options *options);
void la_unix_connection_push(lua_State *L, la_uv_stream **s);

/* Both classes. */
void la_open_connections(lua_State *L);
void la_open_unix_connections(lua_State *L);

#endif
