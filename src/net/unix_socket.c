/* Unix sockets: connecting, and listening in the file system. */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/tcp.h"
#include "net/unix.h"

#define RETRY_MIN_NS UINT64_C(1000000)
#define RETRY_MAX_NS UINT64_C(64000000)

static const struct sockaddr *sockaddr_of(const la_unix_address *a) {
  return (const struct sockaddr *)&a->sun;
}

static int connect_now(int fd, const la_unix_address *a) {
  int r;
  do r = connect(fd, sockaddr_of(a), a->len);
  while (r != 0 && errno == EINTR);
  return r == 0 ? 0 : uv_translate_sys_error(errno);
}

/* ---- connecting -------------------------------------------------------------------*/

static void stop_timer(la_unix_connect *c) {
  if (la_timer_idle(&c->retry)) return;
  if (c->reactor->ex != NULL)
    la_timer_cancel(&c->reactor->ex->timers, &c->retry);
  else
    la_waker_drop(c->retry.waker);
}

static int connected(la_unix_connect *c) {
  c->stream = la_unix_kind.make(c->reactor);
  int err = c->stream == NULL ? UV_ENOMEM : la_unix_kind.open(c->stream, c->fd);
  if (err == 0)
    c->fd = -1;
  else if (c->stream != NULL)
    la_uv_stream_unref(c->stream);
  if (err != 0) c->stream = NULL;
  return err;
}

static int attempt(la_unix_connect *c) {
  if (c->reactor->closed) return UV_ECANCELED;
  if (c->fd < 0) c->fd = la_tcp_socket(AF_UNIX);
  if (c->fd < 0) return c->fd;
  int err = connect_now(c->fd, &c->address);
  return err == 0 ? connected(c) : err;
}

static la_poll connect_poll(la_future *f, la_context *cx) {
  la_unix_connect *c = la_container(f, la_unix_connect, base);
  stop_timer(c);
  if (!la_budget_take(cx)) return LA_PENDING;
  c->status = attempt(c);
  if (c->status != UV_EAGAIN) return LA_READY;
  la_executor *ex = c->reactor->ex;
  c->retry_ns = c->retry_ns == 0 ? RETRY_MIN_NS : c->retry_ns * 2;
  if (c->retry_ns > RETRY_MAX_NS) c->retry_ns = RETRY_MAX_NS;
  la_timer_insert(&ex->timers, &c->retry, la_executor_now(ex) + c->retry_ns,
                  la_waker_clone(cx->waker));
  return LA_PENDING;
}

static void connect_drop(la_future *f) {
  la_unix_connect *c = la_container(f, la_unix_connect, base);
  stop_timer(c);
  if (c->stream != NULL) la_uv_stream_unref(c->stream);
  if (c->fd >= 0) close(c->fd);
  la_reactor_unref(c->reactor);
  free(c);
}

static const la_future_vtable connect_vtable = {connect_poll, connect_drop, "connect_unix", NULL};

la_unix_connect *la_unix_connect_new(la_reactor *r, const la_unix_address *a) {
  la_unix_connect *c = calloc(1, sizeof *c);
  if (c == NULL) return NULL;
  c->base.vt = &connect_vtable;
  c->reactor = r;
  la_reactor_ref(r);
  c->address = *a;
  c->fd = -1;
  return c;
}

/* ---- the socket file --------------------------------------------------------------*/

static bool is_abstract(const la_unix_address *a) { return a->sun.sun_path[0] == '\0'; }

static bool is_socket(const char *path) {
  struct stat st;
  return lstat(path, &st) == 0 && S_ISSOCK(st.st_mode);
}

/* Nobody listens to it any more. */
static bool is_stale(const la_unix_address *a) {
  int fd = la_tcp_socket(AF_UNIX);
  if (fd < 0) return false;
  int err = connect_now(fd, a);
  close(fd);
  return err == UV_ECONNREFUSED;
}

