/*
** stream.h - what the runtime knows of a stream of any kind: its functions (lua_async.h), the
** reader in it, and what can be had of it beside bytes.
**
** Connections, pipes, files and the streams of other modules are each a class of these. `self` is
** the la_uv_stream, the la_file, the la_foreign. Owner thread.
*/
#ifndef LA_STREAM_STREAM_H
#define LA_STREAM_STREAM_H

#include "core/export.h"
#include "stream/reader.h"
#include "stream/uv_stream.h"

/* A way for bytes to go from one stream to another of the same kind without coming to us. */
typedef struct la_range la_range;
typedef struct la_range_kind {
  /* NULL: no memory. Both streams outlive it. */
  la_range *(*open)(void *from, void *to);
  /* Moves up to `limit` bytes: *n of them; 0: it cannot go on, so do it by hand; or a negative
  ** errno. */
  la_poll (*poll)(la_range *range, la_context *cx, uint64_t limit, ssize_t *n);
  /* In any state. What is under way ends by itself. */
  void (*drop)(la_range *range);
} la_range_kind;

typedef struct la_stream_class {
  const la_stream_vtable *vt; /* its poll_read gives out what the reader has first */
  la_reader *(*reader)(void *self);
  bool (*is_open)(const void *self);

  bool one_position; /* reads and writes move the same one: it cannot be copied to itself */

  /* All below may be NULL. */

  /* The libuv stream that it is, whose bytes the kernel can move: splice, a child's descriptor. */
  la_uv_stream *(*uv)(void *self);
  const la_range_kind *range;

  /* For a read that is not to wait: it looks whether something is there, though nothing said so. */
  void (*look)(void *self);
  /* Writes what is taken at once: how many bytes, UV_EAGAIN for none, or another negative errno. */
  ssize_t (*try_write)(void *self, const char *data, size_t len);

  /* Room for bytes that are written by being put there (NULL: it is to be asked to write), and how
  ** many were put there. */
  char *(*room)(void *self, size_t *size);
  void (*wrote)(void *self, size_t n);
} la_stream_class;

/* For poll_read of one that is read through its reader alone. */
LA_PART la_poll la_reader_poll_read(la_reader *rd, la_context *cx, char *buf, size_t len,
                                    ssize_t *n);

/* `self` is a la_uv_stream. */
extern LA_PART const la_stream_class la_uv_stream_class;

#endif
