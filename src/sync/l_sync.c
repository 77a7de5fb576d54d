/* async.sync: the table, and what its objects share. */
#include "sync/l_sync.h"

#include <string.h>

#include "bridge/alias.h"
#include "bridge/error.h"

const char la_sync_tag = 0;

/* ---- objects -------------------------------------------------------------------------*/

void *la_sync_new(lua_State *L, const la_sync_class *cls, size_t size, int uservalues) {
  la_sync_object *o = lua_newuserdatauv(L, size, uservalues);
  memset(o, 0, size);
  *o = (la_sync_object){cls, &la_sync_tag, false};
  return o;
}

void la_sync_made(lua_State *L, const la_sync_class *cls) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, cls);
  lua_setmetatable(L, -2);
}

/* Of an object whose `end` was called: finalisers may still get at it as the state closes. */
static const la_sync_class collected = {"lua_async.collected object", NULL, NULL, NULL};

bool la_sync_collected(lua_State *L, int arg) {
  const la_sync_object *o = lua_touserdata(L, arg);
  return o != NULL && lua_rawlen(L, arg) >= sizeof *o && o->cls == &collected;
}

int la_sync_mismatch(lua_State *L, int arg, const la_sync_class *cls) {
  if (!la_sync_collected(L, arg)) return luaL_typeerror(L, arg, cls->name);
  return luaL_argerror(L, arg, "it has been collected");
}

/* An object of any class. */
static la_sync_object *check_any(lua_State *L) {
  la_sync_object *o = lua_touserdata(L, 1);
  if (o == NULL || lua_rawlen(L, 1) < sizeof *o || o->tag != &la_sync_tag)
    luaL_typeerror(L, 1, "object of async.sync");
  return o;
}

static void close_object(lua_State *L, la_sync_object *o) {
  if (o->closed) return;
  o->closed = true;
  o->cls->close(o);
  if (o->cls->closed != NULL) o->cls->closed(L);
}

int la_sync_close(lua_State *L) {
  close_object(L, check_any(L));
  lua_pushboolean(L, 1);
  return 1;
}

static int close_variable(lua_State *L) {
  close_object(L, check_any(L));
  return 0;
}

static int collect(lua_State *L) {
  la_sync_object *o = check_any(L);
  close_object(L, o);
  if (o->cls->end == NULL) return 0;
  o->cls->end(o);
  o->cls = &collected;
  return 0;
}

static int to_string(lua_State *L) {
  const la_sync_object *o = check_any(L);
  const char *label = strchr(o->cls->name, '.') + 1;
  lua_pushfstring(L, "%s%s: %p", label, o->closed ? " (closed)" : "", (const void *)o);
  return 1;
}

void la_sync_class_open(lua_State *L, const la_sync_class *cls, const luaL_Reg *meta,
                        const luaL_Reg *methods) {
  static const luaL_Reg shared_meta[] = {{"__close", close_variable},
                                         {"__gc", collect},
                                         {"__tostring", to_string},
                                         {NULL, NULL}};
  static const luaL_Reg shared[] = {{"close", la_sync_close}, {NULL, NULL}};
  luaL_newmetatable(L, cls->name);
  luaL_setfuncs(L, shared_meta, 0);
  if (meta != NULL) luaL_setfuncs(L, meta, 0);
  lua_newtable(L);
  luaL_setfuncs(L, shared, 0);
  luaL_setfuncs(L, methods, 0);
  lua_setfield(L, -2, "__index");
  la_alias_functions(L, cls->name, methods);
  la_alias_functions(L, "lua_async.sync.object", shared);
  lua_rawsetp(L, LUA_REGISTRYINDEX, cls);
}

/* ---- failures ------------------------------------------------------------------------*/

int la_sync_fail(lua_State *L, int error, const char *op, const char *message) {
  int n = la_fail(L, error, op);
  if (message != NULL) {
    lua_pushstring(L, message);
    lua_setfield(L, -2, "message");
  }
  return n;
}

int la_sync_fail_closed(lua_State *L, const char *op) {
  return la_sync_fail(L, UV_EBADF, op, "it was closed");
}

int la_sync_fail_meanwhile(lua_State *L, const char *op) {
  return la_sync_fail(L, UV_ECANCELED, op, "it was closed meanwhile");
}

int la_sync_fail_again(lua_State *L, const char *op) {
  return la_sync_fail(L, UV_EAGAIN, op, "it would have to wait");
}

int la_sync_fail_pipe(lua_State *L, const char *op) {
  return la_sync_fail(L, UV_EPIPE, op, "all receivers are closed");
}

int la_sync_fail_lost(lua_State *L, uint64_t lost) {
  int n = la_sync_fail(L, UV_EOVERFLOW, "recv", NULL);
  lua_pushfstring(L, "%I messages were lost: they came faster than they were received",
                  (lua_Integer)lost);
  lua_setfield(L, -2, "message");
  lua_pushinteger(L, (lua_Integer)lost);
  lua_setfield(L, -2, "lost");
  return n;
}

/* ---- arguments -----------------------------------------------------------------------*/

uint32_t la_sync_check_count(lua_State *L, int arg, lua_Integer min) {
  lua_Integer n = luaL_checkinteger(L, arg);
  if (n < min || n > (lua_Integer)LA_SEMAPHORE_MAX)
    luaL_argerror(L, arg,
                  lua_pushfstring(L, "a count from %I to %I expected", min,
                                  (lua_Integer)LA_SEMAPHORE_MAX));
  return (uint32_t)n;
}

uint32_t la_sync_check_many(lua_State *L, uint64_t *wait) {
  *wait = lua_isnoneornil(L, 3) ? 0 : la_check_seconds(L, 3);
  return la_sync_check_count(L, 2, 1);
}

/* ---- the module ----------------------------------------------------------------------*/

void la_open_sync(lua_State *L) {
  static void (*const parts[])(lua_State *) = {la_open_channel, la_open_locks, la_open_once,
                                               la_open_signals, la_open_watch, la_open_broadcast};
  lua_newtable(L);
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) parts[i](L);
  lua_getfield(L, -1, "channel");
  lua_setfield(L, -3, "channel");
  lua_setfield(L, -2, "sync");
}
