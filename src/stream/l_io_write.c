/* write, of every stream: one string, several, or straight into a buffer. */
#include <stdlib.h>
#include <string.h>

#include "stream/l_io.h"

void la_io_check_writer(lua_State *L, const la_io_object *o) {
  if (o->writing != NULL)
    luaL_error(L,
               "another task is already writing to this stream: only one task may write at a time");
}

typedef struct write_future {
  la_writer writer; /* with our vtable */
  la_io_object *o;
} write_future;

static void write_drop(la_future *f) {
  write_future *w = (write_future *)(void *)f;
  if (w->o == NULL) return;
  la_writer_drop(f);
  w->o->writing = NULL;
}

/* Given up, it counts what is out of our hands. */
static size_t give_up_write(la_future *f) {
  la_writer_drop(f);
  return ((write_future *)(void *)f)->writer.done;
}

static const la_future_vtable write_vtable = {la_writer_poll, write_drop, "write", NULL};

/* Up to here joining strings costs less than handing them over one by one. */
enum { JOIN_MAX = 16384 };

/* All that is to be written, from index 2 on, are strings or numbers, which become strings. */
static size_t check_strings(lua_State *L) {
  int top = lua_gettop(L);
  size_t total = 0, len;
  for (int i = 2; i <= top; i++) {
    luaL_checklstring(L, i, &len);
    total += len;
  }
  return total;
}

/* Leaves one string at index 2, whatever was to be written. */
static const char *one_string(lua_State *L, size_t *len) {
  int top = lua_gettop(L);
  if (top == 1) lua_pushliteral(L, "");
  if (top > 2) lua_concat(L, top - 1);
  return lua_tolstring(L, 2, len);
}

/* Several strings, which stay on the stack. */
typedef struct vector_future {
  la_vector_writer writer; /* with our vtable */
  la_io_object *o;
  struct iovec iov[];
} vector_future;

static void vector_drop(la_future *f) {
  vector_future *w = (vector_future *)(void *)f;
  if (w->o != NULL) {
    la_vector_writer_drop(f);
    w->o->writing = NULL;
  }
  free(w);
}

static size_t give_up_vector(la_future *f) {
  la_vector_writer_drop(f);
  return ((vector_future *)(void *)f)->writer.done;
}

static const la_future_vtable vector_vtable = {la_vector_writer_poll, vector_drop, "write", NULL};

static la_future *new_vector(lua_State *L, la_io_object *o) {
  int top = lua_gettop(L);
  vector_future *w = malloc(sizeof *w + (size_t)top * sizeof *w->iov);
  if (w == NULL) {
    la_no_memory(L);
    return NULL;
  }
  size_t count = 0;
  for (int i = 2; i <= top; i++) {
    size_t len;
    const char *s = lua_tolstring(L, i, &len);
    if (len > 0) w->iov[count++] = (struct iovec){(void *)(uintptr_t)s, len};
  }
  la_vector_writer_init(&w->writer, o->cls->stream->vt, o->self, w->iov, count);
  w->writer.base.vt = &vector_vtable;
  w->o = o;
  o->writing = &w->o;
  return &w->writer.base;
}

static int fail_write(lua_State *L, int status, size_t done) {
  int n = la_fail(L, status, "write");
  lua_pushinteger(L, (lua_Integer)done);
  lua_setfield(L, -2, "partial");
  return n;
}

/* The bytes of the argument at i: a number where `digits` ends, a string where it is. NULL: it
** is neither. */
static const char *bytes_of(lua_State *L, int i, char *digits, size_t *len) {
  if (!lua_isinteger(L, i)) return lua_tolstring(L, i, len);
  lua_Integer n = lua_tointeger(L, i);
  lua_Unsigned u = n < 0 ? 0u - (lua_Unsigned)n : (lua_Unsigned)n;
  char *p = digits;
  do *--p = (char)('0' + u % 10);
  while ((u /= 10) > 0);
  if (n < 0) *--p = '-';
  *len = (size_t)(digits - p);
  return p;
}

/* What fits into a buffer that is there is written with that. */
static bool write_now(lua_State *L, const la_io_object *o) {
  size_t room, used = 0;
  char digits[3 * sizeof(lua_Integer) + 1];
  char *to = o->cls->stream->room != NULL ? o->cls->stream->room(o->self, &room) : NULL;
  if (to == NULL || o->writing != NULL) return false;
  for (int i = 2, top = lua_gettop(L); i <= top; i++) {
    size_t len;
    const char *s = bytes_of(L, i, digits + sizeof digits, &len);
    if (s == NULL || len > room - used) return false;
    memcpy(to + used, s, len);
    used += len;
  }
  o->cls->stream->wrote(o->self, used);
  lua_settop(L, 1);
  return true;
}

static int write_begin(lua_State *L, void *room, la_future **f) {
  size_t len;
  la_io_object *o = la_io_check(L);
  if (la_operation_may_take() && write_now(L, o)) return 1;
  bool one = lua_gettop(L) == 2;
  const char *data = one ? luaL_checklstring(L, 2, &len) : NULL;
  bool join = one || check_strings(L) <= JOIN_MAX;
  la_io_check_writer(L, o);
  if (la_io_is_closed(o)) return fail_write(L, la_io_closed_error(o), 0);
  if (!join) {
    *f = new_vector(L, o);
    return la_io_begun(L, o, "write", give_up_vector, f);
  }
  if (!one) data = one_string(L, &len);
  if (len == 0) {
    lua_settop(L, 1);
    return 1;
  }
  _Static_assert(sizeof(write_future) <= LA_SLOT_SIZE, "a write needs no memory");
  write_future *w = room;
  la_writer_init(&w->writer, o->cls->stream->vt, o->self, data, len);
  w->writer.base.vt = &write_vtable;
  w->o = o;
  o->writing = &w->o;
  *f = &w->writer.base;
  return la_io_begun(L, o, "write", give_up_write, f);
}

static int finish_write(lua_State *L, la_future *f) {
  if (f->vt == &vector_vtable) {
    const vector_future *v = (const vector_future *)(const void *)f;
    lua_pushvalue(L, 1);
    return v->writer.status == 0 ? 1
                                 : fail_write(L, la_io_cut(v->o, v->writer.status), v->writer.done);
  }
  write_future *w = (write_future *)(void *)f;
  if (w->writer.status == 0) {
    lua_pushvalue(L, 1);
    return 1;
  }
  return fail_write(L, la_io_cut(w->o, w->writer.status), w->writer.done);
}

static int write_finish(lua_State *L, la_future *f) { return la_io_finish(L, f, finish_write); }

const la_operation la_io_write_operation = {"write", write_begin, write_finish};
int la_io_write(lua_State *L) { return la_operate(L, &la_io_write_operation); }
