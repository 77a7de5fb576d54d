/* Receiving: see udp.h. */
#include <errno.h>
#include <stdlib.h>

#include "net/mmsg.h"
#include "net/udp.h"

/* ---- datagrams --------------------------------------------------------------------*/

static la_datagram *take_spare(la_udp *u) {
  la_datagram *d = u->spare;
  if (d != NULL)
    u->spare = d->next;
  else
    d = malloc(sizeof *d);
  if (d == NULL) return NULL;
  d->next = NULL;
  d->data = la_buffer_take(u->handle.reactor);
  if (d->data != NULL) return d;
  d->next = u->spare;
  u->spare = d;
  return NULL;
}

void la_udp_done_with(la_udp *u, la_datagram *list) {
  while (list != NULL) {
    la_datagram *d = list;
    list = d->next;
    la_buffer_give(u->handle.reactor, d->data);
    d->data = NULL;
    d->next = u->spare;
    u->spare = d;
  }
}

void la_udp_free_spares(la_udp *u) {
  while (u->spare != NULL) {
    la_datagram *d = u->spare;
    u->spare = d->next;
    free(d);
  }
}

static void keep(la_udp *u, la_datagram *d) {
  d->next = NULL;
  *u->kept_end = d;
  u->kept_end = &d->next;
}

static la_datagram *take_kept(la_udp *u, unsigned n) {
  la_datagram *list = u->kept, **end = &list;
  while (n > 0 && *end != NULL) {
    end = &(*end)->next;
    n--;
  }
  u->kept = *end;
  *end = NULL;
  if (u->kept == NULL) u->kept_end = &u->kept;
  return list;
}

/* ---- the system call --------------------------------------------------------------*/

static int receive(int fd, la_mmsg *m, unsigned n) {
  int got;
  do got = la_recvmmsg(fd, m, n, MSG_DONTWAIT);
  while (got < 0 && errno == EINTR);
  return got >= 0 ? got : -errno;
}

/* Twice as many next time when there were more, half of it when few came. A batch that was
** not filled has emptied the socket, unless an error has ended it: that gives a notice. */
static void note_got(la_udp *u, unsigned asked, unsigned got) {
  if (got < asked) u->ready = false;
  if (got == u->batch && u->batch < LA_UDP_BATCH)
    u->batch *= 2;
  else if (got < u->batch / 4)
    u->batch /= 2;
}

/* Fetches into `kept`, which is empty: 0 or a negative errno. */
static int fetch(la_udp *u) {
  la_datagram *d[LA_UDP_BATCH];
  la_mmsg m[LA_UDP_BATCH];
  struct iovec v[LA_UDP_BATCH];
  unsigned n = 0;
  while (n < u->batch && (d[n] = take_spare(u)) != NULL) {
    v[n] = (struct iovec){d[n]->data, LA_BUFFER_SIZE};
    m[n].msg_hdr = (struct msghdr){.msg_name = &d[n]->from,
                                   .msg_namelen = sizeof d[n]->from,
                                   .msg_iov = &v[n],
                                   .msg_iovlen = 1};
    n++;
  }
  if (n == 0) return UV_ENOMEM;
  int got = receive(u->fd, m, n);
  unsigned count = got < 0 ? 0 : (unsigned)got < n ? (unsigned)got : n;
  for (unsigned i = 0; i < count; i++) {
    d[i]->len = m[i].msg_len < LA_BUFFER_SIZE ? m[i].msg_len : LA_BUFFER_SIZE;
    d[i]->truncated = (m[i].msg_hdr.msg_flags & MSG_TRUNC) != 0;
    keep(u, d[i]);
  }
  while (n > count) la_udp_done_with(u, d[--n]);
  if (got < 0) return uv_translate_sys_error(-got);
  note_got(u, n, count);
  return 0;
}

static void fetch_ready(la_udp *u, int *error) {
  *error = u->ready ? fetch(u) : UV_EAGAIN;
  if (*error == UV_EAGAIN && u->refused != 0) *error = la_udp_take_refused(u);
  if (*error == UV_EAGAIN) u->ready = false;
}

/* As many as are there, at most `n`: NULL and *error when there is none. */
static la_datagram *take_now(la_udp *u, unsigned n, int *error) {
  la_datagram *list = NULL, **end = &list;
  *error = UV_EAGAIN;
  while (n > 0) {
    if (u->kept == NULL) fetch_ready(u, error);
    if (u->kept == NULL) break;
    *end = take_kept(u, n);
    for (; *end != NULL; n--) end = &(*end)->next;
  }
  return list;
}

