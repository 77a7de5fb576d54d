#include "thread/l_call.h"

#include <lauxlib.h>
#include <string.h>

#include "bridge/lib.h"
#include "bridge/traceback.h"

/* { error, traceback, [key] = true } */
static char raised_key;

/* Registry: { error, traceback }, of what was raised last. */
static char traced_key;

void la_thread_join_error(lua_State *L) {
  lua_createtable(L, 2, 1);
  lua_insert(L, -3);
  lua_rawseti(L, -3, 2);
  lua_rawseti(L, -2, 1);
  lua_pushboolean(L, 1);
  lua_rawsetp(L, -2, &raised_key);
}

static bool is_joined(lua_State *L, int i) {
  if (!lua_istable(L, i)) return false;
  bool is = lua_rawgetp(L, i, &raised_key) != LUA_TNIL;
  lua_pop(L, 1);
  return is;
}

/* The error stays as it is: lua_load, too, hands what it returns to `load`. */
int la_thread_handle_error(lua_State *L) {
  lua_settop(L, 1);
  if (is_joined(L, 1)) return 1;
  lua_createtable(L, 2, 0);
  lua_pushvalue(L, 1);
  lua_rawseti(L, 2, 1);
  luaL_traceback(L, L, NULL, 1);
  lua_rawseti(L, 2, 2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &traced_key);
  return 1;
}

/* Pushes the traceback of the error at index i, or nil. */
static void push_traceback(lua_State *L, int i) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &traced_key) != LUA_TTABLE) return;
  lua_rawgeti(L, -1, 1);
  bool same = lua_rawequal(L, i, -1);
  lua_pop(L, 1);
  if (same)
    lua_rawgeti(L, -1, 2);
  else
    lua_pushnil(L);
  lua_remove(L, -2);
}

/* It keeps nothing alive. */
static void forget_traceback(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &traced_key) == LUA_TTABLE) {
    lua_pushnil(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &traced_key);
  }
  lua_pop(L, 1);
}

int la_thread_apply(lua_State *L) {
  la_parcel *in = lua_touserdata(L, 1);
  lua_settop(L, 0);
  lua_call(L, la_parcel_unpack(L, in) - 1, LUA_MULTRET);
  return lua_gettop(L);
}

/* (&parcel, what, values…) */
static int pack(lua_State *L) {
  la_parcel **out = lua_touserdata(L, 1);
  la_parcel *p = la_parcel_pack_whole(L, 3, lua_gettop(L) - 2, lua_touserdata(L, 2));
  int error = la_parcel_seal(p);
  if (error == 0) {
    *out = p;
    return 0;
  }
  la_parcel_drop(p);
  la_fail(L, error, "send");
  return lua_error(L);
}

/* Packs the values from `first` on, which go. A Lua status, with its error in their place. */
static int try_pack(lua_State *L, int first, const char *what, la_parcel **out) {
  *out = NULL;
  if (!lua_checkstack(L, 4)) return LUA_ERRMEM;
  lua_pushcfunction(L, pack);
  lua_pushlightuserdata(L, out);
  lua_pushlightuserdata(L, (void *)(uintptr_t)what);
  lua_rotate(L, first, 3);
  return lua_pcall(L, lua_gettop(L) - first, 0, 0);
}

/* Pushes what tostring makes of it; of a plain table, what it says: "message (code)". */
static int to_text(lua_State *L) {
  lua_settop(L, 1);
  if (!lua_istable(L, 1) || luaL_getmetafield(L, 1, "__tostring") != LUA_TNIL) {
    luaL_tolstring(L, 1, NULL);
    return 1;
  }
  lua_pushliteral(L, "message");
  bool message = lua_rawget(L, 1) == LUA_TSTRING;
  lua_pushliteral(L, "code");
  int code = lua_rawget(L, 1);
  if (!message && code != LUA_TSTRING && code != LUA_TNUMBER) {
    luaL_tolstring(L, 1, NULL);
    return 1;
  }
  if (code != LUA_TSTRING && code != LUA_TNUMBER)
    lua_pop(L, 1);
  else if (message)
    lua_pushfstring(L, "%s (%s)", lua_tostring(L, 2), lua_tostring(L, 3));
  return 1;
}

static int to_type(lua_State *L) {
  lua_pushfstring(L, "an error that cannot be sent to another thread, a %s", luaL_typename(L, 1));
  return 1;
}

/* The value at `at` becomes what f makes of it, unless that fails. */
static bool replace(lua_State *L, int at, lua_CFunction f) {
  lua_pushcfunction(L, f);
  lua_pushvalue(L, at);
  bool made = lua_pcall(L, 1, 1, 0) == LUA_OK;
  if (made)
    lua_replace(L, at);
  else
    lua_pop(L, 1);
  return made;
}

