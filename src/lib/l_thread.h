/* l_thread.h - what the parts of async.thread share. */
#ifndef LA_LIB_L_THREAD_H
#define LA_LIB_L_THREAD_H

#include "bridge/error.h"
#include "lib/lib.h"

/* Each sets its functions in the table on top of the stack, which is async.thread. */
void la_open_blocking(lua_State *L);
void la_open_thread_channel(lua_State *L);

#endif
