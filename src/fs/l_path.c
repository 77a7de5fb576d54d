/* async.fs: links, modes, owners, times, temporary folders, copies. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/fs.h"
#include "fs/l_fs.h"
#include "fs/l_work.h"

static la_reactor *reactor(lua_State *L) { return la_check_reactor(L, "a file operation"); }

/* ---- two paths ---------------------------------------------------------------------*/

static int symlink_begin(lua_State *L, void *room, la_future **f) {
  (void)room;
  const char *to = la_check_text(L, 1), *path = la_check_text(L, 2);
  return la_begin_work(L, (la_work *)la_fs_symlink_new(reactor(L), to, path), f);
}

static int link_begin(lua_State *L, void *room, la_future **f) {
  (void)room;
  const char *from = la_check_text(L, 1), *path = la_check_text(L, 2);
  return la_begin_work(L, (la_work *)la_fs_link_new(reactor(L), from, path), f);
}

static int symlink_finish(lua_State *L, la_future *f) { return la_finish_paths(L, f, "symlink"); }
static int link_finish(lua_State *L, la_future *f) { return la_finish_paths(L, f, "link"); }

static int copy_begin(lua_State *L, void *room, la_future **f) {
  static const char *const names[] = {"exclusive", NULL};
  (void)room;
  const char *from = la_check_text(L, 1), *to = la_check_text(L, 2);
  la_check_options(L, 3, names);
  bool exclusive = la_option_boolean(L, 3, "exclusive", false);
  return la_begin_work(L, (la_work *)la_fs_copy_new(reactor(L), from, to, exclusive), f);
}

/* Which of the two it is about the message says, since the system's words fit both. */
static int copy_finish(lua_State *L, la_future *f) {
  const la_fs_copy *c = (const la_fs_copy *)(const void *)f;
  int n = la_finish_paths(L, f, "copy");
  if (la_work_result(f) >= 0 || !c->about_to) return n;
  if (c->same) {
    lua_pushliteral(L, "source and target are the same file");
  } else {
    lua_getfield(L, -1, "message");
    lua_pushfstring(L, "cannot write %s: %s", lua_tostring(L, 2), lua_tostring(L, -1));
    lua_remove(L, -2);
  }
  lua_setfield(L, -2, "message");
  return n;
}

/* ---- modes, owners, times ----------------------------------------------------------*/

static int begin_set(lua_State *L, la_fs_set *w, la_future **f, la_fs_set values) {
  if (w == NULL) return la_no_memory(L);
  w->mode = values.mode;
  w->uid = values.uid;
  w->gid = values.gid;
  memcpy(w->times, values.times, sizeof w->times);
  *f = &w->work.op.base;
  return 0;
}

static int chmod_begin(lua_State *L, void *room, la_future **f) {
  (void)room;
  const char *path = la_check_text(L, 1);
  lua_Integer mode = luaL_checkinteger(L, 2);
  luaL_argcheck(L, mode >= 0 && mode <= 07777, 2,
                "a mode is an integer from 0 to 4095 (octal 7777)");
  return begin_set(L, la_fs_chmod_new(reactor(L), path), f, (la_fs_set){.mode = (unsigned)mode});
}

/* nil: it stays as it is. */
static unsigned check_id(lua_State *L, int arg) {
  if (lua_isnoneornil(L, arg)) return LA_FS_KEEP;
  lua_Integer id = luaL_checkinteger(L, arg);
  luaL_argcheck(L, id >= 0 && id < (lua_Integer)LA_FS_KEEP, arg, "not a user or group id");
  return (unsigned)id;
}

static la_fs_set check_owner(lua_State *L) {
  return (la_fs_set){.uid = check_id(L, 2), .gid = check_id(L, 3)};
}

static int chown_begin(lua_State *L, void *room, la_future **f) {
  (void)room;
  const char *path = la_check_text(L, 1);
  la_fs_set owner = check_owner(L);
  return begin_set(L, la_fs_chown_new(reactor(L), path), f, owner);
}

static int lchown_begin(lua_State *L, void *room, la_future **f) {
  (void)room;
  const char *path = la_check_text(L, 1);
  la_fs_set owner = check_owner(L);
  return begin_set(L, la_fs_lchown_new(reactor(L), path), f, owner);
}

/* Seconds since 1970, as stat gives them; nil: now. */
static struct timespec check_time(lua_State *L, int arg) {
  if (lua_isnoneornil(L, arg)) return (struct timespec){.tv_nsec = UTIME_NOW};
  lua_Number s = luaL_checknumber(L, arg), whole = floor(s);
  luaL_argcheck(L, fabs(s) < 9e15, arg, "not a time in seconds since 1970");
  long ns = (long)((s - whole) * 1e9 + 0.5);
  if (ns > 999999999) ns = 999999999;
  return (struct timespec){.tv_sec = (time_t)whole, .tv_nsec = ns};
}

static int utime_begin(lua_State *L, void *room, la_future **f) {
  (void)room;
  const char *path = la_check_text(L, 1);
  la_fs_set times = {.times = {check_time(L, 2), check_time(L, 3)}};
  return begin_set(L, la_fs_utime_new(reactor(L), path), f, times);
}

