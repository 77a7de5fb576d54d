/* UDP sockets: making them, and what they are. */
#include <string.h>

#include "net/dns.h"
#include "net/l_udp.h"
#include "stream/l_stream.h"

const char la_udp_tag;

la_udp_object *la_udp_push(lua_State *L) {
  la_udp_object *o = lua_newuserdatauv(L, sizeof *o, LA_UDP_NAMES + 1);
  memset(o, 0, sizeof *o);
  o->tag = &la_udp_tag;
  o->last = o->from;
  luaL_setmetatable(L, LA_UDP_NAME);
  return o;
}

/* ---- the texts of addresses --------------------------------------------------------*/

static unsigned hash(const la_address *a) {
  uint32_t w[4];
  if (a->any.sa_family == AF_INET6)
    memcpy(w, &a->in6.sin6_addr, sizeof w);
  else
    w[0] = w[1] = w[2] = 0, w[3] = a->in4.sin_addr.s_addr;
  uint32_t x = w[0] ^ w[1] ^ w[2] ^ w[3];
  x ^= x >> 16;
  return (x ^ x >> 8 ^ x >> 4) % LA_UDP_NAMES;
}

void la_udp_push_host(lua_State *L, la_udp_object *o, const la_address *a) {
  unsigned i = hash(a);
  la_udp_name *n = &o->from[i];
  o->last = n;
  if (n->text != NULL && la_address_same_host(&n->a, a)) {
    lua_getiuservalue(L, 1, (int)i + 1);
    return;
  }
  char text[LA_ADDRESS_TEXT];
  la_address_text(a, text);
  n->text = NULL; /* should the next raise */
  const char *kept = lua_pushstring(L, text);
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, 1, (int)i + 1);
  n->a = *a;
  n->text = kept;
}

static bool known(const la_udp_name *n, const char *text, int port, la_address *out) {
  if (n->text != text) return false;
  *out = n->a;
  la_address_set_port(out, port);
  return true;
}

bool la_udp_numeric(lua_State *L, la_udp_object *o, int arg, int port, la_address *out) {
  const char *text = la_check_host(L, arg);
  if (known(o->last, text, port, out) || known(&o->sent, text, port, out)) return true;
  for (unsigned i = 0; i < LA_UDP_NAMES; i++)
    if (known(&o->from[i], text, port, out)) return true;
  if (!la_address_parse(out, text, port)) return false;
  la_udp_map(o->udp, out);
  o->sent.text = NULL;
  lua_pushvalue(L, arg);
  lua_setiuservalue(L, 1, LA_UDP_NAMES + 1);
  o->sent = (la_udp_name){text, *out};
  return true;
}

/* ---- net.udp -----------------------------------------------------------------------*/

static void check_options(lua_State *L, la_udp_options *o) {
  static const char *const names[] = {"reuseport", "reuseaddr",   "broadcast",   "ipv6only",
                                      "ttl",       "recv_buffer", "send_buffer", NULL};
  la_check_options(L, 3, names);
  *o = (la_udp_options){.reuseport = la_option_boolean(L, 3, "reuseport", false),
                        .reuseaddr = la_option_boolean(L, 3, "reuseaddr", false),
                        .broadcast = la_option_boolean(L, 3, "broadcast", false),
                        .ipv6only = la_option_boolean(L, 3, "ipv6only", false),
                        .ttl = (int)la_option_integer(L, 3, "ttl", 0, 1, 255),
                        .recv_buffer =
                            (int)la_option_integer(L, 3, "recv_buffer", 0, 1, INT32_MAX / 2),
                        .send_buffer =
                            (int)la_option_integer(L, 3, "send_buffer", 0, 1, INT32_MAX / 2)};
}

static int udp_begin(lua_State *L, void *room, la_future **f) {
  (void)room;
  const char *host = lua_isnoneornil(L, 1) ? "" : la_check_host(L, 1);
  int port = lua_isnoneornil(L, 2) ? 0 : la_check_port(L, 2, 0);
  la_udp_options options;
  check_options(L, &options);
  if (strcmp(host, "*") == 0) host = "";
  la_resolve *q = la_resolve_new(la_check_reactor(L, "net.udp"), host, port, AF_UNSPEC);
  if (q == NULL) return la_no_memory(L);
  *f = &q->op.base;
  return 0;
}

static int udp_finish(lua_State *L, la_future *f) {
  la_resolve *q = (la_resolve *)(void *)f;
  int error = (int)q->op.result;
  const char *host = lua_isnoneornil(L, 1) ? "*" : lua_tostring(L, 1);
  if (error == 0) {
    la_udp_options options;
    check_options(L, &options);
    la_udp_object *o = la_udp_push(L);
    error = la_udp_new(q->op.reactor, &q->list[0], &options, &o->udp);
  }
  if (error != 0) return la_fail_address(L, error, "udp", host, q->port);
  return 1;
}

