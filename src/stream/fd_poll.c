#include "stream/fd_poll.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/epoll.h>
#endif

#include "driver/guard.h"
#include "driver/waiter.h"

typedef struct watch {
  la_fd_poll pub;
  la_handle handle; /* its reference is the future's */
  la_watched watched;
  la_waiter waiter;
  uv_poll_t uv;
  int fd;  /* the caller's */
  int own; /* what libuv watches: an epoll of our own with `fd` in it, or its duplicate; or -1 */
  int wanted;
  bool begun, ended;
} watch;

static watch *from_handle(la_handle *h) { return la_container(h, watch, handle); }
static uv_handle_t *watch_handle(la_handle *h) { return (uv_handle_t *)&from_handle(h)->uv; }

static void unlink_watched(watch *w) {
  if (la_node_linked(&w->watched.node)) la_node_unlink(&w->watched.node);
}

static void watch_closing(la_handle *h) {
  watch *w = from_handle(h);
  unlink_watched(w);
  uv_poll_stop(&w->uv); /* before the descriptor goes */
  close(w->own);
  w->own = -1;
  if (!w->ended) w->pub.status = UV_ECANCELED;
  w->ended = true;
  la_waiter_wake(&w->waiter, h->reactor);
}

static void watch_free(la_handle *h) { free(from_handle(h)); }

static const la_handle_class watch_class = {"watch of a descriptor", watch_handle, watch_closing,
                                            watch_free};

static void end(watch *w, int status, int events) {
  w->ended = true;
  w->pub.status = status;
  w->pub.events = events;
}

/* Its owner, of this runtime, is closing the descriptor. */
static void owner_closes(la_watched *watched) {
  la_handle_close(&la_container(watched, watch, watched)->handle);
}

/* ---- what libuv watches -----------------------------------------------------------*/

#ifdef __linux__

/* An epoll knows the open file, and does not hold it: closed, it is gone, and its peer sees that.
** Nor does libuv touch its flags then. */
static int make_own(const watch *w) {
  int own = epoll_create1(EPOLL_CLOEXEC);
  if (own < 0) return uv_translate_sys_error(errno);
  struct epoll_event e = {.events = (w->wanted & UV_READABLE ? EPOLLIN : 0u) |
                                    (w->wanted & UV_WRITABLE ? EPOLLOUT : 0u)};
  if (epoll_ctl(own, EPOLL_CTL_ADD, w->fd, &e) == 0) return own;
  int err = uv_translate_sys_error(errno);
  close(own);
  return err;
}

static int init_poll(uv_loop_t *loop, uv_poll_t *uv, int own) {
  return uv_poll_init(loop, uv, own);
}

static int listens_for(const watch *w) {
  (void)w;
  return UV_READABLE;
}

/* The events of `fd`; 0: none, any more. */
static int events_of(const watch *w, int events) {
  struct epoll_event e;
  (void)events;
  if (epoll_wait(w->own, &e, 1, 0) != 1) return 0;
  if (e.events & (EPOLLERR | EPOLLHUP)) return w->wanted;
  return (e.events & EPOLLIN ? UV_READABLE : 0) | (e.events & EPOLLOUT ? UV_WRITABLE : 0);
}

/* Closed here, while others have the open file still. */
static bool is_gone(const watch *w) {
  struct epoll_event e = {0};
  return epoll_ctl(w->own, EPOLL_CTL_MOD, w->fd, &e) != 0 && (errno == ENOENT || errno == EBADF);
}

#else

static int make_own(const watch *w) {
  int own = fcntl(w->fd, F_DUPFD_CLOEXEC, 0);
  return own >= 0 ? own : uv_translate_sys_error(errno);
}

/* libuv makes the open file non-blocking, which is its owner's as well; waiting needs no such
 * thing. */
static int init_poll(uv_loop_t *loop, uv_poll_t *uv, int own) {
  int flags = fcntl(own, F_GETFL), err = uv_poll_init(loop, uv, own);
  if (flags >= 0 && !(flags & O_NONBLOCK)) fcntl(own, F_SETFL, flags);
  return err;
}

static int listens_for(const watch *w) { return w->wanted; }
static int events_of(const watch *w, int events) { return events & w->wanted; }
static bool is_gone(const watch *w) { return fcntl(w->fd, F_GETFD) < 0; }

#endif

/* ---- watching ---------------------------------------------------------------------*/

static void on_event(uv_poll_t *uv, int status, int events) {
  watch *w = from_handle(uv->data);
  int now = status < 0 ? w->wanted : events_of(w, events);
  if (now == 0) return;
  uv_poll_stop(uv);
  if (is_gone(w))
    end(w, UV_EBADF, 0);
  else
    end(w, 0, now);
  la_waiter_wake(&w->waiter, w->handle.reactor);
}

static int start(watch *w) {
  la_reactor *r = w->handle.reactor;
  if (r->closed) return UV_ECANCELED;
  int own = make_own(w);
  if (own < 0) return own;
  int err = la_guard_watch(r, own);
  if (err == 0) err = init_poll(r->uv, &w->uv, own);
  if (err != 0) {
    close(own);
    return err;
  }
  w->own = own;
  la_handle_opened(&w->handle);
  w->watched = (la_watched){.fd = w->fd, .closes = owner_closes};
  la_list_push(&r->watched, &w->watched.node);
  return uv_poll_start(&w->uv, listens_for(w), on_event);
}

static void begin(watch *w) {
  w->begun = true;
  int err = start(w);
  if (err == UV_EPERM) /* as select(2) has it: a regular file */
    end(w, 0, w->wanted);
  else if (err != 0)
    end(w, err, 0);
}

static la_poll watch_poll(la_future *f, la_context *cx) {
  watch *w = (watch *)(void *)la_container(f, la_fd_poll, base);
  if (!w->begun) begin(w);
  if (w->ended) return la_budget_take(cx) ? LA_READY : LA_PENDING;
  la_waiter_set(&w->waiter, w->handle.reactor, cx);
  return LA_PENDING;
}

static void watch_drop(la_future *f) {
  watch *w = (watch *)(void *)la_container(f, la_fd_poll, base);
  la_waiter_clear(&w->waiter, w->handle.reactor);
  la_handle_unref(&w->handle);
}

static const la_future_vtable watch_vtable = {watch_poll, watch_drop, "poll_fd", NULL};

la_fd_poll *la_fd_poll_new(la_reactor *r, int fd, int events) {
  watch *w = calloc(1, sizeof *w);
  if (w == NULL) return NULL;
  w->pub.base.vt = &watch_vtable;
  w->fd = fd;
  w->own = -1;
  w->wanted = events;
  la_handle_init(&w->handle, r, &watch_class);
  return &w->pub;
}
