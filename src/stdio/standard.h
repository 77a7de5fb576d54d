/*
** standard.h - the standard streams of the process, without changing them for others.
**
** A pipe or terminal is shared with whoever started us: made non-blocking, it would be so for
** them too. So it is opened once more (/proc/self/fd on Linux), which makes an open file of our
** own. Where that cannot be done, and for regular files and devices, it is a la_file, read
** and written by the pool. A socket cannot be opened again; its calls do not wait (socket.h), so
** that it stays as it is.
*/
#ifndef LA_STDIO_STANDARD_H
#define LA_STDIO_STANDARD_H

#include "fs/file.h"
#include "stream/uv_stream.h"

typedef struct la_standard {
  la_uv_stream *stream; /* one reference to either; both NULL: the descriptor is closed */
  la_file *file; /* at the descriptor's own position; what is written is on its way at once */
  bool shared;   /* `stream` has the descriptor's own open file: a socket */
} la_standard;

/* fd is 0, 1 or 2, and stays as it is: what is opened is a duplicate, closed by its end. A
** negative errno: UV_EMFILE, UV_ENOMEM. */
int la_standard_open(la_standard *s, la_reactor *r, int fd);

/* What the old one had read and nobody taken is the new one's. */
void la_standard_inherit(la_standard *s, const la_standard *old);

void la_standard_close(la_standard *s); /* what a file has accepted is written first */
void la_standard_unref(la_standard *s);

#endif
