/* async.net: TCP connections and listeners. */
#include <stdlib.h>
#include <string.h>

#include "io/connect.h"
#include "io/dns.h"
#include "io/listener.h"
#include "lib/l_io.h"

#define LISTENER_NAME "lua_async.Listener"
#define CONN_NAME "lua_async.Connection"

/* ---- connections -------------------------------------------------------------------*/

static la_reader *conn_reader(void *self) { return &((la_stream *)self)->reader; }
static bool conn_is_open(const void *self) {
  return la_handle_is_open(&((const la_stream *)self)->handle);
}

static const la_io_class conn_class = {CONN_NAME, conn_reader, &la_stream_sink, conn_is_open};

static la_io_object *check_conn(lua_State *L) {
  return la_io_live(L, luaL_checkudata(L, 1, CONN_NAME));
}

typedef struct socket_options {
  bool nodelay;
  unsigned keepalive;
} socket_options;

/* Pushes the connection for a stream, whose reference *s it takes over. */
static void push_conn(lua_State *L, la_stream **s, const socket_options *options) {
  la_io_object *o = la_io_new(L, &conn_class);
  o->self = *s;
  *s = NULL;
  if (options->nodelay) la_tcp_nodelay(o->self, true);
  if (options->keepalive != 0) la_tcp_keepalive(o->self, options->keepalive);
}

static int conn_close(lua_State *L) {
  la_io_object *o = luaL_checkudata(L, 1, CONN_NAME);
  if (o->self != NULL) la_stream_close(o->self); /* else it was collected, with the Lua state */
  lua_pushboolean(L, 1);
  return 1;
}

static int conn_gc(lua_State *L) {
  la_stream *s = la_io_collect(luaL_checkudata(L, 1, CONN_NAME));
  if (s == NULL) return 0;
  la_stream_close(s);
  la_stream_unref(s);
  return 0;
}

static int push_address(lua_State *L, int error, const la_address *a, const char *op) {
  char text[LA_ADDRESS_TEXT];
  if (error != 0) return la_fail(L, error, op);
  int port = la_address_text(a, text);
  lua_pushstring(L, text);
  lua_pushinteger(L, port);
  return 2;
}

static int conn_peer(lua_State *L) {
  la_address a;
  int error = la_tcp_peer(check_conn(L)->self, &a);
  return push_address(L, error, &a, "peer");
}

static int conn_address(lua_State *L) {
  la_address a;
  int error = la_tcp_local(check_conn(L)->self, &a);
  return push_address(L, error, &a, "address");
}

static int set_result(lua_State *L, int error, const char *op) {
  if (error != 0) return la_fail(L, error, op);
  lua_pushboolean(L, 1);
  return 1;
}

static int conn_nodelay(lua_State *L) {
  la_io_object *o = check_conn(L);
  bool on = lua_isnoneornil(L, 2) || lua_toboolean(L, 2);
  return set_result(L, la_tcp_nodelay(o->self, on), "nodelay");
}

/* keepalive(seconds), keepalive(false) */
static int conn_keepalive(lua_State *L) {
  la_io_object *o = check_conn(L);
  lua_Integer seconds = 0;
  if (!lua_isboolean(L, 2) || lua_toboolean(L, 2)) {
    seconds = luaL_checkinteger(L, 2);
    luaL_argcheck(L, seconds >= 1 && seconds <= 32767, 2, "from 1 to 32767 seconds, or false");
  }
  return set_result(L, la_tcp_keepalive(o->self, (unsigned)seconds), "keepalive");
}

static int conn_flush(lua_State *L) {
  if (!conn_is_open(check_conn(L)->self)) return la_fail(L, UV_EBADF, "flush");
  lua_settop(L, 1);
  return 1;
}

static int conn_tostring(lua_State *L) {
  la_io_object *o = check_conn(L);
  char text[LA_ADDRESS_TEXT];
  la_address a;
  if (la_tcp_peer(o->self, &a) != 0) {
    lua_pushliteral(L, "Connection (closed)");
    return 1;
  }
  int port = la_address_text(&a, text);
  lua_pushfstring(L, "Connection (to %s port %d)", text, port);
  return 1;
}

