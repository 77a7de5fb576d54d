/*
** dial.h - a TCP connection to a host: its addresses are looked up (dns.h), and raced (connect.h).
**
** A name server that drops the question for one kind of address holds a lookup up for seconds,
** though those of the other kind are known; RFC 8305, section 3, does not wait for them. Here
** a lookup that takes longer than LA_DIAL_HESITATION_NS gets one of IPv4 alone beside it, whose
** addresses are raced as soon as they are there. If none of them answers, those of the first are
** waited for. (It is the question for IPv6 that is dropped; and the order that the system gives
** both kinds, when it answers in time, is kept.)
*/
#ifndef LA_NET_DIAL_H
#define LA_NET_DIAL_H

#include "core/export.h"
#include "net/connect.h"
#include "net/dns.h"

#define LA_DIAL_HESITATION_NS UINT64_C(250000000)

typedef struct la_dial {
  la_future base;
  int status;           /* once ready: 0, or a negative errno, UV_EAI_* among them */
  la_uv_stream *stream; /* status 0: one reference; taken by setting it to NULL */
  int port;
  const char *host;
  la_socket_options options; /* its owner's */
} la_dial;

/* Copies the host, and `bind_to` (see la_connect_new). NULL: no memory. The future owns itself:
** its drop frees it, giving up what is under way, and a stream that nobody took. */
LA_PART la_dial *la_dial_new(la_reactor *r, const char *host, int port, const la_address *bind_to);

#endif