static int chmod_finish(lua_State *L, la_future *f) { return la_finish_change(L, f, "chmod"); }
static int chown_finish(lua_State *L, la_future *f) { return la_finish_change(L, f, "chown"); }
static int lchown_finish(lua_State *L, la_future *f) { return la_finish_change(L, f, "lchown"); }
static int utime_finish(lua_State *L, la_future *f) { return la_finish_change(L, f, "utime"); }

/* ---- what gives a path -------------------------------------------------------------*/

static int finish_text(lua_State *L, la_future *f, const char *op) {
  const la_fs_text *w = (const la_fs_text *)(const void *)f;
  if (la_work_result(f) < 0) return la_fail_work(L, f, op);
  lua_pushlstring(L, w->text, w->len);
  return 1;
}

static int readlink_begin(lua_State *L, void *room, la_future **f) {
  (void)room;
  const char *path = la_check_text(L, 1);
  return la_begin_work(L, (la_work *)la_fs_readlink_new(reactor(L), path), f);
}

static int realpath_begin(lua_State *L, void *room, la_future **f) {
  (void)room;
  const char *path = la_check_text(L, 1);
  return la_begin_work(L, (la_work *)la_fs_realpath_new(reactor(L), path), f);
}

static int readlink_finish(lua_State *L, la_future *f) { return finish_text(L, f, "readlink"); }
static int realpath_finish(lua_State *L, la_future *f) { return finish_text(L, f, "realpath"); }

static int mkdtemp_begin(lua_State *L, void *room, la_future **f) {
  (void)room;
  lua_settop(L, 1);
  const char *path = la_check_template(L, 1);
  lua_replace(L, 1);
  return la_begin_work(L, (la_work *)la_fs_mkdtemp_new(reactor(L), path), f);
}

static int mkdtemp_finish(lua_State *L, la_future *f) {
  la_fs_text *w = (la_fs_text *)(void *)f;
  int n = finish_text(L, f, "mkdtemp");
  free(w->text); /* taken: the folder stays */
  w->text = NULL;
  return n;
}

/* ---- the functions -----------------------------------------------------------------*/

static const la_operation symlink_path = {"fs.symlink", symlink_begin, symlink_finish};
static const la_operation link_path = {"fs.link", link_begin, link_finish};
static const la_operation copy_path = {"fs.copy", copy_begin, copy_finish};
static const la_operation chmod_path = {"fs.chmod", chmod_begin, chmod_finish};
static const la_operation chown_path = {"fs.chown", chown_begin, chown_finish};
static const la_operation lchown_path = {"fs.lchown", lchown_begin, lchown_finish};
static const la_operation utime_path = {"fs.utime", utime_begin, utime_finish};
static const la_operation readlink_path = {"fs.readlink", readlink_begin, readlink_finish};
static const la_operation realpath_path = {"fs.realpath", realpath_begin, realpath_finish};
static const la_operation mkdtemp_path = {"fs.mkdtemp", mkdtemp_begin, mkdtemp_finish};

static int fs_symlink(lua_State *L) { return la_operate(L, &symlink_path); }
static int fs_link(lua_State *L) { return la_operate(L, &link_path); }
static int fs_copy(lua_State *L) { return la_operate(L, &copy_path); }
static int fs_chmod(lua_State *L) { return la_operate(L, &chmod_path); }
static int fs_chown(lua_State *L) { return la_operate(L, &chown_path); }
static int fs_lchown(lua_State *L) { return la_operate(L, &lchown_path); }
static int fs_utime(lua_State *L) { return la_operate(L, &utime_path); }
static int fs_readlink(lua_State *L) { return la_operate(L, &readlink_path); }
static int fs_realpath(lua_State *L) { return la_operate(L, &realpath_path); }
static int fs_mkdtemp(lua_State *L) { return la_operate(L, &mkdtemp_path); }

void la_open_fs_path(lua_State *L) {
  static const luaL_Reg functions[] = {{"symlink", fs_symlink},
                                       {"link", fs_link},
                                       {"copy", fs_copy},
                                       {"chmod", fs_chmod},
                                       {"chown", fs_chown},
                                       {"lchown", fs_lchown},
                                       {"utime", fs_utime},
                                       {"readlink", fs_readlink},
                                       {"realpath", fs_realpath},
                                       {"mkdtemp", fs_mkdtemp},
                                       {NULL, NULL}};
  static const la_operation_entry operations[] = {{fs_symlink, &symlink_path},
                                                  {fs_link, &link_path},
                                                  {fs_copy, &copy_path},
                                                  {fs_chmod, &chmod_path},
                                                  {fs_chown, &chown_path},
                                                  {fs_lchown, &lchown_path},
                                                  {fs_utime, &utime_path},
                                                  {fs_readlink, &readlink_path},
                                                  {fs_realpath, &realpath_path},
                                                  {fs_mkdtemp, &mkdtemp_path},
                                                  {NULL, NULL}};
  la_operations_add(L, operations);
  luaL_setfuncs(L, functions, 0);
}
