#include "stream/l_io.h"

#include <string.h>

#include "bridge/alias.h"
#include "bridge/raising.h"

/* Longest line, numeral or delimited piece that is collected without being asked to. */
#define DEFAULT_MAX ((size_t)PTRDIFF_MAX)

enum { MAX_FORMATS = 250 }; /* as liolib's MAXARGLINE: with the stream, upvalues of a function */

const char la_io_mark = 0;

la_io_object *la_io_test(lua_State *L, int i) {
  la_io_object *o = lua_touserdata(L, i); /* light userdata have no length */
  return o != NULL && lua_rawlen(L, i) >= sizeof *o && o->mark == &la_io_mark ? o : NULL;
}

la_io_object *la_io_check_any(lua_State *L) {
  la_io_object *o = la_io_test(L, 1);
  if (o == NULL) luaL_typeerror(L, 1, "stream");
  return o;
}

la_io_object *la_io_check(lua_State *L) { return la_io_live(L, la_io_check_any(L)); }

la_io_object *la_io_live(lua_State *L, la_io_object *o) {
  if (o->cls->attach != NULL) o->cls->attach(L, o);
  if (o->self == NULL)
    luaL_argerror(L, 1,
                  o->taken ? "this stream was taken over by another one: use that"
                           : "this stream has been collected");
  return o;
}

la_io_object *la_io_new(lua_State *L, const la_io_class *cls) {
  la_io_object *o = lua_newuserdatauv(L, sizeof *o, 0);
  *o = (la_io_object){.mark = &la_io_mark, .cls = cls};
  luaL_setmetatable(L, cls->name);
  return o;
}

void *la_io_collect(la_io_object *o) {
  void *self = o->self;
  if (o->reading != NULL) {
    la_future_drop(&o->cls->stream->reader(self)->base);
    *o->reading = NULL;
  }
  if (o->writing != NULL) *o->writing = NULL;
  o->self = NULL;
  return self;
}

la_stream la_io_take(lua_State *L, la_io_object *o, int arg) {
  const char *why = o->cls->attach != NULL ? "a standard stream cannot be taken over"
                    : o->taken             ? "this stream was taken over already"
                    : o->self == NULL      ? "this stream has been collected"
                    : la_io_is_closed(o)   ? "this stream is closed"
                    : o->reading != NULL || o->writing != NULL
                        ? "another task reads from this stream or writes to it"
                        : NULL;
  if (why != NULL) luaL_argerror(L, arg, why);
  la_reader *rd = o->cls->stream->reader(o->self);
  if (rd != NULL) la_reader_release(rd);
  la_stream s = {o->self, o->cls->stream->vt};
  o->self = NULL;
  o->taken = true;
  return s;
}

bool la_io_push_gone(lua_State *L, const la_io_object *o) {
  if (o->self != NULL) return false;
  const char *dot = strrchr(o->cls->name, '.');
  lua_pushfstring(L, "%s (%s)", dot != NULL ? dot + 1 : o->cls->name,
                  o->taken ? "taken over" : "collected");
  return true;
}

int la_io_cut(const la_io_object *o, int status) {
  return status == UV_EBADF && la_io_is_closed(o) ? UV_ECANCELED : status;
}

/* ---- reading -----------------------------------------------------------------------*/

/* One read: the reader's future, and the mark that somebody reads. */
typedef struct read_future {
  la_future base;
  la_io_object *o;
  la_reader *rd;
  bool chop; /* the line's end is not part of the result */
} read_future;

static la_poll read_poll(la_future *f, la_context *cx) {
  return la_future_poll(&((read_future *)(void *)f)->rd->base, cx);
}

static void read_drop(la_future *f) {
  read_future *r = (read_future *)(void *)f;
  if (r->o == NULL) return;
  la_future_drop(&r->rd->base);
  r->o->reading = NULL;
}

static const la_future_vtable read_vtable = {read_poll, read_drop, "read", NULL};

