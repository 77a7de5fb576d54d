/*
** upper_stream: a stream on top of another one, which changes the bytes that pass.
**
**     local up = upper_stream.wrap(conn)     takes the connection over
**     up:write("hello\n")                    the peer reads "HELLO\n"
**     for line in up:lines() do … end        in upper case, too
**
** What is read is changed where it lies. What is written is changed in a buffer, and counts as
** written once the stream beneath has all of it: a write that is given up in between says how
** much of it was taken, since the rest of the buffer goes out before anything else does.
*/
#include <ctype.h>
#include <lauxlib.h>
#include <lua.h>
#include <lua_async.h>
#include <stdint.h>
#include <stdlib.h>

typedef struct upper {
  la_stream inner;
  char out[4096];
  size_t start, end; /* of what is in `out` and has not been handed on */
  size_t taken;      /* bytes of the write that is pending */
} upper;

static void to_upper(char *to, const char *from, size_t len) {
  for (size_t i = 0; i < len; i++) to[i] = (char)toupper((unsigned char)from[i]);
}

static la_poll poll_read(void *self, la_context *cx, char *buf, size_t len, ssize_t *n) {
  upper *u = self;
  if (la_stream_poll_read(u->inner, cx, buf, len, n) == LA_PENDING) return LA_PENDING;
  if (*n > 0) to_upper(buf, buf, (size_t)*n);
  return LA_READY;
}

static void forget_read(void *self) { la_stream_forget_read(((upper *)self)->inner); }

/* Hands on what is in `out`. A failure leaves nothing there: the stream beneath is done for. */
static la_poll hand_on(upper *u, la_context *cx, int *status) {
  *status = 0;
  while (u->start < u->end) {
    ssize_t n;
    if (la_stream_poll_write(u->inner, cx, u->out + u->start, u->end - u->start, &n) == LA_PENDING)
      return LA_PENDING;
    if (n < 0) {
      *status = (int)n;
      n = (ssize_t)(u->end - u->start);
    }
    u->start += (size_t)n;
  }
  u->start = u->end = 0;
  return LA_READY;
}

static la_poll poll_write(void *self, la_context *cx, const char *data, size_t len, ssize_t *n) {
  upper *u = self;
  int status;
  for (;;) {
    if (hand_on(u, cx, &status) == LA_PENDING) return LA_PENDING;
    if (status < 0 || u->taken > 0) break;
    u->taken = u->end = len < sizeof u->out ? len : sizeof u->out;
    to_upper(u->out, data, u->taken);
  }
  *n = status < 0 ? status : (ssize_t)u->taken;
  u->taken = 0;
  return LA_READY;
}

static size_t forget_write(void *self) {
  upper *u = self;
  size_t taken = u->taken;
  u->start += la_stream_forget_write(u->inner);
  u->taken = 0;
  return taken;
}

static la_poll poll_flush(void *self, la_context *cx, int *status) {
  upper *u = self;
  if (hand_on(u, cx, status) == LA_PENDING) return LA_PENDING;
  return *status < 0 ? LA_READY : la_stream_poll_flush(u->inner, cx, status);
}

static la_poll poll_shutdown(void *self, la_context *cx, int *status) {
  upper *u = self;
  if (hand_on(u, cx, status) == LA_PENDING) return LA_PENDING;
  return *status < 0 ? LA_READY : la_stream_poll_shutdown(u->inner, cx, status);
}

static void close_it(void *self) { la_stream_close(((upper *)self)->inner); }

static void drop(void *self) {
  upper *u = self;
  la_stream_drop(u->inner);
  free(u);
}

/* No descriptor: what a child would write to it would not be in upper case. */
static const la_stream_vtable vtable = {.size = sizeof(la_stream_vtable),
                                        .name = "UpperStream",
                                        .poll_read = poll_read,
                                        .forget_read = forget_read,
                                        .poll_write = poll_write,
                                        .forget_write = forget_write,
                                        .poll_flush = poll_flush,
                                        .poll_shutdown = poll_shutdown,
                                        .close = close_it,
                                        .drop = drop};

static int wrap(lua_State *L) {
  const la_api *api = lua_touserdata(L, lua_upvalueindex(1));
  la_stream inner = api->take_stream(L, 1);
  upper *u = malloc(sizeof *u);
  if (u == NULL) {
    la_stream_drop(inner);
    return luaL_error(L, "not enough memory");
  }
  u->inner = inner;
  u->start = u->end = u->taken = 0;
  api->push_stream(L, (la_stream){u, &vtable});
  return 1;
}

int luaopen_upper_stream(lua_State *L);
int luaopen_upper_stream(lua_State *L) {
  lua_newtable(L);
  lua_pushlightuserdata(L, (void *)(uintptr_t)la_import(L));
  lua_pushcclosure(L, wrap, 1);
  lua_setfield(L, -2, "wrap");
  return 1;
}
