/* raising.h - the option `raise` of iterators: their failures are raised in the loop. */
#ifndef LA_BRIDGE_RAISING_H
#define LA_BRIDGE_RAISING_H

#include <lua.h>
#include <stdbool.h>

#include "core/export.h"

/* The options of an iterator at `arg`, which may be none: whether `raise` is asked for. Misuse
 * raises. */
LA_PART bool la_option_raise(lua_State *L, int arg);

/* Makes the function on top of the stack one that raises the error object of `nil, err`. */
LA_PART void la_make_raising(lua_State *L);

#endif