/* ---- shutdown ----------------------------------------------------------------------*/

typedef struct shutdown_future {
  la_future base;
  la_shutdown inner;
  la_io_object *o;
} shutdown_future;

static la_poll shutdown_poll(la_future *f, la_context *cx) {
  return la_future_poll(&((shutdown_future *)(void *)f)->inner.base, cx);
}

static void shutdown_drop(la_future *f) {
  shutdown_future *s = (shutdown_future *)(void *)f;
  if (s->o == NULL) return;
  la_future_drop(&s->inner.base);
  s->o->writing = NULL;
}

static const la_future_vtable shutdown_vtable = {shutdown_poll, shutdown_drop, "shutdown", NULL};

static int shutdown_begin(lua_State *L, void *room, la_future **f) {
  static const char *const halves[] = {"send", NULL};
  la_io_object *o = check_conn(L);
  luaL_checkoption(L, 2, "send", halves);
  la_io_check_writer(L, o);
  if (!conn_is_open(o->self)) return la_fail(L, UV_EBADF, "shutdown");
  shutdown_future *s = room;
  s->base.vt = &shutdown_vtable;
  s->o = o;
  la_shutdown_init(&s->inner, o->self);
  o->writing = &s->o;
  *f = &s->base;
  return 0;
}

static int shutdown_finish(lua_State *L, la_future *f) {
  const shutdown_future *s = (const shutdown_future *)(const void *)f;
  return set_result(L, la_io_cut(s->o, s->inner.status), "shutdown");
}

static const la_operation shutdown_operation = {"shutdown", shutdown_begin, shutdown_finish};
static int conn_shutdown(lua_State *L) { return la_operate(L, &shutdown_operation); }

/* ---- connect -----------------------------------------------------------------------*/

/* A name becomes addresses, and they become a connection. */
typedef struct dial {
  la_future base;
  la_resolve *resolve;
  la_connect *connect;
  socket_options options;
  la_address bind_to;
  bool bound;
  int status; /* once ready */
  int port;
  char host[];
} dial;

static la_poll dial_poll(la_future *f, la_context *cx) {
  dial *d = (dial *)(void *)f;
  if (d->connect == NULL) {
    if (la_future_poll(&d->resolve->op.base, cx) == LA_PENDING) return LA_PENDING;
    d->status = (int)d->resolve->op.result;
    if (d->status != 0) return LA_READY;
    d->connect = la_connect_new(d->resolve->op.reactor, d->resolve->list, d->resolve->count,
                                d->bound ? &d->bind_to : NULL);
    if (d->connect == NULL) {
      d->status = UV_ENOMEM;
      return LA_READY;
    }
  }
  if (la_future_poll(&d->connect->base, cx) == LA_PENDING) return LA_PENDING;
  d->status = d->connect->status;
  return LA_READY;
}

static void dial_drop(la_future *f) {
  dial *d = (dial *)(void *)f;
  la_future_drop(&d->resolve->op.base);
  if (d->connect != NULL) la_future_drop(&d->connect->base);
  free(d);
}

static const la_future_vtable dial_vtable = {dial_poll, dial_drop, "connect", NULL};

/* getaddrinfo would take an empty one for all addresses, or for this machine. */
static const char *check_host(lua_State *L, int arg) {
  const char *host = la_check_text(L, arg);
  luaL_argcheck(L, *host != '\0', arg, "the host is empty");
  return host;
}

static int check_port(lua_State *L, int arg, int min) {
  lua_Integer port = luaL_checkinteger(L, arg);
  luaL_argcheck(L, port >= min && port <= 65535, arg, "not a port number");
  return (int)port;
}

static void check_socket_options(lua_State *L, int arg, socket_options *o) {
  o->nodelay = la_option_boolean(L, arg, "nodelay", true);
  o->keepalive = (unsigned)la_option_integer(L, arg, "keepalive", 0, 0, 32767);
}

