/* Connections over TCP. */
#include "net/l_connection.h"

#include "net/l_address.h"

static const la_io_class conn_class = {&la_uv_stream_class, LA_CONNECTION_NAME, NULL, NULL};

static la_uv_stream *check_conn(lua_State *L) { return la_uv_stream_of(L, LA_CONNECTION_NAME); }

void la_connection_push(lua_State *L, la_uv_stream **s, const la_socket_options *options) {
  la_uv_stream *stream = *s;
  la_uv_stream_push(L, &conn_class, s);
  if (options->nodelay) la_tcp_nodelay(stream, true);
  if (options->keepalive != 0) la_tcp_keepalive(stream, options->keepalive);
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

void la_open_connections(lua_State *L) {
  static const luaL_Reg methods[] = {{"peer", conn_peer},
                                     {"address", conn_address},
                                     {"nodelay", conn_nodelay},
                                     {"keepalive", conn_keepalive},
                                     {NULL, NULL}};
  la_stream_class_open(L, &conn_class, conn_tostring, methods);
  la_open_unix_connections(L);
}
