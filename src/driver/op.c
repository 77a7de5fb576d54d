#include "driver/op.h"

void la_op_init(la_op *op, const la_op_class *cls, la_reactor *r) {
  *op = (la_op){.base = {&cls->future}, .cls = cls, .reactor = r};
}

static void submit(la_op *op) {
  op->state = LA_OP_IN_FLIGHT;
  int err = op->cls->submit(op);
  if (err == 0) return;
  op->result = err;
  op->state = LA_OP_DONE;
}

la_poll la_op_poll(la_future *f, la_context *cx) {
  la_op *op = la_container(f, la_op, base);
  const la_executor *ex = op->reactor->ex;
  if (op->state == LA_OP_NEW && ex != NULL && ex->trying) return LA_PENDING;
  if (op->state == LA_OP_NEW) submit(op);
  if (op->state == LA_OP_DONE) return la_budget_take(cx) ? LA_READY : LA_PENDING;
  la_waiter_set(&op->waiter, op->reactor, cx);
  return LA_PENDING;
}

void la_op_drop(la_future *f) {
  la_op *op = la_container(f, la_op, base);
  la_waiter_clear(&op->waiter, op->reactor);
  if (op->state != LA_OP_IN_FLIGHT) {
    op->cls->release(op);
    return;
  }
  op->state = LA_OP_ORPHANED;
  uv_req_t *req = op->cls->request != NULL ? op->cls->request(op) : NULL;
  if (req != NULL) uv_cancel(req); /* UV_EBUSY: it has begun, and ends by itself */
}

void la_op_complete(la_op *op, ssize_t result) {
  op->result = result;
  if (op->state == LA_OP_ORPHANED) {
    op->cls->release(op);
    return;
  }
  op->state = LA_OP_DONE;
  la_waiter_wake(&op->waiter, op->reactor);
}
