#include "bridge/object.h"

#include <string.h>

#include "bridge/alias.h"

const char la_object_tag = 0;

void *la_object_new(lua_State *L, const la_object_class *cls, size_t size, int uservalues) {
  la_object *o = lua_newuserdatauv(L, size, uservalues);
  memset(o, 0, size);
  *o = (la_object){cls, &la_object_tag, false};
  return o;
}

void la_object_made(lua_State *L, const la_object_class *cls) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, cls);
  lua_setmetatable(L, -2);
}

/* Of an object whose `end` was called: finalisers may still get at it as the state closes. */
static const la_object_class collected = {"lua_async.collected object", NULL, NULL, NULL};

bool la_object_collected(lua_State *L, int arg) {
  const la_object *o = lua_touserdata(L, arg);
  return o != NULL && lua_rawlen(L, arg) >= sizeof *o && o->cls == &collected;
}

int la_object_mismatch(lua_State *L, int arg, const la_object_class *cls) {
  if (!la_object_collected(L, arg)) return luaL_typeerror(L, arg, cls->name);
  return luaL_argerror(L, arg, "it has been collected");
}

/* An object of any class. */
static la_object *check_any(lua_State *L) {
  la_object *o = lua_touserdata(L, 1);
  if (o == NULL || lua_rawlen(L, 1) < sizeof *o || o->tag != &la_object_tag)
    luaL_typeerror(L, 1, "object of async.sync");
  return o;
}

static void close_object(lua_State *L, la_object *o) {
  if (o->closed) return;
  o->closed = true;
  o->cls->close(o);
  if (o->cls->closed != NULL) o->cls->closed(L);
}

int la_object_close(lua_State *L) {
  close_object(L, check_any(L));
  lua_pushboolean(L, 1);
  return 1;
}

static int close_variable(lua_State *L) {
  close_object(L, check_any(L));
  return 0;
}

static int collect(lua_State *L) {
  la_object *o = check_any(L);
  close_object(L, o);
  if (o->cls->end == NULL) return 0;
  o->cls->end(o);
  o->cls = &collected;
  return 0;
}

static int to_string(lua_State *L) {
  const la_object *o = check_any(L);
  const char *label = strchr(o->cls->name, '.') + 1;
  lua_pushfstring(L, "%s%s: %p", label, o->closed ? " (closed)" : "", (const void *)o);
  return 1;
}

void la_object_class_open(lua_State *L, const la_object_class *cls, const luaL_Reg *meta,
                          const luaL_Reg *methods) {
  static const luaL_Reg shared_meta[] = {{"__close", close_variable},
                                         {"__gc", collect},
                                         {"__tostring", to_string},
                                         {NULL, NULL}};
  static const luaL_Reg shared[] = {{"close", la_object_close}, {NULL, NULL}};
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
