#include "fs/file_stream.h"

#include <stdlib.h>

#include "core/future.h"
#include "fs/file_job.h"

void la_file_close_behind(la_file *f) {
  unsigned budget = 1;
  la_context cx = {&la_waker_noop, &budget};
  la_file_op op;
  la_file_op_init(&op, f, LA_FILE_CLOSE);
  la_future_poll(&op.base, &cx);
  la_future_drop(&op.base);
}

static la_poll read_some(void *self, la_context *cx, char *buf, size_t len, ssize_t *n) {
  return la_reader_poll_read(la_file_reader(self), cx, buf, len, n);
}

static void forget_read(void *self) { la_future_drop(&la_file_reader(self)->base); }

/* The place of a flush among those that wait for the file is kept by the file. */
static void forget_flush(la_file *f) {
  if (f->flush == NULL) return;
  la_future_drop(&f->flush->base);
  free(f->flush);
  f->flush = NULL;
}

static la_poll flush(void *self, la_context *cx, int *status) {
  la_file *f = self;
  *status = UV_ENOMEM;
  if (f->flush == NULL) {
    if ((f->flush = malloc(sizeof *f->flush)) == NULL) return LA_READY;
    la_file_op_init(f->flush, f, LA_FILE_FLUSH);
  }
  if (la_future_poll(&f->flush->base, cx) == LA_PENDING) return LA_PENDING;
  *status = f->flush->status;
  forget_flush(f);
  return LA_READY;
}

static size_t forget_write(void *self) {
  forget_flush(self);
  return la_file_forget_write(self);
}

static void end(void *self) { la_file_close_behind(self); }

static void drop(void *self) {
  forget_flush(self);
  la_file_unref(self);
}

static int descriptor(const void *self) {
  int fd = la_file_fd(self);
  return fd >= 0 ? fd : -1;
}

/* A file has no halves: that no more is written means that all is. */
static const la_stream_vtable vtable = {.size = sizeof(la_stream_vtable),
                                        .name = "File",
                                        .poll_read = read_some,
                                        .forget_read = forget_read,
                                        .poll_write = la_file_poll_write,
                                        .forget_write = forget_write,
                                        .poll_flush = flush,
                                        .poll_shutdown = flush,
                                        .close = end,
                                        .drop = drop,
                                        .fd = descriptor};

static la_reader *reader(void *self) { return la_file_reader(self); }
static bool is_open(const void *self) { return la_file_is_open(self); }

const la_stream_class la_file_class = {.vt = &vtable,
                                       .reader = reader,
                                       .is_open = is_open,
                                       .one_position = true,
                                       .range = &la_file_range,
                                       .room = la_file_room,
                                       .wrote = la_file_wrote};

const la_stream_class la_file_standard_class = {.vt = &vtable,
                                                .reader = reader,
                                                .is_open = is_open,
                                                .one_position = true};
