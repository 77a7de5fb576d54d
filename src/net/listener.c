#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "net/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "driver/guard.h"
#include "stream/socket.h"

#define BACKOFF_MIN_NS UINT64_C(5000000)
#define BACKOFF_MAX_NS UINT64_C(1000000000)

struct la_listener {
  la_handle handle;
  uv_poll_t uv;
  int fd;
  const la_uv_stream_kind *kind;
  void (*closed)(void *); /* see la_listener_on_close */
  void *closed_arg;
  bool ready;     /* a notice came, and accept has not been empty since */
  bool listening; /* uv_poll_start is on */
  int held;       /* accepted, and waiting for memory to make a stream of; or -1 */
  int *left;      /* accepted as it stopped, the first at the end; see la_listener_stop */
  size_t left_count;
  bool stopped;        /* and not closed since by who has it */
  la_uv_stream **back; /* of accepts that were given up, in order: they come first */
  size_t back_count;
  la_uv_stream *spare; /* made beforehand, so that no connection is lost to want of memory */
  la_list waiting;
  la_timer backoff; /* wakes the first that waits; its waker is that of its newest poll */
  uint64_t backoff_ns;
  unsigned long backoffs;
};

/* ---- the handle -------------------------------------------------------------------*/

static la_listener *from_handle(la_handle *h) { return la_container(h, la_listener, handle); }
static uv_handle_t *listener_handle(la_handle *h) { return (uv_handle_t *)&from_handle(h)->uv; }

static void wake_all(la_listener *l) {
  for (la_node *n = l->waiting.head.next; n != &l->waiting.head; n = n->next)
    la_waiter_wake(&la_container(n, la_accept, node)->waiter, l->handle.reactor);
}

/* What was accepted and nobody has taken. */
static void close_rest(la_listener *l) {
  if (l->held >= 0) close(l->held);
  l->held = -1;
  while (l->left_count > 0) close(l->left[--l->left_count]);
  while (l->back_count > 0) la_uv_stream_unref(l->back[--l->back_count]);
}

static void listener_closing(la_handle *h) {
  la_listener *l = from_handle(h);
  if (!la_timer_idle(&l->backoff)) la_timer_cancel(&h->reactor->ex->timers, &l->backoff);
  if (l->spare != NULL) la_uv_stream_unref(l->spare);
  l->spare = NULL;
  if (!l->stopped) close_rest(l);
  uv_poll_stop(&l->uv); /* before the descriptor goes, which frees the port at once */
  close(l->fd);
  l->fd = -1;
  if (l->closed != NULL) l->closed(l->closed_arg);
  wake_all(l);
}

static void listener_free(la_handle *h) {
  la_listener *l = from_handle(h);
  close_rest(l);
  if (l->spare != NULL) la_uv_stream_unref(l->spare);
  free(l->left);
  free(l->back);
  free(l);
}

static const la_handle_class listener_class = {"open socket", listener_handle, listener_closing,
                                               listener_free};

void la_listener_close(la_listener *l) {
  if (l->stopped) close_rest(l);
  l->stopped = false;
  la_handle_close(&l->handle);
}
bool la_listener_is_open(const la_listener *l) { return la_handle_is_open(&l->handle); }
void la_listener_ref(la_listener *l) { la_handle_ref(&l->handle); }
void la_listener_unref(la_listener *l) { la_handle_unref(&l->handle); }
unsigned long la_listener_backoffs(const la_listener *l) { return l->backoffs; }

int la_listener_local(const la_listener *l, la_address *out) {
  socklen_t len = sizeof *out;
  if (!la_listener_is_open(l)) return UV_EBADF;
  return getsockname(l->fd, &out->any, &len) == 0 ? 0 : uv_translate_sys_error(errno);
}

/* ---- socket, bind, listen ---------------------------------------------------------*/

static int set_options(int fd, int family, const la_listen_options *o) {
  int on = 1, only = o->ipv6only;
  if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0)
    return uv_translate_sys_error(errno);
  if (o->reuseport) {
#ifdef SO_REUSEPORT
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0)
      return uv_translate_sys_error(errno);
