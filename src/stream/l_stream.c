/* What all streams have that are no files: Connection, Pipe, Stream, … */
#include "stream/l_stream.h"

#include "stream/foreign.h"

la_io_object *la_stream_check(lua_State *L, const char *name) {
  return la_io_live(L, luaL_checkudata(L, 1, name));
}

la_uv_stream *la_uv_stream_of(lua_State *L, const char *name) {
  return la_stream_check(L, name)->self;
}

void la_uv_stream_push(lua_State *L, const la_io_class *cls, la_uv_stream **s) {
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

static bool is_open(const la_io_object *o) { return o->cls->stream->is_open(o->self); }

/* A method of one class may be given an object of another: files and standard streams, which
** la_io_check lets through, have methods of their own. */
static la_io_object *check_any(lua_State *L) {
  la_io_object *o = la_io_check_any(L);
  luaL_argcheck(L, o->cls->attach == NULL && !o->cls->stream->one_position, 1,
                "not such a stream: call its own method");
  return o;
}

static la_io_object *check(lua_State *L) { return la_io_live(L, check_any(L)); }

static int stream_close(lua_State *L) {
  const la_io_object *o = check_any(L);
  if (o->self != NULL) o->cls->stream->vt->close(o->self); /* else the Lua state is closing */
  lua_pushboolean(L, 1);
  return 1;
}

static int stream_gc(lua_State *L) {
  const la_io_object *o = la_io_check_any(L);
  void *s = la_io_collect(la_io_check_any(L));
  if (s != NULL) o->cls->stream->vt->drop(s);
  return 0;
}

/* Upvalue: what the class says of one that is there. */
static int stream_tostring(lua_State *L) {
  if (la_io_push_gone(L, la_io_check_any(L))) return 1;
  return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

static int stream_fd(lua_State *L) {
  const la_io_object *o = check(L);
  const la_stream_vtable *vt = o->cls->stream->vt;
  if (!is_open(o)) return la_fail(L, UV_EBADF, "fd");
  int fd = vt->fd != NULL ? vt->fd(o->self) : -1;
  if (fd < 0) return la_fail_message(L, UV_ENOTSUP, "fd", LA_NO_DESCRIPTOR);
  lua_pushinteger(L, fd);
  return 1;
}

/* ---- flush and shutdown ------------------------------------------------------------*/

/* Counts as a write. */
typedef struct op_future {
  la_future base;
  la_poll (*poll)(la_stream s, la_context *cx, int *status);
  la_stream stream;
  la_io_object *o; /* NULL: collected */
  int status;
} op_future;

static la_poll op_poll(la_future *f, la_context *cx) {
  op_future *op = (op_future *)(void *)f;
  return op->poll(op->stream, cx, &op->status);
}

static void op_drop(la_future *f) {
  op_future *op = (op_future *)(void *)f;
  if (op->o == NULL) return;
  la_stream_forget_write(op->stream);
  op->o->writing = NULL;
}

static const la_future_vtable flush_vtable = {op_poll, op_drop, "flush", NULL};
static const la_future_vtable shutdown_vtable = {op_poll, op_drop, "shutdown", NULL};

static int begin(lua_State *L, la_io_object *o, const la_future_vtable *vt,
                 la_poll (*poll)(la_stream s, la_context *cx, int *status), void *room,
                 la_future **f) {
  op_future *op = room;
  *op = (op_future){{vt}, poll, {o->self, o->cls->stream->vt}, o, 0};
  o->writing = &op->o;
  *f = &op->base;
  return la_io_begun(L, o, vt->name, NULL, f);
}

static int status_of(la_future *f) {
  const op_future *op = (const op_future *)(const void *)f;
  return la_io_cut(op->o, op->status);
}

int la_stream_flush_begin(lua_State *L, la_io_object *o, void *room, la_future **f) {
  const la_stream_class *cls = o->cls->stream;
  if (cls->vt->poll_flush == NULL ||
      (cls->uv != NULL && la_uv_stream_is_settled(cls->uv(o->self)))) {
    lua_settop(L, 1);
    return 1;
  }
  la_io_check_writer(L, o);
  return begin(L, o, &flush_vtable, la_stream_poll_flush, room, f);
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
  if (!is_open(o)) return la_fail(L, UV_EBADF, "flush");
  return la_stream_flush_begin(L, o, room, f);
}

static const la_operation flush_operation = {"flush", flush_begin, la_stream_flush_finish};
static int stream_flush(lua_State *L) { return la_operate(L, &flush_operation); }

static int shutdown_begin(lua_State *L, void *room, la_future **f) {
  static const char *const halves[] = {"send", NULL};
  la_io_object *o = check(L);
  luaL_checkoption(L, 2, "send", halves);
  la_io_check_writer(L, o);
  if (!is_open(o)) return la_fail(L, UV_EBADF, "shutdown");
  return begin(L, o, &shutdown_vtable, la_stream_poll_shutdown, room, f);
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
  static const luaL_Reg meta[] = {{"__gc", stream_gc}, {"__close", stream_close}, {NULL, NULL}};
  _Static_assert(sizeof(op_future) <= LA_SLOT_SIZE, "a flush or shutdown needs no memory");
  la_operations_add(L, operations);
  la_io_class_open(L, cls->name, meta, shared);
  luaL_getmetatable(L, cls->name);
  lua_pushcfunction(L, to_string);
  lua_pushcclosure(L, stream_tostring, 1);
  lua_setfield(L, -2, "__tostring");
  lua_getfield(L, -1, "__index");
  luaL_setfuncs(L, methods, 0);
  lua_pop(L, 2);
}

/* ---- pipes -------------------------------------------------------------------------*/

static const la_io_class pipe_class = {&la_uv_stream_class, LA_PIPE_NAME, NULL, NULL};

la_io_object *la_pipe_new(lua_State *L) { return la_io_new(L, &pipe_class); }

void la_pipe_push(lua_State *L, la_uv_stream **s) { la_uv_stream_push(L, &pipe_class, s); }

static int pipe_tostring(lua_State *L) {
  const la_uv_stream *s = la_uv_stream_of(L, LA_PIPE_NAME);
  if (s->fd >= 0)
    lua_pushfstring(L, "Pipe (descriptor %d)", s->fd);
  else
    lua_pushliteral(L, "Pipe (closed)");
  return 1;
}

/* ---- streams of other modules ---------------------------------------------------------*/

static const la_io_class foreign_class_of_objects = {&la_foreign_class, LA_STREAM_NAME, NULL, NULL};

static void drop_gone(lua_State *L, la_stream s) {
  la_stream_drop(s);
  lua_error(L);
}

/* (stream as light userdata, where the object is to be had) -> Stream */
static int push(lua_State *L) {
  la_stream *s = lua_touserdata(L, 1);
  la_reactor *r = la_check_reactor(L, "a stream");
  la_open_streams(L);
  la_io_object *o = la_io_new(L, &foreign_class_of_objects);
  la_foreign *f = la_foreign_new(r, *s);
  if (f == NULL) return la_no_memory(L);
  o->self = f;
  return 1;
}

void la_stream_push(lua_State *L, la_stream s) {
  if (!lua_checkstack(L, LUA_MINSTACK)) {
    la_stream_drop(s);
    luaL_error(L, "stack overflow");
  }
  lua_pushcfunction(L, push);
  lua_pushlightuserdata(L, &s);
  if (lua_pcall(L, 1, 1, 0) != LUA_OK) drop_gone(L, s);
}

static int foreign_tostring(lua_State *L) {
  const la_io_object *o = la_stream_check(L, LA_STREAM_NAME);
  lua_pushfstring(L, is_open(o) ? "%s" : "%s (closed)", la_foreign_name(o->self));
  return 1;
}

void la_open_streams(lua_State *L) {
  static const luaL_Reg methods[] = {{NULL, NULL}};
  bool are_open = luaL_getmetatable(L, LA_STREAM_NAME) != LUA_TNIL;
  lua_pop(L, 1);
  if (are_open) return;
  la_stream_class_open(L, &pipe_class, pipe_tostring, methods);
  la_stream_class_open(L, &foreign_class_of_objects, foreign_tostring, methods);
}
