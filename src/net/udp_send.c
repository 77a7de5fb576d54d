/* Sending: see udp.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "net/mmsg.h"
#include "net/udp.h"

enum { CHUNK = 64, FLAGS = MSG_DONTWAIT | MSG_NOSIGNAL };

static socklen_t to_len(const la_udp_message *m) {
  return m->to.any.sa_family == AF_UNSPEC ? 0 : la_address_len(&m->to);
}

/* 1, or a negative errno. */
static int send_one(int fd, const la_udp_message *m) {
  socklen_t len = to_len(m);
  ssize_t n;
  do n = sendto(fd, m->data, m->len, FLAGS, len > 0 ? &m->to.any : NULL, len);
  while (n < 0 && errno == EINTR);
  return n >= 0 ? 1 : uv_translate_sys_error(errno);
}

/* How many of the first CHUNK, at least 1; or a negative errno. */
static int send_some(int fd, const la_udp_message *list, unsigned n) {
  la_mmsg m[CHUNK];
  struct iovec v[CHUNK];
  if (n == 1) return send_one(fd, list);
  if (n > CHUNK) n = CHUNK;
  for (unsigned i = 0; i < n; i++) {
    socklen_t len = to_len(&list[i]);
    v[i] = (struct iovec){(char *)(uintptr_t)list[i].data, list[i].len};
    m[i].msg_hdr = (struct msghdr){.msg_name = len > 0 ? (void *)(uintptr_t)&list[i].to : NULL,
                                   .msg_namelen = len,
                                   .msg_iov = &v[i],
                                   .msg_iovlen = 1};
  }
  int sent;
  do sent = la_sendmmsg(fd, m, n, FLAGS);
  while (sent < 0 && errno == EINTR);
  return sent > 0 ? sent : uv_translate_sys_error(errno);
}

/* To somebody who is not the peer. */
static bool goes_elsewhere(const la_udp *u, const la_udp_message *m) {
  return u->peer.any.sa_family != AF_UNSPEC && m->to.any.sa_family != AF_UNSPEC &&
         !la_address_equal(&m->to, &u->peer);
}

/* What an ICMP message says of a datagram sent before, which the system tells once. */
static bool may_be_old(int err) {
  return err == UV_ECONNREFUSED || err == UV_EHOSTUNREACH || err == UV_ENETUNREACH ||
         err == UV_EPROTO || err == UV_EACCES || err == UV_EHOSTDOWN || err == UV_ENOTSUP;
}

/* Who waits to receive is told. */
static void keep_refused(la_udp *u, int err) {
  u->refused = err;
  if (la_list_empty(&u->receiving)) return;
  la_udp_recv *f = la_container(u->receiving.head.next, la_udp_recv, node);
  la_waiter_wake(&f->waiter, u->handle.reactor);
}

/* As send_some; an error that is the peer's is kept for who sends to it, or receives. */
static int send_next(la_udp *u, const la_udp_message *m, unsigned n) {
  enum { TRIES = 3 };
  if (m->to.any.sa_family == AF_UNSPEC && u->refused != 0) return la_udp_take_refused(u);
  int k = send_some(u->fd, m, n);
  for (int i = 1; i < TRIES && k < 0 && may_be_old(k) && goes_elsewhere(u, m); i++) {
    int old = k;
    k = send_some(u->fd, m, n);
    if (k != old) keep_refused(u, old);
  }
  return k;
}

static unsigned send_now(la_udp *u, const la_udp_message *m, unsigned n, int *error) {
  unsigned sent = 0;
  *error = 0;
  while (sent < n) {
    int k = send_next(u, m + sent, n - sent);
    if (k < 0) {
      *error = k;
      break;
    }
    sent += (unsigned)k;
  }
  return sent;
}

unsigned la_udp_try_send(la_udp *u, const la_udp_message *m, unsigned n, int *error) {
  *error = !la_udp_is_open(u) ? UV_EBADF : la_list_empty(&u->sending) ? 0 : UV_EAGAIN;
  return *error == 0 ? send_now(u, m, n, error) : 0;
}

/* ---- the future -------------------------------------------------------------------*/

static void wake_first(la_udp *u) {
  if (la_list_empty(&u->sending)) return;
  la_udp_send *f = la_container(u->sending.head.next, la_udp_send, node);
  la_waiter_wake(&f->waiter, u->handle.reactor);
}

static bool my_turn(const la_udp_send *f) {
  const la_list *q = &f->udp->sending;
  return f->queued ? q->head.next == &f->node : la_list_empty(q);
}

static void wait_turn(la_udp_send *f, la_context *cx) {
  if (!f->queued) la_list_push(&f->udp->sending, &f->node);
  f->queued = true;
  la_waiter_set(&f->waiter, f->udp->handle.reactor, cx);
}

static la_poll finish(la_udp_send *f, int status) {
  f->status = status;
  la_waiter_clear(&f->waiter, f->udp->handle.reactor);
  if (la_node_linked(&f->node)) la_node_unlink(&f->node);
  wake_first(f->udp);
  return LA_READY;
}

static la_poll send_poll(la_future *base, la_context *cx) {
  la_udp_send *f = la_container(base, la_udp_send, base);
  la_udp *u = f->udp;
  if (!la_udp_is_open(u)) return finish(f, UV_ECANCELED);
  if (my_turn(f)) {
    int err;
    if (!la_budget_take(cx)) {
      wait_turn(f, cx);
      return LA_PENDING;
    }
    f->sent += send_now(u, f->messages + f->sent, f->count - f->sent, &err);
    if (err != UV_EAGAIN) return finish(f, err);
    err = la_udp_listen_for(u, UV_WRITABLE);
    if (err != 0) return finish(f, err);
  }
  wait_turn(f, cx);
  return LA_PENDING;
}

static void send_drop(la_future *base) {
  la_udp_send *f = la_container(base, la_udp_send, base);
  la_udp *u = f->udp;
  bool first = la_node_linked(&f->node) && my_turn(f);
  la_waiter_clear(&f->waiter, u->handle.reactor);
  if (la_node_linked(&f->node)) la_node_unlink(&f->node);
  if (first) wake_first(u);
  la_udp_unref(u);
  free(f);
}

static const la_future_vtable send_vtable = {send_poll, send_drop, "send", NULL};

la_udp_send *la_udp_send_new(la_udp *u, const la_udp_message *m, unsigned n) {
  size_t bytes = 0;
  for (unsigned i = 0; i < n; i++) bytes += m[i].len;
  la_udp_send *f = malloc(sizeof *f + n * sizeof *m + bytes);
  if (f == NULL) return NULL;
  *f = (la_udp_send){.base = {&send_vtable}, .udp = u, .count = n};
  char *at = (char *)(f->messages + n);
  for (unsigned i = 0; i < n; i++) {
    f->messages[i] = m[i];
    f->messages[i].data = at;
    if (m[i].len > 0) memcpy(at, m[i].data, m[i].len);
    at += m[i].len;
  }
  la_udp_ref(u);
  return f;
}
