#include "net/udp.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "driver/guard.h"
#include "net/udp_option.h"

/* ---- the handle -------------------------------------------------------------------*/

static la_udp *from_handle(la_handle *h) { return la_container(h, la_udp, handle); }
static uv_handle_t *udp_handle(la_handle *h) { return (uv_handle_t *)&from_handle(h)->uv; }

static void wake_all(la_udp *u) {
  la_list *in = &u->receiving, *out = &u->sending;
  for (la_node *n = in->head.next; n != &in->head; n = n->next)
    la_waiter_wake(&la_container(n, la_udp_recv, node)->waiter, u->handle.reactor);
  for (la_node *n = out->head.next; n != &out->head; n = n->next)
    la_waiter_wake(&la_container(n, la_udp_send, node)->waiter, u->handle.reactor);
}

static void udp_closing(la_handle *h) {
  la_udp *u = from_handle(h);
  uv_poll_stop(&u->uv); /* before the descriptor goes, which frees the port at once */
  close(u->fd);
  u->fd = -1;
  la_datagram *kept = u->kept;
  u->kept = NULL;
  u->kept_end = &u->kept;
  la_udp_done_with(u, kept);
  wake_all(u);
}

static void udp_free(la_handle *h) {
  la_udp *u = from_handle(h);
  la_udp_free_spares(u);
  free(u);
}

static const la_handle_class udp_class = {"open socket", udp_handle, udp_closing, udp_free};

void la_udp_close(la_udp *u) { la_handle_close(&u->handle); }

/* ---- notices ----------------------------------------------------------------------*/

static void wake_first(la_udp *u, int events) {
  la_reactor *r = u->handle.reactor;
  if ((events & UV_READABLE) != 0 && !la_list_empty(&u->receiving))
    la_waiter_wake(&la_container(u->receiving.head.next, la_udp_recv, node)->waiter, r);
  if ((events & UV_WRITABLE) != 0 && !la_list_empty(&u->sending))
    la_waiter_wake(&la_container(u->sending.head.next, la_udp_send, node)->waiter, r);
}

static void on_notice(uv_poll_t *uv, int status, int events);

static void listen_only_for(la_udp *u, int events) {
  if (events == u->events) return;
  u->events = events;
  if (events == 0)
    uv_poll_stop(&u->uv);
  else
    uv_poll_start(&u->uv, events, on_notice);
}

int la_udp_listen_for(la_udp *u, int events) {
  if ((u->events & events) == events) return 0;
  int err = uv_poll_start(&u->uv, u->events | events, on_notice);
  if (err == 0) u->events |= events;
  return err;
}

/* As in listener.c: the second notice without a receive in between stops listening; one that
** it can be written to is wanted once. An error (an ICMP message has come) has stopped it
** already, and whoever receives or sends next is told. */
static void on_notice(uv_poll_t *uv, int status, int events) {
  la_udp *u = from_handle(uv->data);
  if (status < 0) {
    u->events = 0;
    events = UV_READABLE | UV_WRITABLE;
  }
  int stop = events & UV_WRITABLE;
  if (u->ready && la_list_empty(&u->receiving)) stop |= UV_READABLE;
  if (status == 0 && stop != 0) listen_only_for(u, u->events & ~stop);
  if ((events & UV_READABLE) != 0) u->ready = true;
  wake_first(u, events);
}

/* ---- making one -------------------------------------------------------------------*/

static int set_options(int fd, int family, const la_udp_options *o) {
  const struct {
    int wanted, level, name, value;
  } all[] = {
      {o->reuseaddr, SOL_SOCKET, SO_REUSEADDR, 1},
#ifdef SO_REUSEPORT
      {o->reuseport, SOL_SOCKET, SO_REUSEPORT, 1},
#endif
      {o->broadcast, SOL_SOCKET, SO_BROADCAST, 1},
      {o->recv_buffer, SOL_SOCKET, SO_RCVBUF, o->recv_buffer},
      {o->send_buffer, SOL_SOCKET, SO_SNDBUF, o->send_buffer},
      {family == AF_INET6, IPPROTO_IPV6, IPV6_V6ONLY, o->ipv6only},
  };
#ifndef SO_REUSEPORT
  if (o->reuseport) return UV_ENOTSUP;
#endif
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    if (all[i].wanted && setsockopt(fd, all[i].level, all[i].name, &all[i].value, sizeof(int)) != 0)
      return uv_translate_sys_error(errno);
  return o->ttl > 0 ? la_udp_set_ttl(fd, family, o->ttl) : 0;
}

/* Linux hands a socket also what is for groups that others on the machine have joined. */
static void hear_own_groups_only(int fd, int family) {
  int off = 0;
#ifdef IP_MULTICAST_ALL
  (void)setsockopt(fd, IPPROTO_IP, IP_MULTICAST_ALL, &off, sizeof off);
#endif
#ifdef IPV6_MULTICAST_ALL
  if (family == AF_INET6) (void)setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_ALL, &off, sizeof off);
#endif
  (void)off, (void)family;
}

