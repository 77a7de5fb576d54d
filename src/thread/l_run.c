#include "thread/l_run.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bridge/error.h"
#include "bridge/lib.h"
#include "bridge/report.h"
#include "bridge/task_object.h"
#include "bridge/traceback.h"
#include "core/circle.h"
#include "driver/threads.h"
#include "task/l_dump.h"
#include "thread/l_call.h"
#include "thread/seat.h"

/* How long a thread may take to hear an order, and after that each time that it is interrupted. */
#define GRACE UINT64_C(1000000000)
#define GRACE_KICKED UINT64_C(500000000)

/* ---- what both threads hold -------------------------------------------------------*/

static la_thread_run *run_new(la_plan *plan, la_parcel *in) {
  la_thread_run *r = calloc(1, sizeof *r);
  if (r == NULL) return NULL;
  pthread_mutex_init(&r->mutex, NULL);
  pthread_cond_init(&r->answered, NULL);
  atomic_init(&r->refs, 1);
  la_kick_init(&r->kick);
  r->plan = plan;
  r->in = in;
  la_reports_init(&r->reports);
  return r;
}

void la_thread_run_unref(la_thread_run *r) {
  if (atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) != 1) return;
  la_reports_end(&r->reports);
  la_parcel_drop(r->in);
  la_parcel_drop(r->out);
  la_plan_unref(r->plan);
  free(r->dump);
  pthread_cond_destroy(&r->answered);
  pthread_mutex_destroy(&r->mutex);
  free(r);
}

void la_thread_run_cancel(la_thread_run *r) {
  la_waker child;
  pthread_mutex_lock(&r->mutex);
  r->cancel = true;
  child = la_waker_out(&r->child);
  pthread_mutex_unlock(&r->mutex);
  la_seat_wake(child);
}

/* ---- the thread -------------------------------------------------------------------*/

/* The state is closed before its end is told: then nothing of it is left. */
static void *thread_main(void *arg) {
  la_thread_run *r = arg;
  int error;
  la_parcel *out = NULL;
  la_waker parent = {0};
  bool ok = false;
  la_reports_begin(&r->reports);
  lua_State *L = la_state_new(r->plan, &r->kick, &error);
  if (L != NULL) {
    if (error == LUA_OK)
      ok = la_thread_call(L, la_thread_run_enter, r, &out);
    else
      out = la_thread_pack_error(L);
    la_kick_end(&r->kick);
    lua_close(L);
  }
  pthread_mutex_lock(&r->mutex);
  r->out = out;
  r->failed = !ok;
  r->ended = r->heard = true;
  r->asked = false;
  pthread_cond_broadcast(&r->answered);
  parent = la_waker_out(&r->parent);
  pthread_mutex_unlock(&r->mutex);
  la_seat_wake(parent);
  la_circle_working(-1);
  la_thread_run_unref(r);
  return NULL;
}

/* ---- reports ----------------------------------------------------------------------*/

static int push_left(lua_State *L) {
  la_push_error(
      L,
      &(la_error_info){
          .code = "EBUSY",
          .op = "thread.spawn",
          .message =
              "its task was cancelled, but the thread did not end although it was interrupted (C code cannot be): it continues, and its results are "
              "lost"});
  return 1;
}

static void report_left(la_runtime *rt) {
  lua_State *L = rt->running;
  if (!lua_checkstack(L, LUA_MINSTACK)) return;
  lua_pushcfunction(L, push_left);
  lua_pcall(L, 0, 1, 0);
  lua_pushnil(L);
  lua_pushnil(L);
  la_report_failure(L);
}

/* ---- the future -------------------------------------------------------------------*/

static LA_THREAD_LOCAL la_list running; /* of this thread: those that wait for others */

static la_list *running_list(void) {
  if (running.head.next == NULL) la_list_init(&running);
  return &running;
}

static la_thread_future *future_of(la_future *f) { return la_container(f, la_thread_future, base); }

/* Sits down to wait. True: it has ended. */
static bool look(la_thread_run *r, la_waker *kept) {
  pthread_mutex_lock(&r->mutex);
  la_waker old = r->parent;
  bool ended = r->ended;
  r->parent = *kept;
  *kept = (la_waker){0};
  if (ended) *kept = la_waker_out(&r->parent);
  pthread_mutex_unlock(&r->mutex);
  la_seat_forget(old);
  return ended;
}

