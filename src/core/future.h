/* future.h - the smallest futures, and a waker that wakes nobody. */
#ifndef LA_CORE_FUTURE_H
#define LA_CORE_FUTURE_H

#include "core/export.h"
#include "lua_async.h"

/* std::task::Waker::noop: for polling a future just to see. */
extern LA_PART const la_waker la_waker_noop;

/* std::future::ready and std::future::pending: ready at once, and never. They
** hold nothing, so one of each serves all. `la_yielded` is la_ready under another name: that of
** a yield whose waker was woken before it is polled. */
extern LA_PART la_future la_ready, la_pending, la_yielded;

/* Ready after `polls` that were not (la_executor_yield_polls): by then everyone who was ready
** has had a turn. */
typedef struct la_yield {
  la_future base;
  unsigned polls;
} la_yield;

LA_PART void la_yield_init(la_yield *y, unsigned polls);

#endif
