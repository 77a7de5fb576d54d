#include "stream/uv_stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "driver/guard.h"
#include "stream/fd_poll.h"
#include "stream/socket.h"

/* handle.flags */
enum {
  SOCKET = 1,     /* the calls of socket.h instead of read and write */
  READABLE = 2,   /* a notice came and no read has come up short since */
  LISTENING = 4,  /* uv_read_start is on */
  FULL = 8,       /* the last write was accepted in part: the next would be EAGAIN */
  READ_CUT = 16,  /* closed while a read was pending */
  WRITE_CUT = 32, /* closed while a write was pending */
  PASSING = 64,   /* a Unix socket: its descriptors are received with its bytes */
  ROOM = 128      /* `room` is there, not `carry` */
};

/* One byte that libuv writes when it can, to learn when that is. One, so that it is either
** written or not. */
struct la_carry {
  uv_write_t req;
  la_uv_stream *stream; /* NULL: closed, nobody waits for it */
  char byte;
  bool abandoned; /* it is not the first byte of the write that waits now */
  bool written;
  int status;
};

static la_uv_stream *from_handle(la_handle *h) { return la_container(h, la_uv_stream, handle); }
static la_uv_stream *from_reader(la_reader *rd) { return la_container(rd, la_uv_stream, reader); }
static const la_uv_stream_passing *passing(la_uv_stream *s) {
  const void *behind = (uv_pipe_t *)(void *)la_uv_stream_uv(s) + 1;
  return *(const la_uv_stream_passing *const *)behind;
}
static la_reactor *reactor_of(const la_uv_stream *s) { return s->handle.reactor; }

/* ---- open and closed --------------------------------------------------------------*/

static uv_handle_t *stream_handle(la_handle *h) {
  return (uv_handle_t *)la_uv_stream_uv(from_handle(h));
}

static ssize_t put(const la_uv_stream *s, const char *data, size_t len) {
  return s->handle.flags & SOCKET ? la_socket_send(s->fd, data, len) : write(s->fd, data, len);
}

/* A byte of a write that was given up has been counted as gone: if libuv could not write it yet,
** and there is room by now, it is. */
static void put_abandoned(la_uv_stream *s) {
  const la_carry *c = s->carry;
  if (c == NULL || !c->abandoned || uv_stream_get_write_queue_size(la_uv_stream_uv(s)) == 0) return;
  ssize_t n = put(s, &c->byte, 1);
  (void)n; /* nobody is there to be told */
}

static void forget_room(la_uv_stream *s) {
  if ((s->handle.flags & ROOM) == 0) return;
  s->handle.flags &= (unsigned char)~ROOM;
  la_future_drop(s->room);
  s->carry = NULL;
}

static void stream_closing(la_handle *h) {
  la_uv_stream *s = from_handle(h);
  forget_room(s);
  put_abandoned(s);
  s->fd = -1;
  if (h->flags & PASSING) passing(s)->forget(s);
  if (la_waiter_holds(&s->reading)) h->flags |= READ_CUT;
  if (la_waiter_holds(&s->writing)) h->flags |= WRITE_CUT;
  if (s->carry != NULL) {
    if (s->carry->written)
      free(s->carry);
    else
      s->carry->stream = NULL; /* its callback, which comes, frees it */
    s->carry = NULL;
  }
  la_waiter_wake(&s->reading, h->reactor);
  la_waiter_wake(&s->writing, h->reactor);
}

static void stream_free(la_handle *h) {
  la_uv_stream *s = from_handle(h);
  la_reader_clear(&s->reader);
  la_waiter_clear(&s->reading, h->reactor);
  la_waiter_clear(&s->writing, h->reactor);
  free(s);
}

static const la_handle_class stream_class = {"open socket", stream_handle, stream_closing,
                                             stream_free};

static la_poll reader_fill(la_reader *rd, la_context *cx, size_t want, ssize_t *n);
static void reader_forget(la_reader *rd) { la_uv_stream_forget_read(from_reader(rd)); }
static const la_future_vtable reader_vtable = LA_READER_VTABLE("read");
static const la_source stream_source = {reader_fill, reader_forget, &reader_vtable};

