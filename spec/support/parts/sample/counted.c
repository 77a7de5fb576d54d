#include "counted.h"

#include <stdlib.h>

struct counted {
  la_reader reader;
  la_stream inner;
  la_reactor *reactor; /* a reference */
  uint64_t read, written;
  bool closed;
};

static counted *from_reader(la_reader *rd) { return la_container(rd, counted, reader); }

uint64_t counted_read(const counted *c) { return c->read; }
uint64_t counted_written(const counted *c) { return c->written; }

/* ---- reading: bytes come into the reader, and out of it ------------------------------*/

static la_poll fill(la_reader *rd, la_context *cx, size_t want, ssize_t *n) {
  counted *c = from_reader(rd);
  *n = la_rbuf_grow(&rd->buf, c->reactor, want);
  if (*n < 0) return LA_READY;
  char *to = rd->buf.data + rd->buf.end;
  if (la_stream_poll_read(c->inner, cx, to, la_rbuf_room(&rd->buf), n) == LA_PENDING)
    return LA_PENDING;
  if (*n > 0) la_rbuf_added(&rd->buf, (size_t)*n);
  if (*n > 0) c->read += (uint64_t)*n;
  return LA_READY;
}

static void forget_fill(la_reader *rd) { la_stream_forget_read(from_reader(rd)->inner); }

static const la_future_vtable reader_vtable = LA_READER_VTABLE("read");
static const la_source source = {fill, forget_fill, &reader_vtable};

static la_poll poll_read(void *self, la_context *cx, char *buf, size_t len, ssize_t *n) {
  return la_reader_poll_read(&((counted *)self)->reader, cx, buf, len, n);
}

static void forget_read(void *self) { la_future_drop(&((counted *)self)->reader.base); }

/* ---- writing -------------------------------------------------------------------------*/

static la_poll poll_write(void *self, la_context *cx, const char *data, size_t len, ssize_t *n) {
  counted *c = self;
  if (la_stream_poll_write(c->inner, cx, data, len, n) == LA_PENDING) return LA_PENDING;
  if (*n > 0) c->written += (uint64_t)*n;
  return LA_READY;
}

static size_t forget_write(void *self) {
  counted *c = self;
  size_t n = la_stream_forget_write(c->inner);
  c->written += n;
  return n;
}

static la_poll flush(void *self, la_context *cx, int *status) {
  return la_stream_poll_flush(((counted *)self)->inner, cx, status);
}

static la_poll shut_down(void *self, la_context *cx, int *status) {
  return la_stream_poll_shutdown(((counted *)self)->inner, cx, status);
}

/* ---- its end -------------------------------------------------------------------------*/

/* Who waits is told by the stream beneath. */
static void close_it(void *self) {
  counted *c = self;
  c->closed = true;
  la_stream_close(c->inner);
}

static void drop(void *self) {
  counted *c = self;
  la_stream_drop(c->inner);
  la_reader_clear(&c->reader);
  la_reactor_unref(c->reactor);
  free(c);
}

static la_reader *reader(void *self) { return &((counted *)self)->reader; }
static bool is_open(const void *self) { return !((const counted *)self)->closed; }

static int descriptor(const void *self) {
  const counted *c = self;
  return c->inner.vt->fd != NULL ? c->inner.vt->fd(c->inner.self) : -1;
}

static const la_stream_vtable vtable = {.size = sizeof(la_stream_vtable),
                                        .name = "Counted",
                                        .poll_read = poll_read,
                                        .forget_read = forget_read,
                                        .poll_write = poll_write,
                                        .forget_write = forget_write,
                                        .poll_flush = flush,
                                        .poll_shutdown = shut_down,
                                        .close = close_it,
                                        .drop = drop,
                                        .fd = descriptor};

const la_stream_class counted_class = {.vt = &vtable, .reader = reader, .is_open = is_open};

counted *counted_new(la_reactor *r, la_stream inner) {
  counted *c = calloc(1, sizeof *c);
  if (c == NULL) return NULL;
  c->inner = inner;
  c->reactor = r;
  la_reactor_ref(r);
  la_reader_init(&c->reader, r, &source);
  return c;
}
