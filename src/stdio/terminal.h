/*
** terminal.h - the size of a terminal, and its raw mode.
**
** A terminal outlives us: the mode it was found in is restored when the loop that made it
** raw ends, and when the process exits (not when a signal kills it). One terminal at a time;
** one thread.
*/
#ifndef LA_STDIO_TERMINAL_H
#define LA_STDIO_TERMINAL_H

#include "driver/reactor.h"

/* A negative errno: UV_ENOTTY. */
int la_terminal_size(int fd, int *columns, int *rows);

/* No echo, no line editing, no signals from keys: each byte as it is typed (cfmakeraw). Output is
** processed as before. Again, it sets the mode again, which others may have changed; what is
** restored is still that of the first time. UV_ENOTTY; UV_EBUSY: another terminal is raw. */
int la_terminal_raw(la_reactor *r, int fd);

/* As it was found. Nothing when it is not raw; or, in the background, when somebody else has
** changed the mode: it is theirs then. A process in the background is not stopped by this. */
int la_terminal_restore(void);

#endif
