/* l_address.h - hosts, ports and paths as arguments and results. */
#ifndef LA_NET_L_ADDRESS_H
#define LA_NET_L_ADDRESS_H

#include "bridge/lib.h"
#include "net/tcp.h"
#include "net/unix.h"

/* A host at `arg`, not empty: getaddrinfo would take that for all addresses, or for this machine.
 */
const char *la_check_host(lua_State *L, int arg);
int la_check_port(lua_State *L, int arg, int min);

/* Fields `nodelay` and `keepalive` of the options table at `arg`. */
void la_check_socket_options(lua_State *L, int arg, la_socket_options *o);

/* la_fail_address, with a hint if the name could not be found since it is no name. Returns 2. */
int la_fail_lookup(lua_State *L, int error, const char *op, const char *host, int port);

/* Push host and port, or the path ("" for none); or the failure. */
int la_push_address(lua_State *L, int error, const la_address *a, const char *op);
int la_push_path(lua_State *L, int error, const la_unix_address *a, const char *op);

#endif
