#include "stream/writer.h"

#include "core/list.h"

la_poll la_writer_poll(la_future *f, la_context *cx) {
  la_writer *w = la_container(f, la_writer, base);
  while (w->done < w->len) {
    ssize_t n;
    if (w->vt->poll_write(w->self, cx, w->data + w->done, w->len - w->done, &n) == LA_PENDING)
      return LA_PENDING;
    if (n < 0) {
      w->status = (int)n;
      return LA_READY;
    }
    w->done += (size_t)n;
  }
  return LA_READY;
}

void la_writer_drop(la_future *f) {
  la_writer *w = la_container(f, la_writer, base);
  if (w->done < w->len && w->status == 0) w->done += w->vt->forget_write(w->self);
}

static const la_future_vtable writer_vtable = {la_writer_poll, la_writer_drop, "write", NULL};

void la_writer_init(la_writer *w, const la_stream_vtable *vt, void *self, const char *data,
                    size_t len) {
  *w = (la_writer){.base = {&writer_vtable}, .vt = vt, .self = self, .data = data, .len = len};
}

/* ---- several blocks ---------------------------------------------------------------*/

static void taken(la_vector_writer *w, size_t n) {
  w->done += n;
  while (w->count > 0 && n >= w->iov->iov_len) {
    n -= w->iov->iov_len;
    w->iov++;
    w->count--;
  }
  if (w->count == 0) return;
  w->iov->iov_base = (char *)w->iov->iov_base + n;
  w->iov->iov_len -= n;
}

static la_poll write_some(la_vector_writer *w, la_context *cx, ssize_t *n) {
  if (w->vt->poll_writev != NULL) return w->vt->poll_writev(w->self, cx, w->iov, w->count, n);
  return w->vt->poll_write(w->self, cx, w->iov->iov_base, w->iov->iov_len, n);
}

la_poll la_vector_writer_poll(la_future *f, la_context *cx) {
  la_vector_writer *w = la_container(f, la_vector_writer, base);
  while (w->count > 0) {
    ssize_t n;
    if (write_some(w, cx, &n) == LA_PENDING) return LA_PENDING;
    if (n < 0) {
      w->status = (int)n;
      return LA_READY;
    }
    taken(w, (size_t)n);
  }
  return LA_READY;
}

void la_vector_writer_drop(la_future *f) {
  la_vector_writer *w = la_container(f, la_vector_writer, base);
  if (w->count > 0 && w->status == 0) taken(w, w->vt->forget_write(w->self));
}

static const la_future_vtable vector_vtable = {la_vector_writer_poll, la_vector_writer_drop,
                                               "write", NULL};

void la_vector_writer_init(la_vector_writer *w, const la_stream_vtable *vt, void *self,
                           struct iovec *iov, size_t count) {
  *w = (la_vector_writer){.base = {&vector_vtable},
                          .vt = vt,
                          .self = self,
                          .iov = iov,
                          .count = count};
}