la_reader *la_io_check_reader(lua_State *L, la_io_object *o) {
  if (o->reading != NULL)
    luaL_error(
        L, "another task is already reading from this stream: only one task may read at a time");
  la_reader *rd = o->cls->stream->reader(o->self);
  if (rd != NULL) la_reader_release(rd);
  return rd;
}

static void begin_read(la_io_object *o, la_reader *rd, bool chop, void *room, la_future **f) {
  read_future *r = room;
  *r = (read_future){.base = {&read_vtable}, .o = o, .rd = rd, .chop = chop};
  o->reading = &r->o;
  *f = &r->base;
}

static int push_failure(lua_State *L, read_future *r, const char *op) {
  int n = la_fail(L, la_io_cut(r->o, r->rd->status), op);
  if (r->rd->status == UV_ENOBUFS) {
    lua_pushliteral(
        L,
        "the delimiter did not come within the limit: read the bytes in another way, or raise the limit");
    lua_setfield(L, -2, "message");
  }
  return n;
}

/* A count that the result can have: what is over it is an argument error. */
static size_t check_count(lua_State *L, int arg) {
  lua_Integer n = luaL_checkinteger(L, arg);
  luaL_argcheck(L, n >= 0, arg, "a count of bytes cannot be negative");
  luaL_argcheck(L, (lua_Unsigned)n < (lua_Unsigned)PTRDIFF_MAX / 2, arg,
                "a string cannot have that many bytes: read it in pieces");
  return (size_t)n;
}

/* What a read is asked for: the letter of its format, or 0 and a count. */
typedef struct read_format {
  char letter;
  size_t count;
} read_format;

/* The format at `arg`. Raises when it is none. */
static read_format check_format(lua_State *L, int arg) {
  int type = lua_type(L, arg);
  if (type <= LUA_TNIL) return (read_format){'l', 0};
  if (type == LUA_TNUMBER) return (read_format){0, check_count(L, arg)};
  const char *format = luaL_checkstring(L, arg);
  if (*format == '*') format++; /* as io.read, which forgives it */
  luaL_argcheck(L, *format != '\0' && strchr("lLan", *format) != NULL, arg,
                "invalid format: \"l\", \"L\", \"n\", \"a\" or a count");
  return (read_format){*format, 0};
}

/* All of those from index 2 on, before any of them is read; returns how many. */
static int check_formats(lua_State *L) {
  int top = lua_gettop(L);
  for (int i = 2; i <= top; i++) check_format(L, i);
  luaL_argcheck(L, top - 1 <= MAX_FORMATS, MAX_FORMATS + 2, "too many formats");
  return top - 1;
}

/* Begins the read that the format asks for. */
static int begin_format(la_io_object *o, la_reader *rd, read_format format, void *room,
                        la_future **f) {
  switch (format.letter) {
  case 0: la_reader_some(rd, format.count); break;
  case 'a': la_reader_all(rd, DEFAULT_MAX); break;
  case 'n': la_reader_number(rd); break;
  default: la_reader_line(rd, DEFAULT_MAX);
  }
  begin_read(o, rd, format.letter == 'l', room, f);
  return 0;
}

static bool line_now(lua_State *L, la_reader *rd, char format) {
  const char *s = la_rbuf_bytes(&rd->buf);
  size_t at = rd->passed != NULL ? la_reader_passed(rd, 0, "\n", 1) : 0;
  const char *end = memchr(s + at, '\n', la_rbuf_len(&rd->buf) - at);
  if (end == NULL) return false;
  lua_pushlstring(L, s, (size_t)(end - s) + (format == 'L'));
  la_reader_taken(rd, (size_t)(end - s) + 1);
  return true;
}

static bool count_now(lua_State *L, la_reader *rd, size_t n) {
  size_t len = la_rbuf_len(&rd->buf);
  if (n > len) n = len;
  lua_pushlstring(L, la_rbuf_bytes(&rd->buf), n);
  la_reader_taken(rd, n);
  return true;
}

/* A line, or as many bytes of the count as there are, that are in the buffer need no future. */
static bool read_now(lua_State *L, la_reader *rd, read_format format) {
  if (la_rbuf_len(&rd->buf) == 0) return false;
  switch (format.letter) {
  case 'l':
  case 'L': return line_now(L, rd, format.letter);
  case 0: return count_now(L, rd, format.count);
  default: return false;
  }
}

