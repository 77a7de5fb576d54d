/*
** udp.h - UDP sockets: datagrams in and out.
**
** Any number of tasks may receive, and any number may send; each kind is served in order.
** What one system call fetched and nobody has taken yet is kept by the socket (LA_UDP_BATCH
** datagrams at most, but for those that dropped futures gave back), so that on a busy socket
** a datagram costs a fraction of a call. A receive that is dropped gives back what it won, to
** be received next; a send that is dropped has sent the whole datagram, or nothing of it.
**
** What becomes of a datagram may be known later, by an ICMP message, and the system tells it to the
** next call on the socket. Here it is told to who receives, or sends to the peer: not to a send to
** an address that was named, nor after the socket was connected to another peer, or disconnected.
**
** An IPv4 address given to an IPv6 socket is mapped (::ffff:a.b.c.d).
*/
#ifndef LA_NET_UDP_H
#define LA_NET_UDP_H

#include "driver/handle.h"
#include "driver/waiter.h"
#include "net/address.h"

enum { LA_UDP_BATCH = 16 };

typedef struct la_datagram la_datagram;
struct la_datagram {
  la_datagram *next;
  la_address from;
  size_t len;
  bool truncated; /* by the system */
  char *data;     /* a buffer of the reactor; NULL in a spare one */
};

typedef struct la_udp {
  la_handle handle;
  uv_poll_t uv;
  int fd; /* -1 once closed */
  la_address bound;
  la_address peer; /* AF_UNSPEC: it is connected to nobody */
  int refused;     /* an error of what was sent to the peer, which a send to others met; or 0 */
  bool ipv6only;
  bool ready; /* a notice came, and the socket has not been found empty since */
  int events; /* what uv_poll listens for */
  la_list receiving, sending;
  la_datagram *kept, **kept_end; /* fetched, for the next receives; oldest first */
  la_datagram *spare;
  unsigned batch;
} la_udp;

typedef struct la_udp_options {
  bool reuseaddr, reuseport, broadcast, ipv6only;
  int ttl, recv_buffer, send_buffer; /* 0: the system's */
} la_udp_options;

/* A bound socket: one reference. A negative errno: nothing was made. */
int la_udp_new(la_reactor *r, const la_address *at, const la_udp_options *o, la_udp **out);

/* What waits ends with UV_ECANCELED, later operations with UV_EBADF; what was kept is freed. */
void la_udp_close(la_udp *u);
static inline bool la_udp_is_open(const la_udp *u) { return la_handle_is_open(&u->handle); }
static inline void la_udp_ref(la_udp *u) { la_handle_ref(&u->handle); }
static inline void la_udp_unref(la_udp *u) { la_handle_unref(&u->handle); } /* the last closes */

/* 0 or a negative errno, UV_EBADF when it is closed. A socket that is disconnected is bound
** as it was at first. */
int la_udp_connect(la_udp *u, const la_address *to);
int la_udp_disconnect(la_udp *u);
int la_udp_local(const la_udp *u, la_address *out);
int la_udp_peer(const la_udp *u, la_address *out); /* UV_ENOTCONN */

/* The family of addresses that it can send to, for a lookup. */
int la_udp_family(const la_udp *u);
/* `a` in the family of the socket, where it can be. */
void la_udp_map(const la_udp *u, la_address *a);

/* Listens for these events of uv_poll, too; 0 or a negative errno. */
int la_udp_listen_for(la_udp *u, int events);

/* ---- receiving ---------------------------------------------------------------------*/

/* The datagram that need not be waited for, which stays with the socket; NULL and *error:
** UV_EAGAIN when there is none or others wait already, or another negative errno. */
const la_datagram *la_udp_peek(la_udp *u, int *error);
/* The same, which looks though no notice said that there is one. */
const la_datagram *la_udp_look(la_udp *u, int *error);
/* Frees that datagram, unless a close has. */
void la_udp_skip(la_udp *u);

/* Takes the error that the peer's datagrams met, 0 or a negative errno. */
int la_udp_take_refused(la_udp *u);

/* For udp.c: frees a list, and all that is spare. */
void la_udp_done_with(la_udp *u, la_datagram *list);
void la_udp_free_spares(la_udp *u);

typedef struct la_udp_recv {
  la_future base;
  la_udp *udp;  /* a reference, until the drop */
  la_node node; /* in the queue while it waits */
  la_waiter waiter;
  la_datagram *got; /* status 0: a list, oldest first */
  bool taken;       /* to be set when that was read: the drop frees it */
  bool queued;
  unsigned short most;
  int status;
} la_udp_recv;

/* At least one datagram, at most `n` (to 65535). May be anywhere that does not move; its drop
** gives back what nobody took. */
void la_udp_recv_init(la_udp_recv *f, la_udp *u, unsigned short n);

/* ---- sending -----------------------------------------------------------------------*/

typedef struct la_udp_message {
  const char *data;
  size_t len;
  la_address to; /* of the socket's family; AF_UNSPEC: the peer it is connected to */
} la_udp_message;

/* How many were sent. Fewer than `n`: *error is why not the next one, UV_EAGAIN when the
** socket is full or others wait. */
unsigned la_udp_try_send(la_udp *u, const la_udp_message *m, unsigned n, int *error);

typedef struct la_udp_send {
  la_future base;
  la_udp *udp; /* a reference, until the drop */
  la_node node;
  la_waiter waiter;
  bool queued;
  int status;           /* once ready: 0, or why message `sent` was not sent */
  unsigned sent, count; /* messages */
  la_udp_message messages[];
} la_udp_send;

/* Copies messages and data. NULL: no memory. Its drop frees it. */
la_udp_send *la_udp_send_new(la_udp *u, const la_udp_message *m, unsigned n);

#endif
