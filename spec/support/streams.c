/*
** streams.c - streams of a C module that strain what the runtime makes of them: a loop of bytes in
** memory that is full soon, with and without the functions that a vtable may leave out; one that
** is not complete; and counts of what was called.
*/
#include <errno.h>
#include <lauxlib.h>
#include <lua.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lua_async.h"

static int closes, drops;

/* What is written can be read again: a byte buffer of `room` bytes. */
typedef struct ring {
  char bytes[64];
  size_t room, start, len;
  la_waker reader, writer; /* vt NULL: nobody */
  int ended, closed, fd;
} ring;

static void keep(la_waker *w, la_context *cx) {
  if (w->vt != NULL) la_waker_drop(*w);
  *w = la_waker_clone(cx->waker);
}

static void wake(la_waker *w) {
  la_waker waker = *w;
  *w = (la_waker){0};
  if (waker.vt != NULL) la_waker_wake(waker);
}

static void forget(la_waker *w) {
  la_waker waker = *w;
  *w = (la_waker){0};
  if (waker.vt != NULL) la_waker_drop(waker);
}

static la_poll ring_read(void *self, la_context *cx, char *buf, size_t len, ssize_t *n) {
  ring *r = self;
  if (r->len == 0 && !r->ended) {
    keep(&r->reader, cx);
    return LA_PENDING;
  }
  if (!la_budget_take(cx)) return LA_PENDING;
  for (*n = 0; (size_t)*n < len && r->len > 0; r->len--, ++*n) {
    buf[*n] = r->bytes[r->start];
    r->start = (r->start + 1) % r->room;
  }
  wake(&r->writer);
  return LA_READY;
}

static void ring_forget_read(void *self) { forget(&((ring *)self)->reader); }

static la_poll ring_write(void *self, la_context *cx, const char *data, size_t len, ssize_t *n) {
  ring *r = self;
  if (r->ended) {
    *n = -EPIPE;
    return LA_READY;
  }
  if (r->len == r->room) {
    keep(&r->writer, cx);
    return LA_PENDING;
  }
  if (!la_budget_take(cx)) return LA_PENDING;
  for (*n = 0; (size_t)*n < len && r->len < r->room; r->len++, ++*n)
    r->bytes[(r->start + r->len) % r->room] = data[*n];
  wake(&r->reader);
  return LA_READY;
}

static size_t ring_forget_write(void *self) {
  forget(&((ring *)self)->writer);
  return 0;
}

static la_poll ring_shutdown(void *self, la_context *cx, int *status) {
  ring *r = self;
  (void)cx;
  r->ended = 1;
  *status = 0;
  wake(&r->reader);
  return LA_READY;
}

static void ring_close(void *self) {
  ((ring *)self)->closed = 1;
  closes++;
}

static void ring_drop(void *self) {
  ring *r = self;
  forget(&r->reader);
  forget(&r->writer);
  if (r->fd >= 0) close(r->fd);
  drops++;
  free(r);
}

static int ring_fd(const void *self) { return ((const ring *)self)->fd; }

static const la_stream_vtable plain = {sizeof plain, "Ring",
                                       ring_read,    ring_forget_read,
                                       ring_write,   ring_forget_write,
                                       NULL,         ring_shutdown,
                                       ring_close,   ring_drop,
                                       ring_fd,      NULL};
static const la_stream_vtable halfless = {sizeof halfless,
                                          "Ring",
                                          ring_read,
                                          ring_forget_read,
                                          ring_write,
                                          ring_forget_write,
                                          NULL,
                                          NULL,
                                          ring_close,
                                          ring_drop,
                                          NULL,
                                          NULL};
static la_poll lazy_write(void *self, la_context *cx, const char *data, size_t len, ssize_t *n) {
  (void)self, (void)cx, (void)data, (void)len;
  *n = 0;
  return LA_READY;
}

static const la_stream_vtable lazy = {sizeof lazy, "Lazy",
                                      ring_read,   ring_forget_read,
                                      lazy_write,  ring_forget_write,
                                      NULL,        NULL,
                                      ring_close,  ring_drop,
                                      NULL,        NULL};
static const la_stream_vtable incomplete = {.size = sizeof incomplete, .name = "Incomplete"};
static const la_stream_vtable old = {.size = 16, .name = "Old"};

static const la_api *api_of(lua_State *L) { return lua_touserdata(L, lua_upvalueindex(1)); }

static int make(lua_State *L, const la_stream_vtable *vt, int fd) {
  ring *r = calloc(1, sizeof *r);
  if (r == NULL) return luaL_error(L, "not enough memory");
  r->room = (size_t)luaL_optinteger(L, 1, sizeof r->bytes);
  r->fd = fd;
  api_of(L)->push_stream(L, (la_stream){r, vt});
  return 1;
}

static int new_ring(lua_State *L) { return make(L, &plain, -1); }
static int new_halfless(lua_State *L) { return make(L, &halfless, -1); }
static int new_lazy(lua_State *L) { return make(L, &lazy, -1); }
static int new_with_fd(lua_State *L) { return make(L, &plain, dup((int)luaL_checkinteger(L, 2))); }

static int push_incomplete(lua_State *L) {
  api_of(L)->push_stream(L, (la_stream){NULL, lua_toboolean(L, 1) ? &old : &incomplete});
  return 1;
}

/* take(stream): takes it over and drops it; rewrap(stream): pushes what it took. */
static int take(lua_State *L) {
  la_stream_drop(api_of(L)->take_stream(L, 1));
  return 0;
}

static int rewrap(lua_State *L) {
  api_of(L)->push_stream(L, api_of(L)->take_stream(L, 1));
  return 1;
}

static int counts(lua_State *L) {
  lua_pushinteger(L, closes);
  lua_pushinteger(L, drops);
  closes = drops = 0;
  return 2;
}

int luaopen_streams(lua_State *L);
int luaopen_streams(lua_State *L) {
  static const luaL_Reg functions[] = {{"ring", new_ring},
                                       {"halfless", new_halfless},
                                       {"lazy", new_lazy},
                                       {"with_fd", new_with_fd},
                                       {"incomplete", push_incomplete},
                                       {"take", take},
                                       {"rewrap", rewrap},
                                       {"counts", counts},
                                       {NULL, NULL}};
  luaL_newlibtable(L, functions);
  lua_pushlightuserdata(L, (void *)(uintptr_t)la_import(L));
  luaL_setfuncs(L, functions, 1);
  return 1;
}
