/* async.fs.watch: changes of a file or folder, as they come. */
#include "fs/watch.h"

#include <string.h>

#include "fs/l_fs.h"
#include "fs/l_work.h"

#define WATCH_NAME "lua_async.FileWatch"

typedef struct watch_object {
  la_fs_watch *watch; /* a reference; NULL: not there yet, or collected */
} watch_object;

static la_fs_watch *check(lua_State *L) {
  const watch_object *o = luaL_checkudata(L, 1, WATCH_NAME);
  luaL_argcheck(L, o->watch != NULL, 1, "this watch has been collected");
  return o->watch;
}

/* ---- changes -----------------------------------------------------------------------*/

/* `name` in the folder that is watched, or what is watched. */
static void push_path(lua_State *L, const la_fs_watch *w, const char *name) {
  const char *path = la_fs_watch_path(w);
  size_t len = strlen(path);
  if (*name == '\0')
    lua_pushstring(L, path);
  else
    lua_pushfstring(L, "%s%s%s", path, path[len - 1] == '/' ? "" : "/", name);
}

/* It is taken when nothing can fail any more. */
static int push_change(lua_State *L, la_fs_watch *w) {
  static const char *const kinds[] = {"change", "rename", "overflow"};
  la_watch_event *e = la_fs_watch_first(w);
  lua_createtable(L, 0, 2);
  push_path(L, w, e->name);
  lua_setfield(L, -2, "path");
  lua_pushstring(L, kinds[e->kind]);
  lua_setfield(L, -2, "kind");
  la_fs_watch_take(w);
  return 1;
}

static int next_begin(lua_State *L, void *room, la_future **f) {
  la_fs_watch *w = check(L);
  if (!la_fs_watch_is_open(w)) return la_fail_path(L, UV_EBADF, "watch", la_fs_watch_path(w));
  if (la_fs_watch_waits(w)) return luaL_error(L, "another task is already waiting for this watch");
  la_runtime_check(L, "a watch");
  if (la_operation_may_take() && la_fs_watch_first(w) != NULL) return push_change(L, w);
  la_watch_wait_init(room, w);
  *f = &((la_watch_wait *)room)->base;
  return 0;
}

static int next_finish(lua_State *L, la_future *f) {
  const la_watch_wait *wait = (const la_watch_wait *)(const void *)f;
  la_fs_watch *w = wait->watch;
  if (wait->status < 0) return la_fail_path(L, wait->status, "watch", la_fs_watch_path(w));
  return push_change(L, w);
}

static const la_operation next_operation = {"watch", next_begin, next_finish};

/* A call, or the step of a for loop, whose state and control are nothing to us. */
static int next_change(lua_State *L) {
  lua_settop(L, 1);
  return la_operate(L, &next_operation);
}

static int close_watch(lua_State *L) {
  const watch_object *o = luaL_checkudata(L, 1, WATCH_NAME);
  if (o->watch != NULL) la_fs_watch_close(o->watch); /* else the Lua state is closing */
  lua_pushboolean(L, 1);
  return 1;
}

static int collect(lua_State *L) {
  watch_object *o = luaL_checkudata(L, 1, WATCH_NAME);
  la_fs_watch *w = o->watch;
  o->watch = NULL;
  if (w == NULL) return 0;
  la_fs_watch_close(w);
  la_fs_watch_unref(w);
  return 0;
}

static int to_string(lua_State *L) {
  const la_fs_watch *w = check(L);
  if (la_fs_watch_is_open(w))
    lua_pushfstring(L, "FileWatch (%s)", la_fs_watch_path(w));
  else
    lua_pushliteral(L, "FileWatch (closed)");
  return 1;
}

/* ---- fs.watch ----------------------------------------------------------------------*/

static int fs_watch(lua_State *L) {
  static const char *const names[] = {"recursive", NULL};
  const char *path = la_check_text(L, 1);
  la_check_options(L, 2, names);
  if (la_option_boolean(L, 2, "recursive", false))
    return luaL_argerror(L, 2,
                         "there is no recursive watch: watch each folder that fs.walk returns");
  la_reactor *r = la_check_reactor(L, "fs.watch");
  watch_object *o = lua_newuserdatauv(L, sizeof *o, 0);
  o->watch = NULL;
  luaL_setmetatable(L, WATCH_NAME);
  int err = la_fs_watch_new(r, path, &o->watch);
  if (err != 0) return la_fail_path(L, err, "watch", path);
  lua_pushnil(L);
  lua_pushnil(L);
  lua_pushvalue(L, -3);
  return 4;
}

void la_open_fs_watch(lua_State *L) {
  static const luaL_Reg methods[] = {{"close", close_watch}, {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__call", next_change},
                                  {"__close", close_watch},
                                  {"__gc", collect},
                                  {"__tostring", to_string},
                                  {NULL, NULL}};
  _Static_assert(sizeof(la_watch_wait) <= LA_SLOT_SIZE, "a wait needs no memory");
  la_new_class(L, WATCH_NAME, meta, methods);
  lua_pushcfunction(L, fs_watch);
  lua_setfield(L, -2, "watch");
}
