/* losses.h - what a run has lost (driver/loss.h), on its way to async.on_error. */
#ifndef LA_BRIDGE_LOSSES_H
#define LA_BRIDGE_LOSSES_H

#include <lua.h>

#include "driver/loss.h"

/* Tells on_error, and frees them. */
void la_losses_tell(lua_State *L, la_loss *list);

/* The same at the end of a run: pushes the error of stdout, which is the run's own failure, or nil.
 */
void la_losses_tell_others(lua_State *L, la_loss *list);

/* Tells the one on top of the stack, which is popped. */
void la_losses_tell_error(lua_State *L);

/* For `tell` of a reactor: as the process exits, in the run that this thread is in. */
void la_losses_tell_at_exit(la_reactor *r);

#endif