la_uv_stream *la_uv_stream_new(la_reactor *r, size_t size) {
  la_uv_stream *s = calloc(1, sizeof *s + size);
  if (s == NULL) return NULL;
  s->fd = -1;
  la_handle_init(&s->handle, r, &stream_class);
  la_reader_init(&s->reader, r, &stream_source);
  return s;
}

static unsigned char flags_of(const la_uv_stream *s, la_uv_stream_fd kind) {
  unsigned char flags = kind == LA_STREAM_PLAIN ? 0 : SOCKET;
  if (kind == LA_STREAM_PASSING) flags |= PASSING;
  if (!uv_is_readable(la_uv_stream_uv((la_uv_stream *)s)))
    flags |= READABLE; /* read(2) says EBADF */
  return flags;
}

int la_uv_stream_open(la_uv_stream *s, int fd, la_uv_stream_fd kind,
                      void (*init)(uv_loop_t *loop, uv_stream_t *uv),
                      int (*open)(uv_stream_t *uv, int fd)) {
  la_reactor *r = reactor_of(s);
  int err = r->closed ? UV_ECANCELED : la_guard_watch(r, fd);
  if (err != 0) return err;
  init(r->uv, la_uv_stream_uv(s));
  err = open(la_uv_stream_uv(s), fd);
  la_handle_opened(&s->handle);
  if (err == 0) {
    s->fd = fd;
    s->handle.flags = flags_of(s, kind);
    return 0;
  }
  la_uv_stream_close(s); /* libuv has the handle, but not the fd */
  return err;
}

/* The errno of an operation on a stream that is not open; `cut` is forgotten by that. */
static int closed_error(la_uv_stream *s, unsigned char cut) {
  if ((s->handle.flags & cut) == 0) return UV_EBADF;
  s->handle.flags &= (unsigned char)~cut;
  return UV_ECANCELED;
}

/* ---- lost connections -------------------------------------------------------------*/

int la_uv_stream_note_error(la_uv_stream *s, int err) {
  if ((s->handle.flags & SOCKET) == 0 || s->lost != 0 || !la_socket_is_lost(err)) return err;
  s->lost = (short)err;
  s->handle.flags |= READABLE;
  la_waiter_wake(&s->reading, reactor_of(s));
  return err;
}

/* ---- reading ----------------------------------------------------------------------*/

static void no_buffer(uv_handle_t *uv, size_t size, uv_buf_t *buf) {
  (void)uv;
  (void)size;
  *buf = uv_buf_init(NULL, 0);
}

static void stop_listening(la_uv_stream *s) {
  uv_read_stop(la_uv_stream_uv(s));
  s->handle.flags &= (unsigned char)~LISTENING;
}

/* As many notices without a read in between mean that nobody is interested. Fewer may come before
** the task that the first has woken is polled: in a loop that is not ours, and when libuv, with
** more than 1,024 sockets to tell of, goes round them all again and again. */
enum { NOTICES_MAX = 4 };

/* A notice, again and again while there is something to read: listening on when nobody is
** interested would be a busy loop. */
static void on_readable(uv_stream_t *uv, ssize_t n, const uv_buf_t *buf) {
  (void)n;
  (void)buf;
  la_uv_stream *s = from_handle(uv->data);
  if (la_waiter_holds(&s->reading)) {
    s->notices = 0;
    la_waiter_wake(&s->reading, reactor_of(s));
  } else if (++s->notices >= NOTICES_MAX) {
    stop_listening(s);
  }
  s->handle.flags |= READABLE;
}

/* Level-triggered: what is there already is reported too. */
static void wait_readable(la_uv_stream *s, la_context *cx) {
  la_waiter_set(&s->reading, reactor_of(s), cx);
  if (s->handle.flags & LISTENING) return;
  uv_read_start(la_uv_stream_uv(s), no_buffer, on_readable);
  s->handle.flags |= LISTENING;
}

static bool would_block(int err) { return err == EAGAIN || err == EWOULDBLOCK; }

