/*
** traceback.h - where an error came from, without touching the error.
**
** The message handler of every coroutine's body records the traceback of the raise
** beside the error value, which keeps its identity. An error that crosses from an
** awaited task into its awaiter takes the first task's record along, a long one less its middle.
*/
#ifndef LA_BRIDGE_TRACEBACK_H
#define LA_BRIDGE_TRACEBACK_H

#include <lua.h>

/* The message handler: returns its argument. */
int la_traceback_handler(lua_State *L);

/* Raises the error on top of the stack, keeping the record made when it was raised
** first. Does not return. */
int la_rethrow(lua_State *L);

/* The error at index i has come from another coroutine: when it is the cancellation object, which
** is not this one's then, it becomes an error that says so. */
void la_disown_cancellation(lua_State *L, int i);

/* Raises the error at -2, which another coroutine ended with; at -1 is that
** coroutine's record, a string (or nil). Does not return. */
int la_raise_from(lua_State *L);

/* Pushes "message\ntraceback" for people, from the error at `value` and the record
** at `record` (a string or nil). Cannot fail but for memory. */
void la_push_report(lua_State *L, int value, int record);

#endif