/* Another process may replace the file at the same time: so it is moved away first, looked
** at again, and given back if it has come to life. True: the path is free. */
static bool remove_stale(const la_unix_address *a) {
  la_unix_address aside;
  char path[sizeof aside.sun.sun_path];
  if (!is_socket(a->sun.sun_path) || !is_stale(a)) return false;
  int n = snprintf(path, sizeof path, "%s.%lx", a->sun.sun_path, (unsigned long)getpid());
  if (n < 0 || (size_t)n >= sizeof path || la_unix_address_set(&aside, path, (size_t)n) != 0)
    return unlink(a->sun.sun_path) == 0; /* no room for another name */
  if (rename(a->sun.sun_path, path) != 0) return false;
  bool stale = is_stale(&aside);
  if (!stale && link(path, a->sun.sun_path) != 0 && errno != EEXIST) return false;
  unlink(path);
  return stale;
}

static int bind_file(int fd, const la_unix_address *a) {
  return bind(fd, sockaddr_of(a), a->len) == 0 ? 0 : uv_translate_sys_error(errno);
}

static int make_socket(const la_unix_address *a, const la_unix_listen_options *o) {
  int fd = la_tcp_socket(AF_UNIX);
  if (fd < 0) return fd;
  int err = bind_file(fd, a);
  if (err == UV_EADDRINUSE && !is_abstract(a) && remove_stale(a)) err = bind_file(fd, a);
  if (err != 0) {
    close(fd);
    return err;
  }
  if ((o->mode >= 0 && !is_abstract(a) && chmod(a->sun.sun_path, (mode_t)o->mode) != 0) ||
      listen(fd, o->backlog > 0 ? o->backlog : 4096) != 0) {
    err = uv_translate_sys_error(errno);
    if (!is_abstract(a)) unlink(a->sun.sun_path);
    close(fd);
    return err;
  }
  return fd;
}

/* ---- listening --------------------------------------------------------------------*/

/* Shared by all listeners of one queue, in any thread: the last one that closes removes it. */
struct la_unix_file {
  atomic_uint refs;
  dev_t dev;
  ino_t ino;
  char path[sizeof((struct sockaddr_un *)0)->sun_path + 1];
};

static void remove_owned(void *arg) {
  la_unix_file *o = arg;
  struct stat st;
  if (atomic_fetch_sub_explicit(&o->refs, 1, memory_order_acq_rel) != 1) return;
  if (lstat(o->path, &st) == 0 && st.st_dev == o->dev && st.st_ino == o->ino) unlink(o->path);
  free(o);
}

la_unix_file *la_unix_file_of(const la_listener *l) {
  la_unix_file *o = la_listener_closed_arg(l, remove_owned);
  if (o != NULL) atomic_fetch_add_explicit(&o->refs, 1, memory_order_relaxed);
  return o;
}

void la_unix_file_share(la_listener *l, la_unix_file *o) {
  atomic_fetch_add_explicit(&o->refs, 1, memory_order_relaxed);
  la_listener_on_close(l, remove_owned, o);
}

void la_unix_file_drop(la_unix_file *o) { remove_owned(o); }

/* NULL: no memory. */
static la_unix_file *own(const la_unix_address *a) {
  struct stat st;
  la_unix_file *o = calloc(1, sizeof *o);
  if (o == NULL) return NULL;
  atomic_init(&o->refs, 1);
  memcpy(o->path, a->sun.sun_path, sizeof a->sun.sun_path);
  if (lstat(o->path, &st) == 0) {
    o->dev = st.st_dev;
    o->ino = st.st_ino;
  }
  return o;
}

int la_unix_listener_new(la_reactor *r, const la_unix_address *a, const la_unix_listen_options *o,
                         la_listener **out) {
  int fd = r->closed ? UV_ECANCELED : make_socket(a, o);
  if (fd < 0) return fd;
  la_unix_file *file = is_abstract(a) ? NULL : own(a);
  int err =
      file == NULL && !is_abstract(a) ? UV_ENOMEM : la_listener_adopt(r, fd, &la_unix_kind, out);
  if (err == 0) {
    if (file != NULL) la_listener_on_close(*out, remove_owned, file);
    return 0;
  }
  if (file != NULL)
    remove_owned(file);
  else if (!is_abstract(a))
    unlink(a->sun.sun_path);
  close(fd);
  return err;
}