static int connect_begin(lua_State *L, void *room, la_future **f) {
  static const char *const names[] = {"nodelay", "keepalive", "bind", NULL};
  (void)room;
  const char *host = check_host(L, 1);
  int port = check_port(L, 2, 1);
  socket_options options;
  la_address bind_to = {0};
  la_check_options(L, 3, names);
  check_socket_options(L, 3, &options);
  bool bound = !lua_isnoneornil(L, 3) && lua_getfield(L, 3, "bind") != LUA_TNIL;
  if (bound &&
      !(lua_type(L, -1) == LUA_TSTRING && la_address_parse(&bind_to, lua_tostring(L, -1), 0)))
    return luaL_argerror(L, 3, "option 'bind' must be a numeric address of this machine");
  la_reactor *r = la_check_reactor(L, "net.connect");
  size_t len = strlen(host) + 1;
  dial *d = malloc(sizeof *d + len);
  if (d == NULL) return la_no_memory(L);
  *d = (dial){.base = {&dial_vtable},
              .options = options,
              .bind_to = bind_to,
              .bound = bound,
              .port = port};
  memcpy(d->host, host, len);
  d->resolve = la_resolve_new(r, d->host, port, AF_UNSPEC);
  if (d->resolve == NULL) {
    free(d);
    return la_no_memory(L);
  }
  *f = &d->base;
  return 0;
}

static int connect_finish(lua_State *L, la_future *f) {
  dial *d = (dial *)(void *)f;
  if (d->status != 0) return la_fail_address(L, d->status, "connect", d->host, d->port);
  push_conn(L, &d->connect->stream, &d->options);
  return 1;
}

static const la_operation connect_operation = {"net.connect", connect_begin, connect_finish};
static int net_connect(lua_State *L) { return la_operate(L, &connect_operation); }

/* ---- listeners ---------------------------------------------------------------------*/

typedef struct listener_object {
  la_listener *listener;
  socket_options options; /* of what it accepts */
} listener_object;

static listener_object *check_listener(lua_State *L) {
  listener_object *o = luaL_checkudata(L, 1, LISTENER_NAME);
  luaL_argcheck(L, o->listener != NULL, 1, "this listener was collected already");
  return o;
}

static int listen_begin(lua_State *L, void *room, la_future **f) {
  static const char *const names[] = {"backlog", "reuseport", "ipv6only",
                                      "nodelay", "keepalive", NULL};
  (void)room;
  const char *host = lua_isnoneornil(L, 1) ? "" : check_host(L, 1);
  socket_options options;
  int port = check_port(L, 2, 0);
  la_check_options(L, 3, names);
  check_socket_options(L, 3, &options);
  la_option_integer(L, 3, "backlog", 0, 1, INT32_MAX);
  la_option_boolean(L, 3, "reuseport", false);
  la_option_boolean(L, 3, "ipv6only", false);
  if (strcmp(host, "*") == 0) host = "";
  la_resolve *q = la_resolve_new(la_check_reactor(L, "net.listen"), host, port, AF_UNSPEC);
  if (q == NULL) return la_no_memory(L);
  *f = &q->op.base;
  return 0;
}

static int listen_finish(lua_State *L, la_future *f) {
  la_resolve *q = (la_resolve *)(void *)f;
  int error = (int)q->op.result;
  const char *host = lua_isnoneornil(L, 1) ? "*" : lua_tostring(L, 1);
  if (error == 0) {
    la_listen_options options = {.backlog =
                                     (int)la_option_integer(L, 3, "backlog", 0, 0, INT32_MAX),
                                 .reuseport = la_option_boolean(L, 3, "reuseport", false),
                                 .ipv6only = la_option_boolean(L, 3, "ipv6only", false)};
    listener_object *o = lua_newuserdatauv(L, sizeof *o, 0);
    o->listener = NULL;
    luaL_setmetatable(L, LISTENER_NAME);
    check_socket_options(L, 3, &o->options);
    error = la_listener_new(q->op.reactor, &q->list[0], &options, &o->listener);
  }
  if (error != 0) return la_fail_address(L, error, "listen", host, (int)lua_tointeger(L, 2));
  return 1;
}

static const la_operation listen_operation = {"net.listen", listen_begin, listen_finish};
static int net_listen(lua_State *L) { return la_operate(L, &listen_operation); }

