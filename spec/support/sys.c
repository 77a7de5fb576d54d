/*
** sys.c - what the specs need from the system, past the module under test: plain
** blocking sockets as peers, limits, descriptors, memory and time. Misuse and
** failures raise, but for send and recv, which return nil and the errno's name.
*/
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int raise_error(lua_State *L, const char *what) {
  return luaL_error(L, "%s: %s", what, strerror(errno));
}

static int failed(lua_State *L) {
  lua_pushnil(L);
  lua_pushstring(L, errno == EAGAIN       ? "EAGAIN"
                    : errno == ECONNRESET ? "ECONNRESET"
                    : errno == EPIPE      ? "EPIPE"
                                          : strerror(errno));
  return 2;
}

static int fd_at(lua_State *L, int arg) { return (int)luaL_checkinteger(L, arg); }

static struct sockaddr_in loopback(int port) {
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return a;
}

static int port_of(int fd, int (*name)(int, struct sockaddr *, socklen_t *)) {
  struct sockaddr_storage a;
  socklen_t len = sizeof a;
  if (name(fd, (struct sockaddr *)&a, &len) != 0) return -1;
  if (a.ss_family == AF_INET) return ntohs(((struct sockaddr_in *)&a)->sin_port);
  if (a.ss_family == AF_INET6) return ntohs(((struct sockaddr_in6 *)&a)->sin6_port);
  return -1;
}

/* listen(backlog) -> fd, port */
static int sys_listen(lua_State *L) {
  struct sockaddr_in a = loopback(0);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) != 0 ||
      listen(fd, (int)luaL_checkinteger(L, 1)) != 0)
    return raise_error(L, "listen");
  lua_pushinteger(L, fd);
  lua_pushinteger(L, port_of(fd, getsockname));
  return 2;
}

/* connect(port [, receive buffer]) -> fd */
static int sys_connect(lua_State *L) {
  struct sockaddr_in a = loopback((int)luaL_checkinteger(L, 1));
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), size = (int)luaL_optinteger(L, 2, 0);
  if (fd >= 0 && size > 0) setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) != 0) return raise_error(L, "connect");
  lua_pushinteger(L, fd);
  return 1;
}

static int sys_accept(lua_State *L) {
  int fd = accept4(fd_at(L, 1), NULL, NULL, SOCK_CLOEXEC);
  if (fd < 0) return raise_error(L, "accept");
  lua_pushinteger(L, fd);
  return 1;
}

