/* describe.h - what an open descriptor is, for people. */
#ifndef LA_TASK_L_DESCRIBE_H
#define LA_TASK_L_DESCRIBE_H

#include <lua.h>

/* Pushes "127.0.0.1 port 80, connected to …", "listening at …", a path, or what the system calls
** it. */
void la_push_descriptor(lua_State *L, int fd);

#endif
