/*
** object.h - what the objects of most modules have in common: channels and locks, children,
** signals.
**
** A userdata that begins with la_object. Its class is told by a pointer to static
** storage, which no other userdata has in that place: a comparison where luaL_checkudata
** looks up a string. All have close, __close, __gc, __tostring.
*/
#ifndef LA_BRIDGE_OBJECT_H
#define LA_BRIDGE_OBJECT_H

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/export.h"

typedef struct la_object_class {
  const char *name;             /* of the metatable: "lua_async.Mutex" */
  void (*close)(void *object);  /* once, when it is closed or collected */
  void (*end)(void *object);    /* or NULL: it is collected, after `close` */
  void (*closed)(lua_State *L); /* or NULL: after `close`, with the object at index 1 */
} la_object_class;

typedef struct la_object {
  const la_object_class *cls;
  const void *tag; /* &la_object_tag */
  bool closed;
} la_object;

extern LA_PART const char la_object_tag;

/* Raises: the value at `arg` is no object of that class, or not any more. */
LA_PART int la_object_mismatch(lua_State *L, int arg, const la_object_class *cls);

/* The object of that class at index `arg`; raises when it is none. */
static inline void *la_object_check(lua_State *L, int arg, const la_object_class *cls) {
  la_object *o = lua_touserdata(L, arg);
  if (o == NULL || lua_rawlen(L, arg) < sizeof *o || o->cls != cls) la_object_mismatch(L, arg, cls);
  return o;
}

/* The object at index `arg` was collected, and the Lua state is closing: there is nothing to close.
 */
LA_PART bool la_object_collected(lua_State *L, int arg);

/* A new object of `size` bytes on top of L, zeroed but for its head, and without a metatable
** until la_object_made: its finaliser must not see it half made. */
LA_PART void *la_object_new(lua_State *L, const la_object_class *cls, size_t size, int uservalues);
LA_PART void la_object_made(lua_State *L, const la_object_class *cls);

/* Makes the metatable: these and the shared metamethods, these methods and `close`. */
LA_PART void la_object_class_open(lua_State *L, const la_object_class *cls, const luaL_Reg *meta,
                                  const luaL_Reg *methods);

/* close(object), as a function of Lua. */
LA_PART int la_object_close(lua_State *L);

#endif
