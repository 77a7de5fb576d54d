/* async.fs: operations on paths. */
#include "fs/l_fs.h"
#include "fs/fs.h"
#include "fs/l_work.h"

static la_reactor *reactor(lua_State *L) { return la_check_reactor(L, "a file operation"); }

/* ---- whole files -------------------------------------------------------------------*/

static int read_file_begin(lua_State *L, void *room, la_future **f) {
  static const char *const names[] = {"max", NULL};
  const char *path = la_check_text(L, 1);
  (void)room;
  la_check_options(L, 2, names);
  lua_Integer max = la_option_integer(L, 2, "max", PTRDIFF_MAX / 2, 0, PTRDIFF_MAX / 2);
  la_fs_read_file *w = la_fs_read_file_new(reactor(L), path, (size_t)max);
  return la_begin_work(L, (la_work *)w, f);
}

static int read_file_finish(lua_State *L, la_future *f) {
  const la_fs_read_file *w = (const la_fs_read_file *)(const void *)f;
  if (la_work_result(f) < 0) return la_fail_work(L, f, "read_file");
  lua_pushlstring(L, w->data, w->len);
  return 1;
}

static int write_file_begin(lua_State *L, void *room, la_future **f) {
  static const char *const names[] = {"atomic", "append", "mode", NULL};
  size_t len;
  const char *path = la_check_text(L, 1), *data = luaL_checklstring(L, 2, &len);
  (void)room;
  la_check_options(L, 3, names);
  bool atomic = la_option_boolean(L, 3, "atomic", false);
  bool append = la_option_boolean(L, 3, "append", false);
  luaL_argcheck(L, !(atomic && append), 3, "atomic and append do not go together");
  int mode = (int)la_option_integer(L, 3, "mode", 0666, 0, 07777);
  la_fs_how how = atomic ? LA_FS_ATOMIC : append ? LA_FS_APPEND : LA_FS_REPLACE;
  la_fs_write_file *w = la_fs_write_file_new(reactor(L), path, data, len, mode, how);
  return la_begin_work(L, (la_work *)w, f);
}

static int write_file_finish(lua_State *L, la_future *f) {
  const la_fs_write_file *w = (const la_fs_write_file *)(const void *)f;
  if (la_work_result(f) >= 0) {
    lua_pushboolean(L, 1);
    return 1;
  }
  int n = la_fail_work(L, f, "write_file");
  lua_pushinteger(L, (lua_Integer)w->done);
  lua_setfield(L, -2, "partial");
  return n;
}

/* ---- stat --------------------------------------------------------------------------*/

static int stat_begin(lua_State *L, void *room, la_future **f) {
  (void)room;
  const char *path = la_check_text(L, 1);
  return la_begin_work(L, (la_work *)la_fs_stat_new(reactor(L), path, true), f);
}

static int lstat_begin(lua_State *L, void *room, la_future **f) {
  (void)room;
  const char *path = la_check_text(L, 1);
  return la_begin_work(L, (la_work *)la_fs_stat_new(reactor(L), path, false), f);
}

static int stat_finish(lua_State *L, la_future *f) {
  if (la_work_result(f) < 0) return la_fail_work(L, f, "stat");
  la_push_stat(L, &((const la_fs_stat *)(const void *)f)->st);
  return 1;
}

/* ---- folders -----------------------------------------------------------------------*/

static int dir_begin(lua_State *L, void *room, la_future **f) {
  (void)room;
  const char *path = la_check_text(L, 1);
  return la_begin_work(L, (la_work *)la_fs_dir_new(reactor(L), path), f);
}

/* Upvalues: the entries as la_fs_dir has them, and where the next one begins. */
static int dir_next(lua_State *L) {
  size_t len, at = (size_t)lua_tointeger(L, lua_upvalueindex(2));
  const char *entries = lua_tolstring(L, lua_upvalueindex(1), &len);
  char type;
  const char *name = la_fs_dir_next(entries, len, &at, &type);
  if (name == NULL) return 0;
  lua_pushstring(L, name);
  la_push_entry_type(L, type);
  lua_pushinteger(L, (lua_Integer)at);
  lua_replace(L, lua_upvalueindex(2));
  return 2;
}

static int dir_finish(lua_State *L, la_future *f) {
  const la_fs_dir *d = (const la_fs_dir *)(const void *)f;
  if (la_work_result(f) < 0) return la_fail_work(L, f, "dir");
  lua_pushlstring(L, d->bytes > 0 ? d->entries : "", d->bytes);
  lua_pushinteger(L, 0);
  lua_pushcclosure(L, dir_next, 2);
  return 1;
}

