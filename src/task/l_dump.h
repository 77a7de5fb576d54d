/* dump.h - every live task, for people: async.dump and the report of a deadlock. */
#ifndef LA_TASK_L_DUMP_H
#define LA_TASK_L_DUMP_H

#include "bridge/runtime.h"

/* Pushes a string. Raises for want of memory. */
void la_push_dump(lua_State *L, la_runtime *rt);

/* What is to be told beside that, of other threads: the function pushes a string. It stays; any
** thread. */
void la_dump_also(void (*push)(lua_State *L, la_runtime *rt));

/* Pushes what it says, or "". Raises for want of memory. */
void la_push_dump_beyond(lua_State *L, la_runtime *rt);

/* "running", "ready" or "waiting": the state of a task that has not ended. */
const char *la_task_state(const la_task *t);

#endif