static int read_begin(lua_State *L, void *room, la_future **f) {
  la_io_object *o = la_io_check(L);
  la_reader *rd = la_io_check_reader(L, o);
  if (lua_gettop(L) > 2)
    return luaL_error(L, "a future of read takes one format: use a function for more");
  if (la_io_is_closed(o)) return la_fail(L, la_io_closed_error(o), "read");
  read_format format = check_format(L, 2);
  if (la_operation_may_take() && read_now(L, rd, format)) return 1;
  begin_format(o, rd, format, room, f);
  return la_io_begun(L, o, "read", NULL, f);
}

static void push_number(lua_State *L, la_reader *rd) {
  size_t len;
  char text[256];
  const char *s = la_reader_span(rd, &len);
  if (len >= sizeof text) len = 0;
  memcpy(text, s, len);
  text[len] = '\0';
  if (len == 0 || lua_stringtonumber(L, text) != len + 1) lua_pushnil(L);
}

/* Pushes what the read gave. True: its bytes are to be taken; false: the failure. */
static bool push_result(lua_State *L, read_future *r) {
  la_reader *rd = r->rd;
  size_t len;
  const char *s = la_reader_span(rd, &len);
  bool too_long = rd->kind == LA_READ_NUMBER && rd->status == UV_ENOBUFS;
  if (rd->status != 0 && rd->status != UV_EOF && !too_long) {
    push_failure(L, r, "read");
    return false;
  }
  if (rd->status == UV_EOF || too_long) {
    lua_pushnil(L);
  } else if (rd->kind == LA_READ_NUMBER) {
    push_number(L, rd);
  } else {
    lua_pushlstring(L, s, len > 0 && r->chop && s[len - 1] == '\n' ? len - 1 : len);
  }
  return true;
}

static int take_read(lua_State *L, la_future *f) {
  read_future *r = (read_future *)(void *)f;
  if (!push_result(L, r)) return 2;
  la_reader_take(r->rd);
  return 1;
}

static int read_finish(lua_State *L, la_future *f) { return la_io_finish(L, f, take_read); }

static const la_operation read_operation = {"read", read_begin, read_finish};

/* Several formats are several reads, until one gives nothing. Only then are the bytes
** taken, so that a cancelled one loses none. */
static int part_begin(lua_State *L, void *room, la_future **f) {
  la_io_object *o = la_io_check(L);
  la_reader *rd = o->cls->stream->reader(o->self);
  begin_format(o, rd, check_format(L, 2), room, f);
  la_reader_gather(rd);
  return o->timed ? la_io_begun_until(L, o->part_deadline, "read", NULL, f) : 0;
}

static int keep_part(lua_State *L, la_future *f) {
  read_future *r = (read_future *)(void *)f;
  if (!push_result(L, r)) return 2;
  la_reader_keep(r->rd);
  return 1;
}

static int part_finish(lua_State *L, la_future *f) { return la_io_finish(L, f, keep_part); }

static const la_operation part_operation = {"read", part_begin, part_finish};
static int read_part(lua_State *L) { return la_operate(L, &part_operation); }

/* Stack: object, formats, results so far. k: how many formats are done and how many there
** are. */
static int read_more(lua_State *L, int status, lua_KContext k);

static int read_next(lua_State *L, int i, int count) {
  lua_pushcfunction(L, read_part);
  lua_pushvalue(L, 1);
  lua_pushvalue(L, 1 + i);
  lua_callk(L, 2, 2, (lua_KContext)i * 1024 + count, read_more);
  return read_more(L, LUA_OK, (lua_KContext)i * 1024 + count);
}

static int read_more(lua_State *L, int status, lua_KContext k) {
  int i = (int)(k / 1024), count = (int)(k % 1024);
  (void)status;
  bool end = lua_isnil(L, -2);
  if (!end || lua_isnil(L, -1)) lua_pop(L, 1); /* no error object */
  if (!end && i < count) return read_next(L, i + 1, count);
  la_io_object *o = la_io_check(L);
  la_reader_take_kept(o->cls->stream->reader(o->self));
  return lua_gettop(L) - count - 1;
}

