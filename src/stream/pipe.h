/* pipe.h - streams of pipes, FIFOs and terminals: whatever can be watched and is no socket. */
#ifndef LA_STREAM_PIPE_H
#define LA_STREAM_PIPE_H

#include "stream/uv_stream.h"

/* Descriptors: either end of a pipe, or a terminal; CLOEXEC. They are made non-blocking, for
** everybody who has the same open file (see la_standard_open). */
extern const la_uv_stream_kind la_pipe_kind;

/* A new pipe, fd[0] to read, fd[1] to write, blocking and CLOEXEC; a negative errno. */
int la_pipe_make(int fd[2]);

#endif
