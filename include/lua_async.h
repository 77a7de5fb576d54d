/*
** lua_async.h - the C face of lua_async: futures that Lua awaits.
**
** A C module defines a future (a struct that begins with `la_future`, and a
** vtable with `poll` and `drop`), hands it to `la_await`, and the Lua task that
** called it is suspended until the future is ready. The model is Rust's, term
** for term: std::future::Future, std::task::{Poll, Context, Waker} and
** RawWakerVTable <https://doc.rust-lang.org/std/task/struct.RawWakerVTable.html>.
**
** This header needs neither Lua's headers nor libuv's, and no library to link
** with: wakers and futures are reached through their vtables, the runtime
** through the table of functions that `la_import` finds.
*/
#ifndef LUA_ASYNC_H
#define LUA_ASYNC_H

#include <errno.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The ABI below. A larger minor adds functions at the end of `la_api`. */
#define LA_ABI_MAJOR 1
#define LA_ABI_MINOR 2

typedef struct lua_State lua_State;

/* ---- Poll ----------------------------------------------------------------*/

typedef enum la_poll { LA_PENDING = 0, LA_READY = 1 } la_poll;

/* ---- Waker ---------------------------------------------------------------*/

typedef struct la_waker_vtable la_waker_vtable;

/* A handle that tells an executor to poll a task again. It owns one reference,
** given up by exactly one `la_waker_wake` or `la_waker_drop`. Every function
** below may be called from any thread, at any time, also after the task has
** ended and after its Lua state is gone: then waking does nothing. */
typedef struct la_waker {
  void *data;
  const la_waker_vtable *vt;
} la_waker;

struct la_waker_vtable {
  la_waker (*clone)(void *data);   /* another reference; cannot fail */
  void (*wake)(void *data);        /* wakes, and gives up the reference */
  void (*wake_by_ref)(void *data); /* wakes, and keeps it */
  void (*drop)(void *data);        /* gives it up */
};

static inline la_waker la_waker_clone(const la_waker *w) { return w->vt->clone(w->data); }
static inline void la_waker_wake(la_waker w) { w.vt->wake(w.data); }
static inline void la_waker_wake_by_ref(const la_waker *w) { w->vt->wake_by_ref(w->data); }
static inline void la_waker_drop(la_waker w) { w.vt->drop(w.data); }

/* True when both wake the same task (as Waker::will_wake: a best-effort answer
** whose `true` can be relied on). */
static inline int la_waker_will_wake(const la_waker *a, const la_waker *b) {
  return a->data == b->data && a->vt == b->vt;
}

/* ---- Context -------------------------------------------------------------*/

/* What a future is polled with. It is borrowed for the length of the poll: to
** be woken later, clone the waker. */
typedef struct la_context {
  const la_waker *waker;
  unsigned *budget; /* operations the task may still finish before it must let others run */
} la_context;

/* Takes one unit of the task's budget. Called by a leaf future that is about to
** be ready: at 0 it has instead asked for another poll, and the future returns
** LA_PENDING without having consumed anything, so that a socket that is never
** empty starves nobody. */
static inline int la_budget_take(la_context *cx) {
  if (*cx->budget > 0) {
    --*cx->budget;
    return 1;
  }
  la_waker_wake_by_ref(cx->waker);
  return 0;
}

/* ---- Future --------------------------------------------------------------*/

typedef struct la_future la_future;

/* `poll` makes what progress it can without blocking. LA_PENDING: it has kept a
** clone of `cx->waker`, of the newest poll, and wakes it when another poll can
** make progress. LA_READY: the output is in the future's own fields; it is not
** polled again. It must not call Lua.
**
** `drop` is called exactly once, in any state, on the thread that polls: it
** gives up what the future holds (a waker, a request in flight, its memory). A
** drop before LA_READY is the cancellation of the work.
**
** `cancel` may be null. It is for a future that cannot end at once, since what it
** runs has to unwind: it is called before a cancelling drop, maybe more than once, and
** answers whether that drop has to wait. */
typedef enum la_cancel {
  LA_CANCEL_DROP = 0,   /* drop it now */
  LA_CANCEL_UNWIND = 1, /* poll it on until it is ready; then drop it, its output is nobody's */
  LA_CANCEL_FINISH = 2  /* its output is certain already: poll it on, and take that */
} la_cancel;

typedef struct la_future_vtable {
  la_poll (*poll)(la_future *self, la_context *cx);
  void (*drop)(la_future *self);
  const char *name; /* what a waiting task shows in async.dump(); static, may be null */
  la_cancel (*cancel)(la_future *self);
} la_future_vtable;

