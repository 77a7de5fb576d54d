#include "stream/foreign.h"

#include <stdlib.h>

#include "driver/waiter.h"

struct la_foreign {
  la_resource resource;
  la_reader reader;
  la_stream stream;
  la_reactor *reactor; /* a reference */
  la_waiter reading, writing;
  bool closed, read_cut, write_cut; /* closed while a read, a write was pending */
};

static la_foreign *from_reader(la_reader *rd) { return la_container(rd, la_foreign, reader); }

const char *la_foreign_name(const la_foreign *f) { return f->stream.vt->name; }

/* ---- open and closed --------------------------------------------------------------*/

static void close_it(void *self) {
  la_foreign *f = self;
  if (f->closed) return;
  f->closed = true;
  if (la_node_linked(&f->resource.node)) la_node_unlink(&f->resource.node);
  f->read_cut = la_waiter_holds(&f->reading);
  f->write_cut = la_waiter_holds(&f->writing);
  if (f->read_cut) la_stream_forget_read(f->stream);
  if (f->write_cut) la_stream_forget_write(f->stream);
  la_stream_close(f->stream);
  la_waiter_wake(&f->reading, f->reactor);
  la_waiter_wake(&f->writing, f->reactor);
}

static void end(la_resource *resource) { close_it(la_container(resource, la_foreign, resource)); }

static void drop(void *self) {
  la_foreign *f = self;
  close_it(f);
  la_waiter_clear(&f->reading, f->reactor);
  la_waiter_clear(&f->writing, f->reactor);
  la_stream_drop(f->stream);
  la_reader_clear(&f->reader);
  la_reactor_unref(f->reactor);
  free(f);
}

static bool is_open(const void *self) { return !((const la_foreign *)self)->closed; }

/* The errno of an operation on one that is closed; `cut` is forgotten by that. */
static int closed_error(bool *cut) {
  int error = *cut ? UV_ECANCELED : UV_EBADF;
  *cut = false;
  return error;
}

/* ---- reading ----------------------------------------------------------------------*/

static la_poll poll_read(void *self, la_context *cx, char *buf, size_t len, ssize_t *n) {
  la_foreign *f = self;
  if (f->closed) {
    *n = closed_error(&f->read_cut);
    return LA_READY;
  }
  la_poll r = la_stream_poll_read(f->stream, cx, buf, len, n);
  if (r == LA_PENDING)
    la_waiter_set(&f->reading, f->reactor, cx);
  else
    la_waiter_clear(&f->reading, f->reactor);
  return r;
}

static void forget_read(void *self) {
  la_foreign *f = self;
  f->read_cut = false;
  if (!la_waiter_holds(&f->reading)) return;
  la_waiter_clear(&f->reading, f->reactor);
  if (!f->closed) la_stream_forget_read(f->stream);
}

static la_poll fill(la_reader *rd, la_context *cx, size_t want, ssize_t *n) {
  la_foreign *f = from_reader(rd);
  la_rbuf *b = &rd->buf;
  int err = f->closed ? 0 : la_rbuf_grow(b, f->reactor, want);
  if (err != 0) {
    *n = err;
    return LA_READY;
  }
  la_poll r = poll_read(f, cx, b->data + b->end, la_rbuf_room(b), n);
  if (r == LA_READY && *n > 0) la_rbuf_added(b, (size_t)*n);
  return r;
}

static void forget_fill(la_reader *rd) { forget_read(from_reader(rd)); }

static const la_future_vtable reader_vtable = LA_READER_VTABLE("read");
static const la_source source = {fill, forget_fill, &reader_vtable};

static la_reader *reader(void *self) { return &((la_foreign *)self)->reader; }

/* What the reader has comes first. */
static la_poll read_some(void *self, la_context *cx, char *buf, size_t len, ssize_t *n) {
  la_foreign *f = self;
  bool through = f->reader.under_way || la_rbuf_len(&f->reader.buf) > 0;
  return through ? la_reader_poll_read(&f->reader, cx, buf, len, n) : poll_read(f, cx, buf, len, n);
}

static void forget_some(void *self) {
  la_foreign *f = self;
  if (f->reader.under_way)
    la_future_drop(&f->reader.base);
  else
    forget_read(f);
}

/* ---- writing ----------------------------------------------------------------------*/

/* A write that accepts nothing would be tried for ever. */
static la_poll written(la_poll r, ssize_t *n) {
  if (r == LA_READY && *n == 0) *n = UV_EIO;
  return r;
}

static la_poll waited(la_foreign *f, la_context *cx, la_poll r) {
  if (r == LA_PENDING)
    la_waiter_set(&f->writing, f->reactor, cx);
  else
    la_waiter_clear(&f->writing, f->reactor);
  return r;
}

static la_poll poll_write(void *self, la_context *cx, const char *data, size_t len, ssize_t *n) {
  la_foreign *f = self;
  if (!f->closed)
    return written(waited(f, cx, la_stream_poll_write(f->stream, cx, data, len, n)), n);
  *n = closed_error(&f->write_cut);
  return LA_READY;
}

static la_poll poll_writev(void *self, la_context *cx, const struct iovec *iov, size_t count,
                           ssize_t *n) {
  la_foreign *f = self;
  if (f->closed || f->stream.vt->poll_writev == NULL)
    return poll_write(self, cx, iov->iov_base, iov->iov_len, n);
  return written(waited(f, cx, f->stream.vt->poll_writev(f->stream.self, cx, iov, count, n)), n);
}

static size_t forget_write(void *self) {
  la_foreign *f = self;
  f->write_cut = false;
  if (!la_waiter_holds(&f->writing)) return 0;
  la_waiter_clear(&f->writing, f->reactor);
  return f->closed ? 0 : la_stream_forget_write(f->stream);
}

static la_poll flush(void *self, la_context *cx, int *status) {
  la_foreign *f = self;
  if (!f->closed) return waited(f, cx, la_stream_poll_flush(f->stream, cx, status));
  *status = closed_error(&f->write_cut);
  return LA_READY;
}

static la_poll shut_down(void *self, la_context *cx, int *status) {
  la_foreign *f = self;
  if (!f->closed) return waited(f, cx, la_stream_poll_shutdown(f->stream, cx, status));
  *status = closed_error(&f->write_cut);
  return LA_READY;
}

static int descriptor(const void *self) {
  const la_foreign *f = self;
  return !f->closed && f->stream.vt->fd != NULL ? f->stream.vt->fd(f->stream.self) : -1;
}

/* -------------------------------------------------------------------------------------*/

static const la_stream_vtable vtable = {.size = sizeof(la_stream_vtable),
                                        .name = "Stream",
                                        .poll_read = read_some,
                                        .forget_read = forget_some,
                                        .poll_write = poll_write,
                                        .forget_write = forget_write,
                                        .poll_flush = flush,
                                        .poll_shutdown = shut_down,
                                        .close = close_it,
                                        .drop = drop,
                                        .fd = descriptor,
                                        .poll_writev = poll_writev};

const la_stream_class la_foreign_class = {.vt = &vtable, .reader = reader, .is_open = is_open};

la_foreign *la_foreign_new(la_reactor *r, la_stream s) {
  la_foreign *f = calloc(1, sizeof *f);
  if (f == NULL) return NULL;
  f->stream = s;
  f->reactor = r;
  f->resource = (la_resource){.end = end, .name = "open stream"};
  la_reactor_ref(r);
  la_list_push(&r->resources, &f->resource.node);
  la_reader_init(&f->reader, r, &source);
  return f;
}