/* Never wait. */
static int sys_send(lua_State *L) {
  size_t len;
  const char *s = luaL_checklstring(L, 2, &len);
  ssize_t n = send(fd_at(L, 1), s, len, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (n < 0) return failed(L);
  lua_pushinteger(L, n);
  return 1;
}

static int sys_recv(lua_State *L) {
  size_t size = (size_t)luaL_checkinteger(L, 2);
  luaL_Buffer b;
  char *p = luaL_buffinitsize(L, &b, size);
  ssize_t n = recv(fd_at(L, 1), p, size, MSG_DONTWAIT);
  if (n < 0) return failed(L);
  luaL_pushresultsize(&b, (size_t)n);
  return 1;
}

static int sys_close(lua_State *L) {
  if (close(fd_at(L, 1)) != 0) return raise_error(L, "close");
  return 0;
}

static int sys_reset(lua_State *L) {
  struct linger l = {1, 0};
  setsockopt(fd_at(L, 1), SOL_SOCKET, SO_LINGER, &l, sizeof l);
  return sys_close(L);
}

static int sys_shutdown(lua_State *L) {
  if (shutdown(fd_at(L, 1), SHUT_WR) != 0) return raise_error(L, "shutdown");
  return 0;
}

/* sockopt(fd, name) -> integer */
static int sys_sockopt(lua_State *L) {
  static const char *const names[] = {"nodelay", "keepalive", "keepidle", "reuseport", NULL};
  static const int ids[][2] = {{IPPROTO_TCP, TCP_NODELAY},
                               {SOL_SOCKET, SO_KEEPALIVE},
                               {IPPROTO_TCP, TCP_KEEPIDLE},
                               {SOL_SOCKET, SO_REUSEPORT}};
  const int *id = ids[luaL_checkoption(L, 2, NULL, names)];
  int value = 0;
  socklen_t len = sizeof value;
  if (getsockopt(fd_at(L, 1), id[0], id[1], &value, &len) != 0) return raise_error(L, "getsockopt");
  lua_pushinteger(L, value);
  return 1;
}

/* socket(local port, peer port or nil) -> the descriptor that has them, or nil */
static int sys_socket(lua_State *L) {
  int local = (int)luaL_checkinteger(L, 1), peer = (int)luaL_optinteger(L, 2, -1);
  for (int fd = 0; fd < 1024; fd++) {
    if (port_of(fd, getsockname) == local && port_of(fd, getpeername) == peer) {
      lua_pushinteger(L, fd);
      return 1;
    }
  }
  lua_pushnil(L);
  return 1;
}

/* queued(fd) -> bytes that arrived and are not read, bytes sent that the peer's system has not */
static int sys_queued(lua_State *L) {
  int in = 0, out = 0;
  if (ioctl(fd_at(L, 1), FIONREAD, &in) != 0 || ioctl(fd_at(L, 1), TIOCOUTQ, &out) != 0)
    return raise_error(L, "ioctl");
  lua_pushinteger(L, in);
  lua_pushinteger(L, out);
  return 2;
}

static int count_entries(lua_State *L, const char *folder, int others) {
  DIR *d = opendir(folder);
  int n = -others;
  if (d == NULL) return raise_error(L, folder);
  while (readdir(d) != NULL) n++;
  closedir(d);
  lua_pushinteger(L, n);
  return 1;
}

/* The number of open descriptors: without ".", "..", and the folder's own. */
static int sys_fds(lua_State *L) { return count_entries(L, "/proc/self/fd", 3); }

/* The number of threads. */
static int sys_threads(lua_State *L) { return count_entries(L, "/proc/self/task", 2); }

/* Resident bytes. */
static int sys_rss(lua_State *L) {
  long pages = 0;
  FILE *f = fopen("/proc/self/statm", "re");
  if (f == NULL || fscanf(f, "%*d %ld", &pages) != 1) return raise_error(L, "/proc/self/statm");
  fclose(f);
  lua_pushinteger(L, (lua_Integer)pages * sysconf(_SC_PAGESIZE));
  return 1;
}

/* CPU seconds of the process. */
static int sys_cpu(lua_State *L) {
  struct rusage u;
  getrusage(RUSAGE_SELF, &u);
  lua_pushnumber(L, (lua_Number)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
                        (lua_Number)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6);
  return 1;
}

/* nofile([soft]) -> soft, hard: the limits as they were */
static int sys_nofile(lua_State *L) {
  struct rlimit r, set;
  getrlimit(RLIMIT_NOFILE, &r);
  set = r;
  if (!lua_isnoneornil(L, 1)) {
    set.rlim_cur = (rlim_t)luaL_checkinteger(L, 1);
    if (setrlimit(RLIMIT_NOFILE, &set) != 0) return raise_error(L, "setrlimit");
  }
  lua_pushinteger(L, (lua_Integer)r.rlim_cur);
  lua_pushinteger(L, (lua_Integer)r.rlim_max);
  return 2;
}

/* A new descriptor, or nil when there is none left. */
static int sys_dup(lua_State *L) {
  int fd = fcntl((int)luaL_optinteger(L, 1, 0), F_DUPFD_CLOEXEC, 0);
  if (fd < 0) return failed(L);
  lua_pushinteger(L, fd);
  return 1;
}

static int sys_symlink(lua_State *L) {
  if (symlink(luaL_checkstring(L, 1), luaL_checkstring(L, 2)) != 0)
    return raise_error(L, "symlink");
  return 0;
}

static int sys_mkfifo(lua_State *L) {
  if (mkfifo(luaL_checkstring(L, 1), 0600) != 0) return raise_error(L, "mkfifo");
  return 0;
}

/* Blocks the whole thread. */
static int sys_block(lua_State *L) {
  lua_Number s = luaL_checknumber(L, 1);
  struct timespec t = {(time_t)s, (long)((s - (lua_Number)(time_t)s) * 1e9)};
  nanosleep(&t, NULL);
  return 0;
}

static int sys_root(lua_State *L) {
  lua_pushboolean(L, geteuid() == 0);
  return 1;
}

/* nested(program) -> true: runs it in a Lua state of its own, on this thread */
static int sys_nested(lua_State *L) {
  lua_State *inner = luaL_newstate();
  if (inner == NULL) return luaL_error(L, "not enough memory");
  luaL_openlibs(inner);
  int status = luaL_dostring(inner, luaL_checkstring(L, 1));
  lua_pushboolean(L, status == LUA_OK);
  lua_pushstring(L, status == LUA_OK ? NULL : luaL_tolstring(inner, -1, NULL));
  lua_close(inner);
  return 2;
}

/* children() -> whether there are any, zombies included */
static int sys_children(lua_State *L) {
  siginfo_t info;
  lua_pushboolean(L, waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0);
  return 1;
}

static int sys_pid(lua_State *L) {
  lua_pushinteger(L, getpid());
  return 1;
}

/* become(uid): somebody who may have no further process */
static int sys_become(lua_State *L) {
  struct rlimit none = {0, 0};
  if (setrlimit(RLIMIT_NPROC, &none) != 0 || setuid((uid_t)luaL_checkinteger(L, 1)) != 0)
    return raise_error(L, "become");
  return 0;
}

/* pipe() -> the end to read, the end to write */
static int sys_pipe(lua_State *L) {
  int fd[2];
  if (pipe2(fd, O_CLOEXEC) != 0) return raise_error(L, "pipe");
  lua_pushinteger(L, fd[0]);
  lua_pushinteger(L, fd[1]);
  return 2;
}

/* handler(signal) -> "default", "ignore" or "handler"; handler(signal, "default" or "ignore") */
static int sys_handler(lua_State *L) {
  static const char *const names[] = {"default", "ignore", NULL};
  struct sigaction sa;
  int number = (int)luaL_checkinteger(L, 1);
  if (!lua_isnoneornil(L, 2)) {
    sa = (struct sigaction){.sa_handler = luaL_checkoption(L, 2, NULL, names) ? SIG_IGN : SIG_DFL};
    if (sigaction(number, &sa, NULL) != 0) return raise_error(L, "sigaction");
  }
  if (sigaction(number, NULL, &sa) != 0) return raise_error(L, "sigaction");
  lua_pushstring(L, sa.sa_handler == SIG_DFL   ? "default"
                    : sa.sa_handler == SIG_IGN ? "ignore"
                                               : "handler");
  return 1;
}

/* (name, value or nil), for this process and its children. */
static int sys_setenv(lua_State *L) {
  const char *name = luaL_checkstring(L, 1), *value = luaL_optstring(L, 2, NULL);
  if ((value != NULL ? setenv(name, value, 1) : unsetenv(name)) != 0)
    return raise_error(L, "setenv");
  return 0;
}

/* inherit(fd): children get it, blocking. */
static int sys_inherit(lua_State *L) {
  int fd = (int)luaL_checkinteger(L, 1);
  if (fcntl(fd, F_SETFD, 0) != 0 || fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK) != 0)
    return raise_error(L, "inherit");
  return 0;
}

