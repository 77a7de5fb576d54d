/*
** delay_future: a future whose timer is another OS thread, which calls the waker.
**
** The DelayFuture of the Rust books. The thread and the future share a small block
** that the last of the two frees; the waker in it is replaced when the future is
** polled with another one. It serves Lua in two ways:
**     delay_future.wait(seconds)            waits for such a future
**     delay_future.wake_after(seconds, w)   a thread that wakes a Lua Waker, for a
**                                           future written in Lua with async.poll_fn
*/
#include <errno.h>
#include <lauxlib.h>
#include <lua.h>
#include <lua_async.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

/* ---- what the thread and the future share -------------------------------------------*/

typedef struct shared {
  pthread_mutex_t mutex;
  int owners; /* the thread, and the future */
  int done;
  double seconds;
  int has_waker;
  la_waker waker;
} shared;

static shared *new_shared(double seconds) {
  shared *s = malloc(sizeof *s);
  if (s == NULL) return NULL;
  *s = (shared){.owners = 1, .seconds = seconds};
  pthread_mutex_init(&s->mutex, NULL);
  return s;
}

/* Leaves the mutex, and gives up one owner's share. */
static void release(shared *s) {
  int last = --s->owners == 0;
  pthread_mutex_unlock(&s->mutex);
  if (!last) return;
  if (s->has_waker) la_waker_drop(s->waker);
  pthread_mutex_destroy(&s->mutex);
  free(s);
}

static void *timer_thread(void *arg) {
  shared *s = arg;
  struct timespec t = {(time_t)s->seconds, (long)((s->seconds - (double)(time_t)s->seconds) * 1e9)};
  while (nanosleep(&t, &t) != 0 && errno == EINTR) continue;
  pthread_mutex_lock(&s->mutex);
  s->done = 1;
  if (s->has_waker) {
    s->has_waker = 0;
    la_waker_wake(s->waker);
  }
  release(s);
  return NULL;
}

/* 0, or an errno. */
static int start_thread(shared *s) {
  pthread_t thread;
  s->owners++;
  int error = pthread_create(&thread, NULL, timer_thread, s);
  if (error != 0)
    s->owners--;
  else
    pthread_detach(thread);
  return error;
}

/* ---- the future ------------------------------------------------------------------------*/

typedef struct delay {
  la_future base;
  shared *shared;
  int started, error;
} delay;

static la_poll delay_poll(la_future *f, la_context *cx) {
  delay *d = (delay *)f;
  shared *s = d->shared;
  if (!d->started) { /* lazy: no thread before the first poll */
    d->started = 1;
    s->waker = la_waker_clone(cx->waker);
    s->has_waker = 1;
    d->error = start_thread(s);
    return d->error != 0 ? LA_READY : LA_PENDING;
  }
  pthread_mutex_lock(&s->mutex);
  int done = s->done;
  if (!done && !la_waker_will_wake(&s->waker, cx->waker)) {
    la_waker_drop(s->waker);
    s->waker = la_waker_clone(cx->waker);
  }
  pthread_mutex_unlock(&s->mutex);
  return done ? LA_READY : LA_PENDING;
}

static void delay_drop(la_future *f) {
  delay *d = (delay *)f;
  pthread_mutex_lock(&d->shared->mutex);
  release(d->shared);
  free(d);
}

static const la_future_vtable delay_vtable = {delay_poll, delay_drop, "delay", NULL};

static int delay_finish(lua_State *L, la_future *f) {
  if (((delay *)f)->error != 0) return luaL_error(L, "no thread for the delay");
  lua_pushliteral(L, "Timer Complete!");
  return 1;
}

/* ---- Lua ---------------------------------------------------------------------------------*/

static const la_api *api_of(lua_State *L) {
  return (const la_api *)lua_touserdata(L, lua_upvalueindex(1));
}

static int wait(lua_State *L) {
  double seconds = luaL_checknumber(L, 1);
  delay *d = malloc(sizeof *d);
  if (d != NULL) *d = (delay){.base = {&delay_vtable}, .shared = new_shared(seconds)};
  if (d == NULL || d->shared == NULL) {
    free(d);
    return luaL_error(L, "not enough memory");
  }
  return api_of(L)->await(L, &d->base, delay_finish);
}

static int wake_after(lua_State *L) {
  double seconds = luaL_checknumber(L, 1);
  la_waker waker = api_of(L)->check_waker(L, 2);
  shared *s = new_shared(seconds);
  int error = ENOMEM;
  if (s != NULL) {
    s->waker = waker;
    s->has_waker = 1;
    error = start_thread(s);
    pthread_mutex_lock(&s->mutex);
    release(s);
  } else {
    la_waker_drop(waker);
  }
  if (error != 0) return luaL_error(L, "no thread for the delay");
  return 0;
}

int luaopen_delay_future(lua_State *L) {
  static const luaL_Reg functions[] = {{"wait", wait}, {"wake_after", wake_after}, {NULL, NULL}};
  const la_api *api = la_import(L);
  luaL_newlibtable(L, functions);
  lua_pushlightuserdata(L, (void *)api);
  luaL_setfuncs(L, functions, 1);
  return 1;
}
