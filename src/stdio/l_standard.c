/*
** async.stdin, stdout and stderr: streams that are there in every run. Each run opens them
** anew, at their first use.
*/
#include <stdlib.h>
#include <unistd.h>

#include "fs/file_stream.h"
#include "stdio/l_standard.h"
#include "stdio/standard.h"
#include "stdio/terminal.h"
#include "stream/l_io.h"
#include "stream/l_stream.h"

#define STANDARD_NAME "lua_async.StandardStream"

typedef struct standard_object {
  la_io_object io; /* `self` is the stream or file of `standard` */
  la_standard standard;
  la_reactor *reactor; /* it is open for; a reference */
  int fd;
  bool closed; /* for good */
} standard_object;

static void attach(lua_State *L, la_io_object *o);
static int lend(la_io_object *io, const la_reactor *r, la_uv_stream **given, const char **why);

static la_reader *no_reader(void *self) {
  (void)self;
  return NULL;
}
static bool never_open(const void *self) {
  (void)self;
  return false;
}
static const la_stream_class closed = {.reader = no_reader, .is_open = never_open};

static const la_io_class stream_class = {&la_uv_stream_class, STANDARD_NAME, attach, lend};
static const la_io_class file_class = {&la_file_standard_class, STANDARD_NAME, attach, lend};
static const la_io_class closed_class = {&closed, STANDARD_NAME, attach, lend};

/* ---- one run after another ---------------------------------------------------------*/

static void detach(standard_object *o) {
  la_standard_unref(&o->standard);
  if (o->reactor != NULL) la_reactor_unref(o->reactor);
  o->reactor = NULL;
  o->io.cls = &closed_class;
}

static void take_over(standard_object *o, const la_standard *opened, la_reactor *r) {
  la_standard fresh = *opened;
  la_standard_inherit(&fresh, &o->standard);
  detach(o);
  o->standard = fresh;
  o->reactor = r;
  la_reactor_ref(r);
  if (fresh.stream != NULL) {
    o->io.cls = &stream_class;
    o->io.self = fresh.stream;
  } else if (fresh.file != NULL) {
    o->io.cls = &file_class;
    o->io.self = fresh.file;
  }
  if (o->closed) la_standard_close(&o->standard);
}

static void attach(lua_State *L, la_io_object *io) {
  standard_object *o = (standard_object *)(void *)io;
  la_reactor *r = la_check_reactor(L, "a standard stream");
  if (o->reactor == r) return;
  la_standard opened;
  o->io.unopened = la_standard_open(&opened, r, o->fd);
  if (o->io.unopened != 0) return; /* what the last run read ahead stays for the next attempt */
  o->io.reading = o->io.writing = NULL; /* whatever the last run left is over */
  take_over(o, &opened, r);
}

static standard_object *check(lua_State *L) { return luaL_checkudata(L, 1, STANDARD_NAME); }

/* ---- for a child -------------------------------------------------------------------*/

static int lend(la_io_object *io, const la_reactor *r, la_uv_stream **given, const char **why) {
  standard_object *o = (standard_object *)(void *)io;
  la_uv_stream *s = o->standard.stream;
  la_file *f = o->standard.file;
  bool now = o->reactor == r; /* else what is under way there is over */
  bool busy = now && (io->reading != NULL || io->writing != NULL);
  int error = s != NULL && la_reader_unread(&s->reader) > 0 ? UV_ESPIPE : 0;
  if (now && s != NULL && !la_uv_stream_is_settled(s)) busy = true;
  if (f != NULL && !busy && !o->closed) error = la_file_give_back(f, o->fd);
  *given = now && s != NULL && o->standard.shared && la_handle_is_open(&s->handle) ? s : NULL;
  *why = o->closed ? LA_STREAM_CLOSED : busy || error == UV_EBUSY ? LA_IN_USE : LA_READ_AHEAD;
  return o->closed || busy || error != 0 ? -1 : o->fd;
}

/* ---- methods -----------------------------------------------------------------------*/

/* At once; what a file fails to write then is told at the end of the run. */
static int standard_leave(lua_State *L) {
  standard_object *o = check(L);
  o->closed = true;
  la_standard_close(&o->standard);
  lua_pushboolean(L, 1);
  return 1;
}

static int standard_gc(lua_State *L) {
  standard_object *o = check(L);
  la_io_collect(&o->io);
  detach(o);
  return 0;
}

static int standard_fd(lua_State *L) {
  lua_pushinteger(L, check(L)->fd);
  return 1;
}

static int standard_isatty(lua_State *L) {
  lua_pushboolean(L, isatty(check(L)->fd));
  return 1;
}

static int standard_size(lua_State *L) {
  int columns, rows;
  int error = la_terminal_size(check(L)->fd, &columns, &rows);
  if (error != 0) return la_fail(L, error, "size");
  lua_pushinteger(L, columns);
  lua_pushinteger(L, rows);
  return 2;
}

