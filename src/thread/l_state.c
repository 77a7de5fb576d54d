#include "thread/l_state.h"

#include <lualib.h>
#include <pthread.h>
#include <stdlib.h>

#include "bridge/lib.h"
#include "bridge/module.h"
#include "process/l_shell.h"
#include "task/l_kick.h"
#include "task/l_task.h"
#include "thread/l_call.h"
#include "thread/l_lend.h"
#include "thread/l_parcel.h"
#include "thread/l_reports.h"

enum { KEPT = 16 };

struct la_plan {
  pthread_mutex_t mutex;
  unsigned refs;
  la_parcel *setup; /* path, cpath, preloads in C, in Lua */
  la_parcel *init;  /* the function for new states; NULL: none */
  lua_State *kept[KEPT];
  int count;
};

static char init_key;   /* registry: a userdata, the la_parcel * of the function for new states */
static char size_key;   /* registry: of a state, what it held when it had no garbage, KiB */
static char holder_key; /* registry: the userdata that holds the plan, { what it was made from } */

typedef struct holder {
  la_plan *plan;
  uint64_t signature;
} holder;

/* ---- plans ------------------------------------------------------------------------*/

void la_plan_unref(la_plan *p) {
  pthread_mutex_lock(&p->mutex);
  bool last = --p->refs == 0;
  pthread_mutex_unlock(&p->mutex);
  if (!last) return;
  while (p->count > 0) lua_close(p->kept[--p->count]);
  la_parcel_drop(p->setup);
  la_parcel_drop(p->init);
  pthread_mutex_destroy(&p->mutex);
  free(p);
}

static void ref(la_plan *p) {
  pthread_mutex_lock(&p->mutex);
  p->refs++;
  pthread_mutex_unlock(&p->mutex);
}

static int holder_gc(lua_State *L) {
  holder *h = lua_touserdata(L, 1);
  if (h->plan != NULL) la_plan_unref(h->plan);
  h->plan = NULL;
  return 0;
}

/* Pushes package[field]; nil when somebody has taken package away. */
static void push_package(lua_State *L, const char *field) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  if (lua_getfield(L, -1, "package") == LUA_TTABLE)
    lua_getfield(L, -1, field);
  else
    lua_pushnil(L);
  lua_replace(L, -3);
  lua_pop(L, 1);
}

static uint64_t mix(uint64_t s, const void *p) {
  return (s ^ (uint64_t)(uintptr_t)p) * UINT64_C(0x9E3779B97F4A7C15);
}

/* Of all that the plan is made from, by addresses: see keep. */
static uint64_t signature(lua_State *L) {
  uint64_t s = 0, preloads = 0;
  push_package(L, "path");
  push_package(L, "cpath");
  lua_rawgetp(L, LUA_REGISTRYINDEX, &init_key);
  for (int i = -3; i < 0; i++) s = mix(s, lua_topointer(L, i));
  lua_pop(L, 3);
  push_package(L, "preload");
  if (lua_istable(L, -1))
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
      preloads += mix(mix(1, lua_topointer(L, -2)), lua_topointer(L, -1));
  lua_pop(L, 1);
  return (s ^ preloads) * UINT64_C(0x9E3779B97F4A7C15);
}

/* Keeps all that with the holder at index `at`, so that nothing else can have its address. */
static void keep(lua_State *L, int at) {
  lua_newtable(L);
  int n = 0, list = lua_gettop(L);
  push_package(L, "path");
  lua_rawseti(L, list, ++n);
  push_package(L, "cpath");
  lua_rawseti(L, list, ++n);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &init_key);
  lua_rawseti(L, list, ++n);
  push_package(L, "preload");
  if (lua_istable(L, -1)) {
    for (lua_pushnil(L); lua_next(L, list + 1);) {
      lua_rawseti(L, list, ++n);
      lua_pushvalue(L, -1);
      lua_rawseti(L, list, ++n);
    }
  }
  lua_settop(L, list);
  lua_setiuservalue(L, at, 1);
}

static bool has_upvalues(lua_State *L, int f) {
  if (lua_getupvalue(L, f, 1) == NULL) return false;
  lua_pop(L, 1);
  return true;
}

