/*
** part.h - what a part uses of the runtime: the one interface between lua_async.so and the shared
** objects beside it (lua_async/tls.so, …).
**
** A part is a folder with its sources, and a part.mk that says what libraries it needs:
**
**     tls_PKGS  := openssl            as pkg-config knows them; empty: none
**     tls_NEEDS := libssl-dev         what to install for them: a name of tools/install-deps
**
** Its l_*.c include this header. What includes no Lua includes those of core, driver and stream
** that it needs. Whatever these headers mark LA_PART is there for parts, and nothing else is: the
** rest is not exported. A part is built from the very headers of the runtime that it runs with, and
** la_part_open sees to that.
**
** Where to find what:
**
**   futures     lua_async.h         poll, wakers, the budget
**               core/future.h       the noop waker, la_yield; core/sleep.h: la_sleep;
**               core/combinator.h   join and select in C
**   waiting     bridge/await.h      la_operation: a function of Lua that waits, and serves
**                                   async.future, too; la_operate
**   outside     driver/waiter.h     the waker of somebody who waits for an event, counted
**               driver/reactor.h    buffers; resources, which end with the loop
**               driver/work.h       work on libuv's pool as a future
**               driver/threads.h    the same for what may wait for long, on threads of ours
**   streams     stream/stream.h     what a stream is (lua_async.h has its functions)
**               stream/l_io.h       objects of streams: a la_io_class with these methods: read,
**                                   lines, write, timeout, …; la_io_take takes a stream over
**               stream/l_stream.h   close, flush, shutdown and fd for such a class; la_stream_push
**                                   makes an object of one that has no class of its own
**               stream/reader.h     a buffer that is read from in all these ways, over any source
**               stream/writer.h     a write of all of a block, as a future
**               stream/copy.h       from stream to stream
**   names       net/dial.h          a connection to a name, the next address if one does not answer
**   errors      bridge/lib.h        `nil, err`: la_fail and its like; la_no_memory
**               bridge/error.h      error objects with fields of their own, cancellation
**   arguments   bridge/lib.h        la_check_…, la_option_…: misuse raises, and says how to mend it
**   classes     bridge/object.h     objects with close, __close, __gc, __tostring
**               bridge/lib.h        la_new_class for others
**
** No callback of a library touches a lua_State: it stores what it has and wakes. Everything here is
** for the thread of the Lua state, but for what says otherwise.
*/
#ifndef LA_PART_H
#define LA_PART_H

#ifndef LA_BUILDS_PART
#error "part.h is for parts: the Makefile defines LA_BUILDS_PART for the files of one"
#endif

#include "bridge/await.h"
#include "bridge/error.h"
#include "bridge/lib.h"
#include "bridge/module.h"
#include "bridge/object.h"
#include "bridge/raising.h"
#include "core/combinator.h"
#include "core/future.h"
#include "core/sleep.h"
#include "driver/threads.h"
#include "driver/waiter.h"
#include "driver/work.h"
#include "lua_async.h"
#include "lua_async_version.h"
#include "net/dial.h"
#include "stream/copy.h"
#include "stream/l_io.h"
#include "stream/l_stream.h"

#define LA_PART_EXPORT __attribute__((visibility("default")))

/* For luaopen_lua_async_NAME, before anything else: loads lua_async, and raises when that is of
** another version than this part, or another copy than the one this part was linked with. */
static inline void la_part_open(lua_State *L, const char *name) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  bool loaded = lua_getfield(L, -1, "lua_async") != LUA_TNIL;
  lua_pop(L, 2);
  if (!loaded) {
    lua_getglobal(L, "require");
    lua_pushliteral(L, "lua_async");
    lua_call(L, 1, 0);
  }
  if (la_part_check == NULL)
    luaL_error(L,
               "lua_async.%s is of version %s, and the lua_async that it finds is an older one: "
               "install both from the same version",
               name, LA_VERSION);
  la_part_check(L, name, LA_VERSION, LA_INTERFACE);
}

#endif
