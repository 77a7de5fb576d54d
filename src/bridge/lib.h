/* lib.h - arguments and failures, as all functions for Lua have them. */
#ifndef LA_BRIDGE_LIB_H
#define LA_BRIDGE_LIB_H

#include <lauxlib.h>
#include <lua.h>

#include "bridge/await.h"
#include "core/export.h"
#include "driver/reactor.h"

/* Makes the metatable `name` with these metamethods and, as __index, these methods. */
LA_PART void la_new_class(lua_State *L, const char *name, const luaL_Reg *meta,
                          const luaL_Reg *methods);

/* Pushes `nil, err` for a negative errno of libuv; the subject is a path, two paths, an address,
** or nothing. Returns 2. */
LA_PART int la_fail(lua_State *L, ssize_t error, const char *op);
LA_PART int la_fail_path(lua_State *L, ssize_t error, const char *op, const char *path);
LA_PART int la_fail_paths(lua_State *L, ssize_t error, const char *op, const char *path,
                          const char *to);
LA_PART int la_fail_address(lua_State *L, ssize_t error, const char *op, const char *host,
                            int port);

/* The same, with the address as it is. */
LA_PART int la_fail_name(lua_State *L, ssize_t error, const char *op, const char *name);

/* The same, with a message of its own (NULL: the system's). */
LA_PART int la_fail_message(lua_State *L, int error, const char *op, const char *message);

/* Of an object that was closed before (EBADF) or meanwhile (ECANCELED); where one would have to
** wait (EAGAIN). */
LA_PART int la_fail_closed(lua_State *L, const char *op);
LA_PART int la_fail_meanwhile(lua_State *L, const char *op);
LA_PART int la_fail_again(lua_State *L, const char *op);

/* The reactor of the runtime in which L runs; raises, naming `what`, when there is none. */
LA_PART la_reactor *la_check_reactor(lua_State *L, const char *what);

/* Raises "not enough memory"; for what malloc refused. */
LA_PART int la_no_memory(lua_State *L);

/* Pushes the table that the registry has under that key; a new one, with such a __mode (NULL: it
** is strong), the first time. */
LA_PART void la_push_registered(lua_State *L, const void *key, const char *mode);

/* ---- arguments ---------------------------------------------------------------------*/

/* A string without a NUL, such as a path or a host. */
LA_PART const char *la_check_text(lua_State *L, int arg);

/* Seconds as nanoseconds: finite or infinite (LA_TIMER_NEVER), a negative one is 0. */
LA_PART uint64_t la_check_seconds(lua_State *L, int arg);

/* Checks that the value at `arg` is an options table (or none) with no other keys than
** `names`, which ends with NULL. An unknown option raises. */
LA_PART void la_check_options(lua_State *L, int arg, const char *const *names);

/* Fields of an options table at `arg`, which may be none; misuse raises. */
LA_PART bool la_option_boolean(lua_State *L, int arg, const char *name, bool otherwise);
LA_PART lua_Integer la_option_integer(lua_State *L, int arg, const char *name,
                                      lua_Integer otherwise, lua_Integer min, lua_Integer max);

/* A function, or what has __call. */
LA_PART bool la_is_callable(lua_State *L, int i);

/* A table that cannot be called: a list of things, or options. */
static inline bool la_is_plain_table(lua_State *L, int i) {
  return lua_type(L, i) == LUA_TTABLE && !la_is_callable(L, i);
}

/* Raises unless the value at `arg` can be called or awaited. */
LA_PART void la_check_awaitable(lua_State *L, int arg);

#endif
