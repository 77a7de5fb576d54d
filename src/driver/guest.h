/*
** guest.h - a reactor on a libuv loop that is not ours: a guest of the program that runs it.
**
** Nothing of ours ever calls uv_run while the host does; the host's uv_run drives us. Just
** before the loop polls, `turn` is called (from a uv_prepare_t): it steps the executor. After
** it the guest says how long the loop may block (an idle handle: not at all; a timer: until the
** executor's next), and whether it keeps the loop alive: while tasks live and something that we
** know of may still wake one. Tasks that wait for the host alone do not: its own handles have to.
** A task that a callback of the host wakes is seen at once (`rouse`); other threads wake the
** loop by the async.
**
** The loop must be of the libuv that we are linked to, with its default allocator, and outlive
** the guest.
*/
#ifndef LA_DRIVER_GUEST_H
#define LA_DRIVER_GUEST_H

#include "driver/reactor.h"

/* Makes a reactor and an executor on the host's loop, by the thread that runs it. `turn` gets
** `host`. A negative errno: UV_ENOMEM, UV_EMFILE; nothing is left then but handles that close in
** the loop's next turn. */
int la_guest_new(la_reactor **out, uv_loop_t *loop, void (*turn)(void *host), void *host);

/* After tasks were spawned or cancelled from outside of a turn: the loop shall come by. */
void la_guest_attend(la_reactor *r);

/* As la_reactor_free, without running the loop: everything begins to close, and the host's loop
** stays alive until it has. The executor is gone at once, and `turn` is not called any more. */
void la_guest_free(la_reactor *r);

/* Runs the loop until everything that la_guest_free began is over; callbacks of the host run,
** too. `r` is gone after it, but for other references. Not while the host runs the loop. */
void la_guest_finish(la_reactor *r);

/* Is this in a turn of a guest, or in a callback of a loop that we run ourselves, to end one? */
bool la_guest_runs(void);

#endif
