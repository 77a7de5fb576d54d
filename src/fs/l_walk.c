/* async.fs.walk: everything below a folder. */
#include "fs/walk.h"

#include <string.h>

#include "fs/l_fs.h"
#include "fs/l_work.h"

#define WALK_NAME "lua_async.Walk"

typedef struct walk_object {
  la_walk *walk; /* a reference; NULL: not there yet, or collected */
} walk_object;

static la_walk *check(lua_State *L) {
  const walk_object *o = luaL_checkudata(L, 1, WALK_NAME);
  luaL_argcheck(L, o->walk != NULL, 1, "this walk has been collected");
  return o->walk;
}

/* ---- steps -------------------------------------------------------------------------*/

/* The path, what it is, and an error if there is one. */
static int push_entry(lua_State *L, la_walk *w) {
  la_walk_entry e;
  if (!la_walk_next(w, &e)) {
    lua_pushnil(L);
    return 1;
  }
  lua_pushstring(L, e.path);
  la_push_entry_type(L, e.type);
  if (e.error == 0) return 2;
  la_fail_path(L, e.error, "walk", lua_tostring(L, -2));
  lua_remove(L, -2);
  return 3;
}

/* An entry that is there needs no future, most of the time. */
static int step_begin(lua_State *L, void *room, la_future **f) {
  la_walk *w = check(L);
  if (!la_walk_is_open(w)) return la_fail(L, UV_EBADF, "walk");
  if (la_walk_steps(w)) return luaL_error(L, "another task waits for a step of this walk already");
  int n = la_operation_may_take() ? push_entry(L, w) : 0;
  if (n > 0 && !lua_isnil(L, -n)) return n;
  lua_pop(L, n);
  la_walk_step_init(room, w);
  *f = &((la_walk_step *)room)->base;
  return 0;
}

static int step_finish(lua_State *L, la_future *f) {
  const la_walk_step *s = (const la_walk_step *)(const void *)f;
  return s->status < 0 ? la_fail(L, s->status, "walk") : push_entry(L, s->walk);
}

static const la_operation step_operation = {"walk", step_begin, step_finish};

/* A call, or the step of a for loop, whose state and control are nothing to us. */
static int step(lua_State *L) {
  lua_settop(L, 1);
  return la_operate(L, &step_operation);
}

static int skip(lua_State *L) {
  la_walk_skip(check(L));
  return 0;
}

static int close_walk(lua_State *L) {
  const walk_object *o = luaL_checkudata(L, 1, WALK_NAME);
  if (o->walk != NULL) la_walk_close(o->walk); /* else the Lua state is closing */
  lua_pushboolean(L, 1);
  return 1;
}

static int collect(lua_State *L) {
  walk_object *o = luaL_checkudata(L, 1, WALK_NAME);
  la_walk *w = o->walk;
  o->walk = NULL;
  if (w == NULL) return 0;
  la_walk_close(w);
  la_walk_unref(w);
  return 0;
}

static int to_string(lua_State *L) {
  const la_walk *w = check(L);
  if (la_walk_is_open(w))
    lua_pushfstring(L, "Walk (%p)", (const void *)w);
  else
    lua_pushliteral(L, "Walk (closed)");
  return 1;
}

/* ---- fs.walk -----------------------------------------------------------------------*/

static bool option_post(lua_State *L, int arg) {
  static const char *const names[] = {"pre", "post", NULL};
  if (lua_isnoneornil(L, arg) || lua_getfield(L, arg, "order") == LUA_TNIL) return false;
  const char *s = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
  for (int i = 0; names[i] != NULL; i++)
    if (strcmp(s, names[i]) == 0) return i == 1;
  return luaL_argerror(L, arg, "option 'order' must be \"pre\" or \"post\"") != 0;
}

/* The first step is awaited, so that a root which cannot be read is known. The object is at
** index 3. */
static int walk_begin(lua_State *L, void *room, la_future **f) {
  static const char *const names[] = {"max_depth", "follow", "order", NULL};
  const char *root = la_check_text(L, 1);
  la_check_options(L, 2, names);
  la_walk_options options = {.max_depth = (unsigned)la_option_integer(L, 2, "max_depth", UINT32_MAX,
                                                                      1, UINT32_MAX),
                             .follow = la_option_boolean(L, 2, "follow", false),
                             .post = option_post(L, 2)};
  la_reactor *r = la_check_reactor(L, "fs.walk");
  lua_settop(L, 2);
  walk_object *o = lua_newuserdatauv(L, sizeof *o, 0);
  o->walk = NULL;
  luaL_setmetatable(L, WALK_NAME);
  o->walk = la_walk_new(r, root, options);
  if (o->walk == NULL) return la_no_memory(L);
  la_walk_step_init(room, o->walk);
  *f = &((la_walk_step *)room)->base;
  return 0;
}

static int walk_finish(lua_State *L, la_future *f) {
  const la_walk_step *s = (const la_walk_step *)(const void *)f;
  if (s->status < 0) {
    la_walk_close(s->walk);
    return la_fail_path(L, s->status, "walk", lua_tostring(L, 1));
  }
  lua_pushvalue(L, 3);
  lua_pushnil(L);
  lua_pushnil(L);
  lua_pushvalue(L, 3);
  return 4;
}

static const la_operation walk_operation = {"fs.walk", walk_begin, walk_finish};
static int fs_walk(lua_State *L) { return la_operate(L, &walk_operation); }

void la_open_fs_walk(lua_State *L) {
  static const luaL_Reg methods[] = {{"skip", skip}, {"close", close_walk}, {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__call", step},
                                  {"__close", close_walk},
                                  {"__gc", collect},
                                  {"__tostring", to_string},
                                  {NULL, NULL}};
  static const la_operation_entry operations[] = {{fs_walk, &walk_operation}, {NULL, NULL}};
  _Static_assert(sizeof(la_walk_step) <= LA_SLOT_SIZE, "a step needs no memory");
  la_operations_add(L, operations);
  la_new_class(L, WALK_NAME, meta, methods);
  lua_pushcfunction(L, fs_walk);
  lua_setfield(L, -2, "walk");
}
