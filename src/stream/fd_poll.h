/*
** fd_poll.h - waiting until a descriptor can be read or written: one of another library,
** which goes on doing its own input and output.
**
** Any number may wait for one descriptor. On Linux waiting does not hold it open: closed meanwhile,
** its peer sees that. An object of this runtime that is closed ends the wait with UV_ECANCELED; of
** a descriptor that somebody else closes, who waits is not told (when the open file lives on with
** others and something comes: UV_EBADF). Elsewhere a duplicate is watched. Its flags stay as they
** are. Level-triggered: what is ready already is ready at the first look. A regular file always is.
*/
#ifndef LA_STREAM_FD_POLL_H
#define LA_STREAM_FD_POLL_H

#include "driver/handle.h"

typedef struct la_fd_poll {
  la_future base;
  int events; /* once ready: UV_READABLE | UV_WRITABLE, those of the wanted ones that are; an error
                 or a hang-up is all of them */
  int status; /* once ready: 0 or a negative errno, UV_EBADF, UV_EMFILE */
} la_fd_poll;

/* `events`: UV_READABLE, UV_WRITABLE or both. NULL: no memory. The future owns itself: its drop
** ends the watch. */
la_fd_poll *la_fd_poll_new(la_reactor *r, int fd, int events);

#endif