static bool has_ended(la_thread_run *r) {
  pthread_mutex_lock(&r->mutex);
  bool ended = r->ended;
  pthread_mutex_unlock(&r->mutex);
  return ended;
}

static bool has_heard(la_thread_run *r) {
  pthread_mutex_lock(&r->mutex);
  bool heard = r->heard;
  pthread_mutex_unlock(&r->mutex);
  return heard;
}

static void interrupt(la_thread_future *f) {
  la_kick_want(&f->run->kick);
  pthread_kill(f->thread, LA_JOB_SIGNAL);
}

static bool is_pressed(const la_thread_future *f) {
  return f->stage >= LA_THREAD_ORDERED && f->stage < LA_THREAD_LEFT;
}

/* One that was ordered to end, and did not by now. */
static void press(la_thread_future *f, la_context *cx) {
  while (is_pressed(f) && la_future_poll(&f->grace.base, cx) == LA_READY) {
    la_executor *ex = f->rt->ex;
    if (has_heard(f->run)) {
      f->stage = LA_THREAD_HEARD;
    } else if (++f->stage != LA_THREAD_LEFT) {
      la_future_drop(&f->grace.base);
      la_alarm_init(&f->grace, ex, GRACE_KICKED);
      interrupt(f);
    }
  }
}

static la_poll future_poll(la_future *base, la_context *cx) {
  la_thread_future *f = future_of(base);
  la_waker kept = la_seat_keep(cx->waker);
  bool ended = look(f->run, &kept);
  la_seat_forget(kept);
  la_reports_poll(&f->run->reports, f->rt, cx);
  if (ended) return LA_READY;
  press(f, cx);
  return f->stage == LA_THREAD_LEFT ? LA_READY : LA_PENDING;
}

static la_cancel future_cancel(la_future *base) {
  la_thread_future *f = future_of(base);
  if (has_ended(f->run)) return LA_CANCEL_FINISH;
  if (f->stage == LA_THREAD_RUNS) {
    la_executor *ex = f->rt->ex;
    f->stage = LA_THREAD_ORDERED;
    la_alarm_init(&f->grace, ex, GRACE);
    la_thread_run_cancel(f->run);
  }
  return LA_CANCEL_UNWIND;
}

static void future_drop(la_future *base) {
  la_thread_future *f = future_of(base);
  la_thread_run *r = f->run;
  la_waker parent;
  if (f->stage != LA_THREAD_RUNS) la_future_drop(&f->grace.base);
  la_node_unlink(&f->node);
  ((la_reactor *)f->rt->reactor)->threads--;
  pthread_mutex_lock(&r->mutex);
  bool ended = r->ended;
  parent = la_waker_out(&r->parent);
  pthread_mutex_unlock(&r->mutex);
  la_seat_forget(parent);
  la_reports_close(&r->reports, f->rt);
  if (ended) {
    pthread_join(f->thread, NULL);
  } else {
    if (f->stage == LA_THREAD_LEFT) report_left(f->rt);
    la_thread_run_cancel(r);
    interrupt(f);
    pthread_detach(f->thread);
  }
  la_thread_run_unref(r);
  free(f);
}

static const la_future_vtable future_vtable = {future_poll, future_drop, "thread.spawn",
                                               future_cancel};

int la_thread_future_new(la_runtime *rt, la_plan *plan, la_parcel *in, la_thread_future **out) {
  la_thread_future *f = malloc(sizeof *f);
  la_thread_run *r = run_new(plan, in);
  if (r == NULL) {
    la_parcel_drop(in);
    la_plan_unref(plan);
  }
  if (f == NULL || r == NULL) {
    free(f);
    if (r != NULL) la_thread_run_unref(r);
    return UV_ENOMEM;
  }
  const la_task *t = la_task_current(rt);
  *f = (la_thread_future){.base = {&future_vtable},
                          .run = r,
                          .rt = rt,
                          .task = t != NULL ? t->id : 0};
  la_kick_install();
  atomic_store_explicit(&r->refs, 2, memory_order_relaxed); /* ours and the thread's */
  la_circle_working(1);
  int error = la_thread_start(&f->thread, thread_main, r);
  if (error != 0) {
    la_circle_working(-1);
    atomic_store_explicit(&r->refs, 1, memory_order_relaxed);
    la_thread_run_unref(r);
    free(f);
    return error;
  }
  la_list_push(running_list(), &f->node);
  ((la_reactor *)rt->reactor)->threads++;
  *out = f;
  return 0;
}

