/* async.signal: signals that the process gets. */
#include "process/l_signal.h"

#include <signal.h>
#include <string.h>

#include "bridge/object.h"

/* ---- names -------------------------------------------------------------------------*/

static int check_name(lua_State *L, int arg) {
  const char *name = luaL_checkstring(L, arg);
  int signum = la_signal_number(name);
  if (signum == 0)
    luaL_argerror(L, arg,
                  lua_pushfstring(L, "'%s' is not a signal: write it as in \"SIGTERM\"", name));
  return signum;
}

int la_check_signal(lua_State *L, int arg) {
  if (lua_isnoneornil(L, arg)) return SIGTERM;
  if (lua_type(L, arg) != LUA_TNUMBER) return check_name(L, arg);
  lua_Integer signum = luaL_checkinteger(L, arg);
  luaL_argcheck(L, signum >= 0 && signum <= LA_SIGNAL_MAX, arg, "not a signal number");
  return (int)signum;
}

void la_push_signal(lua_State *L, int signum) {
  const char *name = la_signal_name(signum);
  if (name != NULL)
    lua_pushstring(L, name);
  else
    lua_pushfstring(L, "SIG%d", signum);
}

/* The signals at index 1 and on, each once; returns how many. */
static unsigned check_signals(lua_State *L, unsigned char numbers[LA_SIGNAL_MAX]) {
  unsigned count = 0;
  int top = lua_gettop(L);
  if (top == 0) check_name(L, 1); /* says what is expected */
  for (int i = 1; i <= top; i++) {
    int signum = check_name(L, i);
    if (la_signal_catchable(signum) != 0)
      luaL_argerror(L, i, lua_pushfstring(L, "%s cannot be waited for", la_signal_name(signum)));
    if (memchr(numbers, signum, count) == NULL) numbers[count++] = (unsigned char)signum;
  }
  return count;
}

static la_signals *listen_for(lua_State *L, const unsigned char *numbers, unsigned count,
                              const char *what, int *error) {
  la_signals *s = NULL;
  *error = la_signals_new(la_check_reactor(L, what), numbers, count, &s);
  return s;
}

/* ---- streams -----------------------------------------------------------------------*/

typedef struct stream {
  la_object head;
  la_signals *signals;      /* a reference; NULL once collected, or never there */
  struct recv_future *recv; /* the one that waits */
} stream;

typedef struct recv_future {
  la_future base;
  la_signal_wait wait;
  stream *of; /* NULL: its stream was collected first */
} recv_future;

static void stream_close(void *object) {
  stream *o = object;
  if (o->signals != NULL) la_signals_close(o->signals);
}

/* A recv whose result could not be pushed may be left, and its frame, which kept us alive, gone. */
static void stream_end(void *object) {
  stream *o = object;
  if (o->recv != NULL) {
    la_future_drop(&o->recv->wait.base);
    o->recv->of = NULL;
  }
  if (o->signals != NULL) la_signals_unref(o->signals);
  o->signals = NULL;
}

static const la_object_class stream_class = {"lua_async.SignalStream", stream_close, stream_end};

static stream *check(lua_State *L) { return la_object_check(L, 1, &stream_class); }

static la_poll recv_poll(la_future *f, la_context *cx) {
  return la_future_poll(&((recv_future *)(void *)f)->wait.base, cx);
}

static void recv_drop(la_future *f) {
  recv_future *r = (recv_future *)(void *)f;
  if (r->of == NULL) return;
  la_future_drop(&r->wait.base);
  r->of->recv = NULL;
}

static const la_future_vtable recv_vtable = {recv_poll, recv_drop, "signal", NULL};

static int recv_begin(lua_State *L, void *room, la_future **f) {
  stream *o = check(L);
  if (o->head.closed) return la_fail_closed(L, "recv");
  if (o->recv != NULL)
    return luaL_error(L, "another task is already waiting on this stream: open one for each task");
  recv_future *r = room;
  r->base.vt = &recv_vtable;
  r->of = o;
  la_signal_wait_init(&r->wait, o->signals);
  o->recv = r;
  *f = &r->base;
  return 0;
}

static int recv_finish(lua_State *L, la_future *f) {
  const recv_future *r = (const recv_future *)(const void *)f;
  if (la_signal_wait_status(&r->wait) != 0) return la_fail_meanwhile(L, "recv");
  la_push_signal(L, r->of->signals->pending[0]);
  la_signals_take(r->of->signals);
  return 1;
}

static int try_recv(lua_State *L) {
  const stream *o = check(L);
  if (o->head.closed) return la_fail_closed(L, "try_recv");
  if (o->signals->npending == 0) return la_fail_again(L, "try_recv");
  la_push_signal(L, o->signals->pending[0]);
  la_signals_take(o->signals);
  return 1;
}

static const la_operation recv_operation = {"signal.recv", recv_begin, recv_finish};

/* A call, or the step of a for loop, whose state and control are nothing to us. */
static int receive(lua_State *L) {
  lua_settop(L, 1);
  return la_operate(L, &recv_operation);
}

/* The iterator, and for a for loop what it closes. */
static int new_stream(lua_State *L) {
  unsigned char numbers[LA_SIGNAL_MAX];
  unsigned count = check_signals(L, numbers);
  int error;
  stream *o = la_object_new(L, &stream_class, sizeof *o, 0);
  la_object_made(L, &stream_class);
  o->signals = listen_for(L, numbers, count, "signal.stream", &error);
  if (error != 0) return la_fail(L, error, "signal.stream");
  lua_pushnil(L);
  lua_pushnil(L);
  lua_pushvalue(L, -3);
  return 4;
}

/* ---- wait --------------------------------------------------------------------------*/

static la_poll once_poll(la_future *f, la_context *cx) {
  return la_future_poll(&((recv_future *)(void *)f)->wait.base, cx);
}

static void once_drop(la_future *f) {
  recv_future *r = (recv_future *)(void *)f;
  la_future_drop(&r->wait.base);
  la_signals_unref(r->wait.signals);
}

static const la_future_vtable once_vtable = {once_poll, once_drop, "signal", NULL};

static int wait_begin(lua_State *L, void *room, la_future **f) {
  unsigned char numbers[LA_SIGNAL_MAX];
  unsigned count = check_signals(L, numbers);
  int error;
  la_signals *s = listen_for(L, numbers, count, "signal.wait", &error);
  if (error != 0) return la_fail(L, error, "signal.wait");
  recv_future *r = room;
  r->base.vt = &once_vtable;
  r->of = NULL;
  la_signal_wait_init(&r->wait, s);
  *f = &r->base;
  return 0;
}

static int wait_finish(lua_State *L, la_future *f) {
  la_push_signal(L, la_signals_take(((recv_future *)(void *)f)->wait.signals));
  return 1;
}

static const la_operation wait_operation = {"signal.wait", wait_begin, wait_finish};
static int wait_once(lua_State *L) { return la_operate(L, &wait_operation); }

/* ---- the module --------------------------------------------------------------------*/

void la_open_signal(lua_State *L) {
  static const luaL_Reg methods[] = {{"recv", receive}, {"try_recv", try_recv}, {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__call", receive}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"stream", new_stream}, {"wait", wait_once}, {NULL, NULL}};
  static const la_operation_entry operations[] = {{receive, &recv_operation},
                                                  {wait_once, &wait_operation},
                                                  {NULL, NULL}};
  _Static_assert(sizeof(recv_future) <= LA_SLOT_SIZE, "waiting for a signal needs no memory");
  la_operations_add(L, operations);
  la_object_class_open(L, &stream_class, meta, methods);
  luaL_setfuncs(L, functions, 0);
}
