/*
** work.h - blocking code on libuv's thread pool, as a future.
**
** A work is a struct that begins with la_work. `run` is executed once on a thread of
** the pool and may block; it sees the work's own plain memory and nothing else: no
** Lua, no reactor, no waker. A work that is dropped before a thread took it never
** runs; one dropped while it runs is released after it has run. A run that waits for
** somebody else, or has no end of its own, looks at la_work_is_unwanted now and then, and
** returns when it is true.
*/
#ifndef LA_DRIVER_WORK_H
#define LA_DRIVER_WORK_H

#include <stdatomic.h>

#include "core/export.h"
#include "driver/op.h"

typedef struct la_work la_work;

typedef struct la_work_class {
  la_op_class op;                /* LA_WORK_OP("name", release) */
  ssize_t (*run)(la_work *work); /* its return value becomes op.result */
} la_work_class;

struct la_work {
  la_op op;
  atomic_bool unwanted; /* it was dropped, or whoever submitted it set this; any thread */
  atomic_bool over;     /* `run` has returned; any thread */
  ssize_t ran;          /* what `run` returned, until the loop's thread takes it over */
  void (*done)(la_work *work, ssize_t result); /* of la_work_submit */
  uv_work_t req;
};

LA_PART void la_work_init(la_work *work, const la_work_class *cls, la_reactor *r);

/* It goes on for nobody: `unwanted` is set, or the process is in exit(3), which waits for the
** threads of libuv's pool. Any thread. */
LA_PART bool la_work_is_unwanted(const la_work *work);

/* Blocks until `run` has returned, and returns what it returned: for who has submitted it, as the
** process ends. */
LA_PART ssize_t la_work_wait(const la_work *work);

/* Submits without a future to wait for it: `done` (loop thread) runs when the work has
** ended, with its result, UV_ECANCELED when it never ran. For objects that own their
** work. A negative errno: nothing was submitted. The work must have been initialised
** with la_work_init and must not be polled. */
LA_PART int la_work_submit(la_work *work, void (*done)(la_work *work, ssize_t result));

LA_PART int la_work_op_submit(la_op *op);
LA_PART uv_req_t *la_work_op_request(la_op *op);
LA_PART void la_work_drop(la_future *f);
#define LA_WORK_OP(NAME, RELEASE)                                                                  \
  { {la_op_poll, la_work_drop, NAME, NULL}, la_work_op_submit, RELEASE, la_work_op_request }

#endif
