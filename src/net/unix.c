#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "net/unix.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "stream/fd_poll.h"
#include "stream/socket.h"

/* ---- addresses --------------------------------------------------------------------*/

int la_unix_address_set(la_unix_address *a, const char *path, size_t len) {
  *a = (la_unix_address){.sun.sun_family = AF_UNIX};
  bool abstract = len > 1 && path[0] == '\0';
  if (len == 0 || (!abstract && memchr(path, '\0', len) != NULL)) return UV_EINVAL;
  if (len + !abstract > sizeof a->sun.sun_path) return UV_ENAMETOOLONG;
  memcpy(a->sun.sun_path, path, len);
  a->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + !abstract);
  return 0;
}

const char *la_unix_address_path(const la_unix_address *a, size_t *len) {
  size_t n = a->len > offsetof(struct sockaddr_un, sun_path)
                 ? a->len - offsetof(struct sockaddr_un, sun_path)
                 : 0;
  *len = n > 0 && a->sun.sun_path[0] != '\0' ? strnlen(a->sun.sun_path, n) : n;
  return a->sun.sun_path;
}

void la_unix_address_text(const la_unix_address *a, char text[LA_UNIX_TEXT]) {
  size_t len;
  const char *path = la_unix_address_path(a, &len);
  memcpy(text, path, len);
  text[len] = '\0';
  if (len > 0 && *text == '\0') *text = '@';
}

typedef int (*name_of)(int fd, struct sockaddr *sa, socklen_t *len);

static int name(int fd, name_of get, la_unix_address *out) {
  out->len = sizeof out->sun;
  if (fd < 0) return UV_EBADF;
  return get(fd, (struct sockaddr *)&out->sun, &out->len) == 0 ? 0 : uv_translate_sys_error(errno);
}

int la_unix_peer(const la_uv_stream *s, la_unix_address *out) {
  return name(s->fd, getpeername, out);
}
int la_unix_local(const la_uv_stream *s, la_unix_address *out) {
  return name(s->fd, getsockname, out);
}
int la_unix_listener_local(const la_listener *l, la_unix_address *out) {
  return name(la_listener_fd(l), getsockname, out);
}

int la_unix_peer_credentials(const la_uv_stream *s, la_unix_credentials *out) {
  if (s->fd < 0) return UV_EBADF;
#ifdef SO_PEERCRED
  struct ucred c;
  socklen_t len = sizeof c;
  if (getsockopt(s->fd, SOL_SOCKET, SO_PEERCRED, &c, &len) != 0)
    return uv_translate_sys_error(errno);
  *out = (la_unix_credentials){c.pid, (long)c.uid, (long)c.gid};
#else
  uid_t uid;
  gid_t gid;
  if (getpeereid(s->fd, &uid, &gid) != 0) return uv_translate_sys_error(errno);
  *out = (la_unix_credentials){-1, (long)uid, (long)gid};
#endif
  return 0;
}

/* ---- streams ----------------------------------------------------------------------*/

/* What stands behind the la_uv_stream. */
typedef struct tail {
  uv_pipe_t uv;
  const la_uv_stream_passing *passing;
  int *fds; /* arrived and not taken, oldest first */
  unsigned count, room;
  int lost; /* see la_unix_lost */
} tail;

static tail *tail_of(const la_uv_stream *s) {
  return (tail *)(void *)la_uv_stream_uv((la_uv_stream *)s);
}

static ssize_t receive(la_uv_stream *s, char *buf, size_t len);
static void forget(la_uv_stream *s);
static const la_uv_stream_passing passing = {receive, forget};

static la_uv_stream *make(la_reactor *r) {
  la_uv_stream *s = la_uv_stream_new(r, sizeof(tail));
  if (s != NULL) tail_of(s)->passing = &passing;
  return s;
}

static void init(uv_loop_t *loop, uv_stream_t *uv) { uv_pipe_init(loop, (uv_pipe_t *)uv, 0); }
static int open_uv(uv_stream_t *uv, int fd) { return uv_pipe_open((uv_pipe_t *)uv, fd); }

static int open_stream(la_uv_stream *s, int fd) {
  return la_uv_stream_open(s, fd, LA_STREAM_PASSING, init, open_uv);
}

const la_uv_stream_kind la_unix_kind = {make, open_stream};

/* ---- descriptors that arrive ------------------------------------------------------*/

enum { PER_MESSAGE = 253 }; /* Linux's SCM_MAX_FD */

static bool reserve(tail *t, unsigned more) {
  if (t->room - t->count >= more) return true;
  int *fds = realloc(t->fds, (t->count + more) * sizeof *fds);
  if (fds == NULL) return false;
  t->fds = fds;
  t->room = t->count + more;
  return true;
}

