/* l_task.h - tasks and what is made of them: each sets its functions in async, the table on top. */
#ifndef LA_TASK_L_TASK_H
#define LA_TASK_L_TASK_H

#include <lua.h>

void la_open_run(lua_State *L);
void la_open_task(lua_State *L);
void la_open_future(lua_State *L);
void la_open_compose(lua_State *L);
void la_open_scope(lua_State *L);
void la_open_guards(lua_State *L); /* of coroutines */
void la_open_test(lua_State *L);
void la_open_loop(lua_State *L);
void la_open_coroutine(lua_State *L); /* async.coroutine */

/* Ends what async.loop has made on this thread, whose Lua state is L and goes on elsewhere. */
void la_loops_end(lua_State *L);

#endif
