/* async.thread: work on other threads, each with a Lua state of its own. */
#include "lib/l_thread.h"

#include "bridge/error.h"
#include "bridge/task_object.h"
#include "lib/kick.h"

/* ---- for the parts ---------------------------------------------------------------------*/

void la_thread_class_open(lua_State *L, const la_sync_class *cls, const luaL_Reg *meta,
                          const luaL_Reg *methods, const la_sendable *sendable) {
  la_sync_class_open(L, cls, meta, methods);
  lua_rawgetp(L, LUA_REGISTRYINDEX, cls);
  la_sendable_set(L, sendable);
  lua_pop(L, 1);
}

int la_thread_pack_shared(lua_State *L, int arg, const char *op, la_parcel **out) {
  la_parcel *p = la_parcel_pack(L, arg, 1, "the value");
  bool moves = p->moves;
  int error = moves ? 0 : la_parcel_seal(p);
  if (!moves && error == 0) {
    *out = p;
    return 0;
  }
  la_parcel_drop(p);
  if (moves)
    luaL_argerror(L, arg, "it holds what only one thread can have, but many may receive it");
  return la_fail(L, error, op);
}

static int unpack(lua_State *L) { return la_parcel_unpack(L, la_parcel_of(lua_touserdata(L, 1))); }

static int try_unpack(lua_State *L, la_letter *letter) {
  lua_pushcfunction(L, unpack);
  lua_pushlightuserdata(L, letter);
  return lua_pcall(L, 1, 1, 0);
}

int la_thread_push_letter(lua_State *L, la_letter *letter) {
  int status = try_unpack(L, letter);
  la_letter_unref(letter);
  return status == LUA_OK ? 1 : lua_error(L);
}

/* It failed for want of memory, of a descriptor, or of a runtime: not for good. */
static bool may_succeed(lua_State *L, int status) {
  return status == LUA_ERRMEM || la_is_error(L, -1) || la_rt == NULL;
}

int la_thread_push_kept(lua_State *L, la_letter *letter, la_letter **kept) {
  *kept = letter; /* it stays in the meantime */
  int status = try_unpack(L, letter);
  if (status != LUA_OK && may_succeed(L, status)) return lua_error(L);
  *kept = NULL;
  la_letter_unref(letter);
  return status == LUA_OK ? 1 : lua_error(L);
}

/* ---- work for other threads --------------------------------------------------------------*/

#define WORK_NAME "lua_async.Work"

static int work_gc(lua_State *L) {
  la_thread_work *w = lua_touserdata(L, 1);
  la_parcel_drop(w->in);
  if (w->plan != NULL) la_plan_unref(w->plan);
  *w = (la_thread_work){NULL, NULL};
  return 0;
}

int la_thread_spawn(lua_State *L, lua_CFunction body, const char *op) {
  la_runtime *rt = la_runtime_check(L, op);
  luaL_checktype(L, 1, LUA_TFUNCTION);
  int n = lua_gettop(L);
  la_kick_install();
  lua_pushcfunction(L, body);
  la_thread_work *w = lua_newuserdatauv(L, sizeof *w, 0);
  *w = (la_thread_work){NULL, NULL};
  luaL_setmetatable(L, WORK_NAME);
  w->in = la_parcel_pack(L, 1, n, "argument");
  w->plan = la_plan_of(L);
  int error = la_parcel_seal(w->in);
  if (error != 0) return la_fail(L, error, op);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &la_task_metatable_key);
  la_owners_push(L);
  lua_rotate(L, -4, 2); /* metatable, owners, body, work */
  la_task_object_spawn(L, rt, 1, 1, n + 2, n + 1, NULL);
  return 1;
}

/* ---- the module ------------------------------------------------------------------------*/

static int init(lua_State *L) {
  if (!lua_isnoneornil(L, 1)) luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_settop(L, 1);
  la_plan_set_init(L, 1);
  return 0;
}

void la_open_thread(lua_State *L) {
  static const luaL_Reg meta[] = {{"__gc", work_gc}, {NULL, NULL}};
  la_new_class(L, WORK_NAME, meta, NULL);
  lua_newtable(L);
  lua_pushcfunction(L, init);
  lua_setfield(L, -2, "init");
  la_open_blocking(L);
  la_open_thread_channel(L);
  la_open_thread_watch(L);
  la_open_thread_broadcast(L);
  la_open_shared(L);
  la_open_thread_spawn(L);
  la_open_thread_handles(L);
  la_open_workers(L);
  lua_setfield(L, -2, "thread");
}