static void keep(tail *t, const struct cmsghdr *c) {
  size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
  int fds[PER_MESSAGE];
  if (n > PER_MESSAGE) n = PER_MESSAGE;
  memcpy(fds, CMSG_DATA(c), n * sizeof(int));
  if (!reserve(t, (unsigned)n)) { /* they are lost, but not leaked */
    t->lost = UV_ENOMEM;
    for (size_t i = 0; i < n; i++) close(fds[i]);
    return;
  }
  memcpy(t->fds + t->count, fds, n * sizeof(int));
  t->count += (unsigned)n;
}

static ssize_t receive(la_uv_stream *s, char *buf, size_t len) {
  tail *t = tail_of(s);
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(PER_MESSAGE * sizeof(int))];
  } control;
  struct iovec iov = {buf, len};
  struct msghdr m = {.msg_iov = &iov,
                     .msg_iovlen = 1,
                     .msg_control = control.bytes,
                     .msg_controllen = sizeof control.bytes};
  if (t->count >= LA_UNIX_KEPT) {
    errno = ETOOMANYREFS;
    return -1;
  }
  ssize_t n = la_socket_recvmsg(s->fd, &m);
  if (n < 0) return n;
  /* There is room for all that one message can have: the process has no descriptors left. */
  if (m.msg_flags & MSG_CTRUNC) t->lost = UV_EMFILE;
  for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c != NULL; c = CMSG_NXTHDR(&m, c))
    if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) keep(t, c);
  return n;
}

static void forget(la_uv_stream *s) {
  tail *t = tail_of(s);
  for (unsigned i = 0; i < t->count; i++) close(t->fds[i]);
  free(t->fds);
  t->fds = NULL;
  t->count = t->room = 0;
}

unsigned la_unix_arrived(const la_uv_stream *s) { return tail_of(s)->count; }

int la_unix_take(la_uv_stream *s) {
  tail *t = tail_of(s);
  if (t->count == 0) return -1;
  int fd = t->fds[0];
  memmove(t->fds, t->fds + 1, --t->count * sizeof *t->fds);
  return fd;
}

int la_unix_lost(la_uv_stream *s) {
  tail *t = tail_of(s);
  int lost = t->lost;
  t->lost = 0;
  return lost;
}

void la_unix_put_back(la_uv_stream *s, int fd) {
  tail *t = tail_of(s); /* there is room: it was taken from here */
  memmove(t->fds + 1, t->fds, t->count++ * sizeof *t->fds);
  t->fds[0] = fd;
}

/* ---- descriptors that are sent ----------------------------------------------------*/

static ssize_t send_one(int socket, int fd) {
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int))];
  } control = {0};
  char zero = 0;
  struct iovec iov = {&zero, 1};
  struct msghdr m = {.msg_iov = &iov,
                     .msg_iovlen = 1,
                     .msg_control = control.bytes,
                     .msg_controllen = sizeof control.bytes};
  struct cmsghdr *c = CMSG_FIRSTHDR(&m);
  c->cmsg_level = SOL_SOCKET;
  c->cmsg_type = SCM_RIGHTS;
  c->cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(c), &fd, sizeof(int));
  ssize_t n;
  do n = la_socket_sendmsg(socket, &m);
  while (n < 0 && errno == EINTR);
  return n >= 0 ? n : uv_translate_sys_error(errno);
}

static void give_up_room(la_unix_send *f) {
  if (f->room != NULL) la_future_drop(f->room);
  f->room = NULL;
}

static la_poll sent(la_unix_send *f, int status) {
  give_up_room(f);
  la_waiter_clear(&f->stream->writing, f->stream->handle.reactor);
  f->status = status;
  return LA_READY;
}

/* A carried byte would go without the descriptor, so the room is waited for by other means. */
static la_poll send_poll(la_future *future, la_context *cx) {
  la_unix_send *f = la_container(future, la_unix_send, base);
  la_uv_stream *s = f->stream;
  if (la_uv_stream_poll_settled(s, cx, &f->status) == LA_PENDING) return LA_PENDING;
  if (f->status != 0) return sent(f, f->status);
  for (;;) {
    if (f->room != NULL && la_future_poll(f->room, cx) == LA_PENDING) {
      la_waiter_set(&s->writing, s->handle.reactor, cx); /* a close wakes it, too */
      return LA_PENDING;
    }
    give_up_room(f);
    ssize_t n = send_one(s->fd, f->fd);
    if (n != UV_EAGAIN) return sent(f, n < 0 ? la_uv_stream_note_error(s, (int)n) : 0);
    la_fd_poll *room = la_fd_poll_new(s->handle.reactor, s->fd, UV_WRITABLE);
    if (room == NULL) return sent(f, UV_ENOMEM);
    f->room = &room->base;
  }
}

static void send_drop(la_future *future) {
  la_unix_send *f = la_container(future, la_unix_send, base);
  give_up_room(f);
  la_uv_stream_forget_write(f->stream);
  close(f->fd);
}

static const la_future_vtable send_vtable = {send_poll, send_drop, "send_fd", NULL};

void la_unix_send_init(la_unix_send *f, la_uv_stream *s, int fd) {
  *f = (la_unix_send){.base = {&send_vtable}, .stream = s, .fd = fd};
}
