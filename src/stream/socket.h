/*
** socket.h - calls on sockets that never wait, whatever O_NONBLOCK says.
**
** O_NONBLOCK belongs to the open file, which may be shared: with the process that started us, or
** with a child, in which libuv turns it off for descriptors 0 to 2. So it is neither relied on
** nor, for what was inherited, changed.
*/
#ifndef LA_STREAM_SOCKET_H
#define LA_STREAM_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>

/* As the calls of these names: -1 and errno, EAGAIN instead of waiting; no SIGPIPE; descriptors
** that arrive are CLOEXEC. */
ssize_t la_socket_recv(int fd, void *buf, size_t len);
ssize_t la_socket_recvmsg(int fd, struct msghdr *m);
ssize_t la_socket_send(int fd, const void *data, size_t len);
ssize_t la_socket_sendmsg(int fd, const struct msghdr *m);

/* A connection, non-blocking and CLOEXEC; a negative errno. accept(2) has no flag for this call
** alone: while O_NONBLOCK is off, it is put on for as long as the call takes, and only when a
** connection is there. */
int la_socket_accept(int fd);

/* Plain calls on it wait: O_NONBLOCK is off. */
bool la_socket_waits(int fd);

/* Makes `own`, which is closed by that, a CLOEXEC duplicate of fd. 0 or a negative errno. */
int la_socket_replace(int own, int fd);

/* `err`, a negative errno of a read or write, is the end of the connection. The system tells it
** once; later it says "end" to who reads, and EPIPE to who writes. */
bool la_socket_is_lost(int err);

#endif
