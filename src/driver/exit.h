/*
** exit.h - what is still done as exit(3) ends the process in the middle of a run.
**
** By then C's own streams are flushed, and what files of ours have accepted is expected to be
** written as well. Each resource of the reactors of the thread that exits may do its part,
** blocking; those of other threads go on running meanwhile, and cannot be touched. A child of
** a fork leaves its parent's alone.
*/
#ifndef LA_DRIVER_EXIT_H
#define LA_DRIVER_EXIT_H

#include "driver/reactor.h"

/* From now on until la_exit_leave `at_exit` of its resources is called. By its thread. */
void la_exit_enter(la_reactor *r);
void la_exit_leave(la_reactor *r);

/* The process is in exit(3). Any thread. */
bool la_exit_begun(void);

#endif
