/*
** copy.h - bytes from any reader to any sink, as a future, without a buffer of its own: they
** lie in the reader's until they are written (la_reader_hold), so that one that is dropped loses
** none. From stream to stream large pieces are spliced (splice.h), and from file to file the
** system copies.
*/
#ifndef LA_STREAM_COPY_H
#define LA_STREAM_COPY_H

#include "fs/file.h"
#include "stream/splice.h"

typedef struct la_copy {
  la_future base;
  la_reader *from;
  const la_sink *sink;
  void *to;                   /* the sink's */
  la_stream *source, *target; /* both ends, when both are streams; else NULL */
  la_splice pipe;
  la_file *source_file, *target_file; /* the same, when both are files */
  la_file_op op;                      /* theirs, while `ranging` */
  uint64_t limit, done;
  size_t last;         /* bytes of the last piece */
  int status;          /* once ready: 0 or a negative errno */
  bool failed_reading; /* whose errno it is */
  bool reading;        /* the reader has begun a piece */
  bool writing;        /* a piece is there, and not all written */
  bool spliced;        /* it is in the pipe, not the reader's span */
  bool piped;          /* `pipe` is open */
  bool no_pipe;        /* there is none to be had */
  bool ranging;        /* `op` is under way */
  bool settled;        /* the source file was idle: the next `op` copies a piece */
  bool no_range;       /* the system does not copy between these files, or not any more */
} la_copy;

/* Until the end, or `limit` bytes. The reader and the sink are the caller's, and nobody else may
** read or write there. It may be anywhere that does not move; a drop frees nothing of the
** caller's and gives up what is pending: `done` then counts the bytes that are out of
** our hands, and the reader has the others. */
void la_copy_init(la_copy *c, la_reader *from, const la_sink *sink, void *to, uint64_t limit);

/* Instead of a drop, when one of the ends is gone already: touches neither. */
void la_copy_abandon(la_copy *c);

/* The same from stream to stream. */
void la_copy_init_streams(la_copy *c, la_stream *from, la_stream *to, uint64_t limit);

/* The same from file to file. What the target has accepted before is written first. */
void la_copy_init_files(la_copy *c, la_file *from, la_file *to, uint64_t limit);

#endif
