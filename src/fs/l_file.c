/* File objects: like those of io, with reads and writes at a place besides. */
#include <stdlib.h>

#include "fs/file_stream.h"
#include "fs/l_fs.h"
#include "fs/l_work.h"
#include "stream/l_io.h"

#define FILE_NAME "lua_async.File"

static const la_io_class class_of_files = {.stream = &la_file_class, .name = FILE_NAME};

static la_io_object *check(lua_State *L) { return la_io_live(L, luaL_checkudata(L, 1, FILE_NAME)); }

/* ---- operations --------------------------------------------------------------------*/

/* A la_file_op with its own memory. */
typedef struct file_future {
  la_future base;
  la_file_op op;
  uv_stat_t st;
} file_future;

static la_poll file_poll(la_future *f, la_context *cx) {
  return la_future_poll(&((file_future *)(void *)f)->op.base, cx);
}

static void file_drop(la_future *f) {
  la_future_drop(&((file_future *)(void *)f)->op.base);
  free(f);
}

static const la_future_vtable file_vtable = {file_poll, file_drop, "file", NULL};

static la_file_op *begin(lua_State *L, la_io_object *o, la_file_kind kind, la_future **f) {
  la_check_reactor(L, "a file operation");
  file_future *w = malloc(sizeof *w);
  if (w == NULL) {
    la_no_memory(L);
    return NULL;
  }
  w->base.vt = &file_vtable;
  la_file_op_init(&w->op, o->self, kind);
  w->op.st = &w->st;
  *f = &w->base;
  return &w->op;
}

static const la_file_op *op_of(la_future *f) { return &((file_future *)(void *)f)->op; }

static int fail(lua_State *L, la_future *f, const char *name) {
  return la_fail(L, op_of(f)->status, name);
}

/* The object itself, or the failure. */
static int done(lua_State *L, la_future *f, const char *name) {
  if (op_of(f)->status < 0) return fail(L, f, name);
  lua_pushvalue(L, 1);
  return 1;
}

static int flush_begin(lua_State *L, void *room, la_future **f) {
  (void)room;
  begin(L, check(L), LA_FILE_FLUSH, f);
  return 0;
}
static int flush_finish(lua_State *L, la_future *f) { return done(L, f, "flush"); }

static int sync_begin(lua_State *L, void *room, la_future **f) {
  (void)room;
  begin(L, check(L), LA_FILE_SYNC, f);
  return 0;
}
static int sync_finish(lua_State *L, la_future *f) { return done(L, f, "sync"); }

static int datasync_begin(lua_State *L, void *room, la_future **f) {
  (void)room;
  begin(L, check(L), LA_FILE_DATASYNC, f);
  return 0;
}
static int datasync_finish(lua_State *L, la_future *f) { return done(L, f, "datasync"); }

static int seek_begin(lua_State *L, void *room, la_future **f) {
  static const int whence[] = {SEEK_SET, SEEK_CUR, SEEK_END};
  static const char *const names[] = {"set", "cur", "end", NULL};
  (void)room;
  la_io_object *o = check(L);
  int i = luaL_checkoption(L, 2, "cur", names);
  lua_Integer at = luaL_optinteger(L, 3, 0);
  la_file_op *op = begin(L, o, LA_FILE_SEEK, f);
  op->whence = whence[i];
  op->at = at;
  return 0;
}

static int seek_finish(lua_State *L, la_future *f) {
  if (op_of(f)->status < 0) return fail(L, f, "seek");
  lua_pushinteger(L, op_of(f)->at);
  return 1;
}

static lua_Integer check_offset(lua_State *L, int arg) {
  lua_Integer at = luaL_checkinteger(L, arg);
  luaL_argcheck(L, at >= 0, arg, "an offset cannot be negative");
  return at;
}

static int truncate_begin(lua_State *L, void *room, la_future **f) {
  (void)room;
  la_io_object *o = check(L);
  lua_Integer size = lua_isnoneornil(L, 2) ? 0 : check_offset(L, 2);
  begin(L, o, LA_FILE_TRUNCATE, f)->at = size;
  return 0;
}
static int truncate_finish(lua_State *L, la_future *f) { return done(L, f, "truncate"); }

static int stat_begin(lua_State *L, void *room, la_future **f) {
  (void)room;
  begin(L, check(L), LA_FILE_STAT, f);
  return 0;
}

static int stat_finish(lua_State *L, la_future *f) {
  if (op_of(f)->status < 0) return fail(L, f, "stat");
  la_push_stat(L, op_of(f)->st);
  return 1;
}

static int read_at_begin(lua_State *L, void *room, la_future **f) {
  (void)room;
  la_io_object *o = check(L);
  lua_Integer at = check_offset(L, 2), n = luaL_checkinteger(L, 3);
  luaL_argcheck(L, n >= 0 && n < PTRDIFF_MAX / 2, 3, "not a count of bytes");
  la_file_op *op = begin(L, o, LA_FILE_READ_AT, f);
  op->at = at;
  op->len = (size_t)n;
  return 0;
}