la_poll la_uv_stream_poll_take(la_uv_stream *s, la_context *cx, size_t len,
                               ssize_t (*take)(la_uv_stream *s, void *arg, size_t len), void *arg,
                               ssize_t *n) {
  if (!la_handle_is_open(&s->handle)) {
    *n = closed_error(s, READ_CUT);
    return LA_READY;
  }
  if ((s->handle.flags & READABLE) == 0) {
    wait_readable(s, cx);
    return LA_PENDING;
  }
  if (!la_budget_take(cx)) return LA_PENDING;
  s->notices = 0;
  do *n = take(s, arg, len);
  while (*n < 0 && errno == EINTR);
  if (*n < 0 && s->lost == 0 && would_block(errno)) {
    s->handle.flags &= (unsigned char)~READABLE;
    wait_readable(s, cx);
    return LA_PENDING;
  }
  /* An end or an error stays readable: whoever reads again is told again. */
  if (*n > 0 && (size_t)*n < len && s->lost == 0) s->handle.flags &= (unsigned char)~READABLE;
  if (*n < 0) *n = la_uv_stream_note_error(s, uv_translate_sys_error(errno));
  if (*n <= 0 && s->lost != 0) *n = s->lost; /* of which the system makes an end */
  la_waiter_clear(&s->reading, reactor_of(s));
  return LA_READY;
}

void la_uv_stream_look(la_uv_stream *s) {
  if (la_handle_is_open(&s->handle)) s->handle.flags |= READABLE;
}

static ssize_t receive(la_uv_stream *s, void *buf, size_t len) {
  if (s->handle.flags & PASSING) return passing(s)->receive(s, buf, len);
  return s->handle.flags & SOCKET ? la_socket_recv(s->fd, buf, len) : read(s->fd, buf, len);
}

la_poll la_uv_stream_poll_read(la_uv_stream *s, la_context *cx, char *buf, size_t len, ssize_t *n) {
  return la_uv_stream_poll_take(s, cx, len, receive, buf, n);
}

bool la_uv_stream_splices(const la_uv_stream *s) {
  return s->fd >= 0 && !(s->handle.flags & PASSING);
}

bool la_uv_stream_waits(const la_uv_stream *s) {
  return (s->handle.flags & SOCKET) && la_socket_waits(s->fd);
}

void la_uv_stream_forget_read(la_uv_stream *s) {
  la_waiter_clear(&s->reading, reactor_of(s));
  s->handle.flags &= (unsigned char)~READ_CUT;
}

static la_poll reader_fill(la_reader *rd, la_context *cx, size_t want, ssize_t *n) {
  la_uv_stream *s = from_reader(rd);
  if (la_handle_is_open(&s->handle) && (s->handle.flags & READABLE)) {
    int err = la_rbuf_grow(&rd->buf, rd->reactor, want);
    if (err != 0) {
      *n = err;
      return LA_READY;
    }
  } /* else no byte will be read now */
  la_rbuf *b = &rd->buf;
  la_poll r = la_uv_stream_poll_read(s, cx, b->data + b->end, la_rbuf_room(b), n);
  if (r == LA_READY && *n > 0) la_rbuf_added(b, (size_t)*n);
  return r;
}

/* ---- writing ----------------------------------------------------------------------*/

static void on_carried(uv_write_t *req, int status) {
  la_carry *c = la_container(req, la_carry, req);
  if (c->stream == NULL) {
    free(c);
    return;
  }
  c->written = true;
  c->status = la_uv_stream_note_error(c->stream, status);
  if (status < 0 && c->stream->lost != 0) c->status = c->stream->lost;
  la_waiter_wake(&c->stream->writing, reactor_of(c->stream));
}

static int start_carry(la_uv_stream *s, la_outgoing *out) {
  la_carry *c = malloc(sizeof *c);
  if (c == NULL) return UV_ENOMEM;
  *c = (la_carry){.stream = s, .byte = out->first(out)};
  uv_buf_t buf = uv_buf_init(&c->byte, 1);
  uv_write(&c->req, la_uv_stream_uv(s), &buf, 1, on_carried); /* of one open to be written: 0 */
  s->carry = c;
  return 0;
}

