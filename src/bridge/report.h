/*
** report.h - failures that nobody awaits: told to the handler of async.on_error, or on stderr.
**
** On stderr, failures with the same error (the same value, or the same text and traceback) are told
** once in a turn, or as a run ends, and then counted.
*/
#ifndef LA_BRIDGE_REPORT_H
#define LA_BRIDGE_REPORT_H

#include <lua.h>

typedef struct la_runtime la_runtime;

/* Reports that a task has failed: pops the error, its record (or nil), and the Task (or nil: a
** coroutine that was abandoned). */
void la_report_failure(lua_State *L);

/* Tells how many more there were. For the end of a run; each turn does it by itself. */
void la_report_rest(la_runtime *rt);

extern char la_error_handler_key; /* registry: the handler of async.on_error */

#endif
