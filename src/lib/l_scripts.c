/*
** The modules that are written in Lua (src/lua), carried by lua_async.so, so that a program which
** finds that file finds them. Lua's own searcher for modules in a package looks here:
** require "lua_async.socket" opens lua_async.so and calls luaopen_lua_async_socket.
*/
#include <lauxlib.h>

#if defined(__GNUC__)
#define EXPORTED __attribute__((visibility("default")))
#else
#define EXPORTED
#endif

EXPORTED int luaopen_lua_async_socket(lua_State *L);
EXPORTED int luaopen_lua_async_socket_objects(lua_State *L);
EXPORTED int luaopen_lua_async_workers(lua_State *L);

/* The bytes of each file, written by the Makefile. */
static const char socket[] = {
#include "scripts/socket.inc"
};
static const char socket_objects[] = {
#include "scripts/socket_objects.inc"
};
static const char workers[] = {
#include "scripts/workers.inc"
};

/* Runs a file as require does that has found it: its result, with the name of the module as
 * argument. */
static int run(lua_State *L, const char *text, size_t size, const char *chunk) {
  lua_settop(L, 1);
  if (luaL_loadbufferx(L, text, size, chunk, "t") != LUA_OK) return lua_error(L);
  lua_insert(L, 1);
  lua_call(L, 1, 1);
  return 1;
}

int luaopen_lua_async_socket(lua_State *L) {
  return run(L, socket, sizeof socket, "@lua_async/socket.lua");
}

int luaopen_lua_async_socket_objects(lua_State *L) {
  return run(L, socket_objects, sizeof socket_objects, "@lua_async/socket_objects.lua");
}

int luaopen_lua_async_workers(lua_State *L) {
  return run(L, workers, sizeof workers, "@lua_async/workers.lua");
}
