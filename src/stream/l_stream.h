/*
** l_stream.h - Lua objects of la_streams: what all classes of them have.
*/
#ifndef LA_STREAM_L_STREAM_H
#define LA_STREAM_L_STREAM_H

#include "stream/l_io.h"
#include "stream/stream.h"

#define LA_CONNECTION_NAME "lua_async.Connection"
#define LA_UNIX_CONNECTION_NAME "lua_async.UnixConnection"
#define LA_PIPE_NAME "lua_async.Pipe"

/* The initialiser of a la_io_class whose objects are streams. */
#define LA_STREAM_CLASS(NAME)                                                                      \
  { NAME, la_stream_object_reader, &la_stream_sink, la_stream_object_is_open, NULL }

la_reader *la_stream_object_reader(void *self);
bool la_stream_object_is_open(const void *self);

/* The object at index 1, which must be of the class `name`; and its stream. */
la_io_object *la_stream_check(lua_State *L, const char *name);
la_stream *la_stream_of(lua_State *L, const char *name);

/* Pushes an object of the class for a stream, whose reference *s it takes over: NULL then. */
void la_stream_push(lua_State *L, const la_io_class *cls, la_stream **s);

/* Pushes a Pipe for a stream of la_pipe_kind, as above. */
void la_pipe_push(lua_State *L, la_stream **s);

/* Pushes a Pipe whose `self` is still to be set, to a reference that it takes over. */
la_io_object *la_pipe_new(lua_State *L);

/* Makes the metatable of a class with those methods, the ones of every stream, and close, flush,
** shutdown and fd. */
void la_stream_class_open(lua_State *L, const la_io_class *cls, lua_CFunction to_string,
                          const luaL_Reg *methods);

/* `begin` and `finish` of flush for the object of an open stream at index 1. */
int la_stream_flush_begin(lua_State *L, la_io_object *o, void *room, la_future **f);
int la_stream_flush_finish(lua_State *L, la_future *f);

/* Why a child cannot have a stream. */
#define LA_STREAM_CLOSED "the stream is closed"
#define LA_IN_USE "another task reads from this stream or writes to it"
#define LA_READ_AHEAD                                                                              \
  "bytes were read ahead from this stream, which a process would not get: copy it"

/* The descriptor of a standard stream (whose class has `attach`) for a child that is started in
** the run of `r`, at which the child reads on where the stream does; -1 and *why it cannot have
** it. *given: the stream that is to be handed over with it, or NULL. */
int la_standard_lend(la_io_object *o, const la_reactor *r, la_stream **given, const char **why);

/* Pushes true, or the failure. */
int la_push_done(lua_State *L, int error, const char *op);

#endif
