/* UDP sockets: sending and receiving. */
#include <stdlib.h>

#include "bridge/raising.h"
#include "net/dns.h"
#include "net/l_udp.h"
#include "stream/l_stream.h"

enum { MANY = 64, MANY_MAX = 65535 };

/* ---- receiving ---------------------------------------------------------------------*/

/* `d` is a copy: a push collects garbage, and a finaliser may close the socket. */
static int push_one(lua_State *L, la_datagram d) {
  la_udp_object *o = la_udp_check(L);
  lua_Integer max = luaL_optinteger(L, 2, LA_BUFFER_SIZE);
  size_t len = (lua_Integer)d.len < max ? d.len : (size_t)max;
  lua_pushlstring(L, d.data, len);
  la_udp_push_host(L, o, &d.from);
  lua_pushinteger(L, la_address_port(&d.from));
  if (len == d.len && !d.truncated) return 3;
  lua_pushboolean(L, 1);
  return 4;
}

static int recv_begin(lua_State *L, void *room, la_future **f) {
  la_udp *u = la_udp_check(L)->udp;
  la_runtime_check(L, "receiving");
  luaL_argcheck(L, luaL_optinteger(L, 2, 0) >= 0, 2, "a number of bytes, from 0 on");
  int error = UV_EAGAIN;
  const la_datagram *d = la_operation_may_take() ? la_udp_peek(u, &error) : NULL;
  if (d != NULL) {
    int n = push_one(L, *d);
    la_udp_skip(u);
    return n;
  }
  if (error != UV_EAGAIN) return la_fail(L, error, "recv");
  la_udp_recv_init(room, u, 1);
  *f = room;
  return 0;
}

static int recv_finish(lua_State *L, la_future *base) {
  la_udp_recv *f = (la_udp_recv *)(void *)base;
  if (f->status != 0) return la_fail(L, f->status, "recv");
  int n = push_one(L, *f->got);
  f->taken = true;
  return n;
}

static const la_operation recv_operation = {"recv", recv_begin, recv_finish};
static int udp_recv(lua_State *L) { return la_operate(L, &recv_operation); }

static int udp_try_recv(lua_State *L) {
  la_udp *u = la_udp_check(L)->udp;
  la_runtime_check(L, "receiving");
  luaL_argcheck(L, luaL_optinteger(L, 2, 0) >= 0, 2, "a number of bytes, from 0 on");
  int error;
  const la_datagram *d = la_udp_look(u, &error);
  if (d == NULL) return la_fail(L, error, "try_recv");
  int n = push_one(L, *d);
  la_udp_skip(u);
  return n;
}

/* Upvalue: the socket. */
static int incoming_next(lua_State *L) {
  lua_settop(L, 0);
  lua_pushvalue(L, lua_upvalueindex(1));
  return la_operate(L, &recv_operation);
}

static int udp_incoming(lua_State *L) {
  la_udp_check(L);
  bool raises = la_option_raise(L, 2);
  lua_settop(L, 1);
  lua_pushcclosure(L, incoming_next, 1);
  if (raises) la_make_raising(L);
  return 1;
}

static int recv_many_begin(lua_State *L, void *room, la_future **f) {
  la_udp *u = la_udp_check(L)->udp;
  la_runtime_check(L, "receiving");
  lua_Integer n = luaL_optinteger(L, 2, MANY);
  luaL_argcheck(L, n >= 1 && n <= MANY_MAX, 2, "from 1 to 65535 datagrams");
  la_udp_recv_init(room, u, (unsigned short)n);
  *f = room;
  return 0;
}

static int recv_many_finish(lua_State *L, la_future *base) {
  la_udp_recv *f = (la_udp_recv *)(void *)base;
  la_udp_object *o = la_udp_check(L);
  if (f->status != 0) return la_fail(L, f->status, "recv_many");
  lua_newtable(L);
  lua_Integer i = 0;
  for (const la_datagram *d = f->got; d != NULL; d = d->next) {
    lua_createtable(L, 0, 3);
    lua_pushlstring(L, d->data, d->len);
    lua_setfield(L, -2, "data");
    la_udp_push_host(L, o, &d->from);
    lua_setfield(L, -2, "host");
    lua_pushinteger(L, la_address_port(&d->from));
    lua_setfield(L, -2, "port");
    if (d->truncated) {
      lua_pushboolean(L, 1);
      lua_setfield(L, -2, "truncated");
    }
    lua_rawseti(L, -2, ++i);
  }
  f->taken = true;
  return 1;
}

static const la_operation recv_many_operation = {"recv_many", recv_many_begin, recv_many_finish};
static int udp_recv_many(lua_State *L) { return la_operate(L, &recv_many_operation); }

/* ---- send --------------------------------------------------------------------------*/

