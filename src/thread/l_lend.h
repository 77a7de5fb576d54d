/*
** lend.h - large strings of a Lua state, lent to the parcels of other threads (thread/loan.h).
**
** While it is lent a string is anchored in the registry. The state lets go of those that came back
** when it lends again, and at each cycle of its collector; its end copies what is still out.
*/
#ifndef LA_THREAD_L_LEND_H
#define LA_THREAD_L_LEND_H

#include <lua.h>

#include "thread/loan.h"

/* From here on a copy costs more than all of this. */
enum { LA_LEND_MIN = 1 << 15 };

/* The string at `index`, lent; NULL: there was no memory, or the state is closing, and it has to be
** copied. Needs three slots of the stack, and raises nothing. */
la_loan *la_lend(lua_State *L, int index);

/* This state lends nothing: it rests for long, with what it lent and has not seen come back. Before
** it has lent anything. Raises for want of memory. */
void la_lend_never(lua_State *L);

/* Pushes the string that was lent; where it came from, that one. Raises for want of memory. */
void la_lend_push(lua_State *L, la_loan *loan);

#endif