struct la_future {
  const la_future_vtable *vt;
};

static inline la_poll la_future_poll(la_future *f, la_context *cx) { return f->vt->poll(f, cx); }
static inline void la_future_drop(la_future *f) { f->vt->drop(f); }

/* ---- Stream (since 1.2) ----------------------------------------------------*/

/* A stream of bytes: a connection, a file, or what a module makes on top of one, such as
** compression. The model is AsyncRead and AsyncWrite of Rust's futures, with two additions: a
** read or write that is pending can be given up (`forget_…`), so that a cancelled task loses no
** bytes; and a stream may have a descriptor.
**
** At most one read and one of write, flush and shutdown are pending at any time; the caller sees
** to it. Everything is called on the thread of the stream's Lua state, and must not call Lua.
** LA_PENDING means what it does for futures: a clone of `cx->waker` was kept. What is about to be
** ready takes budget first (la_budget_take). Failures are negative numbers of <errno.h>, such as
** -ECONNRESET, in *n or *status. */
typedef struct la_stream_vtable {
  size_t size;      /* sizeof(la_stream_vtable), of the header that the module was built with */
  const char *name; /* "Gzip": what tostring and errors say; static */

  /* Reads at most len (> 0) bytes into buf: *n > 0 of them; 0 at the end of the stream; or a
  ** failure. LA_PENDING: no byte was taken. */
  la_poll (*poll_read)(void *self, la_context *cx, char *buf, size_t len, ssize_t *n);
  /* The read that is pending, if there is one, is given up. */
  void (*forget_read)(void *self);

  /* Accepts bytes off the start of the len (> 0) bytes of data: *n > 0 of them, or a failure (0
  ** counts as -EIO).
  ** LA_PENDING: the next call has data that begins with the same bytes, unless `forget_write`
  ** comes between. So a stream that transforms its bytes can take some, and say how many once
  ** they are written. */
  la_poll (*poll_write)(void *self, la_context *cx, const char *data, size_t len, ssize_t *n);
  /* The write, flush or shutdown that is pending, if there is one, is given up. Returns how many
  ** bytes off the start of the write's data were accepted none the less. */
  size_t (*forget_write)(void *self);

  /* Ready once all that was accepted has been handed on. Null: there is never anything to wait
  ** for. */
  la_poll (*poll_flush)(void *self, la_context *cx, int *status);
  /* Ends the sending half after what was accepted: the other end reads the end of the stream.
  ** Null: there is no such thing (-ENOTSUP). */
  la_poll (*poll_shutdown)(void *self, la_context *cx, int *status);

  /* Closes at once. What is pending is woken and fails with -ECANCELED, what comes later with
  ** -EBADF. Twice is harmless. */
  void (*close)(void *self);
  /* Closes it and frees it; called exactly once. Nothing is pending. */
  void (*drop)(void *self);

  /* The descriptor whose bytes are exactly those of the stream, for child processes; -1: it is
  ** closed. Null: there is none, since bytes are changed or come from elsewhere. */
  int (*fd)(const void *self);

  /* As poll_write, of several blocks, none of them empty. Null: they are written one by one. */
  la_poll (*poll_writev)(void *self, la_context *cx, const struct iovec *iov, size_t count,
                         ssize_t *n);
} la_stream_vtable;

/* It has one owner, who gives it up by `drop`. */
typedef struct la_stream {
  void *self;
  const la_stream_vtable *vt;
} la_stream;

static inline la_poll la_stream_poll_read(la_stream s, la_context *cx, char *buf, size_t len,
                                          ssize_t *n) {
  return s.vt->poll_read(s.self, cx, buf, len, n);
}
static inline void la_stream_forget_read(la_stream s) { s.vt->forget_read(s.self); }
static inline la_poll la_stream_poll_write(la_stream s, la_context *cx, const char *data,
                                           size_t len, ssize_t *n) {
  return s.vt->poll_write(s.self, cx, data, len, n);
}
static inline size_t la_stream_forget_write(la_stream s) { return s.vt->forget_write(s.self); }
static inline la_poll la_stream_poll_flush(la_stream s, la_context *cx, int *status) {
  if (s.vt->poll_flush != NULL) return s.vt->poll_flush(s.self, cx, status);
  *status = 0;
  return LA_READY;
}
static inline la_poll la_stream_poll_shutdown(la_stream s, la_context *cx, int *status) {
  if (s.vt->poll_shutdown != NULL) return s.vt->poll_shutdown(s.self, cx, status);
  *status = -ENOTSUP;
  return LA_READY;
}
static inline void la_stream_close(la_stream s) { s.vt->close(s.self); }
static inline void la_stream_drop(la_stream s) { s.vt->drop(s.self); }

