/* l_future.h - any awaitable as something to call. */
#ifndef LA_TASK_L_FUTURE_H
#define LA_TASK_L_FUTURE_H

#include <lua.h>

/* task:await(), with the Task at index 1. */
int la_task_await(lua_State *L);

/* Turns the awaitable at index `arg` that is no function (a Future, a Task, a callable
** value) into a function and its argument, in its place; returns how many arguments that
** adds (0 or 1). Raises for anything else. */
int la_push_callable(lua_State *L, int arg);

#endif