static int accept_begin(lua_State *L, void *room, la_future **f) {
  listener_object *o = check_listener(L);
  la_runtime_check(L, "accepting");
  la_accept *a = room;
  la_accept_init(a, o->listener);
  *f = &a->base;
  return 0;
}

static int accept_finish(lua_State *L, la_future *f) {
  la_accept *a = (la_accept *)(void *)f;
  if (a->status != 0) return la_fail(L, a->status, "accept");
  push_conn(L, &a->stream, &check_listener(L)->options);
  return 1;
}

static const la_operation accept_operation = {"accept", accept_begin, accept_finish};
static int listener_accept(lua_State *L) { return la_operate(L, &accept_operation); }

/* Upvalue: the listener. `for` ends when it is closed. */
static int incoming_next(lua_State *L) {
  lua_settop(L, 0);
  lua_pushvalue(L, lua_upvalueindex(1));
  return la_operate(L, &accept_operation);
}

static int listener_incoming(lua_State *L) {
  check_listener(L);
  lua_settop(L, 1);
  lua_pushcclosure(L, incoming_next, 1);
  return 1;
}

static int listener_close(lua_State *L) {
  listener_object *o = luaL_checkudata(L, 1, LISTENER_NAME);
  if (o->listener != NULL) la_listener_close(o->listener);
  lua_pushboolean(L, 1);
  return 1;
}

static int listener_gc(lua_State *L) {
  listener_object *o = luaL_checkudata(L, 1, LISTENER_NAME);
  la_listener *l = o->listener;
  o->listener = NULL;
  if (l == NULL) return 0;
  la_listener_close(l);
  la_listener_unref(l);
  return 0;
}

static int listener_address(lua_State *L) {
  la_address a;
  int error = la_listener_local(check_listener(L)->listener, &a);
  return push_address(L, error, &a, "address");
}

static int listener_tostring(lua_State *L) {
  listener_object *o = check_listener(L);
  char text[LA_ADDRESS_TEXT];
  la_address a;
  if (la_listener_local(o->listener, &a) != 0) {
    lua_pushliteral(L, "Listener (closed)");
    return 1;
  }
  int port = la_address_text(&a, text);
  lua_pushfstring(L, "Listener (%s port %d)", text, port);
  return 1;
}

/* ---- the module --------------------------------------------------------------------*/

static void open_conn(lua_State *L) {
  static const luaL_Reg methods[] = {{"close", conn_close},         {"peer", conn_peer},
                                     {"address", conn_address},     {"nodelay", conn_nodelay},
                                     {"keepalive", conn_keepalive}, {"flush", conn_flush},
                                     {"shutdown", conn_shutdown},   {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__gc", conn_gc},
                                  {"__close", conn_close},
                                  {"__tostring", conn_tostring},
                                  {NULL, NULL}};
  la_io_class_open(L, CONN_NAME, meta, methods);
}

void la_open_net(lua_State *L) {
  static const luaL_Reg methods[] = {{"accept", listener_accept},
                                     {"incoming", listener_incoming},
                                     {"close", listener_close},
                                     {"address", listener_address},
                                     {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__gc", listener_gc},
                                  {"__close", listener_close},
                                  {"__tostring", listener_tostring},
                                  {NULL, NULL}};
  static const luaL_Reg functions[] = {{"connect", net_connect},
                                       {"listen", net_listen},
                                       {NULL, NULL}};
  static const la_operation_entry operations[] = {{net_connect, &connect_operation},
                                                  {net_listen, &listen_operation},
                                                  {listener_accept, &accept_operation},
                                                  {conn_shutdown, &shutdown_operation},
                                                  {NULL, NULL}};
  _Static_assert(sizeof(la_accept) <= LA_SLOT_SIZE, "an accept needs no memory");
  _Static_assert(sizeof(shutdown_future) <= LA_SLOT_SIZE, "a shutdown needs no memory");
  open_conn(L);
  la_new_class(L, LISTENER_NAME, meta, methods);
  la_operations_add(L, operations);
  luaL_newlib(L, functions);
  lua_setfield(L, -2, "net");
}
