/* What all streams of bytes have that stand for a descriptor: Connection, Pipe, … */
#include "stream/l_stream.h"

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

static int stream_fd(lua_State *L) {
  const la_stream *s = check(L)->self;
  if (s->fd < 0) return la_fail(L, UV_EBADF, "fd");
  lua_pushinteger(L, s->fd);
  return 1;
}

/* ---- flush and shutdown ------------------------------------------------------------*/

/* Counts as a write. */
typedef struct op_future {
  la_future base;
  la_stream_op inner;
  la_io_object *o;
} op_future;

static la_poll op_poll(la_future *f, la_context *cx) {
  return la_future_poll(&((op_future *)(void *)f)->inner.base, cx);
}

static void op_drop(la_future *f) {
  op_future *op = (op_future *)(void *)f;
  if (op->o == NULL) return;
  la_future_drop(&op->inner.base);
  op->o->writing = NULL;
}

static const la_future_vtable flush_vtable = {op_poll, op_drop, "flush", NULL};
static const la_future_vtable shutdown_vtable = {op_poll, op_drop, "shutdown", NULL};

static int begin(lua_State *L, la_io_object *o, const la_future_vtable *vt,
                 void (*init)(la_stream_op *op, la_stream *s), void *room, la_future **f) {
  op_future *op = room;
  op->base.vt = vt;
  op->o = o;
  init(&op->inner, o->self);
  o->writing = &op->o;
  *f = &op->base;
  return la_io_begun(L, o, vt->name, NULL, f);
}

static int status_of(la_future *f) {
  const op_future *op = (const op_future *)(const void *)f;
  return la_io_cut(op->o, op->inner.status);
}

int la_stream_flush_begin(lua_State *L, la_io_object *o, void *room, la_future **f) {
  if (la_stream_is_settled(o->self)) {
    lua_settop(L, 1);
    return 1;
  }
  la_io_check_writer(L, o);
  return begin(L, o, &flush_vtable, la_flush_init, room, f);
}

static int finish_flush(lua_State *L, la_future *f) {
  int status = status_of(f);
  if (status != 0) return la_fail(L, status, "flush");
  lua_pushvalue(L, 1);
  return 1;
}

int la_stream_flush_finish(lua_State *L, la_future *f) { return la_io_finish(L, f, finish_flush); }

static int flush_begin(lua_State *L, void *room, la_future **f) {
  la_io_object *o = check(L);
  if (!la_stream_object_is_open(o->self)) return la_fail(L, UV_EBADF, "flush");
  return la_stream_flush_begin(L, o, room, f);
}

static const la_operation flush_operation = {"flush", flush_begin, la_stream_flush_finish};
static int stream_flush(lua_State *L) { return la_operate(L, &flush_operation); }

static int shutdown_begin(lua_State *L, void *room, la_future **f) {
  static const char *const halves[] = {"send", NULL};
  la_io_object *o = check(L);
  luaL_checkoption(L, 2, "send", halves);
  la_io_check_writer(L, o);
  if (!la_stream_object_is_open(o->self)) return la_fail(L, UV_EBADF, "shutdown");
  return begin(L, o, &shutdown_vtable, la_shutdown_init, room, f);
}

static int finish_shutdown(lua_State *L, la_future *f) {
  return la_push_done(L, status_of(f), "shutdown");
}

static int shutdown_finish(lua_State *L, la_future *f) {
  return la_io_finish(L, f, finish_shutdown);
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
  static const la_operation_entry operations[] = {{stream_flush, &flush_operation},
                                                  {stream_shutdown, &shutdown_operation},
                                                  {NULL, NULL}};
  const luaL_Reg meta[] = {{"__gc", stream_gc},
                           {"__close", stream_close},
                           {"__tostring", to_string},
                           {NULL, NULL}};
  _Static_assert(sizeof(op_future) <= LA_SLOT_SIZE, "a flush or shutdown needs no memory");
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