static int io_read(lua_State *L) {
  int count = lua_gettop(L) - 1;
  if (count <= 1) return la_operate(L, &read_operation);
  check_formats(L);
  luaL_checkstack(L, count + LUA_MINSTACK, "too many formats");
  la_io_object *o = la_io_check(L);
  la_runtime_check(L, "reading");
  la_io_check_reader(L, o);
  if (la_io_is_closed(o)) return la_fail(L, la_io_closed_error(o), "read");
  if (o->timed) o->part_deadline = la_io_deadline(o);
  return read_next(L, 1, count);
}

static int read_exact_begin(lua_State *L, void *room, la_future **f) {
  la_io_object *o = la_io_check(L);
  size_t n = check_count(L, 2);
  la_reader *rd = la_io_check_reader(L, o);
  if (la_io_is_closed(o)) return la_fail(L, la_io_closed_error(o), "read_exact");
  la_reader_exact(rd, n);
  begin_read(o, rd, false, room, f);
  return la_io_begun(L, o, "read_exact", NULL, f);
}

/* The end of the stream in the middle of what was asked for is a failure. */
static int take_exact(lua_State *L, la_future *f) {
  read_future *r = (read_future *)(void *)f;
  size_t len;
  la_reader_span(r->rd, &len);
  if (r->rd->status == UV_EOF && len > 0) {
    int n = push_failure(L, r, "read_exact");
    lua_pushinteger(L, (lua_Integer)len);
    lua_setfield(L, -2, "partial");
    return n;
  }
  return take_read(L, f);
}

static int read_exact_finish(lua_State *L, la_future *f) { return la_io_finish(L, f, take_exact); }

static const la_operation read_exact_operation = {"read_exact", read_exact_begin,
                                                  read_exact_finish};
static int io_read_exact(lua_State *L) { return la_operate(L, &read_exact_operation); }

static int read_until_begin(lua_State *L, void *room, la_future **f) {
  size_t len, max = DEFAULT_MAX;
  la_io_object *o = la_io_check(L);
  const char *delimiter = luaL_checklstring(L, 2, &len);
  luaL_argcheck(L, len > 0, 2, "the delimiter is empty");
  luaL_argcheck(L, len <= UINT32_MAX, 2, "the delimiter is too long");
  if (!lua_isnoneornil(L, 3)) max = check_count(L, 3);
  la_reader *rd = la_io_check_reader(L, o);
  if (la_io_is_closed(o)) return la_fail(L, la_io_closed_error(o), "read_until");
  la_reader_until(rd, delimiter, len, max);
  begin_read(o, rd, false, room, f);
  return la_io_begun(L, o, "read_until", NULL, f);
}

/* What the stream ended with, though no delimiter came, is a result. */
static int take_until(lua_State *L, la_future *f) {
  read_future *r = (read_future *)(void *)f;
  size_t len;
  const char *s = la_reader_span(r->rd, &len);
  if (r->rd->status != UV_EOF || len == 0) return take_read(L, f);
  lua_pushlstring(L, s, len);
  la_reader_take(r->rd);
  return 1;
}

static int read_until_finish(lua_State *L, la_future *f) { return la_io_finish(L, f, take_until); }

static const la_operation read_until_operation = {"read_until", read_until_begin,
                                                  read_until_finish};
static int io_read_until(lua_State *L) { return la_operate(L, &read_until_operation); }

/* Upvalues: how many formats, the object, and they. Called by `for` with two values of no
** use, in whose place these come. */
static void push_formats(lua_State *L, int count) {
  lua_settop(L, 0);
  luaL_checkstack(L, count + 1, "too many formats");
  for (int i = 0; i <= count; i++) lua_pushvalue(L, lua_upvalueindex(2 + i));
}

