#include "stream/stream.h"

#include <string.h>

la_poll la_reader_poll_read(la_reader *rd, la_context *cx, char *buf, size_t len, ssize_t *n) {
  if (!rd->under_way) la_reader_some(rd, len);
  if (la_future_poll(&rd->base, cx) == LA_PENDING) return LA_PENDING;
  size_t got;
  const char *bytes = la_reader_span(rd, &got);
  *n = rd->status == UV_EOF ? 0 : rd->status;
  if (rd->status != 0) return LA_READY;
  if (got > len) got = len; /* the one before it, which was given up, had asked for more */
  memcpy(buf, bytes, got);
  la_reader_take_some(rd, got);
  *n = (ssize_t)got;
  return LA_READY;
}

/* ---- libuv's ----------------------------------------------------------------------*/

static la_poll uv_read(void *self, la_context *cx, char *buf, size_t len, ssize_t *n) {
  la_uv_stream *s = self;
  size_t there = la_rbuf_len(&s->reader.buf);
  if (there == 0) return la_uv_stream_poll_read(s, cx, buf, len, n);
  if (!la_budget_take(cx)) return LA_PENDING;
  if (len > there) len = there;
  memcpy(buf, la_rbuf_bytes(&s->reader.buf), len);
  la_reader_taken(&s->reader, len);
  *n = (ssize_t)len;
  return LA_READY;
}

static void uv_forget_read(void *self) { la_uv_stream_forget_read(self); }

static la_poll uv_write_some(void *self, la_context *cx, const char *data, size_t len, ssize_t *n) {
  return la_uv_stream_poll_write(self, cx, data, len, n);
}

static la_poll uv_writev(void *self, la_context *cx, const struct iovec *iov, size_t count,
                         ssize_t *n) {
  return la_uv_stream_poll_writev(self, cx, iov, count, n);
}

static size_t uv_forget_write(void *self) { return la_uv_stream_forget_write(self); }

static la_poll uv_flush(void *self, la_context *cx, int *status) {
  return la_uv_stream_poll_settled(self, cx, status);
}

static la_poll uv_shut_down(void *self, la_context *cx, int *status) {
  return la_uv_stream_poll_shutdown(self, cx, status);
}

static void uv_end(void *self) { la_uv_stream_close(self); }

static void uv_drop(void *self) {
  la_uv_stream_close(self);
  la_uv_stream_unref(self);
}

static int uv_fd(const void *self) { return ((const la_uv_stream *)self)->fd; }

static const la_stream_vtable uv_vtable = {sizeof(la_stream_vtable),
                                           "UVStream",
                                           uv_read,
                                           uv_forget_read,
                                           uv_write_some,
                                           uv_forget_write,
                                           uv_flush,
                                           uv_shut_down,
                                           uv_end,
                                           uv_drop,
                                           uv_fd,
                                           uv_writev};

static la_reader *uv_reader(void *self) { return &((la_uv_stream *)self)->reader; }
static bool uv_is_open(const void *self) {
  return la_handle_is_open(&((const la_uv_stream *)self)->handle);
}
static la_uv_stream *uv_itself(void *self) { return self; }
static void uv_look(void *self) { la_uv_stream_look(self); }
static ssize_t uv_try_write_some(void *self, const char *data, size_t len) {
  return la_uv_stream_try_write(self, data, len);
}

const la_stream_class la_uv_stream_class = {.vt = &uv_vtable,
                                            .reader = uv_reader,
                                            .is_open = uv_is_open,
                                            .uv = uv_itself,
                                            .look = uv_look,
                                            .try_write = uv_try_write_some};
