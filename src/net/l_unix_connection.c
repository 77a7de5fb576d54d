/* Connections over Unix sockets: with credentials, and descriptors that come along. */
#include <errno.h>
#include <fcntl.h>

#include "net/l_address.h"
#include "net/l_connection.h"

static const la_io_class unix_class = {&la_uv_stream_class, LA_UNIX_CONNECTION_NAME, NULL, NULL};

void la_unix_connection_push(lua_State *L, la_uv_stream **s) {
  la_uv_stream_push(L, &unix_class, s);
}

static la_uv_stream *check_conn(lua_State *L) {
  return la_uv_stream_of(L, LA_UNIX_CONNECTION_NAME);
}

static int conn_peer(lua_State *L) {
  la_unix_address a;
  int error = la_unix_peer(check_conn(L), &a);
  return la_push_path(L, error, &a, "peer");
}

static int conn_address(lua_State *L) {
  la_unix_address a;
  int error = la_unix_local(check_conn(L), &a);
  return la_push_path(L, error, &a, "address");
}

static int conn_credentials(lua_State *L) {
  la_unix_credentials c;
  int error = la_unix_peer_credentials(check_conn(L), &c);
  if (error != 0) return la_fail(L, error, "credentials");
  lua_createtable(L, 0, 3);
  if (c.pid >= 0) {
    lua_pushinteger(L, c.pid);
    lua_setfield(L, -2, "pid");
  }
  lua_pushinteger(L, c.uid);
  lua_setfield(L, -2, "uid");
  lua_pushinteger(L, c.gid);
  lua_setfield(L, -2, "gid");
  return 1;
}

static int conn_tostring(lua_State *L) {
  const la_uv_stream *s = check_conn(L);
  if (s->fd >= 0)
    lua_pushfstring(L, "UnixConnection (descriptor %d)", s->fd);
  else
    lua_pushliteral(L, "UnixConnection (closed)");
  return 1;
}

/* ---- descriptors -------------------------------------------------------------------*/

/* The descriptor that the value at `arg` is or has: an integer, or what its method fd gives. */
static int check_fd(lua_State *L, int arg) {
  if (lua_type(L, arg) != LUA_TNUMBER) {
    luaL_argcheck(L, luaL_getmetafield(L, arg, "__index") == LUA_TTABLE, arg,
                  "a descriptor expected: an integer, or an object with a method fd");
    bool has = lua_getfield(L, -1, "fd") == LUA_TFUNCTION;
    luaL_argcheck(L, has, arg, "this object has no descriptor: no method fd");
    lua_pushvalue(L, arg);
    lua_call(L, 1, 1);
    luaL_argcheck(L, lua_isinteger(L, -1), arg, "it is closed");
    lua_replace(L, arg);
    lua_pop(L, 1);
  }
  lua_Integer fd = luaL_checkinteger(L, arg);
  luaL_argcheck(L, fd >= 0 && fd <= INT32_MAX, arg, "not a descriptor");
  return (int)fd;
}

typedef struct send_future {
  la_future base;
  la_io_object *o;
  la_unix_send inner;
} send_future;

static la_poll send_poll(la_future *f, la_context *cx) {
  return la_future_poll(&((send_future *)(void *)f)->inner.base, cx);
}

static void send_drop(la_future *f) {
  send_future *s = (send_future *)(void *)f;
  if (s->o == NULL) return;
  la_future_drop(&s->inner.base);
  s->o->writing = NULL;
}

static const la_future_vtable send_vtable = {send_poll, send_drop, "send_fd", NULL};

static int send_fd_begin(lua_State *L, void *room, la_future **f) {
  check_conn(L);
  la_io_object *o = la_io_check(L);
  int fd = check_fd(L, 2);
  la_io_check_writer(L, o);
  if (la_io_is_closed(o)) return la_fail(L, UV_EBADF, "send_fd");
  fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (fd < 0) return la_fail(L, uv_translate_sys_error(errno), "send_fd");
  send_future *s = room;
  s->base.vt = &send_vtable;
  s->o = o;
  la_unix_send_init(&s->inner, o->self, fd);
  o->writing = &s->o;
  *f = &s->base;
  return la_io_begun(L, o, "send_fd", NULL, f);
}

static int finish_send(lua_State *L, la_future *f) {
  const send_future *s = (const send_future *)(const void *)f;
  return la_push_done(L, la_io_cut(s->o, s->inner.status), "send_fd");
}

static int send_fd_finish(lua_State *L, la_future *f) { return la_io_finish(L, f, finish_send); }

static const la_operation send_fd_operation = {"send_fd", send_fd_begin, send_fd_finish};
static int conn_send_fd(lua_State *L) { return la_operate(L, &send_fd_operation); }

/* Pushes the descriptor that arrived first; or nil and why it was lost, or what `none` says. */
static int take_fd(lua_State *L, const char *op, int none) {
  la_uv_stream *s = check_conn(L);
  int fd = la_unix_take(s);
  if (fd >= 0) {
    lua_pushinteger(L, fd);
    return 1;
  }
  int lost = la_unix_lost(s);
  if (lost != 0 || none != 0) return la_fail(L, lost != 0 ? lost : none, op);
  lua_pushnil(L);
  return 1;
}

static int conn_take_fd(lua_State *L) { return take_fd(L, "take_fd", 0); }

/* The byte has been read (true, or what else read_exact returned), and its descriptor is there. */
static int byte_read(lua_State *L, int status, lua_KContext k) {
  (void)status;
  (void)k;
  if (!lua_isstring(L, 2)) return lua_isnil(L, 3) ? (lua_settop(L, 2), 1) : 2;
  lua_settop(L, 1);
  return take_fd(L, "recv_fd", UV_EPROTO);
}

static int conn_recv_fd(lua_State *L) {
  check_conn(L);
  lua_settop(L, 1);
  lua_getfield(L, 1, "read_exact");
  lua_pushvalue(L, 1);
  lua_pushinteger(L, 1);
  lua_callk(L, 2, 2, 0, byte_read);
  return byte_read(L, LUA_OK, 0);
}

void la_open_unix_connections(lua_State *L) {
  static const luaL_Reg methods[] = {{"peer", conn_peer},
                                     {"address", conn_address},
                                     {"credentials", conn_credentials},
                                     {"send_fd", conn_send_fd},
                                     {"recv_fd", conn_recv_fd},
                                     {"take_fd", conn_take_fd},
                                     {NULL, NULL}};
  static const la_operation_entry operations[] = {{conn_send_fd, &send_fd_operation}, {NULL, NULL}};
  _Static_assert(sizeof(send_future) <= LA_SLOT_SIZE, "sending a descriptor needs no memory");
  la_operations_add(L, operations);
  la_stream_class_open(L, &unix_class, conn_tostring, methods);
}
