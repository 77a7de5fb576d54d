/* sleep.h - a future that is ready when a time has come; it is never early. */
#ifndef LA_CORE_SLEEP_H
#define LA_CORE_SLEEP_H

#include "core/export.h"
#include "executor.h"

typedef struct la_sleep {
  la_future base;
  la_executor *ex;
  uint64_t deadline; /* la_executor_now, in nanoseconds */
  la_timer timer;    /* idle until the first poll */
} la_sleep;

LA_PART void la_sleep_init(la_sleep *s, la_executor *ex, uint64_t deadline);

#endif
