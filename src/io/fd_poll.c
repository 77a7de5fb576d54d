#include "io/fd_poll.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "driver/guard.h"
#include "driver/waiter.h"

typedef struct watch {
  la_fd_poll pub;
  la_handle handle; /* its reference is the future's */
  la_waiter waiter;
  uv_poll_t uv;
  int fd; /* the caller's, until the first poll; then the duplicate, -1 without one */
  int wanted;
  bool begun, ended;
} watch;

static watch *from_handle(la_handle *h) { return la_container(h, watch, handle); }
static uv_handle_t *watch_handle(la_handle *h) { return (uv_handle_t *)&from_handle(h)->uv; }

static void watch_closing(la_handle *h) {
  watch *w = from_handle(h);
  uv_poll_stop(&w->uv); /* before the descriptor goes */
  close(w->fd);
  w->fd = -1;
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

static void on_event(uv_poll_t *uv, int status, int events) {
  watch *w = from_handle(uv->data);
  uv_poll_stop(uv);
  end(w, 0, status < 0 ? w->wanted : events & w->wanted);
  la_waiter_wake(&w->waiter, w->handle.reactor);
}

/* libuv makes the open file non-blocking, which is its owner's as well; waiting needs no such
 * thing. */
static int init_poll(uv_loop_t *loop, uv_poll_t *uv, int fd) {
  int flags = fcntl(fd, F_GETFL), err = uv_poll_init(loop, uv, fd);
  if (flags >= 0 && !(flags & O_NONBLOCK)) fcntl(fd, F_SETFL, flags);
  return err;
}

static int start(watch *w) {
  la_reactor *r = w->handle.reactor;
  if (r->closed) return UV_ECANCELED;
  int fd = fcntl(w->fd, F_DUPFD_CLOEXEC, 0);
  if (fd < 0) return uv_translate_sys_error(errno);
  int err = la_guard_watch(r, fd);
  if (err == 0) err = init_poll(r->uv, &w->uv, fd);
  if (err != 0) {
    close(fd);
    return err;
  }
  w->fd = fd;
  la_handle_opened(&w->handle);
  return uv_poll_start(&w->uv, w->wanted, on_event);
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
  w->wanted = events;
  la_handle_init(&w->handle, r, &watch_class);
  return &w->pub;
}
