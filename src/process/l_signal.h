/* l_signal.h - signals as Lua gives and gets them: by name. */
#ifndef LA_PROCESS_L_SIGNAL_H
#define LA_PROCESS_L_SIGNAL_H

#include "bridge/lib.h"
#include "process/signal.h"

/* The number of the signal at `arg`: "SIGTERM", or an integer from 0 on; SIGTERM for none. */
int la_check_signal(lua_State *L, int arg);

/* Pushes the name; "SIG40" of one that has none. */
void la_push_signal(lua_State *L, int signum);

void la_open_signal(lua_State *L); /* async.signal */

#endif