/* At the end of the file nil, as read. */
static int read_at_finish(lua_State *L, la_future *f) {
  const la_file_op *op = op_of(f);
  if (op->status < 0) return fail(L, f, "read_at");
  if (op->done == 0 && op->len > 0)
    lua_pushnil(L);
  else
    lua_pushlstring(L, op->done > 0 ? op->data : "", op->done);
  return 1;
}

static int write_at_begin(lua_State *L, void *room, la_future **f) {
  size_t len;
  (void)room;
  la_io_object *o = check(L);
  lua_Integer at = check_offset(L, 2);
  const char *data = luaL_checklstring(L, 3, &len);
  la_file_op *op = begin(L, o, LA_FILE_WRITE_AT, f);
  op->at = at;
  op->from = data; /* the argument stays on our stack */
  op->len = len;
  return 0;
}

static int write_at_finish(lua_State *L, la_future *f) {
  int n = done(L, f, "write_at");
  if (n == 2) {
    lua_pushinteger(L, (lua_Integer)op_of(f)->done);
    lua_setfield(L, -2, "partial");
  }
  return n;
}

/* ---- close -------------------------------------------------------------------------*/

/* Of one that is closed there is nothing to wait for, so that it may be anywhere. */
static bool closed_already(lua_State *L) {
  const la_io_object *o = luaL_checkudata(L, 1, FILE_NAME);
  if (o->self != NULL && la_file_is_open(o->self)) return false;
  lua_pushboolean(L, 1);
  return true;
}

static int close_begin(lua_State *L, void *room, la_future **f) {
  (void)room;
  if (closed_already(L)) return 1;
  begin(L, check(L), LA_FILE_CLOSE, f);
  return 0;
}

static int close_finish(lua_State *L, la_future *f) {
  if (op_of(f)->status < 0) return fail(L, f, "close");
  lua_pushboolean(L, 1);
  return 1;
}

static const la_operation close_operation = {"file.close", close_begin, close_finish};
static int file_close(lua_State *L) {
  return closed_already(L) ? 1 : la_operate(L, &close_operation);
}

/* Leaving a scope: flushes and closes, and waits for it where one can wait. A failure that no
** operation has reported is raised, unless an error is on its way already. */
static int scope_left(lua_State *L, int status, lua_KContext k) {
  (void)status;
  (void)k;
  const la_io_object *o = luaL_checkudata(L, 1, FILE_NAME);
  bool told = o->self == NULL || la_file_told(o->self);
  if (lua_isnil(L, 3) && lua_isnil(L, 2) && !told) return lua_error(L);
  return 0;
}

static int file_scope_end(lua_State *L) {
  la_io_object *o = luaL_checkudata(L, 1, FILE_NAME);
  if (o->self == NULL) return 0; /* collected, with the Lua state */
  lua_settop(L, 2);
  const la_coro *c = la_await_possible(L);
  if (c == NULL || la_coro_cancelled(c)) {
    if (la_file_is_open(o->self)) la_file_close_behind(o->self);
    return 0;
  }
  lua_pushcfunction(L, file_close);
  lua_pushvalue(L, 1);
  lua_callk(L, 1, 2, 0, scope_left);
  return scope_left(L, LUA_OK, 0);
}

static int file_gc(lua_State *L) {
  la_file *file = la_io_collect(luaL_checkudata(L, 1, FILE_NAME));
  if (file != NULL) la_file_unref(file);
  return 0;
}

static int file_fd(lua_State *L) {
  int fd = la_file_fd(check(L)->self);
  if (fd < 0) {
    la_fail(L, fd, "fd");
    if (fd == UV_EBUSY) {
      lua_pushliteral(L, "written bytes are still in its buffer: flush it first");
      lua_setfield(L, -2, "message");
    }
    return 2;
  }
  lua_pushinteger(L, fd);
  return 1;
}

static int file_tostring(lua_State *L) {
  const la_io_object *o = luaL_checkudata(L, 1, FILE_NAME);
  if (la_io_push_gone(L, o)) return 1;
  if (la_file_is_open(o->self))
    lua_pushfstring(L, "File (%p)", o->self);
  else
    lua_pushliteral(L, "File (closed)");
  return 1;
}

/* ---- open --------------------------------------------------------------------------*/

