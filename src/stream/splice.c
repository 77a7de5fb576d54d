#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "stream/splice.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "stream/pipe.h"

#ifdef __linux__

/* A pipe that is empty takes as much; and the buffer. */
enum { AT_ONCE = LA_BUFFER_SIZE };

int la_splice_open(la_splice *p, la_reactor *r) {
  int fd[2];
  char *buffer = la_buffer_take(r);
  if (buffer == NULL) return UV_ENOMEM;
  int err = la_pipe_make(fd);
  if (err != 0) {
    la_buffer_give(r, buffer);
    return err;
  }
  *p = (la_splice){.in = fd[1], .out = fd[0], .buffer = buffer, .reactor = r};
  return 0;
}

/* SPLICE_F_NONBLOCK is about the pipe: a socket waits if its open file is a blocking one. */
static bool would_wait(const la_uv_stream *s) {
  if (!la_uv_stream_waits(s)) return false;
  errno = EINVAL;
  return true;
}

static ssize_t take(la_uv_stream *s, void *arg, size_t len) {
  const la_splice *p = arg;
  if (would_wait(s)) return -1;
  return splice(s->fd, NULL, p->in, NULL, len, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
}

la_poll la_splice_poll_in(la_splice *p, la_uv_stream *from, la_context *cx, size_t len,
                          ssize_t *n) {
  la_poll r = la_uv_stream_poll_take(from, cx, len < AT_ONCE ? len : AT_ONCE, take, p, n);
  if (r == LA_READY && *n > 0) p->held += (size_t)*n;
  return r;
}

typedef struct spliced {
  la_outgoing base;
  la_splice *p;
} spliced;

static ssize_t send_spliced(la_outgoing *out, la_uv_stream *s, size_t skip) {
  la_splice *p = ((spliced *)(void *)out)->p;
  (void)skip; /* the byte that was carried has left the pipe */
  if (would_wait(s)) return -1;
  ssize_t n = splice(p->out, NULL, s->fd, NULL, p->held, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
  if (n > 0) p->held -= (size_t)n;
  return n;
}

static char first_of_pipe(la_outgoing *out) {
  la_splice *p = ((spliced *)(void *)out)->p;
  p->carried = read(p->out, &p->byte, 1) == 1;
  if (p->carried) p->held--;
  return p->byte;
}

la_poll la_splice_poll_out(la_splice *p, la_uv_stream *to, la_context *cx, ssize_t *n) {
  spliced out = {{send_spliced, first_of_pipe, p->held + la_uv_stream_carries(to)}, p};
  if (la_uv_stream_poll_send(to, cx, &out.base, n) == LA_PENDING) return LA_PENDING;
  p->refused = p->carried && *n < 0;
  p->carried = false;
  return LA_READY;
}

void la_splice_close(la_splice *p, la_reader *rd) {
  size_t first = p->refused ? 1 : 0;
  if (p->refused) p->buffer[0] = p->byte;
  ssize_t n = p->held > 0 ? read(p->out, p->buffer + first, p->held) : 0;
  size_t len = first + (n > 0 ? (size_t)n : 0);
  if (len > 0)
    la_rbuf_adopt(&rd->buf, rd->reactor, p->buffer, LA_BUFFER_SIZE, 0, len);
  else
    la_buffer_give(p->reactor, p->buffer);
  close(p->in);
  close(p->out);
}

void la_splice_abandon(la_splice *p) {
  la_buffer_give(p->reactor, p->buffer);
  close(p->in);
  close(p->out);
}

#else

int la_splice_open(la_splice *p, la_reactor *r) {
  (void)p;
  (void)r;
  return UV_ENOSYS;
}

la_poll la_splice_poll_in(la_splice *p, la_uv_stream *from, la_context *cx, size_t len,
                          ssize_t *n) {
  (void)p;
  (void)from;
  (void)cx;
  (void)len;
  *n = UV_ENOSYS;
  return LA_READY;
}

la_poll la_splice_poll_out(la_splice *p, la_uv_stream *to, la_context *cx, ssize_t *n) {
  (void)p;
  (void)to;
  (void)cx;
  *n = UV_ENOSYS;
  return LA_READY;
}

void la_splice_close(la_splice *p, la_reader *rd) {
  (void)p;
  (void)rd;
}

#endif
