/*
** l_io.h - the methods that every stream has: connections and files.
**
** A class of objects that read or write begins its userdata with la_io_object and
** puts these methods into its table.
*/
#ifndef LA_STREAM_L_IO_H
#define LA_STREAM_L_IO_H

#include "bridge/lib.h"
#include "core/export.h"
#include "stream/stream.h"

typedef struct la_io_object la_io_object;

typedef struct la_io_class {
  const la_stream_class *stream; /* what it is without Lua */
  const char *name;              /* of the metatable */
  /* NULL, or sees to it that `self` and `cls` are of the runtime of L; raises without one.
  ** When that fails the object counts as closed, with `unopened`. */
  void (*attach)(lua_State *L, la_io_object *o);
  /* Of a class with `attach`: its descriptor for a child that is started in the run of `r`, at
  ** which the child reads on where the stream does; -1 and *why the child cannot have it. *given:
  ** the stream that is to be handed over with it, or NULL. */
  int (*lend)(la_io_object *o, const la_reactor *r, la_uv_stream **given, const char **why);
} la_io_class;

struct la_io_object {
  const void *mark; /* la_io_mark: no other userdata has it in this place */
  const la_io_class *cls;
  void *self; /* the stream, as its class has it; NULL: collected, or taken */
  /* Where the read and the write that are under way keep the object's address; NULL for
  ** none. See la_io_collect. */
  la_io_object **reading, **writing;
  bool timed;
  bool taken;                      /* it is another stream's: la_io_take */
  uint64_t timeout, part_deadline; /* nanoseconds, if `timed`; of a read of several formats */
  int unopened;                    /* why `attach` could not open it, a negative errno, or 0 */
};

extern LA_PART const char la_io_mark;

/* The object at index i, if it is a stream (whose finaliser may have run: `self` is NULL then);
** else NULL. */
LA_PART la_io_object *la_io_test(lua_State *L, int i);

/* The object at index 1, which must be a stream. */
LA_PART la_io_object *la_io_check(lua_State *L);

/* The same; its finaliser may have run (`self` is NULL then). */
LA_PART la_io_object *la_io_check_any(lua_State *L);

/* `o`; raises when its finaliser has run (something it was part of is finalised later). */
LA_PART la_io_object *la_io_live(lua_State *L, la_io_object *o);

/* Pushes a new object of the class; `self` is set to NULL and to be filled in. */
LA_PART la_io_object *la_io_new(lua_State *L, const la_io_class *cls);

static inline bool la_io_is_closed(const la_io_object *o) {
  return !o->cls->stream->is_open(o->self);
}

/* What an operation fails with that begins while the object is closed. */
static inline int la_io_closed_error(const la_io_object *o) {
  return o->unopened != 0 ? o->unopened : UV_EBADF;
}

/* The status of an operation that began while the object was open: UV_EBADF because it is
** closed by now is UV_ECANCELED. (Those that begin later are refused before they begin,
** whatever is in the buffer.) */
LA_PART int la_io_cut(const la_io_object *o, int status);

/* For a future that reads: raises when there is one already. Begins a new read: bytes that a
** read before it had kept, and did not take, are there again. */
LA_PART la_reader *la_io_check_reader(lua_State *L, la_io_object *o);

/* For a future that writes: raises when there is one already. */
LA_PART void la_io_check_writer(lua_State *L, const la_io_object *o);

/* The finaliser's part: takes `self` out. A read or write whose output could not be pushed
** (no memory) may be left, though the frame that kept the object alive is gone: it is ended
** here, and finds its address of the object to be NULL. */
LA_PART void *la_io_collect(la_io_object *o);

/* What owns the stream from here on, instead of the object, which is of no use any more. Raises
** when it is closed, in use, or not to be had: `o` is the one at index `arg`. */
LA_PART la_stream la_io_take(lua_State *L, la_io_object *o, int arg);

/* Its text, when there is no stream in it any more: "Connection (taken over)". */
LA_PART bool la_io_push_gone(lua_State *L, const la_io_object *o);

/* The methods `timeout`, `try_read` and `try_write`. */
LA_PART int la_io_timeout(lua_State *L);
LA_PART int la_io_try_read(lua_State *L);
LA_PART int la_io_try_write(lua_State *L);

/* When what begins now is to be over: LA_TIMER_NEVER without a timeout. */
LA_PART uint64_t la_io_deadline(const la_io_object *o);

/* The end of the `begin` of an operation that has made *f, which the object's timeout limits. `op`
** is its name in the error; `give_up`, of a write, gives it up and says how many bytes are out of
** our hands.
 */
LA_PART int la_io_begun_until(lua_State *L, uint64_t deadline, const char *op,
                              size_t (*give_up)(la_future *), la_future **f);
static inline int la_io_begun(lua_State *L, const la_io_object *o, const char *op,
                              size_t (*give_up)(la_future *), la_future **f) {
  return o->timed ? la_io_begun_until(L, la_io_deadline(o), op, give_up, f) : 0;
}

/* The `finish` of such an operation, around its own. */
extern LA_PART const la_future_vtable la_io_timed_vtable;
LA_PART int la_io_timed_finish(lua_State *L, la_future *f, la_finish finish);
static inline int la_io_finish(lua_State *L, la_future *f, la_finish finish) {
  return f->vt->poll == la_io_timed_vtable.poll ? la_io_timed_finish(L, f, finish) : finish(L, f);
}

/* The method `write`. */
LA_PART int la_io_write(lua_State *L);
extern LA_PART const la_operation la_io_write_operation;

/* Makes the metatable of a class: `methods` and those of every stream (read, read_exact,
** read_until, lines, write). */
LA_PART void la_io_class_open(lua_State *L, const char *name, const luaL_Reg *meta,
                              const luaL_Reg *methods);

#endif
