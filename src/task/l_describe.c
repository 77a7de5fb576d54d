#include "task/l_describe.h"

#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/unix.h"

typedef union any_address {
  struct sockaddr any;
  la_address ip;
  struct sockaddr_un sun;
} any_address;

static void push_address(lua_State *L, const any_address *a, socklen_t len) {
  char text[LA_ADDRESS_TEXT], path[LA_UNIX_TEXT];
  if (a->any.sa_family == AF_UNIX) {
    la_unix_address_text(&(la_unix_address){.sun = a->sun, .len = len}, path);
    lua_pushstring(L, *path != '\0' ? path : "a Unix socket");
  } else if (a->any.sa_family == AF_INET || a->any.sa_family == AF_INET6) {
    int port = la_address_text(&a->ip, text);
    lua_pushfstring(L, "%s port %d", text, port);
  } else {
    lua_pushliteral(L, "a socket");
  }
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
