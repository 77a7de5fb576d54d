/* l_udp.h - what the parts of async.net's UDP sockets share. */
#ifndef LA_NET_L_UDP_H
#define LA_NET_L_UDP_H

#include <stdlib.h>

#include "net/l_address.h"
#include "net/udp.h"

#define LA_UDP_NAME "lua_async.UDPSocket"

/* A numeric host and its text. The text is a user value of the socket: while it is there, a
** string at the same place is the same string. */
typedef struct la_udp_name {
  const char *text; /* NULL: none */
  la_address a;     /* any port */
} la_udp_name;

enum { LA_UDP_NAMES = 16 }; /* a power of two */

typedef struct la_udp_object {
  const void *tag; /* &la_udp_tag: this is one */
  la_udp *udp;     /* a reference; NULL once collected */
  la_udp_name sent, from[LA_UDP_NAMES];
  const la_udp_name *last; /* of `from`: the newest sender */
} la_udp_object;

extern const char la_udp_tag;

/* The socket at index 1. */
static inline la_udp_object *la_udp_check(lua_State *L) {
  la_udp_object *o = lua_touserdata(L, 1);
  if (o == NULL || lua_rawlen(L, 1) < sizeof *o || o->tag != &la_udp_tag) {
    luaL_typeerror(L, 1, LA_UDP_NAME);
    abort(); /* it does not return */
  }
  luaL_argcheck(L, o->udp != NULL, 1, "this socket was collected already");
  return o;
}

/* Pushes a socket without its la_udp, to be filled in. */
la_udp_object *la_udp_push(lua_State *L);

/* Pushes the text of the address. The socket is at index 1. */
void la_udp_push_host(lua_State *L, la_udp_object *o, const la_address *a);

/* The numeric host at index `arg`, with the port, in the family of the socket; false: it is a
** name. */
bool la_udp_numeric(lua_State *L, la_udp_object *o, int arg, int port, la_address *out);

/* Adds methods to the class. */
void la_udp_add_methods(lua_State *L, const luaL_Reg *methods);

void la_open_udp(lua_State *L); /* into async.net */

/* Its methods to send and receive, and to set options; after la_open_udp. */
void la_open_udp_transfers(lua_State *L);
void la_open_udp_settings(lua_State *L);

#endif
