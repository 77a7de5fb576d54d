#include "driver/work.h"

#include <unistd.h>

#include "driver/exit.h"
#include "driver/guard.h"

static la_work *from_req(uv_work_t *req) { return la_container(req, la_work, req); }

/* The class is the one whose first member is the op's. */
static const la_work_class *class_of(const la_work *work) {
  return la_container(work->op.cls, const la_work_class, op);
}

void la_work_init(la_work *work, const la_work_class *cls, la_reactor *r) {
  la_op_init(&work->op, &cls->op, r);
  work->ran = 0;
  atomic_init(&work->unwanted, false);
  atomic_init(&work->over, false);
}

bool la_work_is_unwanted(const la_work *work) {
  return atomic_load_explicit(&work->unwanted, memory_order_relaxed) || la_exit_begun();
}

ssize_t la_work_wait(const la_work *work) {
  while (!atomic_load_explicit(&work->over, memory_order_acquire)) usleep(100);
  return work->ran;
}

/* ---- in the pool ------------------------------------------------------------------*/

/* On a thread of the pool. */
static void run(uv_work_t *req) {
  la_work *work = from_req(req);
  work->ran = class_of(work)->run(work);
  atomic_store_explicit(&work->over, true, memory_order_release);
}

static int queue(la_work *work, uv_after_work_cb after) {
  la_reactor *r = work->op.reactor;
  if (r->closed) return UV_ECANCELED;
  int err = la_guard_pool(r);
  if (err == 0) err = uv_queue_work(r->uv, &work->req, run, after);
  if (err == 0) r->pool++;
  return err;
}

static void after_op(uv_work_t *req, int status) {
  la_work *work = from_req(req);
  work->op.reactor->pool--;
  la_op_complete(&work->op, status == 0 ? work->ran : status);
}

int la_work_op_submit(la_op *op) { return queue(la_container(op, la_work, op), after_op); }

void la_work_drop(la_future *f) {
  atomic_store_explicit(&la_container(f, la_work, op.base)->unwanted, true, memory_order_relaxed);
  la_op_drop(f);
}

uv_req_t *la_work_op_request(la_op *op) { return (uv_req_t *)&la_container(op, la_work, op)->req; }

static void after_submitted(uv_work_t *req, int status) {
  la_work *work = from_req(req);
  work->op.reactor->pool--;
  work->done(work, status == 0 ? work->ran : status);
}

int la_work_submit(la_work *work, void (*done)(la_work *, ssize_t)) {
  work->done = done;
  return queue(work, after_submitted);
}