#else
    return UV_ENOTSUP;
#endif
  }
  if (family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only) != 0)
    return uv_translate_sys_error(errno);
  return 0;
}

static int make_socket(const la_address *a, const la_listen_options *o) {
  int fd = la_tcp_socket(a->any.sa_family);
  if (fd < 0) return fd;
  int err = set_options(fd, a->any.sa_family, o);
  if (err == 0 && (bind(fd, &a->any, la_address_len(a)) != 0 ||
                   listen(fd, o->backlog > 0 ? o->backlog : 4096) != 0))
    err = uv_translate_sys_error(errno);
  if (err == 0) return fd;
  close(fd);
  return err;
}

int la_listener_adopt(la_reactor *r, int fd, const la_uv_stream_kind *kind, la_listener **out) {
  if (r->closed) return UV_ECANCELED;
  la_listener *l = calloc(1, sizeof *l);
  if (l == NULL) return UV_ENOMEM;
  l->held = -1;
  l->kind = kind;
  la_list_init(&l->waiting);
  la_handle_init(&l->handle, r, &listener_class);
  l->fd = fd;
  int err = la_guard_watch(r, fd);
  if (err == 0) err = uv_poll_init(r->uv, &l->uv, fd);
  if (err != 0) {
    la_listener_unref(l);
    return err;
  }
  la_handle_opened(&l->handle);
  if (r->stopping) la_listener_close(l);
  *out = l;
  return 0;
}

int la_listener_new(la_reactor *r, const la_address *a, const la_listen_options *o,
                    la_listener **out) {
  int fd = r->closed ? UV_ECANCELED : make_socket(a, o);
  if (fd < 0) return fd;
  int err = la_listener_adopt(r, fd, &la_tcp_kind, out);
  if (err != 0) close(fd);
  return err;
}

void la_listener_on_close(la_listener *l, void (*fn)(void *), void *arg) {
  if (!la_listener_is_open(l)) {
    fn(arg);
    return;
  }
  l->closed = fn;
  l->closed_arg = arg;
}

void *la_listener_closed_arg(const la_listener *l, void (*fn)(void *)) {
  return l->closed == fn ? l->closed_arg : NULL;
}

int la_listener_fd(const la_listener *l) { return l->fd; }

/* ---- accept -----------------------------------------------------------------------*/

static void wake_first(la_listener *l) {
  if (la_list_empty(&l->waiting)) return;
  la_accept *a = la_container(l->waiting.head.next, la_accept, node);
  la_waiter_wake(&a->waiter, l->handle.reactor);
}

/* The second notice without an accept in between stops listening. */
static void on_notice(uv_poll_t *uv, int status, int events) {
  (void)events;
  la_listener *l = from_handle(uv->data);
  bool idle = l->ready && (la_list_empty(&l->waiting) || !la_timer_idle(&l->backoff));
  if (status < 0) l->listening = false; /* libuv has stopped; accept will tell why */
  if (idle && l->listening) {
    uv_poll_stop(uv);
    l->listening = false;
  }
  l->ready = true;
  if (la_timer_idle(&l->backoff)) wake_first(l);
}

static int start_listening(la_listener *l) {
  if (l->listening) return 0;
  int err = uv_poll_start(&l->uv, UV_READABLE, on_notice);
  if (err == 0) l->listening = true;
  return err;
}

/* Errors of one connection, not of the listener: accept(2) tells to try again. */
static bool passing(int err) {
  switch (err) {
  case UV_EINTR:
  case UV_ECONNABORTED:
  case UV_EPROTO:
  case UV_ENETDOWN:
  case UV_EHOSTDOWN:
  case UV_EHOSTUNREACH:
  case UV_ENETUNREACH:
  case UV_EPERM: return true;
  default: return false;
  }
}

static bool out_of_something(int err) {
  return err == UV_EMFILE || err == UV_ENFILE || err == UV_ENOBUFS || err == UV_ENOMEM;
}

