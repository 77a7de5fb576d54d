/* async.net's Unix sockets, and descriptors from elsewhere. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/l_connection.h"
#include "net/l_listener.h"
#include "net/l_unix.h"
#include "stream/l_stream.h"
#include "stream/pipe.h"

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
  static const luaL_Reg functions[] = {{"connect_unix", net_connect_unix},
                                       {"listen_unix", net_listen_unix},
                                       {"from_fd", net_from_fd},
                                       {NULL, NULL}};
  static const la_operation_entry operations[] = {{net_connect_unix, &connect_operation},
                                                  {NULL, NULL}};
  la_operations_add(L, operations);
  luaL_setfuncs(L, functions, 0);
}
