/*
** uv_stream.h - connected byte streams (TCP, Unix sockets, pipes, terminals): readiness from
** libuv, bytes by us.
**
** libuv's read callbacks are used as readiness notices only: its alloc callback gets no
** buffer, so it reports UV_ENOBUFS and reads nothing. The bytes are read and written by
** our own calls, when they are asked for, straight from and to the caller's memory. So
** nothing is buffered without being asked for, an unread socket pushes back on its peer,
** and a request on a busy connection costs no epoll_ctl.
**
** One reader and one writer may be pending at once, not more: the caller sees to it.
**
** An error that ends a connection (ECONNRESET, ETIMEDOUT, …) is remembered, whichever direction met
** it: reads get what had arrived and then that error, each time, and so does a write that was under
** way; later writes get the system's EPIPE. That is no such error: the peer may have ended its
** half, and its bytes can still be read.
**
** A la_uv_stream is the beginning of a struct; its uv_tcp_t or uv_pipe_t stands right behind.
*/
#ifndef LA_STREAM_UV_STREAM_H
#define LA_STREAM_UV_STREAM_H

#include "core/export.h"
#include "driver/handle.h"
#include "driver/waiter.h"
#include "stream/reader.h"
#include "stream/writer.h"

typedef struct la_carry la_carry;

typedef struct la_uv_stream {
  la_handle handle; /* its flags: see uv_stream.c */
  la_waiter reading, writing;
  /* What a write waits for, NULL: nothing. */
  union {
    la_carry *carry; /* a byte that libuv is writing; see la_uv_stream_poll_write */
    la_future *room; /* where the open file is a blocking one (socket.h) */
  };
  int fd;                /* -1 unless open */
  short lost;            /* the errno that ended the connection, or 0 */
  bool untold;           /* the write that met it could not tell: the next one does */
  unsigned char notices; /* of something to read, since the last read, while nobody waited */
  la_reader reader;
} la_uv_stream;

static inline uv_stream_t *la_uv_stream_uv(la_uv_stream *s) {
  return (uv_stream_t *)(void *)(s + 1);
}

/* What kind of descriptor it is, which says how its bytes are moved. */
typedef enum la_uv_stream_fd {
  LA_STREAM_PLAIN,  /* a pipe or a terminal: read and write */
  LA_STREAM_SOCKET, /* its writes never raise SIGPIPE, whatever its handler */
  LA_STREAM_PASSING /* a socket whose reads may bring more than bytes: see la_uv_stream_passing */
} la_uv_stream_fd;

/* Of such a stream, a pointer to these stands right behind its uv_pipe_t. */
typedef struct la_uv_stream_passing {
  ssize_t (*receive)(la_uv_stream *s, char *buf, size_t len); /* read(2): -1 and errno */
  void (*forget)(la_uv_stream *s); /* the stream closes: lets go of what nobody has taken */
} la_uv_stream_passing;

/* How to make streams of one kind out of descriptors. */
typedef struct la_uv_stream_kind {
  /* A stream that is open for no descriptor yet; NULL: no memory. */
  la_uv_stream *(*make)(la_reactor *r);
  /* Gives it its descriptor, which is made non-blocking and which it owns. On a negative errno
  ** (UV_ENOMEM) that is still the caller's. */
  int (*open)(la_uv_stream *s, int fd);
} la_uv_stream_kind;

/* For `make`: a closed stream, `size` bytes behind it (zeroed), one reference, freed with
** free(). NULL: no memory. */
LA_PART la_uv_stream *la_uv_stream_new(la_reactor *r, size_t size);

/* For `open`: initialises the uv handle, which cannot fail, opens it for fd, and marks the
** stream open. UV_ECANCELED when the loop has gone. */
LA_PART int la_uv_stream_open(la_uv_stream *s, int fd, la_uv_stream_fd kind,
                              void (*init)(uv_loop_t *loop, uv_stream_t *uv),
                              int (*open)(uv_stream_t *uv, int fd));

/* At most len (> 0) bytes: *n > 0 of them, 0 at the end of the stream, or a negative errno:
** UV_ECANCELED when the stream was closed under a pending read, UV_EBADF when it was
** closed before. LA_PENDING: no byte was touched. */
LA_PART la_poll la_uv_stream_poll_read(la_uv_stream *s, la_context *cx, char *buf, size_t len,
                                       ssize_t *n);

