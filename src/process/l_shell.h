/*
** shell.h - os.execute and io.popen for the threads that we make.
**
** All signals are blocked in those, and a child would inherit that: SIGTERM could not end it. So
** the states there get functions of ours, which start the child with the signal mask that the
** program has (la_thread_program_mask), and are else as Lua's. In one more thing they differ:
** SIGINT and SIGQUIT are not ignored in the whole process while os.execute waits, as system(3)
** does, since others are at work in it.
*/
#ifndef LA_PROCESS_L_SHELL_H
#define LA_PROCESS_L_SHELL_H

#include <lua.h>

/* Sets them in the globals of L. Raises for want of memory. */
void la_shell_open(lua_State *L);

#endif
