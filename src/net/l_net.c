/* async.net: the table, and connecting by name. */
#include <stdlib.h>
#include <string.h>

#include "net/dial.h"
#include "net/l_address.h"
#include "net/l_connection.h"
#include "net/l_listener.h"
#include "net/l_net.h"
#include "net/l_udp.h"
#include "net/l_unix.h"
#include "stream/l_stream.h"

/* ---- connect -----------------------------------------------------------------------*/

static int connect_begin(lua_State *L, void *room, la_future **f) {
  static const char *const names[] = {"nodelay", "keepalive", "bind", NULL};
  (void)room;
  const char *host = la_check_host(L, 1);
  int port = la_check_port(L, 2, 1);
  la_socket_options options;
  la_address bind_to = {0};
  la_check_options(L, 3, names);
  la_check_socket_options(L, 3, &options);
  bool bound = !lua_isnoneornil(L, 3) && lua_getfield(L, 3, "bind") != LUA_TNIL;
  if (bound && lua_type(L, -1) == LUA_TSTRING && la_address_lacks_scope(lua_tostring(L, -1)))
    return la_fail_name(L, UV_EAI_NONAME, "connect", lua_tostring(L, -1));
  if (bound &&
      !(lua_type(L, -1) == LUA_TSTRING && la_address_parse(&bind_to, lua_tostring(L, -1), 0)))
    return luaL_argerror(L, 3, "option 'bind' must be a numeric address of this machine");
  la_reactor *r = la_check_reactor(L, "net.connect");
  la_dial *d = la_dial_new(r, host, port, bound ? &bind_to : NULL);
  if (d == NULL) return la_no_memory(L);
  d->options = options;
  *f = &d->base;
  return 0;
}

static int connect_finish(lua_State *L, la_future *f) {
  la_dial *d = la_container(f, la_dial, base);
  if (d->status != 0) return la_fail_lookup(L, d->status, "connect", d->host, d->port);
  la_connection_push(L, &d->stream, &d->options);
  return 1;
}

static const la_operation connect_operation = {"net.connect", connect_begin, connect_finish};
static int net_connect(lua_State *L) { return la_operate(L, &connect_operation); }

/* ---- the module --------------------------------------------------------------------*/

void la_open_net(lua_State *L) {
  static const luaL_Reg functions[] = {{"connect", net_connect}, {NULL, NULL}};
  static const la_operation_entry operations[] = {{net_connect, &connect_operation}, {NULL, NULL}};
  la_open_connections(L);
  la_operations_add(L, operations);
  la_open_streams(L);
  luaL_setfuncs(L, functions, 0);
  la_open_listener(L);
  la_open_unix(L);
  la_open_udp(L);
  la_open_udp_transfers(L);
  la_open_udp_settings(L);
  la_open_dns(L);
}
