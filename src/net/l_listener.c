/* Listeners, for TCP and for Unix sockets. */
#include <string.h>

#include "bridge/raising.h"
#include "net/dns.h"
#include "net/l_address.h"
#include "net/l_connection.h"
#include "net/l_listener.h"

static la_listener_object *check_listener(lua_State *L) {
  la_listener_object *o = luaL_checkudata(L, 1, LA_LISTENER_NAME);
  luaL_argcheck(L, o->listener != NULL, 1, "this listener has been collected");
  return o;
}

static char listeners_key; /* registry: the table of all, with weak keys */

void la_listeners_push(lua_State *L) { lua_rawgetp(L, LUA_REGISTRYINDEX, &listeners_key); }

la_listener_object *la_listener_push(lua_State *L) {
  la_listener_object *o = lua_newuserdatauv(L, sizeof *o, 0);
  *o = (la_listener_object){0};
  luaL_setmetatable(L, LA_LISTENER_NAME);
  la_listeners_push(L);
  lua_pushvalue(L, -2);
  lua_pushboolean(L, 1);
  lua_rawset(L, -3);
  lua_pop(L, 1);
  return o;
}

static int listen_begin(lua_State *L, void *room, la_future **f) {
  static const char *const names[] = {"backlog", "reuseport", "ipv6only",
                                      "nodelay", "keepalive", NULL};
  (void)room;
  const char *host = lua_isnoneornil(L, 1) ? "" : la_check_host(L, 1);
  la_socket_options options;
  int port = la_check_port(L, 2, 0);
  la_check_options(L, 3, names);
  la_check_socket_options(L, 3, &options);
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
    la_listener_object *o = la_listener_push(L);
    la_check_socket_options(L, 3, &o->options);
    error = la_listener_new(q->op.reactor, &q->list[0], &options, &o->listener);
    if (error == 0 && o->options.nodelay)
      o->options.nodelay = !la_tcp_inherit_nodelay(la_listener_fd(o->listener));
  }
  if (error != 0) return la_fail_lookup(L, error, "listen", host, (int)lua_tointeger(L, 2));
  return 1;
}

static const la_operation listen_operation = {"net.listen", listen_begin, listen_finish};
static int net_listen(lua_State *L) { return la_operate(L, &listen_operation); }

static int accept_begin(lua_State *L, void *room, la_future **f) {
  la_listener_object *o = check_listener(L);
  la_runtime_check(L, "accepting");
  la_accept *a = room;
  la_accept_init(a, o->listener);
  *f = &a->base;
  return 0;
}

static int accept_finish(lua_State *L, la_future *f) {
  la_accept *a = (la_accept *)(void *)f;
  if (a->status != 0) return la_fail(L, a->status, "accept");
  const la_listener_object *o = check_listener(L);
  if (o->local)
    la_unix_connection_push(L, &a->stream);
  else
    la_connection_push(L, &a->stream, &o->options);
  return 1;
}

static const la_operation accept_operation = {"accept", accept_begin, accept_finish};
static int listener_accept(lua_State *L) { return la_operate(L, &accept_operation); }

static int listener_try_accept(lua_State *L) {
  const la_listener_object *o = check_listener(L);
  la_uv_stream *s = NULL;
  la_runtime_check(L, "accepting");
  int error = la_listener_try_accept(o->listener, &s);
  if (error != 0) return la_fail(L, error, "try_accept");
  if (o->local)
    la_unix_connection_push(L, &s);
  else
    la_connection_push(L, &s, &o->options);
  return 1;
}

/* Upvalue: the listener. `for` ends when it is closed. */
static int incoming_next(lua_State *L) {
  lua_settop(L, 0);
  lua_pushvalue(L, lua_upvalueindex(1));
  return la_operate(L, &accept_operation);
}

static int listener_incoming(lua_State *L) {
  check_listener(L);
  bool raises = la_option_raise(L, 2);
  lua_settop(L, 1);
  lua_pushcclosure(L, incoming_next, 1);
  if (raises) la_make_raising(L);
  return 1;
}

static int listener_close(lua_State *L) {
  la_listener_object *o = luaL_checkudata(L, 1, LA_LISTENER_NAME);
  if (o->listener != NULL) la_listener_close(o->listener);
  lua_pushboolean(L, 1);
  return 1;
}

static int listener_gc(lua_State *L) {
  la_listener_object *o = luaL_checkudata(L, 1, LA_LISTENER_NAME);
  la_listener *l = o->listener;
  o->listener = NULL;
  if (l == NULL) return 0;
  la_listener_close(l);
  la_listener_unref(l);
  return 0;
}

static int listener_address(lua_State *L) {
  const la_listener_object *o = check_listener(L);
  if (o->local) {
    la_unix_address path;
    int error = la_unix_listener_local(o->listener, &path);
    return la_push_path(L, error, &path, "address");
  }
  la_address a;
  int error = la_listener_local(o->listener, &a);
  return la_push_address(L, error, &a, "address");
}

static int listener_fd(lua_State *L) {
  const la_listener *l = check_listener(L)->listener;
  if (!la_listener_is_open(l)) return la_fail(L, UV_EBADF, "fd");
  lua_pushinteger(L, la_listener_fd(l));
  return 1;
}

static int listener_tostring(lua_State *L) {
  const la_listener_object *o = check_listener(L);
  char text[LA_ADDRESS_TEXT], path_text[LA_UNIX_TEXT];
  la_unix_address path;
  la_address a;
  if (!la_listener_is_open(o->listener)) {
    lua_pushliteral(L, "Listener (closed)");
  } else if (o->local && la_unix_listener_local(o->listener, &path) == 0) {
    la_unix_address_text(&path, path_text);
    lua_pushfstring(L, "Listener (%s)", path_text);
  } else if (!o->local && la_listener_local(o->listener, &a) == 0) {
    int port = la_address_text(&a, text);
    lua_pushfstring(L, "Listener (%s port %d)", text, port);
  } else {
    lua_pushfstring(L, "Listener (descriptor %d)", la_listener_fd(o->listener));
  }
  return 1;
}

void la_open_listener(lua_State *L) {
  static const luaL_Reg methods[] = {{"accept", listener_accept},
                                     {"incoming", listener_incoming},
                                     {"try_accept", listener_try_accept},
                                     {"close", listener_close},
                                     {"address", listener_address},
                                     {"fd", listener_fd},
                                     {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__gc", listener_gc},
                                  {"__close", listener_close},
                                  {"__tostring", listener_tostring},
                                  {NULL, NULL}};
  static const la_operation_entry operations[] = {{net_listen, &listen_operation},
                                                  {listener_accept, &accept_operation},
                                                  {NULL, NULL}};
  _Static_assert(sizeof(la_accept) <= LA_SLOT_SIZE, "an accept needs no memory");
  la_new_class(L, LA_LISTENER_NAME, meta, methods);
  la_push_registered(L, &listeners_key, "k");
  lua_pop(L, 1);
  la_operations_add(L, operations);
  lua_pushcfunction(L, net_listen);
  lua_setfield(L, -2, "listen");
}
