/* waker_object.h - the Waker that Lua sees: a userdata that owns an la_waker. */
#ifndef LA_BRIDGE_WAKER_OBJECT_H
#define LA_BRIDGE_WAKER_OBJECT_H

#include <lua.h>
#include <stdbool.h>

#include "lua_async.h"

#define LA_WAKER_NAME "lua_async.Waker"

typedef struct la_waker_object {
  la_waker waker;
  bool live; /* false once wake() has used it up */
} la_waker_object;

/* Pushes one that owns `w`, also when it raises for want of memory. */
void la_api_push_waker(lua_State *L, la_waker w);

/* The C face: see la_api. */
la_waker la_api_check_waker(lua_State *L, int arg);

#endif