static int make_socket(const la_address *at, const la_udp_options *o) {
  int family = at->any.sa_family;
#ifdef SOCK_NONBLOCK
  int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
#else
  int fd = socket(family, SOCK_DGRAM, 0); /* libuv makes it non-blocking */
  if (fd >= 0) fcntl(fd, F_SETFD, FD_CLOEXEC);
#endif
  if (fd < 0) return uv_translate_sys_error(errno);
  hear_own_groups_only(fd, family);
  int err = set_options(fd, family, o);
  if (err == 0 && bind(fd, &at->any, la_address_len(at)) != 0) err = uv_translate_sys_error(errno);
  if (err == 0) return fd;
  close(fd);
  return err;
}

static int open_handle(la_udp *u, int fd) {
  la_reactor *r = u->handle.reactor;
  int err = la_guard_watch(r, fd);
  if (err == 0) err = uv_poll_init(r->uv, &u->uv, fd);
  if (err != 0) return err;
  u->fd = fd;
  la_handle_opened(&u->handle);
  return la_udp_local(u, &u->bound);
}

int la_udp_new(la_reactor *r, const la_address *at, const la_udp_options *o, la_udp **out) {
  if (r->closed) return UV_ECANCELED;
  int fd = make_socket(at, o);
  if (fd < 0) return fd;
  la_udp *u = calloc(1, sizeof *u);
  if (u == NULL) {
    close(fd);
    return UV_ENOMEM;
  }
  u->fd = -1;
  u->ipv6only = o->ipv6only;
  u->batch = 2;
  u->kept_end = &u->kept;
  la_list_init(&u->receiving);
  la_list_init(&u->sending);
  la_handle_init(&u->handle, r, &udp_class);
  int err = open_handle(u, fd);
  if (err != 0) {
    if (u->fd < 0) close(fd);
    la_udp_unref(u);
    return err;
  }
  *out = u;
  return 0;
}

/* ---- addresses --------------------------------------------------------------------*/

static int name_of(const la_udp *u, int (*get)(int, struct sockaddr *, socklen_t *),
                   la_address *out) {
  socklen_t len = sizeof *out;
  if (!la_udp_is_open(u)) return UV_EBADF;
  memset(out, 0, sizeof *out);
  return get(u->fd, &out->any, &len) == 0 ? 0 : uv_translate_sys_error(errno);
}

int la_udp_local(const la_udp *u, la_address *out) { return name_of(u, getsockname, out); }
int la_udp_peer(const la_udp *u, la_address *out) { return name_of(u, getpeername, out); }

static int connect_to(int fd, const la_address *a, socklen_t len) {
  int n;
  do n = connect(fd, &a->any, len);
  while (n != 0 && errno == EINTR);
  return n == 0 ? 0 : uv_translate_sys_error(errno);
}

/* What the peer of before did not take is nobody's concern any more. */
static void forget_error(la_udp *u) {
  int error;
  socklen_t len = sizeof error;
  (void)getsockopt(u->fd, SOL_SOCKET, SO_ERROR, &error, &len);
  u->refused = 0;
}

int la_udp_connect(la_udp *u, const la_address *to) {
  if (!la_udp_is_open(u)) return UV_EBADF;
  la_address a = *to;
  la_udp_map(u, &a);
  int err = connect_to(u->fd, &a, la_address_len(&a));
  if (err != 0) return err;
  forget_error(u);
  u->peer = a;
  return 0;
}

/* Linux forgets a port that it had chosen itself. */
int la_udp_disconnect(la_udp *u) {
  if (!la_udp_is_open(u)) return UV_EBADF;
  la_address nobody = {.any.sa_family = AF_UNSPEC}, now;
  int err = connect_to(u->fd, &nobody, sizeof nobody.any);
  if (err != 0 && err != UV_EAFNOSUPPORT) return err;
  forget_error(u);
  u->peer = nobody;
  err = la_udp_local(u, &now);
  if (err != 0 || la_address_equal(&now, &u->bound)) return err;
  if (bind(u->fd, &u->bound.any, la_address_len(&u->bound)) == 0) return 0;
  return uv_translate_sys_error(errno);
}

int la_udp_take_refused(la_udp *u) {
  int err = u->refused;
  u->refused = 0;
  return err;
}

int la_udp_family(const la_udp *u) {
  if (u->bound.any.sa_family == AF_INET) return AF_INET;
  return u->ipv6only ? AF_INET6 : AF_UNSPEC;
}

void la_udp_map(const la_udp *u, la_address *a) {
  if (u->bound.any.sa_family != AF_INET6 || a->any.sa_family != AF_INET) return;
  struct sockaddr_in from = a->in4;
  memset(a, 0, sizeof *a);
  a->in6.sin6_family = AF_INET6;
  a->in6.sin6_port = from.sin_port;
  memset(&a->in6.sin6_addr.s6_addr[10], 0xff, 2);
  memcpy(&a->in6.sin6_addr.s6_addr[12], &from.sin_addr, 4);
}
