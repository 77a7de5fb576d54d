/* UDP sockets: what can be set on them. Each returns true. */
#include "net/l_udp.h"
#include "net/udp_option.h"
#include "stream/l_stream.h"

static int set_number(lua_State *L, la_udp_option option, int min, const char *op) {
  la_udp *u = la_udp_check(L)->udp;
  lua_Integer n = luaL_checkinteger(L, 2);
  luaL_argcheck(L, n >= min && n <= 255, 2, min == 0 ? "from 0 to 255" : "from 1 to 255");
  return la_push_done(L, la_udp_set(u, option, (int)n), op);
}

static int set_switch(lua_State *L, la_udp_option option, const char *op) {
  la_udp *u = la_udp_check(L)->udp;
  bool on = lua_isnoneornil(L, 2) || lua_toboolean(L, 2);
  return la_push_done(L, la_udp_set(u, option, on), op);
}

static int udp_ttl(lua_State *L) { return set_number(L, LA_UDP_TTL, 1, "ttl"); }
static int udp_multicast_ttl(lua_State *L) {
  return set_number(L, LA_UDP_MULTICAST_TTL, 0, "multicast_ttl");
}
static int udp_broadcast(lua_State *L) { return set_switch(L, LA_UDP_BROADCAST, "broadcast"); }
static int udp_multicast_loop(lua_State *L) {
  return set_switch(L, LA_UDP_MULTICAST_LOOP, "multicast_loop");
}

static int membership(lua_State *L, bool join, const char *op) {
  la_udp *u = la_udp_check(L)->udp;
  const char *group = la_check_host(L, 2), *on = NULL;
  if (!lua_isnoneornil(L, 3)) on = la_check_host(L, 3);
  la_address a;
  if (la_address_lacks_scope(group)) return la_fail_name(L, UV_EAI_NONAME, op, group);
  luaL_argcheck(L, la_address_parse(&a, group, 0), 2, "a numeric address expected, of a group");
  la_interface interface;
  int error = la_interface_find(on, &interface);
  if (error == 0) error = la_udp_membership(u, &a, &interface, join);
  return la_push_done(L, error, op);
}

static int udp_join(lua_State *L) { return membership(L, true, "join"); }
static int udp_leave(lua_State *L) { return membership(L, false, "leave"); }

static int udp_multicast_interface(lua_State *L) {
  la_udp *u = la_udp_check(L)->udp;
  la_interface interface;
  int error = la_interface_find(la_check_host(L, 2), &interface);
  if (error == 0) error = la_udp_multicast_interface(u, &interface);
  return la_push_done(L, error, "multicast_interface");
}

void la_open_udp_settings(lua_State *L) {
  static const luaL_Reg methods[] = {{"ttl", udp_ttl},
                                     {"broadcast", udp_broadcast},
                                     {"join", udp_join},
                                     {"leave", udp_leave},
                                     {"multicast_ttl", udp_multicast_ttl},
                                     {"multicast_loop", udp_multicast_loop},
                                     {"multicast_interface", udp_multicast_interface},
                                     {NULL, NULL}};
  la_udp_add_methods(L, methods);
}
