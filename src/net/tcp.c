#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "net/tcp.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <unistd.h>

static uv_tcp_t *tcp(const la_uv_stream *s) {
  return (uv_tcp_t *)la_uv_stream_uv((la_uv_stream *)s);
}

static la_uv_stream *make(la_reactor *r) { return la_uv_stream_new(r, sizeof(uv_tcp_t)); }

static void init(uv_loop_t *loop, uv_stream_t *uv) { uv_tcp_init(loop, (uv_tcp_t *)uv); }
static int open_uv(uv_stream_t *uv, int fd) { return uv_tcp_open((uv_tcp_t *)uv, fd); }

static int open_stream(la_uv_stream *s, int fd) {
  return la_uv_stream_open(s, fd, LA_STREAM_SOCKET, init, open_uv);
}

const la_uv_stream_kind la_tcp_kind = {make, open_stream};

int la_tcp_nodelay(la_uv_stream *s, bool on) {
  return la_handle_is_open(&s->handle) ? uv_tcp_nodelay(tcp(s), on) : UV_EBADF;
}

bool la_tcp_inherit_nodelay(int listener_fd) {
#ifdef __linux__
  int on = 1;
  return setsockopt(listener_fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0;
#else
  (void)listener_fd;
  return false;
#endif
}

int la_tcp_keepalive(la_uv_stream *s, unsigned seconds) {
  if (!la_handle_is_open(&s->handle)) return UV_EBADF;
  return uv_tcp_keepalive(tcp(s), seconds > 0, seconds);
}

int la_tcp_peer(const la_uv_stream *s, la_address *out) {
  int len = sizeof *out;
  if (!la_handle_is_open(&s->handle)) return UV_EBADF;
  return uv_tcp_getpeername(tcp(s), &out->any, &len);
}

int la_tcp_local(const la_uv_stream *s, la_address *out) {
  int len = sizeof *out;
  if (!la_handle_is_open(&s->handle)) return UV_EBADF;
  return uv_tcp_getsockname(tcp(s), &out->any, &len);
}

int la_tcp_socket(int family) {
#if defined(SOCK_NONBLOCK) && defined(SOCK_CLOEXEC)
  int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  return fd >= 0 ? fd : uv_translate_sys_error(errno);
#else
  int fd = socket(family, SOCK_STREAM, 0);
  if (fd < 0) return uv_translate_sys_error(errno);
  if (fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 && fcntl(fd, F_SETFL, O_NONBLOCK) == 0) return fd;
  int err = uv_translate_sys_error(errno);
  close(fd);
  return err;
#endif
}
