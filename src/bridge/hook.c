#include "bridge/hook.h"

#include <lauxlib.h>

#include "bridge/runtime.h"

/* Where ldblib.c keeps the Lua functions: a table of the registry, by thread. */
static const char hook_key[] = "_HOOKKEY";

void la_hook_init(lua_State *L, la_hook *h) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  *h = (la_hook){.main = lua_tothread(L, -1)};
  lua_pop(L, 1);
}

/* Pushes the table onto the store, where the key is: no memory is needed. False: there is none. */
static bool push_functions(lua_State *store) {
  lua_pushvalue(store, LA_STORE_HOOK_KEY);
  if (lua_rawget(store, LUA_REGISTRYINDEX) == LUA_TTABLE) return true;
  lua_pop(store, 1);
  return false;
}

/* The function of the main thread. */
static const void *called(la_runtime *rt) {
  lua_State *store = rt->store;
  if (!lua_checkstack(rt->hook.main, 1) || !push_functions(store)) return NULL;
  lua_pushthread(rt->hook.main);
  lua_xmove(rt->hook.main, store, 1);
  lua_rawget(store, -2);
  const void *p = lua_topointer(store, -1);
  lua_pop(store, 2);
  return p;
}

/* Called protected: (thread), whose entry becomes that of the main thread. */
static int copy_function(lua_State *L) {
  if (lua_getfield(L, LUA_REGISTRYINDEX, hook_key) != LUA_TTABLE) return 0;
  lua_pushvalue(L, 1);
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  lua_rawget(L, 2);
  lua_rawset(L, 2);
  return 0;
}

/* For want of memory, or of stack, it goes without. */
static bool push_thread(lua_State *L, lua_State *co) {
  if (!lua_checkstack(L, 2) || !lua_checkstack(co, 1)) return false;
  lua_pushcfunction(L, copy_function);
  lua_pushthread(co);
  lua_xmove(co, L, 1);
  return true;
}

static bool is_changed(la_runtime *rt) {
  la_hook *h = &rt->hook;
  la_hook now = {.main = h->main,
                 .function = lua_gethook(h->main),
                 .mask = lua_gethookmask(h->main),
                 .count = lua_gethookcount(h->main),
                 .version = h->version + 1};
  if (now.function != NULL) now.called = called(rt);
  if (now.function == h->function && now.mask == h->mask && now.count == h->count &&
      now.called == h->called)
    return false;
  *h = now;
  return true;
}

void la_hook_follow(la_runtime *rt, lua_State *co, unsigned *version) {
  if (la_resuming != NULL) return;
  if (!is_changed(rt) && *version == rt->hook.version) return;
  *version = rt->hook.version;
  lua_State *L = rt->running;
  if (push_thread(L, co) && lua_pcall(L, 1, 0, 0) != LUA_OK) lua_pop(L, 1);
  lua_sethook(co, rt->hook.function, rt->hook.mask, rt->hook.count);
}

void la_hook_clear(la_runtime *rt, lua_State *co) {
  lua_State *store = rt->store;
  lua_sethook(co, NULL, 0, 0);
  if (!lua_checkstack(co, 1) || !push_functions(store)) return;
  lua_pushthread(co);
  lua_xmove(co, store, 1);
  lua_pushvalue(store, -1);
  if (lua_rawget(store, -3) == LUA_TNIL) {
    lua_pop(store, 3);
    return;
  }
  lua_pop(store, 1);
  lua_pushnil(store);
  lua_rawset(store, -3); /* the entry is there */
  lua_pop(store, 1);
}

void la_hook_copy(lua_State *L, lua_State *co) {
  la_hook h;
  la_hook_init(L, &h);
  lua_Hook function = lua_gethook(h.main);
  if (function == NULL) return;
  if (push_thread(L, co)) lua_call(L, 1, 0);
  lua_sethook(co, function, lua_gethookmask(h.main), lua_gethookcount(h.main));
}
