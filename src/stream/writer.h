/*
** writer.h - writing all of a block of memory, or of several, to any stream, as a future.
**
** It lives wherever its maker puts it; a drop gives up the write and frees nothing.
** `done` tells, at any time, how many bytes have been sent for good: after a failure
** and, once dropped, after a cancellation.
*/
#ifndef LA_STREAM_WRITER_H
#define LA_STREAM_WRITER_H

#include <sys/types.h>
#include <sys/uio.h>

#include "core/export.h"
#include "lua_async.h"

/* Of so many blocks at most poll_writev takes notice. */
enum { LA_VECTOR_MAX = 64 };

typedef struct la_writer {
  la_future base;
  const la_stream_vtable *vt;
  void *self; /* the stream; the caller keeps it alive */
  const char *data;
  size_t len, done;
  int status; /* once ready: 0 or a negative errno */
} la_writer;

/* `data` is not copied and must live until the future is ready or dropped. */
LA_PART void la_writer_init(la_writer *w, const la_stream_vtable *vt, void *self, const char *data,
                            size_t len);

/* The future's own poll and drop, for a vtable that adds to them. */
LA_PART la_poll la_writer_poll(la_future *f, la_context *cx);
LA_PART void la_writer_drop(la_future *f);

/* Several blocks: no copy is made to join them. */
typedef struct la_vector_writer {
  la_future base;
  const la_stream_vtable *vt;
  void *self;
  struct iovec *iov; /* the caller's; what is done is taken off its front */
  size_t count, done;
  int status;
} la_vector_writer;

/* Neither `iov`, which may not have empty blocks, nor what it points to is copied. */
LA_PART void la_vector_writer_init(la_vector_writer *w, const la_stream_vtable *vt, void *self,
                                   struct iovec *iov, size_t count);
LA_PART la_poll la_vector_writer_poll(la_future *f, la_context *cx);
LA_PART void la_vector_writer_drop(la_future *f);

#endif