/* The carry's outcome, once it is written: 1 when the byte is the first of the write that
** goes on now, 0 when there was none or it was of one given up before, or an errno. */
static int end_carry(la_uv_stream *s) {
  la_carry *c = s->carry;
  if (c == NULL) return 0;
  int result = c->status < 0 ? c->status : !c->abandoned;
  s->carry = NULL;
  free(c);
  return result;
}

bool la_uv_stream_is_settled(const la_uv_stream *s) {
  return s->carry == NULL || ((s->handle.flags & ROOM) == 0 && s->carry->written);
}

size_t la_uv_stream_carries(const la_uv_stream *s) {
  return s->carry != NULL && (s->handle.flags & ROOM) == 0;
}

static bool must_wait(la_uv_stream *s, la_context *cx) {
  if ((s->handle.flags & ROOM) && la_future_poll(s->room, cx) == LA_READY) forget_room(s);
  if (la_uv_stream_is_settled(s)) return false;
  la_waiter_set(&s->writing, reactor_of(s), cx);
  return true;
}

/* Where libuv's own write could wait, it gets no carry. */
static int start_room(la_uv_stream *s, la_context *cx) {
  la_fd_poll *p = la_fd_poll_new(reactor_of(s), s->fd, UV_WRITABLE);
  if (p == NULL) return UV_ENOMEM;
  s->room = &p->base;
  s->handle.flags |= ROOM;
  if (la_future_poll(s->room, cx) == LA_PENDING) return 0;
  int err = p->status;
  forget_room(s);
  return err;
}

/* Waits for room; UV_ENOMEM and the like are reported. */
static la_poll wait_writable(la_uv_stream *s, la_context *cx, la_outgoing *out, ssize_t *n) {
  s->handle.flags &= (unsigned char)~FULL;
  int err = la_uv_stream_waits(s) ? start_room(s, cx) : start_carry(s, out);
  if (err != 0) {
    *n = err;
    return LA_READY;
  }
  la_waiter_set(&s->writing, reactor_of(s), cx);
  return LA_PENDING;
}

static ssize_t send_now(la_uv_stream *s, la_outgoing *out, size_t skip) {
  ssize_t n;
  do n = out->send(out, s, skip);
  while (n < 0 && errno == EINTR);
  if (n < 0)
    return would_block(errno) ? UV_EAGAIN
                              : la_uv_stream_note_error(s, uv_translate_sys_error(errno));
  return n;
}

la_poll la_uv_stream_poll_send(la_uv_stream *s, la_context *cx, la_outgoing *out, ssize_t *n) {
  if (!la_handle_is_open(&s->handle)) {
    *n = closed_error(s, WRITE_CUT);
    return LA_READY;
  }
  if (must_wait(s, cx) || !la_budget_take(cx)) return LA_PENDING;
  la_waiter_clear(&s->writing, reactor_of(s));
  int carried = end_carry(s);
  if (carried == 0 && s->untold) carried = s->lost;
  s->untold = false;
  if (carried < 0) {
    *n = carried;
    return LA_READY;
  }
  if (out->len <= (size_t)carried) { /* the byte was all there is */
    *n = carried;
    return LA_READY;
  }
  size_t left = out->len - (size_t)carried;
  if ((s->handle.flags & FULL) != 0 && carried == 0) return wait_writable(s, cx, out, n);
  ssize_t sent = send_now(s, out, (size_t)carried);
  if (sent == UV_EAGAIN && carried == 0) return wait_writable(s, cx, out, n);
  if (sent < 0 && carried > 0) { /* an error comes back at the next write */
    s->untold = sent == s->lost;
    sent = 0;
  }
  *n = sent < 0 ? sent : sent + carried;
  if (sent >= 0 && (size_t)sent < left) s->handle.flags |= FULL;
  return LA_READY;
}

/* ---- writing memory ---------------------------------------------------------------*/

typedef struct outgoing_bytes {
  la_outgoing base;
  const char *data;
} outgoing_bytes;

