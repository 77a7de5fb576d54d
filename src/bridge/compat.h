/* compat.h - one name for what differs between the releases of Lua 5.4. */
#ifndef LA_BRIDGE_COMPAT_H
#define LA_BRIDGE_COMPAT_H

#include <lauxlib.h>
#include <lua.h>

/* Closes the to-be-closed variables of `co`, which is left empty and reusable.
** `from` is the running coroutine, so that the C stack is counted from there. */
static inline int la_close_thread(lua_State *co, lua_State *from) {
#if LUA_VERSION_RELEASE_NUM >= 50406
  return lua_closethread(co, from);
#else
  (void)from;
  return lua_resetthread(co);
#endif
}

#endif
