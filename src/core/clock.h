/*
** clock.h - what time it is for an executor: the parker's monotonic clock, or, for
** tests, a clock that stands still until it is told to move.
**
** Paused, it moves only by la_clock_advance and la_clock_jump; resumed, it goes on from
** where it stood, so that it never goes back. Nanoseconds; owner thread. Modelled on
** tokio::time::{pause, advance, resume}.
*/
#ifndef LA_CORE_CLOCK_H
#define LA_CORE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "timer_queue.h"

typedef struct la_clock {
  uint64_t ahead;  /* of the real time, in wrapping arithmetic */
  uint64_t frozen; /* the time, while paused */
  bool paused;
} la_clock;

static inline uint64_t la_clock_time(const la_clock *c, uint64_t real) {
  return c->paused ? c->frozen : real + c->ahead;
}

/* The real time at which it will be `t`, for a clock that is not paused. */
static inline uint64_t la_clock_real(const la_clock *c, uint64_t t) {
  return t == LA_TIMER_NEVER || t == 0 ? t : t - c->ahead;
}

/* Rounds up to a tick of the timers, so that a sleep of whole ticks takes exactly that.
** False when it was paused already. */
static inline bool la_clock_pause(la_clock *c, uint64_t real) {
  if (c->paused) return false;
  uint64_t t = la_clock_time(c, real);
  c->frozen = t + (LA_TIMER_TICK_NS - t % LA_TIMER_TICK_NS) % LA_TIMER_TICK_NS;
  c->paused = true;
  return true;
}

/* False when it was not paused. */
static inline bool la_clock_resume(la_clock *c, uint64_t real) {
  if (!c->paused) return false;
  c->ahead = c->frozen - real;
  c->paused = false;
  return true;
}

/* A paused clock is put on to `t`; one that is past it stays. */
static inline void la_clock_jump(la_clock *c, uint64_t t) {
  if (t > c->frozen) c->frozen = t;
}

#endif