static bool field_is(lua_State *L, int table, const char *field, const char *value) {
  bool is = lua_getfield(L, table, field) == LUA_TSTRING && strcmp(lua_tostring(L, -1), value) == 0;
  lua_pop(L, 1);
  return is;
}

/* (error, …): a deadlock that others had a part in is told with what they wait for. */
static void tell_whole_deadlock(lua_State *L, int error, la_runtime *rt) {
  if (!la_is_error(L, error)) return;
  if (field_is(L, error, "code", "EDEADLK") && field_is(L, error, "op", "run")) {
    lua_getfield(L, error, "message");
    luaL_tolstring(L, -1, NULL);
    lua_pushliteral(L, "where it was spawned from:\n");
    la_push_dump(L, rt);
    la_thread_push_dumps(L, rt, LA_DUMP_PATIENCE);
    lua_concat(L, 4);
    lua_setfield(L, error, "message");
  }
  lua_settop(L, error + 1);
}

int la_thread_future_results(lua_State *L, la_thread_future *f) {
  la_thread_run *r = f->run;
  if (r->out == NULL) return la_no_memory(L);
  if (!r->failed) return la_parcel_unpack(L, r->out);
  la_thread_push_error(L, r->out);
  tell_whole_deadlock(L, lua_gettop(L) - 1, f->rt);
  return la_raise_from(L);
}

/* ---- dumps ------------------------------------------------------------------------*/

/* Asks the thread for its dump, to be there in so many nanoseconds. */
static void ask(la_thread_run *r, long patience) {
  la_waker child = {0};
  pthread_mutex_lock(&r->mutex);
  free(r->dump);
  r->dump = NULL;
  r->asked = !r->ended;
  r->patience = patience;
  if (r->asked) child = la_waker_out(&r->child);
  pthread_mutex_unlock(&r->mutex);
  la_seat_wake(child);
}

/* The answer, the caller's; NULL: there was none by `until`. */
static char *await_answer(la_thread_run *r, const struct timespec *until) {
  pthread_mutex_lock(&r->mutex);
  for (int err = 0; r->asked && err == 0;)
    err = pthread_cond_timedwait(&r->answered, &r->mutex, until);
  char *text = r->dump;
  r->dump = NULL;
  r->asked = false;
  pthread_mutex_unlock(&r->mutex);
  return text;
}

/* (text) -> with each line indented. */
static int push_indented(lua_State *L) {
  const char *text = luaL_gsub(L, lua_touserdata(L, 1), "\n", "\n\t");
  size_t len = strlen(text);
  lua_pushlstring(L, text, len - (len > 0 && text[len - 1] == '\t'));
  return 1;
}

static void push_dump(lua_State *L, la_thread_future *f, const struct timespec *until) {
  char *text = await_answer(f->run, until);
  if (text == NULL) {
    lua_pushliteral(L, "(no answer: it is computing, or about to end)\n");
    return;
  }
  lua_pushcfunction(L, push_indented);
  lua_pushlightuserdata(L, text);
  int status = lua_pcall(L, 1, 1, 0);
  free(text);
  if (status != LUA_OK) lua_error(L);
}

void la_thread_push_dumps(lua_State *L, la_runtime *rt, long patience) {
  struct timespec until;
  la_list *all = running_list();
  for (la_node *node = all->head.next; node != &all->head; node = node->next) {
    la_thread_future *f = la_container(node, la_thread_future, node);
    if (f->rt == rt) ask(f->run, patience);
  }
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_nsec += patience;
  until.tv_sec += until.tv_nsec / 1000000000L;
  until.tv_nsec %= 1000000000L;
  lua_pushliteral(L, "");
  for (la_node *node = all->head.next; node != &all->head; node = node->next) {
    la_thread_future *f = la_container(node, la_thread_future, node);
    if (f->rt != rt || has_ended(f->run)) continue;
    lua_pushfstring(L, "the thread of task %I:\n\t", (lua_Integer)f->task);
    push_dump(L, f, &until);
    lua_concat(L, 3);
  }
}
