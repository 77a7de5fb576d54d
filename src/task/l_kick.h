/*
** kick.h - interrupts Lua code that another thread runs, at the next instruction that it counts.
**
** A signal (LA_JOB_SIGNAL) to that thread sets a hook there, as lua.c does for SIGINT; the hook
** raises an error: time to close what is open. A run in there has its root task cancelled. Code
** that runs on for a million instructions gets it again, and from then on at each, so that none
** can catch it for ever; and so does code that is sent the signal again. A function in C is not
** interrupted, though a system call of its may be (EINTR). While the thread runs the code of a
** la_kick the signal finds it through a thread-local pointer; at any other time it does nothing.
**
** Coroutines are Lua states of their own, each with a hook of its own: which one runs is told by
** la_kick_open's versions of coroutine.resume and wrap, by async.coroutine, and for tasks by the
** runtime. Once the signal has come, each that is resumed gets a hook as well (la_resuming): in it
** code is interrupted that runs on.
*/
#ifndef LA_TASK_L_KICK_H
#define LA_TASK_L_KICK_H

#include <lua.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <uv.h>

typedef struct la_kick {
  lua_State *L;              /* the thread's */
  lua_State *volatile inner; /* the plain coroutine that runs; NULL: none */
  atomic_bool wanted;
  uv_async_t *volatile async; /* wakes the loop of the run in there; NULL: none */
  /* on its thread */
  volatile enum { LA_KICK_NEVER, LA_KICK_ONCE, LA_KICK_TWICE } raised; /* or more often */
  volatile bool told;                                                  /* the signal has come */
} la_kick;

/* What the error says, behind its position. */
#define LA_KICK_MESSAGE "cancelled: nobody waits for this work any more"

void la_kick_init(la_kick *k);

/* Around the code, on its thread. One that is wanted already is interrupted at once. */
void la_kick_begin(la_kick *k, lua_State *L);
void la_kick_end(la_kick *k);

/* From here on the code is to be interrupted: send LA_JOB_SIGNAL to its thread after it, and once
** more if it does not end. Any thread. */
void la_kick_want(la_kick *k);

/* Any code of this thread that has a la_kick is to be interrupted. */
bool la_kick_wanted(void);

/* The code has begun a run, whose loop the async wakes; that run ends. */
void la_kick_begin_run(uv_async_t *async);
void la_kick_end_run(const uv_async_t *async);

/* What ran on this thread in a run has ended: if it was to be interrupted, so is what goes on
** now. */
void la_kick_go_on(void);

/* Around the resume of a coroutine that is not a runtime's: la_kick_leave gets what la_kick_enter
** has returned. */
lua_State *la_kick_enter(lua_State *co);
void la_kick_leave(lua_State *outer);

/* Sees to it that the signal has our handler, unless the program has one for it. Any thread. */
void la_kick_install(void);

/* The functions of coroutine in the globals of L keep account of who runs. Raises for want of
** memory. */
void la_kick_open(lua_State *L);

#endif
