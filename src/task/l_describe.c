#include "task/l_describe.h"

#include <netdb.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

typedef union any_address {
  struct sockaddr any;
  struct sockaddr_un sun;
  struct sockaddr_storage room;
} any_address;

/* A path, or "@name" of Linux's abstract kind. */
static void push_path(lua_State *L, const struct sockaddr_un *sun, socklen_t len) {
  size_t n = len > offsetof(struct sockaddr_un, sun_path)
                 ? (size_t)len - offsetof(struct sockaddr_un, sun_path)
                 : 0;
  if (n == 0) {
    lua_pushliteral(L, "a Unix socket");
  } else if (sun->sun_path[0] == '\0') {
    lua_pushliteral(L, "@");
    lua_pushlstring(L, sun->sun_path + 1, n - 1);
    lua_concat(L, 2);
  } else {
    lua_pushlstring(L, sun->sun_path, strnlen(sun->sun_path, n));
  }
}

static void push_address(lua_State *L, const any_address *a, socklen_t len) {
  char host[256], port[16];
  if (a->any.sa_family == AF_UNIX)
    push_path(L, &a->sun, len);
  else if ((a->any.sa_family == AF_INET || a->any.sa_family == AF_INET6) &&
           getnameinfo(&a->any, len, host, sizeof host, port, sizeof port,
                       NI_NUMERICHOST | NI_NUMERICSERV) == 0)
    lua_pushfstring(L, "%s port %s", host, port);
  else
    lua_pushliteral(L, "a socket");
}

static void push_socket(lua_State *L, int fd) {
  any_address a = {.any.sa_family = AF_UNSPEC};
  socklen_t len = sizeof a, size = sizeof(int);
  int listens = 0, base = lua_gettop(L);
  getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size);
  if (listens) lua_pushliteral(L, "listening at ");
  if (getsockname(fd, &a.any, &len) != 0) a.any.sa_family = AF_UNSPEC;
  push_address(L, &a, len);
  len = sizeof a;
  if (!listens && getpeername(fd, &a.any, &len) == 0) {
    lua_pushliteral(L, ", connected to ");
    push_address(L, &a, len);
  }
  lua_concat(L, lua_gettop(L) - base);
}

void la_push_descriptor(lua_State *L, int fd) {
  struct stat st;
  char link[32], target[512];
  if (fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode)) {
    push_socket(L, fd);
    return;
  }
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t n = readlink(link, target, sizeof target);
  if (n > 0)
    lua_pushlstring(L, target, (size_t)n);
  else
    lua_pushfstring(L, "descriptor %d", fd);
}