/* The next connection of the system's, or a negative errno. */
static int next_fd(la_listener *l) {
  int fd = l->held;
  l->held = -1;
  while (fd < 0) {
    fd = la_socket_accept(l->fd);
    if (fd < 0 && !passing(fd)) return fd;
  }
  return fd;
}

static bool has_next(const la_listener *l) { return l->ready || l->held >= 0 || l->back_count > 0; }

/* A stream, or NULL and a negative errno, UV_EAGAIN among them. */
static int next_stream(la_listener *l, la_uv_stream **out) {
  if (l->back_count > 0) {
    *out = l->back[0];
    memmove(l->back, l->back + 1, --l->back_count * sizeof *l->back);
    return 0;
  }
  if (l->spare == NULL) l->spare = l->kind->make(l->handle.reactor);
  if (l->spare == NULL) return UV_ENOMEM;
  int fd = next_fd(l);
  if (fd < 0) return fd;
  int err = l->kind->open(l->spare, fd);
  if (err != 0) {
    l->held = fd;
    return err;
  }
  *out = l->spare;
  l->spare = NULL;
  return 0;
}

static bool keep_back(la_listener *l, la_uv_stream *s) {
  if (!la_listener_is_open(l) && !l->stopped) return false;
  if (l->back_count % 16 == 0) {
    la_uv_stream **more = realloc(l->back, (l->back_count + 16) * sizeof(la_uv_stream *));
    if (more == NULL) return false;
    l->back = more;
  }
  l->back[l->back_count++] = s;
  return true;
}

/* For a stream whose accept was given up: without memory for that it is closed. */
static void give_back(la_listener *l, la_uv_stream *s) {
  if (!keep_back(l, s)) la_uv_stream_unref(s);
}

/* ---- stopping ---------------------------------------------------------------------*/

/* Who serves what was accepted needs descriptors, too, and so do others. */
static bool leaves_room(int fd) {
  struct rlimit r;
  if (getrlimit(RLIMIT_NOFILE, &r) != 0 || r.rlim_cur == RLIM_INFINITY) return true;
  rlim_t rest = r.rlim_cur / 4 < 16 ? 16 : r.rlim_cur / 4;
  return (rlim_t)fd + rest < r.rlim_cur;
}

static bool leave(la_listener *l, int fd) {
  if (l->left_count % 16 == 0) {
    int *more = realloc(l->left, (l->left_count + 16) * sizeof *more);
    if (more == NULL) return false;
    l->left = more;
  }
  l->left[l->left_count++] = fd;
  return true;
}

static void turn_round(int *list, size_t n) {
  for (size_t i = 0; i < n / 2; i++) {
    int other = list[n - 1 - i];
    list[n - 1 - i] = list[i];
    list[i] = other;
  }
}

/* What clients take for connected, as much of it as there are memory and descriptors for: the last
** quarter of those is left free. */
void la_listener_stop(la_listener *l) {
  enum { MOST = 65536 };
  if (!la_listener_is_open(l)) return;
  for (bool room = true; room && l->left_count < MOST;) {
    int fd = next_fd(l);
    if (fd < 0) break;
    room = leaves_room(fd);
    if (leave(l, fd)) continue;
    close(fd);
    break;
  }
  turn_round(l->left, l->left_count); /* the first is served first, from the end */
  l->stopped = true;
  la_handle_close(&l->handle);
}

static void back_off(la_listener *l, la_context *cx) {
  la_executor *ex = l->handle.reactor->ex;
  l->backoffs++;
  l->backoff_ns = l->backoff_ns == 0 ? BACKOFF_MIN_NS : l->backoff_ns * 2;
  if (l->backoff_ns > BACKOFF_MAX_NS) l->backoff_ns = BACKOFF_MAX_NS;
  la_timer_insert(&ex->timers, &l->backoff, la_executor_now(ex) + l->backoff_ns,
                  la_waker_clone(cx->waker));
}

/* The back-off wakes whoever polled the first accept last: its task may have been another
** when the back-off began. */
static void back_off_for(la_listener *l, const la_context *cx) {
  la_waker old = l->backoff.waker;
  if (la_waker_will_wake(&old, cx->waker)) return;
  l->backoff.waker = la_waker_clone(cx->waker);
  la_waker_drop(old);
}

