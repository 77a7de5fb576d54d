/* async.thread: work on other threads, each with a Lua state of its own. */
#include "thread/l_thread.h"

#include <string.h>

#include "bridge/error.h"
#include "bridge/module.h"
#include "bridge/task_object.h"
#include "task/l_kick.h"

/* ---- for the parts ---------------------------------------------------------------------*/

void la_thread_class_open(lua_State *L, const la_object_class *cls, const luaL_Reg *meta,
                          const luaL_Reg *methods, const la_sendable *sendable) {
  la_object_class_open(L, cls, meta, methods);
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
    luaL_argerror(
        L, arg,
        "it contains something that only one thread can own, but a broadcast has many receivers");
  return la_fail(L, error, op);
}

/* (letter, [object]): see la_thread_push_kept. */
static int unpack(lua_State *L) {
  la_parcel *p = la_parcel_of(lua_touserdata(L, 1));
  if (!p->moves || lua_isnoneornil(L, 2)) return la_parcel_unpack(L, p);
  if (lua_getiuservalue(L, 2, 1) != LUA_TTABLE) {
    lua_createtable(L, (int)p->handles, 0);
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, 2, 1);
    lua_replace(L, 3);
  }
  return la_parcel_unpack_again(L, p, 3);
}

/* `object`: its index, or 0. */
static int try_unpack(lua_State *L, la_letter *letter, int object) {
  lua_pushcfunction(L, unpack);
  lua_pushlightuserdata(L, letter);
  if (object != 0) lua_pushvalue(L, object);
  return lua_pcall(L, object != 0 ? 2 : 1, 1, 0);
}

int la_thread_push_letter(lua_State *L, la_letter *letter) {
  int status = try_unpack(L, letter, 0);
  la_letter_unref(letter);
  return status == LUA_OK ? 1 : lua_error(L);
}

/* It failed for want of memory or of a descriptor, as the error on top says: not for good. */
static bool may_succeed(lua_State *L, int status) {
  static const int wants[] = {UV_EMFILE, UV_ENFILE, UV_ENOMEM, UV_ENOBUFS};
  if (status == LUA_ERRMEM) return true;
  if (!la_is_error(L, -1)) return false;
  lua_getfield(L, -1, "code");
  const char *code = lua_tostring(L, -1);
  bool is = false;
  for (size_t i = 0; code != NULL && i < sizeof wants / sizeof *wants; i++)
    if (strcmp(code, uv_err_name(wants[i])) == 0) is = true;
  lua_pop(L, 1);
  return is;
}

/* It was unpacked, or never will be. */
static void unkeep(lua_State *L, la_letter *letter, la_letter **kept) {
  *kept = NULL;
  if (la_parcel_of(letter)->moves) {
    lua_pushnil(L);
    lua_setiuservalue(L, 1, 1);
  }
  la_letter_unref(letter);
}

bool la_thread_push_or_keep(lua_State *L, la_letter *letter, la_letter **kept) {
  *kept = letter;
  if (try_unpack(L, letter, 1) == LUA_OK) {
    unkeep(L, letter, kept);
    return true;
  }
  lua_pop(L, 1);
  return false;
}

int la_thread_push_kept(lua_State *L, la_letter *letter, la_letter **kept) {
  *kept = letter; /* it stays in the meantime */
  const char *what = la_rt == NULL ? la_parcel_needs_runtime(la_parcel_of(letter)) : NULL;
  if (what != NULL) la_check_reactor(L, what); /* raises */
  int status = try_unpack(L, letter, 1);
  if (status != LUA_OK && may_succeed(L, status)) return lua_error(L);
  unkeep(L, letter, kept);
  return status == LUA_OK ? 1 : lua_error(L);
}

/* ---- work for other threads --------------------------------------------------------------*/

#define WORK_NAME "lua_async.Work"

static void drop_work(void *ud) {
  la_thread_work *w = ud;
  la_parcel_drop(w->in);
  if (w->plan != NULL) la_plan_unref(w->plan);
  *w = (la_thread_work){NULL, NULL};
}

static int work_gc(lua_State *L) {
  drop_work(lua_touserdata(L, 1));
  return 0;
}

void la_thread_check_callable(lua_State *L, int arg) {
  if (lua_isfunction(L, arg)) return;
  if (!lua_istable(L, arg) || luaL_getmetafield(L, arg, "__call") == LUA_TNIL)
    luaL_typeerror(L, arg, "function or callable table");
  lua_pop(L, 1);
}

int la_thread_spawn(lua_State *L, lua_CFunction body, const char *op) {
  la_runtime *rt = la_runtime_check(L, op);
  la_thread_check_callable(L, 1);
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
  if (!lua_isnoneornil(L, 1)) la_thread_check_callable(L, 1);
  lua_settop(L, 1);
  int error = la_plan_set_init(L, 1);
  return error != 0 ? la_fail(L, error, "thread.init") : 0;
}

void la_open_thread(lua_State *L) {
  static const luaL_Reg meta[] = {{"__gc", work_gc}, {NULL, NULL}};
  la_new_class(L, WORK_NAME, meta, NULL);
  luaL_getmetatable(L, WORK_NAME);
  lua_pushlightuserdata(L, (void *)(uintptr_t)drop_work);
  lua_rawsetp(L, -2, &la_task_unbegun_key);
  lua_pop(L, 1);
  la_module_need(L, "net"); /* whose connections can be sent */
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
}