static int standard_raw(lua_State *L) {
  const standard_object *o = check(L);
  bool on = lua_isnoneornil(L, 2) || lua_toboolean(L, 2);
  la_reactor *r = la_check_reactor(L, "raw mode");
  return la_push_done(L, on ? la_terminal_raw(r, o->fd) : la_terminal_restore(), "raw");
}

static int standard_tostring(lua_State *L) {
  static const char *const names[] = {"stdin", "stdout", "stderr"};
  lua_pushfstring(L, "StandardStream (%s)", names[check(L)->fd]);
  return 1;
}

/* ---- flush -------------------------------------------------------------------------*/

typedef struct flush_future {
  la_future base;
  la_file_op op;
} flush_future;

static la_poll flush_poll(la_future *f, la_context *cx) {
  return la_future_poll(&((flush_future *)(void *)f)->op.base, cx);
}

static void flush_drop(la_future *f) {
  la_future_drop(&((flush_future *)(void *)f)->op.base);
  free(f);
}

static const la_future_vtable flush_vtable = {flush_poll, flush_drop, "flush", NULL};

static int begin_op(lua_State *L, la_file *file, la_file_kind kind, la_future **f) {
  flush_future *w = malloc(sizeof *w);
  if (w == NULL) return la_no_memory(L);
  w->base.vt = &flush_vtable;
  la_file_op_init(&w->op, file, kind);
  *f = &w->base;
  return 0;
}

static int flush_begin(lua_State *L, void *room, la_future **f) {
  standard_object *o = check(L);
  la_io_object *io = la_io_live(L, &o->io);
  if (!io->cls->stream->is_open(io->self)) return la_fail(L, la_io_closed_error(io), "flush");
  if (o->standard.file == NULL) return la_stream_flush_begin(L, io, room, f);
  begin_op(L, o->standard.file, LA_FILE_FLUSH, f);
  return la_io_begun(L, io, "flush", NULL, f);
}

static int finish_flush(lua_State *L, la_future *f) {
  int status = ((flush_future *)(void *)f)->op.status;
  if (status != 0) return la_fail(L, status, "flush");
  lua_pushvalue(L, 1);
  return 1;
}

static int flush_finish(lua_State *L, la_future *f) {
  const standard_object *o = check(L);
  bool file = o->standard.file != NULL;
  return file ? la_io_finish(L, f, finish_flush) : la_stream_flush_finish(L, f);
}

static const la_operation flush_operation = {"flush", flush_begin, flush_finish};
static int standard_flush(lua_State *L) { return la_operate(L, &flush_operation); }

/* ---- close -------------------------------------------------------------------------*/

static bool writes_yet(const standard_object *o) {
  return o->standard.file != NULL && la_file_is_open(o->standard.file);
}

static int close_begin(lua_State *L, void *room, la_future **f) {
  standard_object *o = check(L);
  (void)room;
  if (!writes_yet(o)) return standard_leave(L);
  o->closed = true;
  return begin_op(L, o->standard.file, LA_FILE_CLOSE, f);
}

static int close_finish(lua_State *L, la_future *f) {
  return la_push_done(L, ((flush_future *)(void *)f)->op.status, "close");
}

static const la_operation close_operation = {"close", close_begin, close_finish};

/* Waits where one can, and there is something to wait for. */
static int standard_close(lua_State *L) {
  bool waits = writes_yet(check(L)) && la_await_possible(L) != NULL;
  return waits ? la_operate(L, &close_operation) : standard_leave(L);
}

/* ---- the fields --------------------------------------------------------------------*/

static void add_stream(lua_State *L, int fd, const char *name) {
  standard_object *o = lua_newuserdatauv(L, sizeof *o, 0);
  *o = (standard_object){.io = {.mark = &la_io_mark, .cls = &closed_class}, .fd = fd};
  o->io.self = o; /* not collected */
  luaL_setmetatable(L, STANDARD_NAME);
  lua_setfield(L, -2, name);
}

void la_open_standard(lua_State *L) {
  static const luaL_Reg methods[] = {{"close", standard_close},
                                     {"flush", standard_flush},
                                     {"fd", standard_fd},
                                     {"isatty", standard_isatty},
                                     {"size", standard_size},
                                     {"raw", standard_raw},
                                     {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__gc", standard_gc},
                                  {"__close", standard_leave},
                                  {"__tostring", standard_tostring},
                                  {NULL, NULL}};
  static const la_operation_entry operations[] = {{standard_flush, &flush_operation},
                                                  {standard_close, &close_operation},
                                                  {NULL, NULL}};
  la_operations_add(L, operations);
  la_io_class_open(L, STANDARD_NAME, meta, methods);
  add_stream(L, STDIN_FILENO, "stdin");
  add_stream(L, STDOUT_FILENO, "stdout");
  add_stream(L, STDERR_FILENO, "stderr");
}