static int open_begin(lua_State *L, void *room, la_future **f) {
  static const char *const names[] = {"mode", NULL};
  (void)room;
  const char *path = la_check_text(L, 1);
  int flags = la_file_mode(luaL_optstring(L, 2, "r"));
  luaL_argcheck(L, flags != -1, 2,
                "invalid mode: \"r\", \"w\" or \"a\", with \"+\" to do both, "
                "and \"x\" after \"w\" for a file that must not exist");
  la_check_options(L, 3, names);
  int mode = (int)la_option_integer(L, 3, "mode", 0666, 0, 07777);
  la_file_open *w = la_file_open_new(la_check_reactor(L, "fs.open"), path, flags, mode);
  if (w == NULL) return la_no_memory(L);
  *f = &w->work.op.base;
  return 0;
}

static int open_finish(lua_State *L, la_future *f) {
  la_file_open *w = (la_file_open *)(void *)f;
  if (w->work.op.result < 0) return la_fail_path(L, w->work.op.result, "open", lua_tostring(L, 1));
  la_io_object *o = la_io_new(L, &class_of_files);
  o->self = la_file_open_take(w);
  return 1;
}

/* The file and its path. One that is not taken is removed. */
static int mkstemp_begin(lua_State *L, void *room, la_future **f) {
  (void)room;
  lua_settop(L, 1);
  const char *path = la_check_template(L, 1);
  lua_replace(L, 1);
  la_file_open *w = la_file_mkstemp_new(la_check_reactor(L, "fs.mkstemp"), path);
  if (w == NULL) return la_no_memory(L);
  *f = &w->work.op.base;
  return 0;
}

static int mkstemp_finish(lua_State *L, la_future *f) {
  la_file_open *w = (la_file_open *)(void *)f;
  if (w->work.op.result < 0)
    return la_fail_path(L, w->work.op.result, "mkstemp", lua_tostring(L, 1));
  la_io_object *o = la_io_new(L, &class_of_files);
  lua_pushstring(L, w->path);
  o->self = la_file_open_take(w);
  return 2;
}

static const la_operation mkstemp_operation = {"fs.mkstemp", mkstemp_begin, mkstemp_finish};
static int fs_mkstemp(lua_State *L) { return la_operate(L, &mkstemp_operation); }

static const la_operation open_operation = {"fs.open", open_begin, open_finish};
static int fs_open(lua_State *L) { return la_operate(L, &open_operation); }

/* ---- the module --------------------------------------------------------------------*/

static const la_operation flush = {"file.flush", flush_begin, flush_finish};
static const la_operation sync_file = {"file.sync", sync_begin, sync_finish};
static const la_operation datasync_file = {"file.datasync", datasync_begin, datasync_finish};
static const la_operation seek = {"file.seek", seek_begin, seek_finish};
static const la_operation truncate_file = {"file.truncate", truncate_begin, truncate_finish};
static const la_operation stat_file = {"file.stat", stat_begin, stat_finish};
static const la_operation read_at = {"file.read_at", read_at_begin, read_at_finish};
static const la_operation write_at = {"file.write_at", write_at_begin, write_at_finish};

static int file_flush(lua_State *L) { return la_operate(L, &flush); }
static int file_sync(lua_State *L) { return la_operate(L, &sync_file); }
static int file_datasync(lua_State *L) { return la_operate(L, &datasync_file); }
static int file_seek(lua_State *L) { return la_operate(L, &seek); }
static int file_truncate(lua_State *L) { return la_operate(L, &truncate_file); }
static int file_stat(lua_State *L) { return la_operate(L, &stat_file); }
static int file_read_at(lua_State *L) { return la_operate(L, &read_at); }
static int file_write_at(lua_State *L) { return la_operate(L, &write_at); }

void la_open_file(lua_State *L) {
  static const luaL_Reg methods[] = {{"flush", file_flush},
                                     {"sync", file_sync},
                                     {"seek", file_seek},
                                     {"datasync", file_datasync},
                                     {"truncate", file_truncate},
                                     {"stat", file_stat},
                                     {"read_at", file_read_at},
                                     {"write_at", file_write_at},
                                     {"close", file_close},
                                     {"fd", file_fd},
                                     {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__gc", file_gc},
                                  {"__close", file_scope_end},
                                  {"__tostring", file_tostring},
                                  {NULL, NULL}};
  static const la_operation_entry operations[] = {{file_flush, &flush},
                                                  {file_sync, &sync_file},
                                                  {file_seek, &seek},
                                                  {file_datasync, &datasync_file},
                                                  {file_truncate, &truncate_file},
                                                  {file_stat, &stat_file},
                                                  {file_read_at, &read_at},
                                                  {file_write_at, &write_at},
                                                  {file_close, &close_operation},
                                                  {fs_open, &open_operation},
                                                  {fs_mkstemp, &mkstemp_operation},
                                                  {NULL, NULL}};
  la_operations_add(L, operations);
  la_io_class_open(L, FILE_NAME, meta, methods);
  lua_pushcfunction(L, fs_open);
  lua_setfield(L, -2, "open");
  lua_pushcfunction(L, fs_mkstemp);
  lua_setfield(L, -2, "mkstemp");
}