/* ---- Lua -----------------------------------------------------------------*/

/* Pushes the output of a future that is ready onto L and returns how many
** values it pushed, or raises. It runs inside the awaiting coroutine, so a
** raised error appears at the await. The future is dropped after it; when it
** raised, by the next await of that task or its end. It must not yield. */
typedef int (*la_finish)(lua_State *L, la_future *f);

/* The functions of the runtime. Opaque but for its members. */
typedef struct la_api {
  unsigned major, minor;
  /* Suspends the running task until `f` is ready, then returns what `finish`
  ** pushed (a null `finish`: nothing). Takes `f` over in every case. To be
  ** called as `return api->await(L, f, finish);` from a lua_CFunction, since it
  ** may yield. Raises where no task can be suspended, and when the task is
  ** cancelled; `f` has been dropped then. */
  int (*await)(lua_State *L, la_future *f, la_finish finish);
  /* Pushes a lazy Future that owns `f`: nothing is polled before it is awaited.
  ** Takes `f` over in every case, also when it raises for want of memory. */
  void (*push_future)(lua_State *L, la_future *f, la_finish finish);
  /* A clone of the Waker at index `arg`, which the caller owns; raises when there
  ** is no Waker. While it exists, a run in which every task waits is not taken for
  ** a deadlock, since it may yet be woken. (The same holds while a future that
  ** was handed to `await` or `push_future` is pending.) */
  la_waker (*check_waker)(lua_State *L, int arg);
  /* Pushes a Waker object that owns `w`. Takes `w` over in every case. */
  void (*push_waker)(lua_State *L, la_waker w);
  /* Since 1.1. A future that is ready when all `n` futures are (join), or the first is
  ** (select: *winner is its index then, and must live until then; n > 0). Each is polled by
  ** its own wakes alone. Takes the futures over, not the array. Their outputs are to be read
  ** from them in `finish`: those of a join, and the winner of a select, are dropped with the
  ** combination, the losers before it is ready. A cancelled one drops or unwinds them all.
  ** Raises outside of a run, and for want of memory; the futures have been dropped then. */
  la_future *(*join)(lua_State *L, la_future *const *futures, size_t n);
  la_future *(*select)(lua_State *L, la_future *const *futures, size_t n, size_t *winner);
  /* Since 1.2. Pushes a Stream, an object with the methods that every stream of Lua has (read,
  ** lines, write, flush, shutdown, close, timeout, …), and which everything that takes a stream
  ** takes. Takes `s` over in every case. It belongs to the run in which it is made, at whose end
  ** it is closed. Raises outside of a run, and for want of memory. */
  void (*push_stream)(lua_State *L, la_stream s);
  /* Takes the stream out of the object at index `arg`: a connection, a File, a Pipe, a Stream. The
  ** caller owns it, with what had been read ahead in it; the object is of no use any more. Raises
  ** when there is none, and when it is closed, in use by a task, or a standard stream. */
  la_stream (*take_stream)(lua_State *L, int arg);
} la_api;

/* The runtime's functions for the Lua state of L, loading lua_async when it is
** not; L's stack is as before. Raises when its version does not serve this header. Defined
** as a macro over Lua's own API, so include lua.h and lauxlib.h before using it. */
#define LA_API_KEY "lua_async.api"
#define la_import(L)                                                                               \
  (lua_getglobal((L), "require"), lua_pushliteral((L), "lua_async"), lua_call((L), 1, 0),          \
   lua_getfield((L), LUA_REGISTRYINDEX, LA_API_KEY),                                               \
   la_api_check((L), (const la_api *)lua_touserdata((L), -1), luaL_error, lua_settop))

static inline const la_api *la_api_check(lua_State *L, const la_api *api,
                                         int (*raise)(lua_State *, const char *, ...),
                                         void (*settop)(lua_State *, int)) {
  settop(L, -2);
  if (api == NULL || api->major != LA_ABI_MAJOR || (int)(api->minor - LA_ABI_MINOR) < 0)
    raise(L,
          "lua_async %d.%d or a newer minor version is needed: install it again, or rebuild "
          "this module with its lua_async.h",
          LA_ABI_MAJOR, LA_ABI_MINOR);
  return api;
}

#ifdef __cplusplus
}
#endif

#endif
