/*
** splice.h - bytes from one stream to another through a pipe, without their coming to us:
** splice(2) of Linux.
**
** Read from: "Two new system calls: splice() and sync_file_range()", LWN 178199.
*/
#ifndef LA_STREAM_SPLICE_H
#define LA_STREAM_SPLICE_H

#include "stream/uv_stream.h"

typedef struct la_splice {
  int in, out;  /* the pipe's ends: what goes into it, what comes out of it */
  size_t held;  /* bytes in it */
  char *buffer; /* of the reactor's: where they go when nobody wants to write them any more */
  la_reactor *reactor;
  char byte;    /* that libuv was given to write (la_uv_stream_poll_send), */
  bool carried; /* and writes, */
  bool refused; /* or could not */
} la_splice;

/* A pipe. A negative errno, UV_ENOSYS where there is no such call: nothing was made. */
int la_splice_open(la_splice *p, la_reactor *r);

/* Into the pipe, which must be empty: as la_uv_stream_poll_read. UV_EINVAL: this descriptor cannot
** be spliced. */
la_poll la_splice_poll_in(la_splice *p, la_uv_stream *from, la_context *cx, size_t len, ssize_t *n);

/* Out of the pipe, which must not be empty unless a write is pending: as la_uv_stream_poll_write.
 */
la_poll la_splice_poll_out(la_splice *p, la_uv_stream *to, la_context *cx, ssize_t *n);

/* What is in the pipe goes to the front of what `rd` has, which must be nothing. Closes it. */
void la_splice_close(la_splice *p, la_reader *rd);

/* The same when that reader is gone: what is in the pipe is lost. */
void la_splice_abandon(la_splice *p);

#endif
