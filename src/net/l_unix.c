/* async.net's Unix sockets. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/l_net.h"
#include "stream/l_stream.h"
#include "stream/pipe.h"

static const la_io_class unix_class = {&la_uv_stream_class, LA_UNIX_CONNECTION_NAME, NULL, NULL};

void la_unix_connection_push(lua_State *L, la_uv_stream **s) {
  la_uv_stream_push(L, &unix_class, s);
}

static la_uv_stream *check_conn(lua_State *L) {
  return la_uv_stream_of(L, LA_UNIX_CONNECTION_NAME);
}

int la_push_path(lua_State *L, int error, const la_unix_address *a, const char *op) {
  if (error != 0) return la_fail(L, error, op);
  size_t len;
  const char *path = la_unix_address_path(a, &len);
  lua_pushlstring(L, path, len);
  return 1;
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

/* ---- connect and listen ------------------------------------------------------------*/

static void check_path(lua_State *L, la_unix_address *a) {
  size_t len;
  const char *path = luaL_checklstring(L, 1, &len);
  int error = la_unix_address_set(a, path, len);
  luaL_argcheck(L, error != UV_EINVAL, 1, "the path is empty or contains a zero byte");
  luaL_argcheck(
      L, error == 0, 1,
      "the path is too long for a Unix socket (at most 107 bytes on Linux): use a shorter or a relative path");
}

static int fail_path(lua_State *L, int error, const char *op) {
  la_fail(L, error, op);
  lua_pushvalue(L, 1);
  lua_setfield(L, -2, "path");
  return 2;
}

static int connect_begin(lua_State *L, void *room, la_future **f) {
  la_unix_address a;
  (void)room;
  check_path(L, &a);
  la_unix_connect *c = la_unix_connect_new(la_check_reactor(L, "net.connect_unix"), &a);
  if (c == NULL) return la_no_memory(L);
  *f = &c->base;
  return 0;
}

static int connect_finish(lua_State *L, la_future *f) {
  la_unix_connect *c = (la_unix_connect *)(void *)f;
  if (c->status != 0) return fail_path(L, c->status, "connect");
  la_unix_connection_push(L, &c->stream);
  return 1;
}

static const la_operation connect_operation = {"net.connect_unix", connect_begin, connect_finish};
static int net_connect_unix(lua_State *L) { return la_operate(L, &connect_operation); }

static int net_listen_unix(lua_State *L) {
  static const char *const names[] = {"backlog", "mode", NULL};
  la_unix_address a;
  check_path(L, &a);
  la_check_options(L, 2, names);
  la_unix_listen_options options = {.backlog =
                                        (int)la_option_integer(L, 2, "backlog", 0, 1, INT32_MAX),
                                    .mode = (int)la_option_integer(L, 2, "mode", -1, 0, 0777)};
  la_reactor *r = la_check_reactor(L, "net.listen_unix");
  la_listener_object *o = la_listener_push(L);
  o->local = true;
  int error = la_unix_listener_new(r, &a, &options, &o->listener);
  return error == 0 ? 1 : fail_path(L, error, "listen");
}

/* ---- descriptors from elsewhere ----------------------------------------------------*/

static int socket_option(int fd, int option) {
  int value = 0;
  socklen_t len = sizeof value;
  return getsockopt(fd, SOL_SOCKET, option, &value, &len) == 0 ? value : -1;
}

static int family_of(int fd) {
  union {
    struct sockaddr any;
    struct sockaddr_storage room;
  } a = {.any.sa_family = AF_UNSPEC};
  socklen_t len = sizeof a;
  return getsockname(fd, &a.any, &len) == 0 ? a.any.sa_family : -1;
}

static int adopt_listener(lua_State *L, la_reactor *r, int fd, bool local) {
  la_listener_object *o = la_listener_push(L);
  o->local = local;
  o->options.nodelay = true;
  int flags = fcntl(fd, F_GETFL);
  if (flags >= 0) fcntl(fd, F_SETFL, flags | O_NONBLOCK);
  return la_listener_adopt(r, fd, local ? &la_unix_kind : &la_tcp_kind, &o->listener);
}

static int adopt_stream(lua_State *L, la_reactor *r, int fd, const la_uv_stream_kind *kind) {
  la_uv_stream *s = kind->make(r);
  if (s == NULL) return UV_ENOMEM;
  int error = kind->open(s, fd);
  if (error != 0) {
    la_uv_stream_unref(s);
    return error;
  }
  if (kind == &la_tcp_kind)
    la_connection_push(L, &s, &(la_socket_options){.nodelay = true});
  else if (kind == &la_unix_kind)
    la_unix_connection_push(L, &s);
  else
    la_pipe_push(L, &s);
  return 0;
}

int la_net_adopt(lua_State *L, la_reactor *r, int fd) {
  struct stat st;
  if (fstat(fd, &st) != 0) return uv_translate_sys_error(errno);
  if (S_ISFIFO(st.st_mode) || (S_ISCHR(st.st_mode) && isatty(fd)))
    return adopt_stream(L, r, fd, &la_pipe_kind);
  if (!S_ISSOCK(st.st_mode) || socket_option(fd, SO_TYPE) != SOCK_STREAM) return UV_ENOTSUP;
  int family = family_of(fd);
  bool local = family == AF_UNIX;
  if (!local && family != AF_INET && family != AF_INET6) return UV_ENOTSUP;
  if (socket_option(fd, SO_ACCEPTCONN) == 1) return adopt_listener(L, r, fd, local);
  return adopt_stream(L, r, fd, local ? &la_unix_kind : &la_tcp_kind);
}

static int net_from_fd(lua_State *L) {
  lua_Integer fd = luaL_checkinteger(L, 1);
  luaL_argcheck(L, fd >= 0 && fd <= INT32_MAX, 1, "not a descriptor");
  la_reactor *r = la_check_reactor(L, "net.from_fd");
  luaL_argcheck(L, !la_reactor_owns(r, (int)fd), 1,
                "this descriptor already belongs to an object of lua_async");
  int error = la_net_adopt(L, r, (int)fd);
  if (error == 0) {
    fcntl((int)fd, F_SETFD, FD_CLOEXEC);
    return 1;
  }
  la_fail(L, error, "from_fd");
  if (error == UV_ENOTSUP) {
    lua_pushliteral(L, "it is not a stream socket, pipe or terminal (for files use fs.open)");
    lua_setfield(L, -2, "message");
  }
  return 2;
}

void la_open_unix(lua_State *L) {
  static const luaL_Reg methods[] = {{"peer", conn_peer},
                                     {"address", conn_address},
                                     {"credentials", conn_credentials},
                                     {"send_fd", conn_send_fd},
                                     {"recv_fd", conn_recv_fd},
                                     {"take_fd", conn_take_fd},
                                     {NULL, NULL}};
  static const luaL_Reg functions[] = {{"connect_unix", net_connect_unix},
                                       {"listen_unix", net_listen_unix},
                                       {"from_fd", net_from_fd},
                                       {NULL, NULL}};
  static const la_operation_entry operations[] = {{net_connect_unix, &connect_operation},
                                                  {conn_send_fd, &send_fd_operation},
                                                  {NULL, NULL}};
  _Static_assert(sizeof(send_future) <= LA_SLOT_SIZE, "sending a descriptor needs no memory");
  la_operations_add(L, operations);
  la_stream_class_open(L, &unix_class, conn_tostring, methods);
  luaL_setfuncs(L, functions, 0);
}
