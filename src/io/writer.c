#include "io/writer.h"

#include "core/list.h"

la_poll la_writer_poll(la_future *f, la_context *cx) {
  la_writer *w = la_container(f, la_writer, base);
  while (w->done < w->len) {
    ssize_t n;
    if (w->sink->write(w->self, cx, w->data + w->done, w->len - w->done, &n) == LA_PENDING)
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
  if (w->done < w->len && w->status == 0) w->done += w->sink->forget(w->self);
}

static const la_future_vtable writer_vtable = {la_writer_poll, la_writer_drop, "write", NULL};

void la_writer_init(la_writer *w, const la_sink *sink, void *self, const char *data, size_t len) {
  *w = (la_writer){.base = {&writer_vtable}, .sink = sink, .self = self, .data = data, .len = len};
}
