/*
** What else can be sent to another thread: wakers, listeners, connections.
**
** A waker wakes its task from there. A listener is there once more, and both accept from the one
** queue. A connection is moved, with the bytes that were read and not taken: it is closed here.
*/
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bridge/waker_object.h"
#include "core/task.h"
#include "net/l_listener.h"
#include "net/l_unix.h"
#include "net/unix.h"
#include "stream/l_stream.h"
#include "thread/l_thread.h"

/* ---- wakers --------------------------------------------------------------------------*/

static void *give_waker(void *ud, int *error) {
  la_waker_object *o = ud;
  la_waker *w = o->live ? malloc(sizeof *w) : NULL;
  *error = w != NULL ? 0 : o->live ? UV_ENOMEM : UV_EBADF;
  if (w == NULL) return NULL;
  la_task *t = la_waker_task(&o->waker);
  *w = t != NULL ? la_task_clone_external(t) : la_waker_clone(&o->waker);
  return w;
}

static void take_waker(lua_State *L, void *object) { la_api_push_waker(L, la_waker_clone(object)); }

static void drop_waker(void *object) {
  la_waker *w = object;
  la_waker_drop(*w);
  free(w);
}

/* What needs a runtime. */
static const char a_listener[] = "receiving a listener", a_connection[] = "receiving a connection";

/* ---- descriptors on their way ----------------------------------------------------------*/

typedef struct travelling {
  int fd;
  la_socket_options options; /* of what a listener accepts */
  la_unix_file *file;        /* of a listener that has one */
  int nodelay;               /* of a connection */
  size_t len;                /* of what was read ahead */
  char bytes[];
} travelling;

static travelling *pack_up(int fd, const char *bytes, size_t len, int *error) {
  travelling *t = malloc(sizeof *t + len);
  *error = UV_ENOMEM;
  if (t == NULL) return NULL;
  *t = (travelling){.fd = fcntl(fd, F_DUPFD_CLOEXEC, 0), .len = len};
  memcpy(t->bytes, bytes, len);
  *error = t->fd >= 0 ? 0 : uv_translate_sys_error(errno);
  if (t->fd >= 0) return t;
  free(t);
  return NULL;
}

static void drop_travelling(void *object) {
  travelling *t = object;
  close(t->fd);
  if (t->file != NULL) la_unix_file_drop(t->file);
  free(t);
}

static void check(lua_State *L, int error) {
  if (error == 0) return;
  la_fail(L, error, "receive");
  lua_error(L);
}

/* Pushes an object for a descriptor like this one, which stays where it is: raises, and it may be
** tried again. */
static void adopt(lua_State *L, la_reactor *r, int fd) {
  int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  int error = own >= 0 ? la_net_adopt(L, r, own) : uv_translate_sys_error(errno);
  if (error != 0 && own >= 0) close(own);
  check(L, error);
}

/* ---- listeners -----------------------------------------------------------------------*/

static void *give_listener(void *ud, int *error) {
  const la_listener_object *o = ud;
  *error = UV_EBADF;
  if (o->listener == NULL || !la_listener_is_open(o->listener)) return NULL;
  travelling *t = pack_up(la_listener_fd(o->listener), "", 0, error);
  if (t == NULL) return NULL;
  t->options = o->options;
  t->file = la_unix_file_of(o->listener);
  return t;
}

static void take_listener(lua_State *L, void *object) {
  const travelling *t = object;
  la_reactor *r = la_check_reactor(L, a_listener);
  adopt(L, r, t->fd);
  la_listener_object *o = lua_touserdata(L, -1);
  o->options = t->options;
  if (t->file != NULL) la_unix_file_share(o->listener, t->file);
}

/* ---- connections ---------------------------------------------------------------------*/

static void *give_stream(void *ud, int *error) {
  const la_io_object *o = ud;
  la_uv_stream *s = o->self;
  *error = UV_EBADF;
  if (s == NULL || s->fd < 0) return NULL;
  *error = UV_EBUSY;
  if (o->reading != NULL || o->writing != NULL || !la_uv_stream_is_settled(s)) return NULL;
  if (strcmp(o->cls->name, LA_UNIX_CONNECTION_NAME) == 0 && la_unix_arrived(s) > 0) return NULL;
  size_t len = la_reader_unread(&s->reader);
  travelling *t = pack_up(s->fd, len > 0 ? la_rbuf_bytes(&s->reader.buf) : "", len, error);
  socklen_t size = sizeof t->nodelay;
  if (t != NULL && getsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &t->nodelay, &size) != 0)
    t->nodelay = 1;
  return t;
}

static void gone_stream(void *ud) {
  la_uv_stream *s = ((la_io_object *)ud)->self;
  la_reader_clear(&s->reader);
  la_uv_stream_close(s);
}

static void take_stream(lua_State *L, void *object) {
  const travelling *t = object;
  la_reactor *r = la_check_reactor(L, a_connection);
  adopt(L, r, t->fd);
  la_uv_stream *s = ((la_io_object *)lua_touserdata(L, -1))->self;
  check(L, la_rbuf_append(&s->reader.buf, r, t->bytes, t->len));
  if (t->nodelay == 0) setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &t->nodelay, sizeof t->nodelay);
  drop_travelling(object);
}

/* ---- the metatables ------------------------------------------------------------------*/

static void set(lua_State *L, const char *name, const la_sendable *cls) {
  luaL_getmetatable(L, name);
  la_sendable_set(L, cls);
  lua_pop(L, 1);
}

void la_open_thread_handles(lua_State *L) {
  static const la_sendable waker = {give_waker, NULL, take_waker, drop_waker, NULL};
  static const la_sendable listener = {give_listener, NULL, take_listener, drop_travelling,
                                       a_listener};
  static const la_sendable stream = {give_stream, gone_stream, take_stream, drop_travelling,
                                     a_connection};
  set(L, LA_WAKER_NAME, &waker);
  set(L, LA_LISTENER_NAME, &listener);
  set(L, LA_CONNECTION_NAME, &stream);
  set(L, LA_UNIX_CONNECTION_NAME, &stream);
  set(L, LA_PIPE_NAME, &stream);
}
