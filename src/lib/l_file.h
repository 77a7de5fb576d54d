/* l_file.h - file objects, for async.fs. */
#ifndef LA_LIB_L_FILE_H
#define LA_LIB_L_FILE_H

#include <lua.h>
#include <uv.h>

/* Sets `open` in the table on top of the stack. */
void la_open_file(lua_State *L);

/* Pushes the table that stat gives. */
void la_push_stat(lua_State *L, const uv_stat_t *st);

#endif
