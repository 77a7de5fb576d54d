/*
** poll_fn.h - a future whose poll and drop are Lua functions (std::future::poll_fn).
**
** The functions run on a Lua thread of the future's own, so that it can be polled
** from anywhere; that thread is no task's, so they cannot wait.
*/
#ifndef LA_BRIDGE_POLL_FN_H
#define LA_BRIDGE_POLL_FN_H

#include "bridge/runtime.h"

#define LA_CONTEXT_NAME "lua_async.Context"

/* The Context object: valid during the poll it was made for. */
typedef struct la_context_object {
  la_context *cx;
} la_context_object;

typedef struct la_poll_fn {
  la_future base;
  lua_State *co; /* its stack: poll, drop or nil, the Context object; then results */
  int anchor, results;
  unsigned hook; /* as that of a la_coro */
  const char *message;
  bool failed, over;
  bool running; /* its thread is in one of the functions */
} la_poll_fn;

/* Pops the poll function, the drop function or nil, and a Context object. False, with
** the stack as it was, when there is no memory. */
bool la_poll_fn_init(la_poll_fn *p, lua_State *L);

/* After LA_READY: moves its values, or the one error, to L. */
int la_poll_fn_take(la_poll_fn *p, lua_State *L);

#endif
