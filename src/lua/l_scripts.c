/*
** The modules that are written in Lua (src/lua), carried by lua_async.so, so that a program which
** finds that file finds them. Lua's own searcher for modules in a package looks here:
** require "lua_async.socket" opens lua_async.so and calls luaopen_lua_async_socket.
*/
#include "lua/l_scripts.h"
#include "bridge/error.h"
#include "bridge/lib.h"
#include "bridge/module.h"
#include "bridge/runtime.h"
#include "thread/l_thread.h"

#if defined(__GNUC__)
#define EXPORTED __attribute__((visibility("default")))
#else
#define EXPORTED
#endif

EXPORTED int luaopen_lua_async_socket(lua_State *L);
EXPORTED int luaopen_lua_async_socket_objects(lua_State *L);
EXPORTED int luaopen_lua_async_workers(lua_State *L);
EXPORTED int luaopen_lua_async_internals(lua_State *L);

/* The bytes of each file, written by the Makefile. */
static const char socket_lua[] = {
#include "scripts/socket.inc"
};
static const char socket_objects_lua[] = {
#include "scripts/socket_objects.inc"
};
static const char control_lua[] = {
#include "scripts/control.inc"
};
static const char workers_lua[] = {
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
  return run(L, socket_lua, sizeof socket_lua, "@lua_async/socket.lua");
}

int luaopen_lua_async_socket_objects(lua_State *L) {
  return run(L, socket_objects_lua, sizeof socket_objects_lua, "@lua_async/socket_objects.lua");
}

int luaopen_lua_async_workers(lua_State *L) {
  return run(L, workers_lua, sizeof workers_lua, "@lua_async/workers.lua");
}

int luaopen_lua_async_internals(lua_State *L) {
  la_push_worker_internals(L);
  return 1;
}

/* ---- functions of the module itself ----------------------------------------------------*/

static int is_error(lua_State *L) {
  lua_pushboolean(L, la_is_error(L, 1));
  return 1;
}

/* random(): from 0 to less than 1, as the seed of the run has it. */
static int random_number(lua_State *L) {
  la_runtime *rt = la_runtime_check(L, "async.retry");
  lua_pushnumber(L, (lua_Number)(la_random_next(&rt->ex->random) >> 11) * 0x1p-53);
  return 1;
}

void la_open_control(lua_State *L) {
  if (luaL_loadbufferx(L, control_lua, sizeof control_lua, "@lua_async/control.lua", "t") != LUA_OK)
    lua_error(L);
  static const luaL_Reg needs[] = {{"is_error", is_error}, {"random", random_number}, {NULL, NULL}};
  la_module_push(L);
  luaL_newlib(L, needs);
  lua_call(L, 2, 1);
  lua_replace(L, -2);
}
