/*
** interrupt.h - the process's signal handlers: whose they were before us, and SIGINT.
**
** libuv leaves SIG_DFL behind when the last handle of a signal stops. Whoever starts one of
** its signal handles holds the signal meanwhile, so that what had it before gets it back.
**
** During a run SIGINT cancels the root task, and a second one ends the process as it would
** have without us, even when nothing ever returns to the loop. One reactor of the process has
** that, the first that asks; while its handler is replaced (a signal handle for SIGINT
** is open) the root is left alone.
*/
#ifndef LA_DRIVER_INTERRUPT_H
#define LA_DRIVER_INTERRUPT_H

#include <signal.h>

#include "driver/reactor.h"

/* To be called before a signal handle is started and after it has been stopped (uv_close stops
** it), on the same thread, any. Meanwhile the signal is not blocked there if it was in the program,
** where no other thread would have it either. uv_spawn and the close of a process start and stop
** one for SIGCHLD. */
void la_signal_hold(int signum);
void la_signal_release(int signum);

/* Adds those that are held on this thread and were blocked before. */
void la_signal_add_blocked(sigset_t *mask);

/* From here on SIGINT cancels `root`, of which a reference is kept. Nothing happens when SIGINT is
** ignored, or another reactor has it. */
void la_interrupt_begin(la_reactor *r, la_task *root);

/* The root task is over; SIGINT is still ours. */
void la_interrupt_pause(la_reactor *r);

/* Whether a SIGINT has come to the root task or after it, which is taken note of by this. */
bool la_interrupt_claim(la_reactor *r);

/* Ends the process by SIGINT, as if nobody had handled it; with the output that stdio has. Does not
** return. */
void la_interrupt_end_process(void);

/* What handled SIGINT before gets it back, with the one that came too late to cancel anything.
** Nothing when la_interrupt_begin did nothing. */
void la_interrupt_end(la_reactor *r);

/* The reactor's async was woken: by a SIGINT? */
void la_interrupt_look(la_reactor *r);

#endif