/* (text, why) -> both */
static int with_reason(lua_State *L) {
  static const char third[] = "error 3"; /* as it is the third that is packed */
  const char *why = lua_tostring(L, 2);
  if (strncmp(why, third, sizeof third - 1) == 0) why += sizeof third - 1;
  lua_pushfstring(L, "%s\n\t(the value itself could not be sent: error%s)", lua_tostring(L, 1),
                  why);
  return 1;
}

/* To the text at `at`, why the error is not sent itself, which is on top and goes. */
static void add_reason(lua_State *L, int at) {
  lua_pushcfunction(L, with_reason);
  lua_insert(L, -2);
  lua_pushvalue(L, at);
  lua_insert(L, -2);
  if (lua_pcall(L, 2, 1, 0) == LUA_OK)
    lua_replace(L, at);
  else
    lua_pop(L, 1);
}

/* Of an error on top go, from index `at` on: its traceback, its text unless that is itself, and
** the error. */
static void spread_error(lua_State *L, int at) {
  bool joined = is_joined(L, at);
  if (joined)
    lua_rawgeti(L, at, 2);
  else
    push_traceback(L, at);
  lua_pushnil(L);
  if (joined)
    lua_rawgeti(L, at, 1);
  else
    lua_pushvalue(L, at);
  lua_remove(L, at);
  if (lua_type(L, at + 2) == LUA_TSTRING) return;
  lua_pushvalue(L, at + 2);
  lua_replace(L, at + 1);
  if (!replace(L, at + 1, to_text)) replace(L, at + 1, to_type);
}

la_parcel *la_thread_pack_error(lua_State *L) {
  la_parcel *p;
  int at = lua_gettop(L);
  if (!lua_checkstack(L, 12)) return NULL;
  spread_error(L, at);
  for (int i = 0; i < 3; i++) lua_pushvalue(L, at + i);
  int status = try_pack(L, at + 3, "error", &p);
  if (status != LUA_OK) {
    if (status == LUA_ERRRUN && !lua_isnil(L, at + 1)) add_reason(L, at + 1);
    lua_settop(L, at + 2);
    if (!lua_isnil(L, at + 1)) lua_copy(L, at + 1, at + 2);
    try_pack(L, at, "error", &p);
  }
  lua_settop(L, at - 1);
  return p;
}

/* (parcel) -> traceback, error */
static int unpack_error(lua_State *L) {
  la_parcel_unpack(L, lua_touserdata(L, 1));
  lua_remove(L, -2);
  return 2;
}

/* (parcel, why) -> the same, for an error that cannot be had here */
static int unpack_text(lua_State *L) {
  la_parcel_unpack_some(L, lua_touserdata(L, 1), 2);
  if (lua_isnil(L, -1)) lua_pushliteral(L, "an error");
  lua_pushliteral(L, "\n\t(raised in another thread; the value itself cannot be had here: ");
  const char *why = luaL_tolstring(L, 2, NULL);
  lua_pushlstring(L, why, strcspn(why, "\n"));
  lua_remove(L, -2);
  lua_pushliteral(L, ")");
  lua_concat(L, 4);
  return 2;
}

void la_thread_push_error(lua_State *L, la_parcel *p) {
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  lua_pushcfunction(L, unpack_error);
  lua_pushlightuserdata(L, p);
  if (lua_pcall(L, 1, 2, 0) != LUA_OK) {
    lua_pushcfunction(L, unpack_text);
    lua_insert(L, -2);
    lua_pushlightuserdata(L, p);
    lua_insert(L, -2);
    lua_call(L, 2, 2);
  }
  lua_insert(L, -2);
  if (lua_type(L, -1) != LUA_TSTRING) return;
  lua_pushliteral(L, "\n\tin another thread");
  lua_concat(L, 2);
}

bool la_thread_call(lua_State *L, lua_CFunction f, void *arg, la_parcel **out) {
  int base = lua_gettop(L);
  lua_pushcfunction(L, la_thread_handle_error);
  lua_pushcfunction(L, f);
  lua_pushlightuserdata(L, arg);
  int status = lua_pcall(L, 1, LUA_MULTRET, base + 1);
  if (status == LUA_OK) status = try_pack(L, base + 2, "result", out);
  if (status != LUA_OK) *out = la_thread_pack_error(L);
  forget_traceback(L);
  lua_settop(L, base);
  return status == LUA_OK;
}

int la_thread_raise(lua_State *L, la_parcel *p) {
  la_thread_push_error(L, p);
  return la_raise_from(L);
}
