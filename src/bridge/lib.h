/* lib.h - what each Lua-facing module adds to the table of lua_async, and how they fail. */
#ifndef LA_BRIDGE_LIB_H
#define LA_BRIDGE_LIB_H

#include <lauxlib.h>
#include <lua.h>

#include "bridge/await.h"
#include "driver/reactor.h"

/* Each sets its functions in the table on top of the stack. */
void la_open_run(lua_State *L);
void la_open_task(lua_State *L);
void la_open_future(lua_State *L);
void la_open_time(lua_State *L);
void la_open_coroutine(lua_State *L);
void la_open_compose(lua_State *L);
void la_open_scope(lua_State *L);
void la_open_interval(lua_State *L); /* after la_open_time */
void la_open_test(lua_State *L);
void la_open_streams(lua_State *L); /* only the class */
void la_open_standard(lua_State *L);
void la_open_copy(lua_State *L); /* after la_open_compose */
void la_open_net(lua_State *L);
void la_open_fs(lua_State *L);
void la_open_sync(lua_State *L);
void la_open_process(lua_State *L);
void la_open_signal(lua_State *L);
void la_open_loop(lua_State *L);
void la_open_poll_fd(lua_State *L);
void la_open_thread(lua_State *L);
void la_open_control(lua_State *L); /* after the others: it uses them */

/* Ends what async.loop has made on this thread, whose Lua state is L and goes on elsewhere. */
void la_loops_end(lua_State *L);

/* The module itself; see lua_async.c. */
int luaopen_lua_async(lua_State *L);

/* Makes the metatable `name` with these metamethods and, as __index, these methods. */
void la_new_class(lua_State *L, const char *name, const luaL_Reg *meta, const luaL_Reg *methods);

/* Pushes `nil, err` for a negative errno of libuv; the subject is a path, two paths, an address,
** or nothing. Returns 2. */
int la_fail(lua_State *L, ssize_t error, const char *op);
int la_fail_path(lua_State *L, ssize_t error, const char *op, const char *path);
int la_fail_paths(lua_State *L, ssize_t error, const char *op, const char *path, const char *to);
int la_fail_address(lua_State *L, ssize_t error, const char *op, const char *host, int port);

/* The same, with the address as it is. */
int la_fail_name(lua_State *L, ssize_t error, const char *op, const char *name);

/* The same, with a message of its own (NULL: the system's). */
int la_fail_message(lua_State *L, int error, const char *op, const char *message);

/* Of an object that was closed before (EBADF) or meanwhile (ECANCELED); where one would have to
** wait (EAGAIN). */
int la_fail_closed(lua_State *L, const char *op);
int la_fail_meanwhile(lua_State *L, const char *op);
int la_fail_again(lua_State *L, const char *op);

/* The reactor of the runtime in which L runs; raises, naming `what`, when there is none. */
la_reactor *la_check_reactor(lua_State *L, const char *what);

/* Raises "not enough memory"; for what malloc refused. */
int la_no_memory(lua_State *L);

/* ---- arguments ---------------------------------------------------------------------*/

/* A string without a NUL, such as a path or a host. */
const char *la_check_text(lua_State *L, int arg);

/* Seconds as nanoseconds: finite or infinite (LA_TIMER_NEVER), a negative one is 0. */
uint64_t la_check_seconds(lua_State *L, int arg);

/* Checks that the value at `arg` is an options table (or none) with no other keys than
** `names`, which ends with NULL. An unknown option raises. */
void la_check_options(lua_State *L, int arg, const char *const *names);

/* Fields of an options table at `arg`, which may be none; misuse raises. */
bool la_option_boolean(lua_State *L, int arg, const char *name, bool otherwise);
lua_Integer la_option_integer(lua_State *L, int arg, const char *name, lua_Integer otherwise,
                              lua_Integer min, lua_Integer max);

/* A function, or what has __call. */
bool la_is_callable(lua_State *L, int i);

/* A table that cannot be called: a list of things, or options. */
static inline bool la_is_plain_table(lua_State *L, int i) {
  return lua_type(L, i) == LUA_TTABLE && !la_is_callable(L, i);
}

/* Raises unless the value at `arg` can be called or awaited. */
void la_check_awaitable(lua_State *L, int arg);

#endif
