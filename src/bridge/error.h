/*
** error.h - error objects: `nil, err` of an operation that failed.
**
** A table with the fields `code`, `errno`, `message`, `op` and, where they apply,
** `path`, `to` (the second of two paths), `address`, `partial`, `lost`, `cause`. tostring gives
** "op subject: message (code)", where two paths are "path -> to", or for one without `op` the
** message alone. The cancellation of a task is one such object, the only one for which
** async.is_cancelled is true. It is for the coroutine that is cancelled alone: who awaits that gets
** an error about it, which has the field `task`, too.
*/
#ifndef LA_BRIDGE_ERROR_H
#define LA_BRIDGE_ERROR_H

#include <lua.h>
#include <stdbool.h>

#include "core/export.h"

typedef struct la_error_info {
  const char *code;           /* "ECONNREFUSED" */
  const char *message;        /* "connection refused" */
  const char *op;             /* "connect" */
  int number;                 /* errno, positive; 0 for none */
  const char *path, *address; /* or NULL */
  const char *to;             /* the second of two paths, or NULL */
} la_error_info;

/* Pushes a new error object; raises for want of memory. */
LA_PART void la_push_error(lua_State *L, const la_error_info *info);

/* The name of their metatable. */
#define la_error_metatable "lua_async.error"

/* The value at i is such an object. */
LA_PART bool la_is_error(lua_State *L, int i);

/* Gives the error object on top its field `task`: the Task at index i. It is kept beside the
** object, which can so be sent to other threads: there it has none. */
void la_error_set_task(lua_State *L, int i);

/* Makes the metatable and the cancellation object; when the module is loaded. */
void la_error_open(lua_State *L);

/* Pushes the cancellation object, which exists from la_error_open on. */
LA_PART void la_push_cancelled(lua_State *L);
LA_PART bool la_is_cancelled(lua_State *L, int i);

#endif