/* The reader of the object in upvalue 2, when a read can go about it directly; NULL. */
static la_reader *reader_now(lua_State *L) {
  const la_io_object *o = lua_touserdata(L, lua_upvalueindex(2));
  bool ready =
      o->cls->attach == NULL && o->self != NULL && o->reading == NULL && !la_io_is_closed(o);
  la_reader *rd = ready ? o->cls->stream->reader(o->self) : NULL;
  if (rd != NULL) la_reader_release(rd);
  return rd;
}

static int next_begin(lua_State *L, void *room, la_future **f) {
  la_reader *rd = reader_now(L);
  if (rd != NULL && read_now(L, rd, check_format(L, lua_upvalueindex(3)))) return 1;
  push_formats(L, 1);
  return read_begin(L, room, f);
}

/* By lines, which is what most do, the format is known. */
static int line_begin(lua_State *L, void *room, la_future **f, char letter) {
  la_reader *rd = reader_now(L);
  if (rd != NULL && la_rbuf_len(&rd->buf) > 0 && line_now(L, rd, letter)) return 1;
  push_formats(L, (int)lua_tointeger(L, lua_upvalueindex(1)));
  return read_begin(L, room, f);
}

static int chopped_begin(lua_State *L, void *room, la_future **f) {
  return line_begin(L, room, f, 'l');
}

static int whole_begin(lua_State *L, void *room, la_future **f) {
  return line_begin(L, room, f, 'L');
}

static const la_operation next_operation = {"read", next_begin, read_finish};
static const la_operation chopped_operation = {"read", chopped_begin, read_finish};
static const la_operation whole_operation = {"read", whole_begin, read_finish};
static int next_read(lua_State *L) { return la_operate(L, &next_operation); }
static int next_chopped(lua_State *L) { return la_operate(L, &chopped_operation); }
static int next_whole(lua_State *L) { return la_operate(L, &whole_operation); }

static int next_several(lua_State *L) {
  push_formats(L, (int)lua_tointeger(L, lua_upvalueindex(1)));
  return io_read(L);
}

static lua_CFunction next_of(lua_State *L, int count) {
  if (count > 1) return next_several;
  switch (check_format(L, 2).letter) {
  case 'l': return next_chopped;
  case 'L': return next_whole;
  default: return next_read;
  }
}

static int io_lines(lua_State *L) {
  la_io_check(L);
  int last = lua_gettop(L);
  bool raises = last > 1 && la_is_plain_table(L, last) && la_option_raise(L, last);
  if (last > 1 && la_is_plain_table(L, last)) lua_pop(L, 1);
  int count = check_formats(L);
  lua_CFunction next = next_of(L, count);
  lua_pushinteger(L, count);
  lua_insert(L, 1);
  lua_pushcclosure(L, next, lua_gettop(L));
  if (raises) la_make_raising(L);
  return 1;
}

/* ---- the table ---------------------------------------------------------------------*/

void la_io_class_open(lua_State *L, const char *name, const luaL_Reg *meta,
                      const luaL_Reg *methods) {
  static const luaL_Reg shared[] = {{"read", io_read},
                                    {"read_exact", io_read_exact},
                                    {"read_until", io_read_until},
                                    {"lines", io_lines},
                                    {"write", la_io_write},
                                    {"timeout", la_io_timeout},
                                    {"try_read", la_io_try_read},
                                    {"try_write", la_io_try_write},
                                    {NULL, NULL}};
  static const la_operation_entry operations[] = {{io_read, &read_operation},
                                                  {io_read_exact, &read_exact_operation},
                                                  {io_read_until, &read_until_operation},
                                                  {la_io_write, &la_io_write_operation},
                                                  {NULL, NULL}};
  _Static_assert(sizeof(read_future) <= LA_SLOT_SIZE, "a read needs no memory");
  la_operations_add(L, operations);
  la_new_class(L, name, meta, methods);
  luaL_getmetatable(L, name);
  lua_getfield(L, -1, "__index");
  luaL_setfuncs(L, shared, 0);
  lua_pop(L, 2);
  la_alias_functions(L, name, methods);
  la_alias_functions(L, "lua_async.stream", shared);
}
