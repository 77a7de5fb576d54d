/*
** l_process.h - what to start, as a Lua table says it: read first, then done without Lua.
*/
#ifndef LA_PROCESS_L_PROCESS_H
#define LA_PROCESS_L_PROCESS_H

#include "bridge/object.h"
#include "process/process.h"
#include "stream/l_stream.h"

typedef struct la_spawn {
  la_process_spec spec;
  int fds[LA_PROCESS_FDS];             /* of `spec`; the pipes' are set by la_spawn_pipes */
  la_uv_stream *given[LA_PROCESS_FDS]; /* streams that are handed over; NULL: none */
  bool pipe[3];                        /* a new pipe is wanted there */
  bool merged;                         /* stderr goes where stdout does */
  la_uv_stream *ours[3];               /* our ends of the pipes; the owner may take them */
  int theirs[3];                       /* the child's, until it is started; -1 */
} la_spawn;

/* What is not said in the table at index `arg`: each of stdin, stdout, stderr is then this. */
typedef struct la_spawn_defaults {
  const char *stdio[3];
  const char *const *more; /* further options that the caller reads; ends with NULL */
  bool can_detach;
} la_spawn_defaults;

/* Reads the table into *s, which refers to it and to a value that is left on the stack. Raises on
** misuse, having kept nothing. */
void la_spawn_read(lua_State *L, int arg, const la_spawn_defaults *defaults, la_spawn *s);

/* Makes the pipes. A negative errno: none is left. */
int la_spawn_pipes(la_reactor *r, la_spawn *s);

/* Starts the child and hands over what it is given: streams are closed here. It closes `theirs`
** in any case, and on a negative errno `ours`, and the streams are as they were. */
int la_spawn_start(la_reactor *r, la_spawn *s, la_process **out);

/* Pushes `nil, err` for a start that failed. Returns 2. */
int la_spawn_fail(lua_State *L, const la_spawn *s, int error, const char *op);

/* A Child. User values 1 to 3 are the Pipes to its stdin, stdout and stderr. */
typedef struct la_child {
  la_object head;
  la_process *process; /* a reference; NULL: it was not started, or is collected */
} la_child;

/* As la_spawn_read, with what stdin and stdout are unless the table says; stderr is inherited. */
void la_child_read(lua_State *L, int arg, const char *in, const char *out, la_spawn *s);

/* Pushes a Child and starts it: 0 or a negative errno, when it is of no use. */
int la_child_push(lua_State *L, la_reactor *r, la_spawn *s);

/* stop's argument, in seconds: nanoseconds; by default 5 seconds. */
#define LA_GRACE UINT64_C(5000000000)
uint64_t la_check_grace(lua_State *L, int arg);

/* Pushes { code = n, ok = ... } or { signal = "SIGKILL", ok = false }; false: it has not ended. */
bool la_push_status(lua_State *L, const la_process *p);

void la_open_process(lua_State *L); /* async.process */

/* Its parts: each sets its functions there. */
void la_open_output(lua_State *L);
void la_open_pipeline(lua_State *L);

#endif
