/*
** combinator.h - join and select of futures in C.
**
** Each future is a member of a group, so that a wake polls it alone. They are taken over,
** and not polled before the combination is. Their outputs stay in them: those of a join,
** and the winner of a select, are dropped with the combination; losers as soon as there is
** a winner, which is reported when they have unwound.
*/
#ifndef LA_CORE_COMBINATOR_H
#define LA_CORE_COMBINATOR_H

#include "core/export.h"
#include "core/group.h"

/* Ready when all are. NULL: no memory, and the futures have been dropped. */
LA_PART la_future *la_future_join(la_executor *ex, la_future *const *futures, size_t n);

/* Ready when one is, whose index is in *winner then; the caller keeps that alive. n > 0; which
** is polled first is random. */
LA_PART la_future *la_future_select(la_executor *ex, la_future *const *futures, size_t n,
                                    size_t *winner);

#endif