static void wait_turn(la_accept *a, la_context *cx) {
  la_listener *l = a->listener;
  if (!a->queued) la_list_push(&l->waiting, &a->node);
  a->queued = true;
  la_waiter_set(&a->waiter, l->handle.reactor, cx);
}

/* Leaves the queue; the next may find a connection too. */
static la_poll finish(la_accept *a, int status) {
  la_listener *l = a->listener;
  a->status = status;
  la_waiter_clear(&a->waiter, l->handle.reactor);
  if (la_node_linked(&a->node)) la_node_unlink(&a->node);
  if (has_next(l)) wake_first(l);
  return LA_READY;
}

static bool my_turn(const la_accept *a) {
  const la_list *waiting = &a->listener->waiting;
  return a->queued ? waiting->head.next == &a->node : la_list_empty(waiting);
}

int la_listener_try_accept(la_listener *l, la_uv_stream **out) {
  bool open = la_listener_is_open(l);
  if (!la_list_empty(&l->waiting)) return UV_EAGAIN;
  if (!open && l->held < 0 && l->left_count > 0) l->held = l->left[--l->left_count];
  if (!open && l->held < 0 && l->back_count == 0) return UV_EBADF;
  int err = next_stream(l, out);
  if (err == UV_EAGAIN) l->ready = false;
  return err;
}

/* From a listener that is closed. */
static la_poll accept_left(la_accept *a) {
  la_listener *l = a->listener;
  if (l->held < 0 && l->left_count > 0) l->held = l->left[--l->left_count];
  if (l->held >= 0 || l->back_count > 0) return finish(a, next_stream(l, &a->stream));
  return finish(a, a->queued ? UV_ECANCELED : UV_EBADF);
}

static la_poll accept_poll(la_future *f, la_context *cx) {
  la_accept *a = la_container(f, la_accept, base);
  la_listener *l = a->listener;
  if (!la_listener_is_open(l)) return la_budget_take(cx) ? accept_left(a) : LA_PENDING;
  if (!my_turn(a) || !has_next(l) || !la_timer_idle(&l->backoff)) {
    wait_turn(a, cx);
    if (!la_timer_idle(&l->backoff) && my_turn(a)) back_off_for(l, cx);
    int err = l->ready ? 0 : start_listening(l);
    return err == 0 ? LA_PENDING : finish(a, err);
  }
  if (!la_budget_take(cx)) {
    wait_turn(a, cx);
    return LA_PENDING;
  }
  int err = next_stream(l, &a->stream);
  if (err == 0) l->backoff_ns = 0;
  if (err == UV_EAGAIN || out_of_something(err)) {
    wait_turn(a, cx);
    if (err != UV_EAGAIN) {
      back_off(l, cx);
      return LA_PENDING;
    }
    l->ready = false;
    err = start_listening(l);
    if (err == 0) return LA_PENDING;
  }
  return finish(a, err);
}

/* One that was woken and goes without accepting passes the wake on, and what it had accepted. */
static void accept_drop(la_future *f) {
  la_accept *a = la_container(f, la_accept, base);
  la_listener *l = a->listener;
  la_reactor *r = l->handle.reactor;
  bool first = la_node_linked(&a->node) && my_turn(a);
  la_waiter_clear(&a->waiter, r);
  if (la_node_linked(&a->node)) la_node_unlink(&a->node);
  if (a->stream != NULL) {
    give_back(l, a->stream);
    wake_first(l);
  }
  if (first && la_listener_is_open(l)) {
    if (!la_timer_idle(&l->backoff)) la_timer_cancel(&r->ex->timers, &l->backoff);
    wake_first(l);
  }
  la_listener_unref(l);
}

static const la_future_vtable accept_vtable = {accept_poll, accept_drop, "accept", NULL};

void la_accept_init(la_accept *a, la_listener *l) {
  la_listener_ref(l);
  *a = (la_accept){.base = {&accept_vtable}, .listener = l};
}
