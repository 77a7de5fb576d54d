/*
** slow.c - preloaded: system calls of the network at their worst. Names under .silent are
** never answered, those under .late not before the process exits, which then waits for the
** threads to end; every third send of a datagram finds the system's buffer full, and every
** third receive and send is interrupted first. Required, it tells how many lookups wait.
*/
#include <dlfcn.h>
#include <errno.h>
#include <lauxlib.h>
#include <lua.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define REAL(NAME) ((__typeof__(&NAME))dlsym(RTLD_NEXT, #NAME))

static _Atomic int waiting, exiting;

/* One thread is left: two links of its own, and one of that. */
static void at_exit(void) {
  struct stat st;
  exiting = 1;
  while (stat("/proc/self/task", &st) == 0 && st.st_nlink > 3) usleep(1000);
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **list) {
  if (name != NULL && strstr(name, ".late") != NULL) {
    if (waiting++ == 0) atexit(at_exit);
    while (!exiting) usleep(1000);
    return EAI_AGAIN;
  }
  if (name == NULL || strstr(name, ".silent") == NULL)
    return REAL(getaddrinfo)(name, service, hints, list);
  waiting++;
  for (;;) pause();
}

static int fails(int full) {
  static _Atomic unsigned calls;
  unsigned n = ++calls % 3;
  if (n == 0 || (n == 1 && !full)) return 0;
  errno = n == 1 ? EAGAIN : EINTR;
  return 1;
}

ssize_t sendto(int fd, const void *data, size_t len, int flags, const struct sockaddr *to,
               socklen_t to_len) {
  return fails(1) ? -1 : REAL(sendto)(fd, data, len, flags, to, to_len);
}

int sendmmsg(int fd, struct mmsghdr *m, unsigned n, int flags) {
  return fails(1) ? -1 : REAL(sendmmsg)(fd, m, n > 3 ? 3 : n, flags);
}

int recvmmsg(int fd, struct mmsghdr *m, unsigned n, int flags, struct timespec *timeout) {
  return fails(0) ? -1 : REAL(recvmmsg)(fd, m, n, flags, timeout);
}

static int slow_waiting(lua_State *L) {
  lua_pushinteger(L, waiting);
  return 1;
}

int luaopen_slow(lua_State *L) {
  lua_pushcfunction(L, slow_waiting);
  return 1;
}
