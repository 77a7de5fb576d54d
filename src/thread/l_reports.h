/*
** reports.h - failures that nobody awaited on a thread of ours, on their way to where it comes
** from: what async.on_error is told there.
**
** The thread that sends them holds the la_reports, and so does the one that polls it. When nobody
** polls any more they are told on stderr. The error by which work is interrupted is not told.
*/
#ifndef LA_THREAD_L_REPORTS_H
#define LA_THREAD_L_REPORTS_H

#include <pthread.h>

#include "bridge/runtime.h"
#include "thread/letter.h"

typedef struct la_reports {
  pthread_mutex_t mutex; /* of all below */
  la_letter *first, **last;
  la_waker parent; /* of who polls; vt NULL: nobody waits */
  bool orphan;     /* nobody will */
} la_reports;

void la_reports_init(la_reports *r);
void la_reports_end(la_reports *r);

/* Where what fails on this thread is sent to from here on; NULL: to nobody. */
void la_reports_begin(la_reports *r);

/* The handler for such failures in L sends them. Raises for want of memory. */
void la_reports_open(lua_State *L);

/* The handler that L has is that of new work: la_reports_renew puts it back in the place of what
** the work before has set (async.on_error). Both raise for want of memory. */
void la_reports_keep(lua_State *L);
void la_reports_renew(lua_State *L);

/* Tells all that there is, as the failures of the task that runs in rt, and wakes it for more. */
void la_reports_poll(la_reports *r, la_runtime *rt, const la_context *cx);

/* Tells all that there is, the last time. */
void la_reports_close(la_reports *r, la_runtime *rt);

#endif