/* The function at the top can be sent; it stays. */
static int try_to_send(lua_State *L) {
  la_parcel_drop(la_parcel_pack_whole(L, 1, 1, "preload"));
  return 0;
}
static bool can_be_sent(lua_State *L) {
  lua_pushcfunction(L, try_to_send);
  lua_pushvalue(L, -2);
  if (lua_pcall(L, 1, 0, 0) == LUA_OK) return true;
  lua_pop(L, 1);
  return false;
}

/* Fills the tables of preloads at the top, of functions in Lua and (below) of those in C. */
static void push_preloads(lua_State *L) {
  lua_newtable(L);
  lua_newtable(L);
  int in_lua = lua_gettop(L), in_c = in_lua - 1;
  push_package(L, "preload");
  if (lua_istable(L, -1)) {
    for (lua_pushnil(L); lua_next(L, in_lua + 1); lua_settop(L, in_lua + 2)) {
      lua_CFunction f = lua_tocfunction(L, -1);
      bool plain = f != NULL && !has_upvalues(L, -1);
      if (!plain && (f != NULL || !lua_isfunction(L, -1) || !can_be_sent(L))) continue;
      lua_pushvalue(L, -2);
      if (plain)
        lua_pushlightuserdata(L, (void *)(uintptr_t)f);
      else
        lua_pushvalue(L, -2);
      lua_rawset(L, plain ? in_c : in_lua);
    }
  }
  lua_settop(L, in_lua);
}

static la_plan *make_plan(lua_State *L) {
  int top = lua_gettop(L);
  push_package(L, "path");
  push_package(L, "cpath");
  push_preloads(L);
  la_parcel *setup = la_parcel_pack_whole(L, top + 1, 4, "what new states are made from,");
  lua_settop(L, top);
  la_plan *p = calloc(1, sizeof *p);
  if (p == NULL || la_parcel_seal(setup) != 0) {
    free(p);
    la_parcel_drop(setup);
    la_no_memory(L);
    return NULL;
  }
  pthread_mutex_init(&p->mutex, NULL);
  p->refs = 1;
  p->setup = setup;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &init_key);
  la_parcel **init = lua_touserdata(L, -1);
  if (init != NULL) p->init = la_parcel_of(la_letter_ref(&(*init)->letter));
  lua_pop(L, 1);
  return p;
}

static holder *push_holder(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &holder_key) == LUA_TUSERDATA) return lua_touserdata(L, -1);
  lua_pop(L, 1);
  holder *h = lua_newuserdatauv(L, sizeof *h, 1);
  *h = (holder){0};
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, holder_gc);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &holder_key);
  return h;
}

la_plan *la_plan_of(lua_State *L) {
  luaL_checkstack(L, 16, NULL);
  int top = lua_gettop(L);
  holder *h = push_holder(L);
  int at = lua_gettop(L);
  uint64_t now = signature(L);
  if (h->plan == NULL || h->signature != now) {
    h->signature = ~now; /* until all of it is done */
    keep(L, at);
    la_plan *p = make_plan(L);
    if (h->plan != NULL) la_plan_unref(h->plan);
    h->plan = p;
    h->signature = now;
  }
  ref(h->plan);
  lua_settop(L, top);
  return h->plan;
}

static int init_gc(lua_State *L) {
  la_parcel **p = lua_touserdata(L, 1);
  la_parcel_drop(*p);
  *p = NULL;
  return 0;
}

int la_plan_set_init(lua_State *L, int i) {
  if (lua_isnil(L, i)) {
    lua_pushnil(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &init_key);
    return 0;
  }
  la_parcel **init = lua_newuserdatauv(L, sizeof(la_parcel *), 0);
  *init = NULL;
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, init_gc);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  la_parcel *p = *init = la_parcel_pack_whole(L, i, 1, "the function");
  if (p->moves) luaL_argerror(L, i, "it contains something that only one thread can own");
  int error = la_parcel_seal(p);
  if (error == 0)
    lua_rawsetp(L, LUA_REGISTRYINDEX, &init_key);
  else
    lua_pop(L, 1);
  return error;
}

/* ---- states -----------------------------------------------------------------------*/

static void note_size(lua_State *L) {
  lua_pushinteger(L, lua_gc(L, LUA_GCCOUNT));
  lua_rawsetp(L, LUA_REGISTRYINDEX, &size_key);
}