const la_datagram *la_udp_peek(la_udp *u, int *error) {
  *error = UV_EBADF;
  if (!la_udp_is_open(u)) return NULL;
  *error = UV_EAGAIN;
  if (!la_list_empty(&u->receiving)) return NULL;
  if (u->kept == NULL) fetch_ready(u, error);
  return u->kept;
}

const la_datagram *la_udp_look(la_udp *u, int *error) {
  if (la_udp_is_open(u) && u->kept == NULL) u->ready = true;
  return la_udp_peek(u, error);
}

void la_udp_skip(la_udp *u) {
  if (u->kept != NULL) la_udp_done_with(u, take_kept(u, 1));
}

/* ---- the future -------------------------------------------------------------------*/

static void wake_first(la_udp *u) {
  if (la_list_empty(&u->receiving)) return;
  la_udp_recv *f = la_container(u->receiving.head.next, la_udp_recv, node);
  la_waiter_wake(&f->waiter, u->handle.reactor);
}

/* To be received next. */
static void give_back(la_udp *u, la_datagram *list) {
  if (list == NULL) return;
  if (!la_udp_is_open(u)) {
    la_udp_done_with(u, list);
    return;
  }
  la_datagram **end = &list;
  while (*end != NULL) end = &(*end)->next;
  *end = u->kept;
  if (u->kept == NULL) u->kept_end = end;
  u->kept = list;
  if (u->kept_end == &list) u->kept_end = &u->kept;
  wake_first(u);
}

static void wait_turn(la_udp_recv *f, la_context *cx) {
  la_udp *u = f->udp;
  if (!f->queued) la_list_push(&u->receiving, &f->node);
  f->queued = true;
  la_waiter_set(&f->waiter, u->handle.reactor, cx);
}

/* Leaves the queue; there may be something for the next, too. */
static la_poll finish(la_udp_recv *f, int status) {
  la_udp *u = f->udp;
  f->status = status;
  la_waiter_clear(&f->waiter, u->handle.reactor);
  if (la_node_linked(&f->node)) la_node_unlink(&f->node);
  if (u->kept != NULL || u->ready) wake_first(u);
  return LA_READY;
}

static bool my_turn(const la_udp_recv *f) {
  const la_list *q = &f->udp->receiving;
  return f->queued ? q->head.next == &f->node : la_list_empty(q);
}

static la_poll recv_poll(la_future *base, la_context *cx) {
  la_udp_recv *f = la_container(base, la_udp_recv, base);
  la_udp *u = f->udp;
  if (!la_udp_is_open(u)) return finish(f, f->queued ? UV_ECANCELED : UV_EBADF);
  int err = UV_EAGAIN;
  if (my_turn(f) && (u->kept != NULL || u->ready || u->refused != 0)) {
    if (!la_budget_take(cx)) {
      wait_turn(f, cx);
      return LA_PENDING;
    }
    f->got = take_now(u, f->most, &err);
    if (f->got != NULL) return finish(f, 0);
    if (err != UV_EAGAIN) return finish(f, err);
  }
  wait_turn(f, cx);
  err = u->ready ? 0 : la_udp_listen_for(u, UV_READABLE);
  return err == 0 ? LA_PENDING : finish(f, err);
}

/* One that was woken and goes without receiving passes the wake on. */
static void recv_drop(la_future *base) {
  la_udp_recv *f = la_container(base, la_udp_recv, base);
  la_udp *u = f->udp;
  bool first = la_node_linked(&f->node) && my_turn(f);
  la_waiter_clear(&f->waiter, u->handle.reactor);
  if (la_node_linked(&f->node)) la_node_unlink(&f->node);
  if (f->taken)
    la_udp_done_with(u, f->got);
  else
    give_back(u, f->got);
  if (first && la_udp_is_open(u)) wake_first(u);
  la_udp_unref(u);
}

static const la_future_vtable recv_vtable = {recv_poll, recv_drop, "recv", NULL};

void la_udp_recv_init(la_udp_recv *f, la_udp *u, unsigned short n) {
  la_udp_ref(u);
  *f = (la_udp_recv){.base = {&recv_vtable}, .udp = u, .most = n};
}
