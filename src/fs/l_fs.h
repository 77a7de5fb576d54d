/* l_fs.h - async.fs, and the parts that set their functions in it. */
#ifndef LA_FS_L_FS_H
#define LA_FS_L_FS_H

#include <lua.h>

void la_open_fs(lua_State *L); /* async.fs */

/* Its parts: each sets its functions there. */
void la_open_file(lua_State *L);
void la_open_fs_path(lua_State *L);
void la_open_fs_walk(lua_State *L);
void la_open_fs_watch(lua_State *L);

#endif