/* A state that rests keeps little garbage: less than what it holds, or SOME; and no `ends` of what
** other threads have, too, who wait for them to be closed. */
static void tidy(lua_State *L, bool ends) {
  enum { SOME = 1024 };
  lua_rawgetp(L, LUA_REGISTRYINDEX, &size_key);
  lua_Integer size = lua_tointeger(L, -1);
  lua_pop(L, 1);
  if (!ends && lua_gc(L, LUA_GCCOUNT) <= 2 * size + SOME) return;
  lua_gc(L, LUA_GCCOLLECT);
  note_size(L); /* takes no memory: it is there */
}

/* The plan, whether it will rest between calls -> */
static int set_up(lua_State *L) {
  la_plan *p = lua_touserdata(L, 1);
  if (lua_toboolean(L, 2)) la_lend_never(L);
  lua_gc(L, LUA_GCGEN, 0, 0); /* as the standalone interpreter */
  luaL_openlibs(L);
  la_require_keep(L);
  la_kick_open(L);
  la_shell_open(L);
  la_reports_open(L);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushcfunction(L, luaopen_lua_async);
  lua_setfield(L, -2, "lua_async");
  lua_settop(L, 1);
  la_parcel_unpack(L, p->setup);
  lua_getglobal(L, "package");
  for (int i = 0; i < 2; i++) {
    lua_pushvalue(L, 2 + i);
    lua_setfield(L, -2, i == 0 ? "path" : "cpath");
  }
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  for (int from = 4; from <= 5; from++) {
    for (lua_pushnil(L); lua_next(L, from);) {
      lua_pushvalue(L, -2);
      lua_insert(L, -2);
      if (from == 4) {
        lua_CFunction f = (lua_CFunction)(uintptr_t)lua_touserdata(L, -1);
        lua_pop(L, 1);
        lua_pushcfunction(L, f);
      }
      lua_rawset(L, -4);
    }
  }
  if (p->init != NULL) {
    lua_settop(L, 1);
    la_parcel_unpack(L, p->init);
    int error = la_plan_set_init(L, 2); /* for states that this one makes */
    if (error != 0) {
      la_fail(L, error, "thread.init");
      return lua_error(L);
    }
    lua_call(L, 0, 0);
  }
  la_reports_keep(L);
  note_size(L);
  return 0;
}

static lua_State *new_state(la_plan *p, la_kick *kick, bool rests, int *error) {
  lua_State *L = luaL_newstate();
  if (L == NULL) return NULL;
  la_kick_begin(kick, L);
  lua_pushcfunction(L, la_thread_handle_error);
  lua_pushcfunction(L, set_up);
  lua_pushlightuserdata(L, p);
  lua_pushboolean(L, rests);
  *error = lua_pcall(L, 2, 0, 1);
  lua_remove(L, 1);
  return L;
}

lua_State *la_state_new(la_plan *p, la_kick *kick, int *error) {
  return new_state(p, kick, false, error);
}

static int renew(lua_State *L) {
  la_reports_renew(L);
  return 0;
}

lua_State *la_state_take(la_plan *p, la_kick *kick, int *error) {
  pthread_mutex_lock(&p->mutex);
  lua_State *L = p->count > 0 ? p->kept[--p->count] : NULL;
  pthread_mutex_unlock(&p->mutex);
  if (L == NULL) return new_state(p, kick, true, error);
  lua_pushcfunction(L, la_thread_handle_error);
  lua_pushcfunction(L, renew);
  *error = lua_pcall(L, 0, 0, 1);
  lua_remove(L, 1);
  la_kick_begin(kick, L);
  return L;
}

static int end_loops(lua_State *L) {
  la_loops_end(L);
  return 0;
}

void la_state_give(la_plan *p, lua_State *L, bool ends, bool spoilt) {
  lua_settop(L, 0);
  lua_pushcfunction(L, end_loops);
  spoilt = lua_pcall(L, 0, 0, 0) != LUA_OK || spoilt;
  lua_settop(L, 0);
  if (!spoilt) tidy(L, ends);
  pthread_mutex_lock(&p->mutex);
  bool keep = !spoilt && p->count < KEPT;
  if (keep) p->kept[p->count++] = L;
  pthread_mutex_unlock(&p->mutex);
  if (!keep) lua_close(L);
}