static const la_operation udp_operation = {"net.udp", udp_begin, udp_finish};
static int net_udp(lua_State *L) { return la_operate(L, &udp_operation); }

/* ---- connect -----------------------------------------------------------------------*/

static int connect_begin(lua_State *L, void *room, la_future **f) {
  (void)room;
  const la_udp_object *o = la_udp_check(L);
  const char *host = la_check_host(L, 2);
  int port = la_check_port(L, 3, 1);
  if (!la_udp_is_open(o->udp)) return la_fail_address(L, UV_EBADF, "connect", host, port);
  la_reactor *r = la_check_reactor(L, "connecting");
  la_resolve *q = la_resolve_new(r, host, port, la_udp_family(o->udp));
  if (q == NULL) return la_no_memory(L);
  *f = &q->op.base;
  return 0;
}

static int connect_finish(lua_State *L, la_future *f) {
  const la_resolve *q = (const la_resolve *)(const void *)f;
  const la_udp_object *o = la_udp_check(L);
  int error = (int)q->op.result;
  if (error == 0) error = la_udp_connect(o->udp, &q->list[0]);
  if (error == UV_EBADF) error = UV_ECANCELED; /* it was open at the beginning */
  if (error != 0) return la_fail_address(L, error, "connect", lua_tostring(L, 2), q->port);
  lua_settop(L, 1);
  return 1;
}

static const la_operation connect_operation = {"connect", connect_begin, connect_finish};
static int udp_connect(lua_State *L) { return la_operate(L, &connect_operation); }

static int udp_disconnect(lua_State *L) {
  return la_push_done(L, la_udp_disconnect(la_udp_check(L)->udp), "disconnect");
}

/* ---- what it is --------------------------------------------------------------------*/

static int udp_address(lua_State *L) {
  la_address a;
  int error = la_udp_local(la_udp_check(L)->udp, &a);
  return la_push_address(L, error, &a, "address");
}

static int udp_peer(lua_State *L) {
  la_address a;
  int error = la_udp_peer(la_udp_check(L)->udp, &a);
  return la_push_address(L, error, &a, "peer");
}

static int udp_fd(lua_State *L) {
  const la_udp *u = la_udp_check(L)->udp;
  if (!la_udp_is_open(u)) return la_fail(L, UV_EBADF, "fd");
  lua_pushinteger(L, u->fd);
  return 1;
}

static int udp_close(lua_State *L) {
  const la_udp_object *o = luaL_checkudata(L, 1, LA_UDP_NAME);
  if (o->udp != NULL) la_udp_close(o->udp); /* else the Lua state is closing */
  lua_pushboolean(L, 1);
  return 1;
}

static int udp_gc(lua_State *L) {
  la_udp_object *o = luaL_checkudata(L, 1, LA_UDP_NAME);
  la_udp *u = o->udp;
  o->udp = NULL;
  if (u == NULL) return 0;
  la_udp_close(u);
  la_udp_unref(u);
  return 0;
}

static int udp_tostring(lua_State *L) {
  char text[LA_ADDRESS_TEXT];
  la_address a;
  if (la_udp_local(la_udp_check(L)->udp, &a) != 0) {
    lua_pushliteral(L, "UDPSocket (closed)");
    return 1;
  }
  int port = la_address_text(&a, text);
  lua_pushfstring(L, "UDPSocket (%s port %d)", text, port);
  return 1;
}

void la_udp_add_methods(lua_State *L, const luaL_Reg *methods) {
  luaL_getmetatable(L, LA_UDP_NAME);
  lua_getfield(L, -1, "__index");
  luaL_setfuncs(L, methods, 0);
  lua_pop(L, 2);
}

void la_open_udp(lua_State *L) {
  static const luaL_Reg methods[] = {{"connect", udp_connect},
                                     {"disconnect", udp_disconnect},
                                     {"address", udp_address},
                                     {"peer", udp_peer},
                                     {"fd", udp_fd},
                                     {"close", udp_close},
                                     {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__gc", udp_gc},
                                  {"__close", udp_close},
                                  {"__tostring", udp_tostring},
                                  {NULL, NULL}};
  static const la_operation_entry operations[] = {{net_udp, &udp_operation},
                                                  {udp_connect, &connect_operation},
                                                  {NULL, NULL}};
  la_new_class(L, LA_UDP_NAME, meta, methods);
  la_operations_add(L, operations);
  lua_pushcfunction(L, net_udp);
  lua_setfield(L, -2, "udp");
}
