/*
** l_stream.h - Lua objects of streams that are no files: what all classes of them have.
*/
#ifndef LA_STREAM_L_STREAM_H
#define LA_STREAM_L_STREAM_H

#include "core/export.h"
#include "stream/l_io.h"

#define LA_CONNECTION_NAME "lua_async.Connection"
#define LA_UNIX_CONNECTION_NAME "lua_async.UnixConnection"
#define LA_PIPE_NAME "lua_async.Pipe"
#define LA_STREAM_NAME "lua_async.Stream"

/* The object at index 1, which must be of the class `name`; and its libuv stream, for a class of
** those. */
LA_PART la_io_object *la_stream_check(lua_State *L, const char *name);
LA_PART la_uv_stream *la_uv_stream_of(lua_State *L, const char *name);

/* Pushes an object of the class for a libuv stream, whose reference *s it takes over: NULL then. */
LA_PART void la_uv_stream_push(lua_State *L, const la_io_class *cls, la_uv_stream **s);

/* Pushes a Pipe for a stream of la_pipe_kind, as above. */
LA_PART void la_pipe_push(lua_State *L, la_uv_stream **s);

/* Pushes a Pipe whose `self` is still to be set, to a reference that it takes over. */
LA_PART la_io_object *la_pipe_new(lua_State *L);

/* Pushes a Stream that owns `s` in every case: push_stream of lua_async.h. */
LA_PART void la_stream_push(lua_State *L, la_stream s);

/* Makes the metatable of a class with those methods, the ones of every stream, and close, flush,
** shutdown and fd. */
LA_PART void la_stream_class_open(lua_State *L, const la_io_class *cls, lua_CFunction to_string,
                                  const luaL_Reg *methods);

/* `begin` and `finish` of flush for the object of an open stream at index 1. */
LA_PART int la_stream_flush_begin(lua_State *L, la_io_object *o, void *room, la_future **f);
LA_PART int la_stream_flush_finish(lua_State *L, la_future *f);

/* Why a child cannot have a stream. */
#define LA_STREAM_CLOSED "the stream is closed"
#define LA_IN_USE "another task reads from this stream or writes to it"
#define LA_NO_DESCRIPTOR "this stream has no descriptor of its own: copy it"
#define LA_READ_AHEAD                                                                              \
  "bytes were read ahead from this stream, which a process would not get: copy it"

/* Pushes true, or the failure. */
LA_PART int la_push_done(lua_State *L, int error, const char *op);

/* Each sets its functions in the module, which is on top of the stack. */
void la_open_streams(lua_State *L); /* the classes alone */
void la_open_copy(lua_State *L);    /* after la_open_compose */
void la_open_poll_fd(lua_State *L);

#endif
