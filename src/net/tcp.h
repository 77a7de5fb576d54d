/* tcp.h - TCP connections: making streams of sockets, and their options. */
#ifndef LA_NET_TCP_H
#define LA_NET_TCP_H

#include "net/address.h"
#include "stream/uv_stream.h"

/* Descriptors: connected or connecting sockets, CLOEXEC. */
extern const la_uv_stream_kind la_tcp_kind;

/* Negative errno, or 0; UV_EBADF when it is closed. */
int la_tcp_nodelay(la_uv_stream *s, bool on);
/* Probes after `seconds` of silence, then at the system's interval; 0 turns it off. */
int la_tcp_keepalive(la_uv_stream *s, unsigned seconds);
int la_tcp_peer(const la_uv_stream *s, la_address *out);
int la_tcp_local(const la_uv_stream *s, la_address *out);

/* Sets it on a listening socket, if this is a system on which those it accepts inherit that; false:
** they have to be told, one by one. */
bool la_tcp_inherit_nodelay(int listener_fd);

/* A new non-blocking, CLOEXEC socket; a negative errno. */
int la_tcp_socket(int family);

typedef struct la_socket_options {
  bool nodelay;
  unsigned keepalive;
} la_socket_options;

#endif
