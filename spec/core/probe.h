/*
** probe.h - a waker that counts, and a context to poll with: what a future does to whoever
** polls it, without an executor.
*/
#ifndef LA_TEST_PROBE_H
#define LA_TEST_PROBE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lua_async.h"

typedef struct probe {
  int wakes, held; /* wakers that are out */
  unsigned budget;
  la_waker waker;
  la_context cx;
} probe;

static inline void probe_drop(void *data) { ((probe *)data)->held--; }
static inline void probe_wake_by_ref(void *data) { ((probe *)data)->wakes++; }
static inline void probe_wake(void *data) {
  probe_wake_by_ref(data);
  probe_drop(data);
}
static la_waker probe_clone(void *data);
static const la_waker_vtable probe_vtable = {probe_clone, probe_wake, probe_wake_by_ref,
                                             probe_drop};
static la_waker probe_clone(void *data) {
  ((probe *)data)->held++;
  return (la_waker){data, &probe_vtable};
}

static inline void probe_init(probe *p) {
  *p = (probe){.budget = 100};
  p->waker = (la_waker){p, &probe_vtable};
  p->cx = (la_context){&p->waker, &p->budget};
}

#define PROBES(n)                                                                                  \
  probe p[n];                                                                                      \
  for (int probe_i = 0; probe_i < (n); probe_i++) probe_init(&p[probe_i])

/* Polled, it is ready, or waits and has woken nobody by that. */
#define assert_ready(f, probe) assert_int_equal(la_future_poll(f, &(probe)->cx), LA_READY)
#define assert_pending(f, probe) assert_int_equal(la_future_poll(f, &(probe)->cx), LA_PENDING)

#endif
