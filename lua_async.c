/* The module: a table of its parts, and where those are found that are not opened at once. */
#include <ctype.h>
#include <string.h>

#include "bridge/error.h"
#include "bridge/lib.h"
#include "bridge/module.h"
#include "capi/l_capi.h"
#include "fs/l_fs.h"
#include "lua/l_scripts.h"
#include "lua_async_version.h"
#include "net/l_net.h"
#include "process/l_process.h"
#include "process/l_signal.h"
#include "stdio/l_standard.h"
#include "stream/l_stream.h"
#include "sync/l_sync.h"
#include "task/l_task.h"
#include "thread/l_thread.h"
#include "time/l_time.h"

#if defined(__GNUC__)
__attribute__((visibility("default")))
#endif
int luaopen_lua_async(lua_State *L);

/* Tables of their own, opened when something in them is asked for. */
static const la_module modules[] = {{"coroutine", la_open_coroutine},
                                    {"time", la_open_clock},
                                    {"sync", la_open_sync},
                                    {"net", la_open_net},
                                    {"fs", la_open_fs},
                                    {"process", la_open_process},
                                    {"signal", la_open_signal},
                                    {"thread", la_open_thread},
                                    {NULL, NULL}};

static void open_channel(lua_State *L) {
  la_module_need(L, "sync");
  la_module_push(L);
  lua_getfield(L, -1, "sync");
  lua_getfield(L, -1, "channel");
  lua_setfield(L, -4, "channel");
  lua_pop(L, 2);
}

/* Fields of async itself, set when one of them is asked for. */
static const la_module fields[] = {{"stdin", la_open_standard},  {"stdout", la_open_standard},
                                   {"stderr", la_open_standard}, {"channel", open_channel},
                                   {"defer", la_open_control},   {"retry", la_open_control},
                                   {"loop", la_open_loop},       {"test", la_open_test}};

enum { FIELDS = sizeof fields / sizeof *fields };

/* ---- parts ---------------------------------------------------------------------------*/

/* Those of this version: name, libraries, packages of these; see the Makefile. */
static const struct known { const char *name, *wants; } known[] = {LA_KNOWN_PARTS{NULL, NULL}};

static const struct known *find_known(const char *name) {
  for (const struct known *p = known; p->name != NULL; p++)
    if (strcmp(p->name, name) == 0) return p;
  return NULL;
}

static int raise_missing(lua_State *L, const struct known *p) {
  return luaL_error(
      L,
      "the part 'lua_async.%s' is not installed: run `luarocks install lua_async-%s`, or "
      "`make PARTS=%s install` where lua_async was built%s%s",
      p->name, p->name, p->name, *p->wants != '\0' ? "; it needs " : "", p->wants);
}

/* What is to be had as "lua_async.NAME" by a C searcher of `require`, or was put into
** package.preload. */
static bool can_be_required(lua_State *L, const char *module) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  bool is = lua_getfield(L, -1, module) != LUA_TNIL;
  lua_pop(L, 2);
  if (is) return true;
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  if (lua_getfield(L, -1, "package") == LUA_TTABLE &&
      lua_getfield(L, -1, "searchpath") == LUA_TFUNCTION &&
      lua_getfield(L, -2, "cpath") == LUA_TSTRING) {
    lua_pushstring(L, module);
    lua_insert(L, -2);
    lua_call(L, 2, 1);
    is = lua_isstring(L, -1);
  }
  return is;
}

/* (async, name) -> the part, or nothing when there is none of that name. */
static int push_part(lua_State *L, const char *name) {
  const char *module = lua_pushfstring(L, "lua_async.%s", name);
  if (!can_be_required(L, module)) {
    const struct known *p = find_known(name);
    return p != NULL ? raise_missing(L, p) : 0;
  }
  lua_settop(L, 3);
  if (lua_getglobal(L, "require") == LUA_TNIL)
    luaL_error(L, "the part '%s' cannot be loaded: there is no function require", module);
  lua_insert(L, 3);
  lua_call(L, 1, 1);
  lua_pushvalue(L, 2);
  lua_pushvalue(L, 3);
  lua_rawset(L, 1);
  return 1;
}

/* ---- the table -----------------------------------------------------------------------*/

static bool is_name(const char *s) {
  while (isalnum((unsigned char)*s) || *s == '_') s++;
  return *s == '\0';
}

/* The __index of async. */
static int find(lua_State *L) {
  lua_settop(L, 2);
  const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
  for (int i = 0; i < FIELDS; i++) {
    if (strcmp(fields[i].name, name) != 0) continue;
    lua_pushvalue(L, 1);
    la_module_fill(L, fields[i].open);
    lua_pushvalue(L, 2);
    lua_rawget(L, 1);
    return 1;
  }
  return *name != '\0' && is_name(name) ? push_part(L, name) : 0;
}

/* The __pairs of async: with all of its own fields, but for parts that nobody has asked for. */
static int all(lua_State *L) {
  lua_settop(L, 1);
  for (int i = 0; i < FIELDS; i++) {
    lua_getfield(L, 1, fields[i].name);
    lua_pop(L, 1);
  }
  return la_module_pairs(L);
}

int luaopen_lua_async(lua_State *L) {
  static void (*const functions[])(
      lua_State *) = {la_open_run,    la_open_task,    la_open_future,
                      la_open_time,   la_open_compose, la_open_scope,
                      la_open_guards, la_open_copy,    la_open_poll_fd};
  static const luaL_Reg meta[] = {{"__index", find}, {"__pairs", all}, {NULL, NULL}};
  luaL_checkversion(L);
  la_error_open(L);
  la_capi_open(L);
  lua_newtable(L);
  la_module_begin(L);
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) functions[i](L);
  la_module_add(L, modules);
  lua_pushliteral(L, "lua_async " LA_VERSION);
  lua_setfield(L, -2, "_VERSION");
  luaL_newlib(L, meta);
  lua_setmetatable(L, -2);
  return 1;
}
