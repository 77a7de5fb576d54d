/* async.thread.spawn_blocking: a function on a pool of threads. */
#include <stdlib.h>

#include "bridge/report.h"
#include "bridge/task_object.h"
#include "core/alarm.h"
#include "core/circle.h"
#include "driver/threads.h"
#include "task/l_kick.h"
#include "thread/l_call.h"
#include "thread/l_reports.h"
#include "thread/l_state.h"
#include "thread/l_thread.h"

/* How long an interrupted function may take to end before it is interrupted once more, and then
** before it is left to itself. */
#define GRACE UINT64_C(500000000)

typedef struct blocking {
  union {
    la_op op;
    la_job job;
  };
  la_plan *plan;
  la_parcel *in, *out;
  bool failed; /* `out` is an error */
  la_kick kick;
  la_reports reports;
  enum { RUNS, INTERRUPTED, AGAIN, LEFT } stage; /* LEFT: it did not end */
  la_alarm grace;                                /* from INTERRUPTED on */
} blocking;

static blocking *of(la_future *f) { return la_container(f, blocking, op.base); }

/* ---- on a thread of the pool ------------------------------------------------------*/

static ssize_t run(la_job *job) {
  blocking *b = la_container(job, blocking, job);
  int error;
  la_circle_working(1); /* it may be left to itself, and run on */
  la_reports_begin(&b->reports);
  lua_State *L = la_state_take(b->plan, &b->kick, &error);
  if (L == NULL) {
    la_reports_begin(NULL);
    la_circle_working(-1);
    return UV_ENOMEM;
  }
  if (error == LUA_OK)
    b->failed = !la_thread_call(L, la_thread_apply, b->in, &b->out);
  else
    b->out = la_thread_pack_error(L);
  la_kick_end(&b->kick);
  b->failed = b->failed || error != LUA_OK;
  bool ends = b->in->handles > 0 || (b->out != NULL && b->out->handles > 0);
  bool hook_lost = b->kick.told; /* what thread.init has set, and a signal has replaced */
  la_state_give(b->plan, L, ends, error != LUA_OK || hook_lost);
  la_reports_begin(NULL);
  la_circle_working(-1);
  return b->out != NULL ? 0 : UV_ENOMEM;
}

static void release(la_op *op) {
  blocking *b = la_container(op, blocking, op);
  la_parcel_drop(b->in);
  la_parcel_drop(b->out);
  la_reports_end(&b->reports);
  la_plan_unref(b->plan);
  free(b);
}

/* ---- the future -------------------------------------------------------------------*/

static void interrupt(blocking *b) {
  la_executor *ex = b->op.reactor->ex;
  la_alarm_init(&b->grace, ex, GRACE);
  la_kick_want(&b->kick);
  la_job_kick(&b->job);
}

static la_poll blocking_poll(la_future *f, la_context *cx) {
  blocking *b = of(f);
  la_poll ended = la_op_poll(f, cx);
  la_reports_poll(&b->reports, la_rt, cx);
  if (ended == LA_READY) return LA_READY;
  while (b->stage != RUNS && b->stage != LEFT && la_future_poll(&b->grace.base, cx) == LA_READY) {
    b->stage++;
    if (b->stage == LEFT) break;
    la_future_drop(&b->grace.base);
    interrupt(b);
  }
  return b->stage == LEFT ? LA_READY : LA_PENDING;
}

static la_cancel blocking_cancel(la_future *f) {
  blocking *b = of(f);
  if (b->op.state != LA_OP_IN_FLIGHT)
    return b->op.state == LA_OP_DONE ? LA_CANCEL_FINISH : LA_CANCEL_DROP;
  if (b->stage != RUNS) return LA_CANCEL_UNWIND;
  la_job_place place = la_job_where(&b->job);
  if (place != LA_JOB_RUNNING) return place == LA_JOB_FINISHED ? LA_CANCEL_FINISH : LA_CANCEL_DROP;
  b->stage = INTERRUPTED;
  interrupt(b);
  return LA_CANCEL_UNWIND;
}

static int push_left(lua_State *L) {
  la_push_error(
      L,
      &(la_error_info){
          .code = "EBUSY",
          .op = "spawn_blocking",
          .message =
              "its task was cancelled, but the function did not end although it was interrupted (C code cannot be): it continues, and its results are "
              "lost"});
  return 1;
}

static void report_left(void) {
  lua_State *L = la_rt->running;
  if (!lua_checkstack(L, LUA_MINSTACK)) return;
  lua_pushcfunction(L, push_left);
  lua_pcall(L, 0, 1, 0);
  lua_pushnil(L);
  lua_pushnil(L);
  la_report_failure(L);
}

/* One that is dropped as it runs, with its Loop, was not cancelled before. */
static void blocking_drop(la_future *f) {
  blocking *b = of(f);
  if (b->stage != RUNS) la_future_drop(&b->grace.base);
  if (b->stage == LEFT && b->op.state == LA_OP_IN_FLIGHT) report_left();
  la_reports_close(&b->reports, la_rt);
  if (b->op.state == LA_OP_IN_FLIGHT) {
    la_kick_want(&b->kick);
    la_job_kick(&b->job);
  }
  la_job_drop(f);
}

static const la_job_class blocking_class = {{{blocking_poll, blocking_drop, "spawn_blocking",
                                              blocking_cancel},
                                             la_job_op_submit,
                                             release,
                                             NULL},
                                            run,
                                            LA_POOL_WORK};

/* ---- the operation: the body of the Task ------------------------------------------*/

static int begin(lua_State *L, void *room, la_future **f) {
  (void)room;
  la_thread_work *w = lua_touserdata(L, 1);
  blocking *b = malloc(sizeof *b);
  if (b == NULL) return la_no_memory(L);
  la_job_init(&b->job, &blocking_class, la_rt->reactor);
  b->plan = w->plan;
  b->in = w->in;
  b->out = NULL;
  b->failed = false;
  b->stage = RUNS;
  la_kick_init(&b->kick);
  la_reports_init(&b->reports);
  *w = (la_thread_work){NULL, NULL};
  *f = &b->op.base;
  return 0;
}

static int finish(lua_State *L, la_future *f) {
  blocking *b = of(f);
  if (b->op.result < 0) {
    la_fail(L, b->op.result, "spawn_blocking");
    return lua_error(L);
  }
  return b->failed ? la_thread_raise(L, b->out) : la_parcel_unpack(L, b->out);
}

static const la_operation operation = {"spawn_blocking", begin, finish};
static int body(lua_State *L) { return la_operate(L, &operation); }

static int spawn_blocking(lua_State *L) {
  return la_thread_spawn(L, body, "async.thread.spawn_blocking");
}

void la_open_blocking(lua_State *L) {
  lua_pushcfunction(L, spawn_blocking);
  lua_setfield(L, -2, "spawn_blocking");
}