/* The same, by another system call: `take(s, arg, len)` does what read(2) does with its bytes and
** returns what that would, -1 and errno for a failure. */
LA_PART la_poll la_uv_stream_poll_take(la_uv_stream *s, la_context *cx, size_t len,
                                       ssize_t (*take)(la_uv_stream *s, void *arg, size_t len),
                                       void *arg, ssize_t *n);

/* Gives up a pending read. */
LA_PART void la_uv_stream_forget_read(la_uv_stream *s);

/* At most len (> 0) bytes: *n > 0 of them were accepted by the system, or a negative errno,
** as above. As libuv tells of writability only through uv_write, a write that must wait
** hands it one byte to write, the first of `data` (the carry); it counts in *n once it is
** written. Therefore: after LA_PENDING call again with data that begins with the same
** bytes, or la_uv_stream_forget_write. The file descriptor's own buffer is the high-water
** mark. */
LA_PART la_poll la_uv_stream_poll_write(la_uv_stream *s, la_context *cx, const char *data,
                                        size_t len, ssize_t *n);

/* The same for several blocks, none of them empty: LA_VECTOR_MAX of them at most are looked at. */
LA_PART la_poll la_uv_stream_poll_writev(la_uv_stream *s, la_context *cx, const struct iovec *iov,
                                         size_t count, ssize_t *n);

/* The same, by another system call. */
typedef struct la_outgoing la_outgoing;
struct la_outgoing {
  /* Sends what there is after the first `skip` bytes; how many, or -1 and errno. */
  ssize_t (*send)(la_outgoing *out, la_uv_stream *s, size_t skip);
  /* The first byte, for the carry. */
  char (*first)(la_outgoing *out);
  size_t len; /* of all there is; the sender may add to it when `first` has taken a byte away */
};
LA_PART la_poll la_uv_stream_poll_send(la_uv_stream *s, la_context *cx, la_outgoing *out,
                                       ssize_t *n);

/* Gives up a pending write; returns 1 when its first byte is in libuv's hands: it will be
** written before anything else is, and must not be sent again. */
LA_PART size_t la_uv_stream_forget_write(la_uv_stream *s);

/* For other ways to send than la_uv_stream_poll_write: ready once nothing is in libuv's hands.
** *status: 0, or a negative errno as above. It counts as a write (one at a time, forgotten by
** la_uv_stream_forget_write). */
LA_PART la_poll la_uv_stream_poll_settled(la_uv_stream *s, la_context *cx, int *status);

/* Writes what the system takes at once: how many bytes, UV_EAGAIN for none, or another negative
 * errno. */
LA_PART ssize_t la_uv_stream_try_write(la_uv_stream *s, const char *data, size_t len);

/* The next read looks whether something is there, though no notice said so. */
LA_PART void la_uv_stream_look(la_uv_stream *s);

/* How many bytes of the write that waits are in libuv's hands. */
LA_PART size_t la_uv_stream_carries(const la_uv_stream *s);

/* Nothing is. */
LA_PART bool la_uv_stream_is_settled(const la_uv_stream *s);

/* Shuts the sending half down, once a byte that is in libuv's hands is written; what is no
** socket has no halves, and is closed. *status: 0 or a negative errno. The pending one counts
** as a write (one at a time, forgotten by la_uv_stream_forget_write). */
LA_PART la_poll la_uv_stream_poll_shutdown(la_uv_stream *s, la_context *cx, int *status);

/* Pending operations are woken and end with UV_ECANCELED, later ones with UV_EBADF. A byte of a
** write that was given up, which libuv could not write yet, is tried once more. The
** reader keeps what it had read until the stream is freed, and would still give it out:
** whoever begins reads looks first whether the stream is open (l_io.c does). Twice is
** harmless. The descriptor is closed at once. */
static inline void la_uv_stream_close(la_uv_stream *s) { la_handle_close(&s->handle); }

/* The last one closes and frees it. No read or write may be pending. */
static inline void la_uv_stream_unref(la_uv_stream *s) { la_handle_unref(&s->handle); }

/* It is open for a descriptor whose bytes may be spliced: no others come with them. */
LA_PART bool la_uv_stream_splices(const la_uv_stream *s);

/* It is a socket on which a call that is not one of socket.h could wait. */
LA_PART bool la_uv_stream_waits(const la_uv_stream *s);

/* For who reads or writes by other means: remembers `err` if it is the end of the connection.
** Returns it. */
LA_PART int la_uv_stream_note_error(la_uv_stream *s, int err);

#endif
