/*
** guard.h - where libuv 1.44 would abort the process, an error instead.
**
** What aborts, in libuv's source:
**  a. core.c, maybe_resize: the array of watchers, indexed by descriptor, cannot grow.
**     Reached from uv_loop_init, and later from whatever first watches a descriptor
**     that is larger than all before.
**  b. signal.c, uv__signal_global_reinit: no pipe for the process-wide signal lock, in
**     the first uv_loop_init of a process (and after a fork).
**  c. threadpool.c, init_threads: a thread cannot be created, on the first use of the
**     pool in a process (and after a fork).
**  d. epoll.c, uv__io_poll: epoll_ctl refuses a descriptor.
**  e. core.c, uv__close: a descriptor of the loop is 0, 1 or 2, since one of these was closed
**     when the loop was made.
**
** How each is guarded:
**  a. la_guard_watch lets the array grow itself, in the fields of uv_loop_t, and reports
**     UV_ENOMEM when it cannot. la_guard_loop_init allocates it beforehand and hands it to
**     libuv through uv_replace_allocator, whose functions are otherwise malloc, calloc,
**     realloc and free; its size is guessed from the descriptors that are free now, with
**     room to spare: only other threads that open thousands of descriptors in those
**     microseconds defeat it.
**     A program that has itself called uv_replace_allocator with something incompatible
**     with malloc cannot share the process with this library.
**  b. as many descriptors as are needed are opened and closed first. Other threads that
**     take the last ones in those microseconds defeat it.
**  c. la_guard_pool creates as many threads as the pool will have, all alive at once,
**     ends them and waits until the system no longer counts them. Others that reach
**     the limit on threads in the microseconds until libuv creates its own defeat it.
**  e. those that are closed are opened for /dev/null, before.
**  d. cannot be guarded: the kernel refuses (ENOMEM, ENOSPC at
**     fs.epoll.max_user_watches) when libuv first polls.
*/
#ifndef LA_DRIVER_GUARD_H
#define LA_DRIVER_GUARD_H

#include "driver/reactor.h"

/* uv_loop_init, guarded. */
int la_guard_loop_init(uv_loop_t *loop);

/* To be called before `fd` is first watched (by a read, a poll, a connect) on this
** loop: 0, and nothing in watching it allocates; or UV_ENOMEM. */
int la_guard_watch(la_reactor *r, int fd);

/* To be called before each use of the thread pool: 0, UV_EAGAIN or UV_ENOMEM. The first
** makes the pool, by an empty piece of work on this loop. */
int la_guard_pool(la_reactor *r);

/* SIGPIPE is ignored while any reactor exists, if it was SIG_DFL before the first. */
void la_guard_sigpipe(int change); /* +1, -1; any thread */

#endif
