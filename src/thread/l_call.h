/*
** thread_call.h - calls what came in a parcel, on whatever thread, and packs what came of it.
*/
#ifndef LA_THREAD_L_CALL_H
#define LA_THREAD_L_CALL_H

#include <lua.h>
#include <stdbool.h>

#include "thread/l_parcel.h"

/* Calls `f` with the light userdata `arg` in the state L, whose stack is as before then: *out has
** the results, or, when it returns false, the error and its traceback. NULL in *out: there was no
** memory for that. Never raises. */
bool la_thread_call(lua_State *L, lua_CFunction f, void *arg, la_parcel **out);

/* The message handler of such calls: notes the traceback for la_thread_pack_error. */
int la_thread_handle_error(lua_State *L);

/* As such an `f`, whose `arg` is a parcel: calls the first value in it with the others. */
int la_thread_apply(lua_State *L);

/* Packs the error on top of L, which goes, and its traceback. NULL: no memory. */
la_parcel *la_thread_pack_error(lua_State *L);

/* The error and its traceback (or nil) on top of L, which go, made one value: la_thread_pack_error
** takes it apart again. Raises for want of memory. */
void la_thread_join_error(lua_State *L);

/* Pushes the error in such a parcel and its traceback, or nil; one that cannot be unpacked here is
** a string with its text, and why. Raises for want of memory. */
void la_thread_push_error(lua_State *L, la_parcel *p);

/* Raises what is in such a parcel of an error, in the coroutine that waited for it. */
int la_thread_raise(lua_State *L, la_parcel *p);

#endif
