/*
** output.h - a child process and all that goes in and comes out, as one future.
**
** It feeds its stdin and collects its stdout and stderr, all at once, and is ready when the
** child has ended and what it wrote has come to its end: with a process of the child's own
** that goes on and has them still, that is later.
*/
#ifndef LA_PROCESS_OUTPUT_H
#define LA_PROCESS_OUTPUT_H

#include "process/process.h"
#include "stream/uv_stream.h"

typedef struct la_collected {
  la_uv_stream *stream; /* NULL: none, or at its end */
  char *data;           /* malloced */
  size_t len, size;
} la_collected;

typedef struct la_output {
  la_future base;
  la_process *process; /* a reference */
  la_uv_stream *in;    /* NULL: none, or all was written */
  const char *input;   /* the caller's, until the drop */
  size_t left;
  size_t max; /* of each of the two: more is UV_EFBIG */
  la_collected out[2];
  la_process_wait wait;
  bool waiting; /* `wait` is there: it has not been ready */
  int status;   /* once ready: 0, or a negative errno (then the child was killed) */
} la_output;

/* Takes over the references to the process and the streams (each may be NULL). The drop frees it,
** and kills the child unless that has ended. NULL: no memory; nothing was taken. */
la_output *la_output_new(size_t max);
void la_output_begin(la_output *o, la_process *p, la_uv_stream *const streams[3], const char *input,
                     size_t len);

#endif
