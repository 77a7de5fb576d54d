/*
** copy.h - bytes from any stream to any other, as a future, without a buffer of its own: they
** lie in the reader's until they are written (la_reader_hold), so that one that is dropped loses
** none. From stream to stream large pieces are spliced (splice.h), and where both ends know a way
** of the system's own (la_range_kind), as files do, that is taken.
*/
#ifndef LA_STREAM_COPY_H
#define LA_STREAM_COPY_H

#include "core/export.h"
#include "stream/splice.h"
#include "stream/stream.h"

typedef struct la_copy {
  la_future base;
  la_reader *from;
  const la_stream_vtable *vt;    /* of the target */
  void *to;                      /* the target */
  la_uv_stream *source, *target; /* both ends, when both are libuv's; else NULL */
  la_splice pipe;
  const la_range_kind *range_kind; /* that both ends have, and that still serves; else NULL */
  la_range *range;                 /* once it is open */
  void *range_from;
  uint64_t limit, done;
  size_t last;         /* bytes of the last piece */
  int status;          /* once ready: 0 or a negative errno */
  bool failed_reading; /* whose errno it is */
  bool reading;        /* the reader has begun a piece */
  bool writing;        /* a piece is there, and not all written */
  bool spliced;        /* it is in the pipe, not the reader's span */
  bool piped;          /* `pipe` is open */
  bool no_pipe;        /* there is none to be had */
} la_copy;

/* Until the end, or `limit` bytes. The streams are the caller's, and nobody else may
** read the one or write to the other. It may be anywhere that does not move; a drop frees nothing
** of the caller's and gives up what is pending: `done` then counts the bytes that are out of our
** hands, and the reader has the others. What the target has accepted before is written first.
*/
LA_PART void la_copy_init(la_copy *c, const la_stream_class *source, void *from,
                          const la_stream_class *target, void *to, uint64_t limit);

/* Instead of a drop, when one of the ends is gone already: touches neither. */
LA_PART void la_copy_abandon(la_copy *c);

#endif