static ssize_t send_bytes(la_outgoing *out, la_uv_stream *s, size_t skip) {
  const char *data = ((outgoing_bytes *)(void *)out)->data + skip;
  return put(s, data, out->len - skip);
}

static char first_byte(la_outgoing *out) { return *((outgoing_bytes *)(void *)out)->data; }

la_poll la_uv_stream_poll_write(la_uv_stream *s, la_context *cx, const char *data, size_t len,
                                ssize_t *n) {
  outgoing_bytes out = {{send_bytes, first_byte, len}, data};
  return la_uv_stream_poll_send(s, cx, &out.base, n);
}

ssize_t la_uv_stream_try_write(la_uv_stream *s, const char *data, size_t len) {
  outgoing_bytes out = {{send_bytes, first_byte, len}, data};
  if (!la_handle_is_open(&s->handle)) return UV_EBADF;
  if (!la_uv_stream_is_settled(s)) return UV_EAGAIN;
  int carried = end_carry(s); /* of a write that was given up */
  if (carried >= 0 && s->untold) carried = s->lost;
  s->untold = false;
  return carried < 0 ? carried : send_now(s, &out.base, 0);
}

typedef struct outgoing_vector {
  la_outgoing base;
  const struct iovec *iov;
  size_t count;
} outgoing_vector;

/* The first byte may be all of the first block. */
static ssize_t send_vector(la_outgoing *out, la_uv_stream *s, size_t skip) {
  const outgoing_vector *v = (const outgoing_vector *)(const void *)out;
  struct iovec iov[LA_VECTOR_MAX] = {v->iov[0]};
  size_t count = v->count < LA_VECTOR_MAX ? v->count : LA_VECTOR_MAX;
  memcpy(iov, v->iov, count * sizeof *iov);
  iov[0].iov_base = (char *)iov[0].iov_base + skip;
  iov[0].iov_len -= skip;
  struct msghdr m = {.msg_iov = iov, .msg_iovlen = count};
  if (s->handle.flags & SOCKET) return la_socket_sendmsg(s->fd, &m);
  return writev(s->fd, iov, (int)count);
}

static char first_of_vector(la_outgoing *out) {
  return *(const char *)((outgoing_vector *)(void *)out)->iov->iov_base;
}

la_poll la_uv_stream_poll_writev(la_uv_stream *s, la_context *cx, const struct iovec *iov,
                                 size_t count, ssize_t *n) {
  outgoing_vector out = {{send_vector, first_of_vector, 0}, iov, count};
  for (size_t i = 0; i < count && i < LA_VECTOR_MAX; i++) out.base.len += iov[i].iov_len;
  return la_uv_stream_poll_send(s, cx, &out.base, n);
}

size_t la_uv_stream_forget_write(la_uv_stream *s) {
  la_waiter_clear(&s->writing, reactor_of(s));
  forget_room(s);
  s->handle.flags &= (unsigned char)~WRITE_CUT;
  la_carry *c = s->carry;
  if (c == NULL || c->abandoned) return 0;
  c->abandoned = true;
  return c->written && c->status < 0 ? 0 : 1;
}

la_poll la_uv_stream_poll_settled(la_uv_stream *s, la_context *cx, int *status) {
  if (!la_handle_is_open(&s->handle)) {
    *status = closed_error(s, WRITE_CUT);
    return LA_READY;
  }
  if (must_wait(s, cx) || !la_budget_take(cx)) return LA_PENDING;
  la_waiter_clear(&s->writing, reactor_of(s));
  int carried = end_carry(s);
  *status = carried < 0 ? carried : 0;
  return LA_READY;
}

la_poll la_uv_stream_poll_shutdown(la_uv_stream *s, la_context *cx, int *status) {
  if (la_uv_stream_poll_settled(s, cx, status) == LA_PENDING) return LA_PENDING;
  if (*status != 0) return LA_READY;
  if ((s->handle.flags & SOCKET) == 0)
    la_uv_stream_close(s);
  else if (shutdown(s->fd, SHUT_WR) != 0)
    *status = uv_translate_sys_error(errno);
  return LA_READY;
}
