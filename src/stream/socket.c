#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "stream/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>
#include <uv.h>

#ifdef MSG_NOSIGNAL
enum { SEND_FLAGS = MSG_DONTWAIT | MSG_NOSIGNAL };
#else
enum { SEND_FLAGS = MSG_DONTWAIT };
#endif

#ifdef MSG_CMSG_CLOEXEC
enum { RECV_FLAGS = MSG_DONTWAIT | MSG_CMSG_CLOEXEC };
#else
enum { RECV_FLAGS = MSG_DONTWAIT };
#endif

ssize_t la_socket_recv(int fd, void *buf, size_t len) { return recv(fd, buf, len, MSG_DONTWAIT); }

ssize_t la_socket_recvmsg(int fd, struct msghdr *m) { return recvmsg(fd, m, RECV_FLAGS); }

ssize_t la_socket_send(int fd, const void *data, size_t len) {
  return send(fd, data, len, SEND_FLAGS);
}

ssize_t la_socket_sendmsg(int fd, const struct msghdr *m) { return sendmsg(fd, m, SEND_FLAGS); }

bool la_socket_waits(int fd) {
  int flags = fcntl(fd, F_GETFL);
  return flags >= 0 && !(flags & O_NONBLOCK);
}

int la_socket_replace(int own, int fd) {
  int n;
#ifdef __linux__
  do n = dup3(fd, own, O_CLOEXEC);
  while (n < 0 && (errno == EINTR || errno == EBUSY));
#else
  do n = dup2(fd, own);
  while (n < 0 && errno == EINTR);
  if (n >= 0) fcntl(own, F_SETFD, FD_CLOEXEC);
#endif
  return n >= 0 ? 0 : uv_translate_sys_error(errno);
}

bool la_socket_is_lost(int err) {
  switch (err) {
  case UV_ECONNRESET:
  case UV_ECONNABORTED:
  case UV_ECONNREFUSED:
  case UV_ETIMEDOUT:
  case UV_EHOSTUNREACH:
  case UV_EHOSTDOWN:
  case UV_ENETUNREACH:
  case UV_ENETDOWN:
  case UV_EPROTO: return true;
  default: return false;
  }
}

/* ---- accept -----------------------------------------------------------------------*/

static int accept_next(int fd) {
#ifdef SOCK_NONBLOCK
  int conn = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
#else
  int conn = accept(fd, NULL, NULL);
  if (conn >= 0) fcntl(conn, F_SETFD, FD_CLOEXEC); /* libuv makes it non-blocking */
#endif
  return conn >= 0 ? conn : uv_translate_sys_error(errno);
}

/* Several threads may have one listening open file. Under the mutex one puts O_NONBLOCK on and off
** again; from then on all accept under it, so that none takes the flag that is on for a moment
** for one that stays. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static atomic_bool some_wait; /* a listening socket without O_NONBLOCK was met */

static int accept_for_once(int fd, int flags) {
  struct pollfd p = {.fd = fd, .events = POLLIN};
  if (poll(&p, 1, 0) == 0) return UV_EAGAIN;
  if (fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) return uv_translate_sys_error(errno);
  int conn = accept_next(fd);
  fcntl(fd, F_SETFL, flags);
  return conn;
}

static int accept_alone(int fd) {
  pthread_mutex_lock(&mutex);
  atomic_store(&some_wait, true);
  int flags = fcntl(fd, F_GETFL);
  bool waits = flags >= 0 && !(flags & O_NONBLOCK);
  int conn = waits ? accept_for_once(fd, flags) : accept_next(fd);
  pthread_mutex_unlock(&mutex);
  return conn;
}

int la_socket_accept(int fd) {
  return la_socket_waits(fd) || atomic_load(&some_wait) ? accept_alone(fd) : accept_next(fd);
}