/* To a name: looked up first. */
typedef struct named_send {
  la_future base;
  la_resolve *resolve;
  la_udp *udp; /* a reference */
  la_udp_message message;
  la_udp_send *send; /* when it has to wait */
  int status;
} named_send;

static la_poll named_poll(la_future *base, la_context *cx) {
  named_send *s = (named_send *)(void *)base;
  if (s->send == NULL) {
    if (la_future_poll(&s->resolve->op.base, cx) == LA_PENDING) return LA_PENDING;
    s->status = (int)s->resolve->op.result;
    if (s->status != 0) return LA_READY;
    s->message.to = s->resolve->list[0];
    la_udp_map(s->udp, &s->message.to);
    la_udp_try_send(s->udp, &s->message, 1, &s->status);
    if (s->status == UV_EBADF) s->status = UV_ECANCELED; /* it was open at the beginning */
    if (s->status != UV_EAGAIN) return LA_READY;
    s->status = UV_ENOMEM;
    s->send = la_udp_send_new(s->udp, &s->message, 1);
    if (s->send == NULL) return LA_READY;
  }
  if (la_future_poll(&s->send->base, cx) == LA_PENDING) return LA_PENDING;
  s->status = s->send->status;
  return LA_READY;
}

static void named_drop(la_future *base) {
  named_send *s = (named_send *)(void *)base;
  la_future_drop(&s->resolve->op.base);
  if (s->send != NULL) la_future_drop(&s->send->base);
  la_udp_unref(s->udp);
  free(s);
}

static const la_future_vtable named_vtable = {named_poll, named_drop, "send", NULL};

static int send_named(lua_State *L, la_udp *u, const la_udp_message *m, int port, la_future **f) {
  named_send *s = malloc(sizeof *s);
  if (s == NULL) return la_no_memory(L);
  *s = (named_send){.base = {&named_vtable}, .udp = u, .message = *m};
  s->resolve = la_resolve_new(u->handle.reactor, lua_tostring(L, 3), port, la_udp_family(u));
  if (s->resolve == NULL) {
    free(s);
    return la_no_memory(L);
  }
  la_udp_ref(u);
  *f = &s->base;
  return 0;
}

static int fail_send(lua_State *L, int error) {
  if (lua_isnoneornil(L, 3)) return la_fail(L, error, "send");
  return la_fail_address(L, error, "send", lua_tostring(L, 3), (int)lua_tointeger(L, 4));
}

static int sent(lua_State *L, int error) {
  if (error != 0) return fail_send(L, error);
  lua_pushvalue(L, 1);
  return 1;
}

static int send_begin(lua_State *L, void *room, la_future **f) {
  la_udp_object *o = la_udp_check(L);
  la_udp_message m = {.to.any.sa_family = AF_UNSPEC};
  (void)room;
  la_runtime_check(L, "sending");
  m.data = luaL_checklstring(L, 2, &m.len);
  if (!lua_isnoneornil(L, 3) || !lua_isnoneornil(L, 4)) {
    int port = la_check_port(L, 4, 1);
    if (!la_udp_numeric(L, o, 3, port, &m.to)) {
      if (!la_udp_is_open(o->udp)) return fail_send(L, UV_EBADF);
      return send_named(L, o->udp, &m, port, f);
    }
  }
  int error;
  la_udp_try_send(o->udp, &m, 1, &error);
  if (error != UV_EAGAIN) return sent(L, error);
  la_udp_send *s = la_udp_send_new(o->udp, &m, 1);
  if (s == NULL) return la_no_memory(L);
  *f = &s->base;
  return 0;
}

static int send_finish(lua_State *L, la_future *f) {
  if (f->vt == &named_vtable) return sent(L, ((named_send *)(void *)f)->status);
  return sent(L, ((la_udp_send *)(void *)f)->status);
}

static const la_operation send_operation = {"send", send_begin, send_finish};
static int udp_send(lua_State *L) { return la_operate(L, &send_operation); }

static int udp_try_send(lua_State *L) {
  la_udp_object *o = la_udp_check(L);
  la_udp_message m = {.to.any.sa_family = AF_UNSPEC};
  la_runtime_check(L, "sending");
  m.data = luaL_checklstring(L, 2, &m.len);
  bool named = !lua_isnoneornil(L, 3) || !lua_isnoneornil(L, 4);
  if (named && !la_udp_numeric(L, o, 3, la_check_port(L, 4, 1), &m.to))
    return luaL_argerror(L, 3,
                         "a numeric address expected: a name has to be looked up (net.resolve)");
  int error;
  la_udp_try_send(o->udp, &m, 1, &error);
  if (error == 0) {
    lua_pushvalue(L, 1);
    return 1;
  }
  if (!named) return la_fail(L, error, "try_send");
  return la_fail_address(L, error, "try_send", lua_tostring(L, 3), (int)lua_tointeger(L, 4));
}

