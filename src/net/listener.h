/*
** listener.h - listening sockets (TCP and Unix) and accept.
**
** Any number of accepts may wait; they are served in order. When the process is out of
** descriptors or memory (EMFILE, ENFILE, ENOBUFS, ENOMEM) nobody is told: the connection
** stays in the backlog and accept is tried again after 5 ms, 10 ms, … 1 s, until it
** succeeds; `backoffs` counts the failures.
*/
#ifndef LA_NET_LISTENER_H
#define LA_NET_LISTENER_H

#include "driver/handle.h"
#include "driver/waiter.h"
#include "net/tcp.h"

typedef struct la_listener la_listener;

typedef struct la_listen_options {
  int backlog;    /* 0: 4096; the system clamps it */
  bool reuseport; /* several sockets share the port: UV_ENOTSUP where there is no such thing */
  bool ipv6only;
} la_listen_options;

/* One reference. A negative errno (UV_EADDRINUSE, UV_EACCES, …): nothing was made. */
int la_listener_new(la_reactor *r, const la_address *a, const la_listen_options *o,
                    la_listener **out);

/* The same from a bound and listening, non-blocking socket, which it owns: on a negative errno
** it is still the caller's. What it accepts becomes streams of `kind`. */
int la_listener_adopt(la_reactor *r, int fd, const la_uv_stream_kind *kind, la_listener **out);

/* `fn(arg)` runs when it closes, right after its socket; here and now if it is closed. One at
** most. */
void la_listener_on_close(la_listener *l, void (*fn)(void *), void *arg);

/* The `arg` of that `fn`; NULL: it is another, or none. */
void *la_listener_closed_arg(const la_listener *l, void (*fn)(void *));

/* -1 once it is closed. */
int la_listener_fd(const la_listener *l);

/* Waiting accepts end with UV_ECANCELED, later ones with UV_EBADF. */
void la_listener_close(la_listener *l);
/* The same for who goes on to serve: accepts get what clients have connected until now first. */
void la_listener_stop(la_listener *l);
bool la_listener_is_open(const la_listener *l);
void la_listener_ref(la_listener *l);
void la_listener_unref(la_listener *l); /* the last one closes */

int la_listener_local(const la_listener *l, la_address *out);
unsigned long la_listener_backoffs(const la_listener *l); /* for tests */

/* A connection that need not be waited for, one reference; or UV_EAGAIN: there is none, or others
** wait already; or another negative errno, UV_EBADF once it is closed. */
int la_listener_try_accept(la_listener *l, la_uv_stream **out);

typedef struct la_accept {
  la_future base;
  la_listener *listener; /* a reference, until the drop */
  la_node node;          /* in the listener's queue while it waits */
  la_waiter waiter;
  bool queued;          /* it has waited: a close is UV_ECANCELED for it */
  int status;           /* once ready: 0 or a negative errno */
  la_uv_stream *stream; /* status 0: one reference; taken by setting it to NULL */
} la_accept;

/* The accept may be anywhere that does not move; a drop frees nothing of its own, gives up
** its place, and leaves a stream that nobody took to the next. */
void la_accept_init(la_accept *a, la_listener *l);

#endif