static int sys_nonblocking(lua_State *L) {
  lua_pushboolean(L, (fcntl((int)luaL_checkinteger(L, 1), F_GETFL) & O_NONBLOCK) != 0);
  return 1;
}

__attribute__((visibility("default"))) int luaopen_sys(lua_State *L) {
  static const luaL_Reg functions[] = {{"listen", sys_listen},
                                       {"setenv", sys_setenv},
                                       {"inherit", sys_inherit},
                                       {"nonblocking", sys_nonblocking},
                                       {"connect", sys_connect},
                                       {"accept", sys_accept},
                                       {"send", sys_send},
                                       {"recv", sys_recv},
                                       {"close", sys_close},
                                       {"reset", sys_reset},
                                       {"shutdown", sys_shutdown},
                                       {"sockopt", sys_sockopt},
                                       {"socket", sys_socket},
                                       {"fds", sys_fds},
                                       {"rss", sys_rss},
                                       {"cpu", sys_cpu},
                                       {"nofile", sys_nofile},
                                       {"dup", sys_dup},
                                       {"symlink", sys_symlink},
                                       {"mkfifo", sys_mkfifo},
                                       {"block", sys_block},
                                       {"nested", sys_nested},
                                       {"root", sys_root},
                                       {"queued", sys_queued},
                                       {"threads", sys_threads},
                                       {"children", sys_children},
                                       {"pid", sys_pid},
                                       {"pipe", sys_pipe},
                                       {"handler", sys_handler},
                                       {"become", sys_become},
                                       {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