/* ---- send_many ---------------------------------------------------------------------*/

enum { CHUNK = 64 };

static int bad_datagram(lua_State *L, lua_Integer i, const char *what) {
  return luaL_argerror(L, 2, lua_pushfstring(L, "datagram %I: %s", i, what));
}

/* The datagram i of the list; its string goes into the table at index 3. */
static void check_datagram(lua_State *L, la_udp_object *o, lua_Integer i, la_udp_message *m) {
  int top = lua_gettop(L);
  if (lua_rawgeti(L, 2, i) != LUA_TTABLE)
    bad_datagram(L, i, "a table {data=, host=, port=} expected");
  if (lua_getfield(L, top + 1, "data") != LUA_TSTRING)
    bad_datagram(L, i, "'data' must be a string");
  m->data = lua_tolstring(L, -1, &m->len);
  lua_pushvalue(L, -1);
  lua_rawseti(L, 3, i);
  m->to.any.sa_family = AF_UNSPEC;
  int host = lua_getfield(L, top + 1, "host"), port = lua_getfield(L, top + 1, "port");
  if (host != LUA_TNIL || port != LUA_TNIL) {
    lua_Integer number = lua_isinteger(L, -1) ? lua_tointeger(L, -1) : 0;
    if (number < 1 || number > 65535) bad_datagram(L, i, "'port' must be a port number");
    if (host != LUA_TSTRING || lua_rawlen(L, top + 3) == 0)
      bad_datagram(L, i, "'host' must be a string");
    if (!la_udp_numeric(L, o, top + 3, (int)number, &m->to))
      bad_datagram(L, i, "'host' must be a numeric address (look names up before: net.resolve)");
  }
  lua_settop(L, top);
}

static int many_sent(lua_State *L, unsigned n, int error) {
  if (error == 0) {
    lua_pushvalue(L, 1);
    return 1;
  }
  la_fail(L, error, "send_many");
  lua_pushinteger(L, n);
  lua_setfield(L, -2, "partial");
  return 2;
}

/* All are looked at before any is sent. Index 3 keeps their strings meanwhile: the list may
** change under our hands, in a metamethod or a finaliser. */
static int send_many_begin(lua_State *L, void *room, la_future **f) {
  la_udp_object *o = la_udp_check(L);
  la_udp_message few[CHUNK], *m = few;
  (void)room;
  la_runtime_check(L, "sending");
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_Unsigned n = lua_rawlen(L, 2);
  luaL_argcheck(L, n <= MANY_MAX, 2, "65535 datagrams at most");
  lua_settop(L, 2);
  lua_createtable(L, (int)n, 0);
  if (n > CHUNK) m = lua_newuserdatauv(L, n * sizeof *m, 0);
  for (lua_Unsigned i = 0; i < n; i++) check_datagram(L, o, (lua_Integer)i + 1, &m[i]);
  int error;
  unsigned k = la_udp_try_send(o->udp, m, (unsigned)n, &error);
  if (error != UV_EAGAIN) return many_sent(L, k, error);
  la_udp_send *s = la_udp_send_new(o->udp, m + k, (unsigned)n - k);
  lua_settop(L, 2);
  lua_pushinteger(L, k);
  if (s == NULL) return la_no_memory(L);
  *f = &s->base;
  return 0;
}

static int send_many_finish(lua_State *L, la_future *f) {
  const la_udp_send *s = (const la_udp_send *)(const void *)f;
  return many_sent(L, (unsigned)lua_tointeger(L, 3) + s->sent, s->status);
}

static const la_operation send_many_operation = {"send_many", send_many_begin, send_many_finish};
static int udp_send_many(lua_State *L) { return la_operate(L, &send_many_operation); }

/* ------------------------------------------------------------------------------------*/

void la_open_udp_transfers(lua_State *L) {
  static const luaL_Reg methods[] = {{"recv", udp_recv},           {"recv_many", udp_recv_many},
                                     {"incoming", udp_incoming},   {"send", udp_send},
                                     {"send_many", udp_send_many}, {"try_recv", udp_try_recv},
                                     {"try_send", udp_try_send},   {NULL, NULL}};
  static const la_operation_entry operations[] = {{udp_recv, &recv_operation},
                                                  {udp_recv_many, &recv_many_operation},
                                                  {udp_send, &send_operation},
                                                  {udp_send_many, &send_many_operation},
                                                  {NULL, NULL}};
  _Static_assert(sizeof(la_udp_recv) <= LA_SLOT_SIZE, "receiving needs no memory");
  la_operations_add(L, operations);
  la_udp_add_methods(L, methods);
}
