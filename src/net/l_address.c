#include "net/l_address.h"

#include <string.h>

int la_push_address(lua_State *L, int error, const la_address *a, const char *op) {
  char text[LA_ADDRESS_TEXT];
  if (error != 0) return la_fail(L, error, op);
  int port = la_address_text(a, text);
  lua_pushstring(L, text);
  lua_pushinteger(L, port);
  return 2;
}

int la_push_path(lua_State *L, int error, const la_unix_address *a, const char *op) {
  if (error != 0) return la_fail(L, error, op);
  size_t len;
  const char *path = la_unix_address_path(a, &len);
  lua_pushlstring(L, path, len);
  return 1;
}

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
