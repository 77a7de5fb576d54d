/*
** op.h - the one adapter from a libuv request to a future.
**
** An op is a struct that begins with la_op and goes on with the uv request and
** what the request needs: plain memory that it owns. Four states (as tokio's
** runtime/driver/op.rs):
**   NEW        not submitted; the first poll submits it
**   IN_FLIGHT  libuv has it; `waiter` wakes who waits for it
**   DONE       the callback has run, `result` is there
**   ORPHANED   its future was dropped in flight: uv_cancel was tried, and the
**              callback, which always comes, releases what it won and frees it
** In every state but ORPHANED, a drop releases it at once or makes it ORPHANED.
*/
#ifndef LA_DRIVER_OP_H
#define LA_DRIVER_OP_H

#include "core/export.h"
#include "driver/waiter.h"

typedef enum la_op_state { LA_OP_NEW, LA_OP_IN_FLIGHT, LA_OP_DONE, LA_OP_ORPHANED } la_op_state;

typedef struct la_op la_op;

typedef struct la_op_class {
  /* What the future shows of itself: LA_OP_VTABLE("name"). */
  la_future_vtable future;
  /* Submits the request; 0, or a negative errno (then the op is DONE with it). It may
  ** call la_op_complete itself when there is nothing to wait for. */
  int (*submit)(la_op *op);
  /* Frees the op and what it holds, in whatever state: never submitted, DONE, or
  ** ORPHANED and now ended. What it won and nobody took (a descriptor) it closes.
  ** Called once. */
  void (*release)(la_op *op);
  /* The request, for uv_cancel; NULL when it cannot be cancelled. */
  uv_req_t *(*request)(la_op *op);
} la_op_class;

struct la_op {
  la_future base;
  const la_op_class *cls;
  la_reactor *reactor;
  la_waiter waiter;
  ssize_t result; /* once DONE: what libuv reported, negative errnos included */
  la_op_state state;
};

LA_PART void la_op_init(la_op *op, const la_op_class *cls, la_reactor *r);

/* To be called by the uv callback of every request, once. The op may be gone after it. */
LA_PART void la_op_complete(la_op *op, ssize_t result);

LA_PART la_poll la_op_poll(la_future *f, la_context *cx);
LA_PART void la_op_drop(la_future *f);
#define LA_OP_VTABLE(NAME)                                                                         \
  { la_op_poll, la_op_drop, NAME, NULL }

#endif
