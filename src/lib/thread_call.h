/*
** thread_call.h - calls what came in a parcel, on whatever thread, and packs what came of it.
*/
#ifndef LA_LIB_THREAD_CALL_H
#define LA_LIB_THREAD_CALL_H

#include <lua.h>
#include <stdbool.h>

#include "bridge/parcel.h"

/* Calls the first value of `in` with the others, in the state L, whose stack is as before then:
** *out has the results, or, when it returns false, the error and its traceback. NULL in *out: there
** was no memory for that. Never raises. */
bool la_thread_call(lua_State *L, la_parcel *in, la_parcel **out);

/* Packs the error on top of L, which goes, and its traceback. */
la_parcel *la_thread_pack_error(lua_State *L);

/* Raises what is in such a parcel of an error, in the coroutine that waited for it. */
int la_thread_raise(lua_State *L, la_parcel *p);

#endif
