/* What all streams of bytes have that stand for a descriptor: Connection, Pipe, … */
#include "lib/l_stream.h"

la_reader *la_stream_object_reader(void *self) { return &((la_stream *)self)->reader; }
bool la_stream_object_is_open(const void *self) {
  return la_handle_is_open(&((const la_stream *)self)->handle);
}

la_io_object *la_stream_check(lua_State *L, const char *name) {
  return la_io_live(L, luaL_checkudata(L, 1, name));
}

la_stream *la_stream_of(lua_State *L, const char *name) { return la_stream_check(L, name)->self; }

void la_stream_push(lua_State *L, const la_io_class *cls, la_stream **s) {
  la_io_object *o = la_io_new(L, cls);
  o->self = *s;
  *s = NULL;
}

int la_push_done(lua_State *L, int error, const char *op) {
  if (error != 0) return la_fail(L, error, op);
  lua_pushboolean(L, 1);
  return 1;
}

/* ---- methods -----------------------------------------------------------------------*/

/* As a method of one class it is not given an object of another: what la_io_check lets through
** may be a file, which has methods of its own. */
static la_io_object *check(lua_State *L) {
  la_io_object *o = la_io_check(L);
  luaL_argcheck(L, o->cls->is_open == la_stream_object_is_open, 1, "not such a stream");
  return o;
}

static int stream_close(lua_State *L) {
  la_io_object *o = la_io_check_any(L);
  if (o->self != NULL) la_stream_close(check(L)->self); /* else the Lua state is closing */
  lua_pushboolean(L, 1);
  return 1;
}

static int stream_gc(lua_State *L) {
  la_stream *s = la_io_collect(la_io_check_any(L));
  if (s == NULL) return 0;
  la_stream_close(s);
  la_stream_unref(s);
  return 0;
}

static int stream_flush(lua_State *L) {
  if (!la_stream_object_is_open(check(L)->self)) return la_fail(L, UV_EBADF, "flush");
  lua_settop(L, 1);
  return 1;
}

static int stream_fd(lua_State *L) {
  const la_stream *s = check(L)->self;
  if (s->fd < 0) return la_fail(L, UV_EBADF, "fd");
  lua_pushinteger(L, s->fd);
  return 1;
}

/* ---- shutdown ----------------------------------------------------------------------*/

typedef struct shutdown_future {
  la_future base;
  la_shutdown inner;
  la_io_object *o;
} shutdown_future;

static la_poll shutdown_poll(la_future *f, la_context *cx) {
  return la_future_poll(&((shutdown_future *)(void *)f)->inner.base, cx);
}

static void shutdown_drop(la_future *f) {
  shutdown_future *s = (shutdown_future *)(void *)f;
  if (s->o == NULL) return;
  la_future_drop(&s->inner.base);
  s->o->writing = NULL;
}

static const la_future_vtable shutdown_vtable = {shutdown_poll, shutdown_drop, "shutdown", NULL};

static int shutdown_begin(lua_State *L, void *room, la_future **f) {
  static const char *const halves[] = {"send", NULL};
  la_io_object *o = check(L);
  luaL_checkoption(L, 2, "send", halves);
  la_io_check_writer(L, o);
  if (!la_stream_object_is_open(o->self)) return la_fail(L, UV_EBADF, "shutdown");
  shutdown_future *s = room;
  s->base.vt = &shutdown_vtable;
  s->o = o;
  la_shutdown_init(&s->inner, o->self);
  o->writing = &s->o;
  *f = &s->base;
  return 0;
}

static int shutdown_finish(lua_State *L, la_future *f) {
  const shutdown_future *s = (const shutdown_future *)(const void *)f;
  return la_push_done(L, la_io_cut(s->o, s->inner.status), "shutdown");
}

static const la_operation shutdown_operation = {"shutdown", shutdown_begin, shutdown_finish};
static int stream_shutdown(lua_State *L) { return la_operate(L, &shutdown_operation); }

void la_stream_class_open(lua_State *L, const la_io_class *cls, lua_CFunction to_string,
                          const luaL_Reg *methods) {
  static const luaL_Reg shared[] = {{"close", stream_close},
                                    {"flush", stream_flush},
                                    {"shutdown", stream_shutdown},
                                    {"fd", stream_fd},
                                    {NULL, NULL}};
  static const la_operation_entry operations[] = {{stream_shutdown, &shutdown_operation},
                                                  {NULL, NULL}};
  const luaL_Reg meta[] = {{"__gc", stream_gc},
                           {"__close", stream_close},
                           {"__tostring", to_string},
                           {NULL, NULL}};
  _Static_assert(sizeof(shutdown_future) <= LA_SLOT_SIZE, "a shutdown needs no memory");
  la_operations_add(L, operations);
  la_io_class_open(L, cls->name, meta, shared);
  luaL_getmetatable(L, cls->name);
  lua_getfield(L, -1, "__index");
  luaL_setfuncs(L, methods, 0);
  lua_pop(L, 2);
}

/* ---- pipes -------------------------------------------------------------------------*/

static const la_io_class pipe_class = LA_STREAM_CLASS(LA_PIPE_NAME);

la_io_object *la_pipe_new(lua_State *L) { return la_io_new(L, &pipe_class); }

void la_pipe_push(lua_State *L, la_stream **s) { la_stream_push(L, &pipe_class, s); }

static int pipe_tostring(lua_State *L) {
  const la_stream *s = la_stream_of(L, LA_PIPE_NAME);
  if (s->fd >= 0)
    lua_pushfstring(L, "Pipe (descriptor %d)", s->fd);
  else
    lua_pushliteral(L, "Pipe (closed)");
  return 1;
}

void la_open_pipe(lua_State *L) {
  static const luaL_Reg methods[] = {{NULL, NULL}};
  la_stream_class_open(L, &pipe_class, pipe_tostring, methods);
}
