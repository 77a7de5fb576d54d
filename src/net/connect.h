/*
** connect.h - a TCP connection to the first of several addresses that answers.
**
** RFC 8305 ("Happy Eyeballs Version 2"), section 5: the addresses are tried in order,
** families alternating from that of the first; each attempt gets 250 ms before the next
** starts beside it, which starts at once when an attempt fails; the first to connect
** wins, and the others are closed.
*/
#ifndef LA_NET_CONNECT_H
#define LA_NET_CONNECT_H

#include "net/tcp.h"

#define LA_CONNECT_STAGGER_NS UINT64_C(250000000)

typedef struct la_connect {
  la_future base;
  int status;           /* once ready: 0, or the errno of the first attempt to be made */
  la_uv_stream *stream; /* status 0: one reference; taken by setting it to NULL */
  la_address winner;    /* status 0: what it is connected to; else what `status` is about */
} la_connect;

/* Copies the addresses; n >= 1. `bind_to`: the local address, or NULL; addresses of the
** other family are left out (UV_EAFNOSUPPORT when none is left). NULL: no memory. The
** future owns itself: its drop frees it, closing attempts and a stream nobody took. */
la_connect *la_connect_new(la_reactor *r, const la_address *list, size_t n,
                           const la_address *bind_to);

#endif