/* ---- changes -----------------------------------------------------------------------*/

static int mkdir_begin(lua_State *L, void *room, la_future **f) {
  static const char *const names[] = {"parents", "mode", NULL};
  (void)room;
  const char *path = la_check_text(L, 1);
  la_check_options(L, 2, names);
  bool parents = la_option_boolean(L, 2, "parents", false);
  int mode = (int)la_option_integer(L, 2, "mode", 0777, 0, 07777);
  return la_begin_work(L, (la_work *)la_fs_mkdir_new(reactor(L), path, mode, parents), f);
}

static int remove_begin(lua_State *L, void *room, la_future **f) {
  static const char *const names[] = {"recursive", NULL};
  (void)room;
  const char *path = la_check_text(L, 1);
  la_check_options(L, 2, names);
  bool recursive = la_option_boolean(L, 2, "recursive", false);
  return la_begin_work(L, (la_work *)la_fs_remove_new(reactor(L), path, recursive), f);
}

static int rename_begin(lua_State *L, void *room, la_future **f) {
  (void)room;
  const char *from = la_check_text(L, 1), *to = la_check_text(L, 2);
  return la_begin_work(L, (la_work *)la_fs_rename_new(reactor(L), from, to), f);
}

static int mkdir_finish(lua_State *L, la_future *f) { return la_finish_change(L, f, "mkdir"); }
/* In a tree the failure is about what could not be removed. */
static int remove_finish(lua_State *L, la_future *f) {
  const la_fs_remove *w = (const la_fs_remove *)(const void *)f;
  if (w->failed == NULL) return la_finish_change(L, f, "remove");
  return la_fail_path(L, la_work_result(f), "remove", w->failed);
}
static int rename_finish(lua_State *L, la_future *f) { return la_finish_paths(L, f, "rename"); }

/* ---- the module --------------------------------------------------------------------*/

static const la_operation read_file = {"fs.read_file", read_file_begin, read_file_finish};
static const la_operation write_file = {"fs.write_file", write_file_begin, write_file_finish};
static const la_operation stat_path = {"fs.stat", stat_begin, stat_finish};
static const la_operation lstat_path = {"fs.lstat", lstat_begin, stat_finish};
static const la_operation dir = {"fs.dir", dir_begin, dir_finish};
static const la_operation mkdir_path = {"fs.mkdir", mkdir_begin, mkdir_finish};
static const la_operation remove_path = {"fs.remove", remove_begin, remove_finish};
static const la_operation rename_path = {"fs.rename", rename_begin, rename_finish};

static int fs_read_file(lua_State *L) { return la_operate(L, &read_file); }
static int fs_write_file(lua_State *L) { return la_operate(L, &write_file); }
static int fs_stat(lua_State *L) { return la_operate(L, &stat_path); }
static int fs_lstat(lua_State *L) { return la_operate(L, &lstat_path); }
static int fs_dir(lua_State *L) { return la_operate(L, &dir); }
static int fs_mkdir(lua_State *L) { return la_operate(L, &mkdir_path); }
static int fs_remove(lua_State *L) { return la_operate(L, &remove_path); }
static int fs_rename(lua_State *L) { return la_operate(L, &rename_path); }

void la_open_fs(lua_State *L) {
  static const luaL_Reg functions[] = {{"read_file", fs_read_file},
                                       {"write_file", fs_write_file},
                                       {"stat", fs_stat},
                                       {"lstat", fs_lstat},
                                       {"dir", fs_dir},
                                       {"mkdir", fs_mkdir},
                                       {"remove", fs_remove},
                                       {"rename", fs_rename},
                                       {NULL, NULL}};
  static const la_operation_entry operations[] = {{fs_read_file, &read_file},
                                                  {fs_write_file, &write_file},
                                                  {fs_stat, &stat_path},
                                                  {fs_lstat, &lstat_path},
                                                  {fs_dir, &dir},
                                                  {fs_mkdir, &mkdir_path},
                                                  {fs_remove, &remove_path},
                                                  {fs_rename, &rename_path},
                                                  {NULL, NULL}};
  la_operations_add(L, operations);
  luaL_setfuncs(L, functions, 0);
  la_open_file(L);
  la_open_fs_path(L);
  la_open_fs_walk(L);
  la_open_fs_watch(L);
}
