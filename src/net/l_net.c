/* async.net: TCP connections and listeners. */
#include <stdlib.h>
#include <string.h>

#include "net/dial.h"
#include "net/l_net.h"
#include "stream/l_stream.h"

/* ---- connections -------------------------------------------------------------------*/

static const la_io_class conn_class = {&la_uv_stream_class, LA_CONNECTION_NAME, NULL, NULL};

static la_uv_stream *check_conn(lua_State *L) { return la_uv_stream_of(L, LA_CONNECTION_NAME); }

void la_connection_push(lua_State *L, la_uv_stream **s, const la_socket_options *options) {
  la_uv_stream *stream = *s;
  la_uv_stream_push(L, &conn_class, s);
  if (options->nodelay) la_tcp_nodelay(stream, true);
  if (options->keepalive != 0) la_tcp_keepalive(stream, options->keepalive);
}

int la_push_address(lua_State *L, int error, const la_address *a, const char *op) {
  char text[LA_ADDRESS_TEXT];
  if (error != 0) return la_fail(L, error, op);
  int port = la_address_text(a, text);
  lua_pushstring(L, text);
  lua_pushinteger(L, port);
  return 2;
}

static int conn_peer(lua_State *L) {
  la_address a;
  int error = la_tcp_peer(check_conn(L), &a);
  return la_push_address(L, error, &a, "peer");
}

static int conn_address(lua_State *L) {
  la_address a;
  int error = la_tcp_local(check_conn(L), &a);
  return la_push_address(L, error, &a, "address");
}

static int conn_nodelay(lua_State *L) {
  la_uv_stream *s = check_conn(L);
  bool on = lua_isnoneornil(L, 2) || lua_toboolean(L, 2);
  return la_push_done(L, la_tcp_nodelay(s, on), "nodelay");
}

/* keepalive(seconds), keepalive(false) */
static int conn_keepalive(lua_State *L) {
  la_uv_stream *s = check_conn(L);
  lua_Integer seconds = 0;
  if (!lua_isboolean(L, 2) || lua_toboolean(L, 2)) {
    seconds = luaL_checkinteger(L, 2);
    luaL_argcheck(L, seconds >= 1 && seconds <= 32767, 2, "from 1 to 32767 seconds, or false");
  }
  return la_push_done(L, la_tcp_keepalive(s, (unsigned)seconds), "keepalive");
}

static int conn_tostring(lua_State *L) {
  char text[LA_ADDRESS_TEXT];
  la_address a;
  if (la_tcp_peer(check_conn(L), &a) != 0) {
    lua_pushliteral(L, "Connection (closed)");
    return 1;
  }
  int port = la_address_text(&a, text);
  lua_pushfstring(L, "Connection (to %s port %d)", text, port);
  return 1;
}

/* ---- connect -----------------------------------------------------------------------*/

const char *la_check_host(lua_State *L, int arg) {
  const char *host = la_check_text(L, arg);
  luaL_argcheck(L, *host != '\0', arg, "the host is empty");
  return host;
}

/* "name:port" or "1.2.3.4:port", where an address of IPv6 has more colons than one; "[::1]". */
static bool has_port(const char *host) {
  const char *colon = strchr(host, ':');
  return *host == '[' || (colon != NULL && strchr(colon + 1, ':') == NULL);
}

int la_fail_lookup(lua_State *L, int error, const char *op, const char *host, int port) {
  la_fail_address(L, error, op, host, port);
  const char *hint = NULL;
  if (strchr(host, '/') != NULL)
    hint =
        "a host expected, such as \"example.org\" or \"::1\", without scheme or path; that is a URL";
  else if (has_port(host))
    hint = "a host expected, such as \"example.org\" or \"::1\", without brackets; the port is an "
           "argument of its own";
  if (hint == NULL || error > UV_EAI_ADDRFAMILY || error < UV_EAI_SOCKTYPE) return 2;
  lua_pushfstring(L, "'%s' is not the name of a host: %s", host, hint);
  lua_setfield(L, -2, "message");
  return 2;
}

int la_check_port(lua_State *L, int arg, int min) {
  lua_Integer port = luaL_checkinteger(L, arg);
  luaL_argcheck(L, port >= min && port <= 65535, arg, "not a port number");
  return (int)port;
}

void la_check_socket_options(lua_State *L, int arg, la_socket_options *o) {
  o->nodelay = la_option_boolean(L, arg, "nodelay", true);
  o->keepalive = (unsigned)la_option_integer(L, arg, "keepalive", 0, 0, 32767);
}

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

static void open_conn(lua_State *L) {
  static const luaL_Reg methods[] = {{"peer", conn_peer},
                                     {"address", conn_address},
                                     {"nodelay", conn_nodelay},
                                     {"keepalive", conn_keepalive},
                                     {NULL, NULL}};
  la_stream_class_open(L, &conn_class, conn_tostring, methods);
}

void la_open_net(lua_State *L) {
  static const luaL_Reg functions[] = {{"connect", net_connect}, {NULL, NULL}};
  static const la_operation_entry operations[] = {{net_connect, &connect_operation}, {NULL, NULL}};
  open_conn(L);
  la_operations_add(L, operations);
  la_open_streams(L);
  luaL_setfuncs(L, functions, 0);
  la_open_listener(L);
  la_open_unix(L);
  la_open_udp(L);
  la_open_dns(L);
}
