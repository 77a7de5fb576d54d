/*
** forking.h - one fork at a time, until its child has executed its program.
**
** Between fork and exec a child has all descriptors of the process, also those that another
** thread has open to write: a program that this thread has just written and closed could not be
** executed then (ETXTBSY), and a lock on a file would outlive its owner. Descriptors are
** close-on-exec, so it is enough that nobody executes anything while a child of another thread is
** on its way (Go's syscall.ForkLock; golang/go#22315).
*/
#ifndef LA_DRIVER_FORKING_H
#define LA_DRIVER_FORKING_H

/* Around a fork and the exec that follows; blocks while another thread is in there. A child that
** somebody else forks meanwhile finds nobody in there. */
void la_forking_begin(void);
void la_forking_end(void);

#endif
