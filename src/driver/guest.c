#include "driver/guest.h"

#include <stdlib.h>

#include "driver/guard.h"
#include "driver/handle.h"
#include "driver/threads.h"

struct la_guest {
  la_reactor *r;
  uv_prepare_t prepare;
  uv_idle_t idle;
  void (*turn)(void *);
  void *host;
  bool running;  /* we run the loop ourselves, to end */
  unsigned open; /* of our own handles: those that are not closed */
};

static _Thread_local unsigned runs; /* of uv_run by us, and turns: one in the other */

/* They have something at `data` for whoever walks the loop, and no meaning in it. */
static void on_async(uv_async_t *a) { la_threads_collect(la_container(a, la_reactor, async)); }
static void on_timer(uv_timer_t *t) { (void)t; }
static void on_idle(uv_idle_t *i) { (void)i; }

/* ---- the loop comes by ------------------------------------------------------------*/

static void allow_wait(la_guest *g, uint64_t ns) {
  la_reactor *r = g->r;
  if (ns == 0)
    uv_idle_start(&g->idle, on_idle);
  else
    uv_idle_stop(&g->idle);
  if (ns == 0 || ns == LA_TIMER_NEVER) {
    uv_timer_stop(&r->timer);
    return;
  }
  uv_update_time(r->uv);
  uv_timer_start(&r->timer, on_timer, la_reactor_ms(ns), 0);
}

static void keep_loop(la_guest *g, bool alive) {
  if (alive)
    uv_ref((uv_handle_t *)&g->prepare);
  else
    uv_unref((uv_handle_t *)&g->prepare);
}

void la_guest_attend(la_reactor *r) {
  la_executor *ex = r->ex;
  allow_wait(r->guest, la_executor_patience(ex));
  keep_loop(r->guest, ex->live_count > 0 && !la_executor_stuck(ex));
}

static bool drained(const la_reactor *r) {
  return la_list_empty(&r->handles) && r->pool == 0 && r->bare == 0;
}

static void close_own(la_guest *g);

static void on_prepare(uv_prepare_t *p) {
  la_guest *g = la_container(p, la_guest, prepare);
  la_reactor *r = g->r;
  if (r->ex == NULL) {
    if (drained(r)) close_own(g);
    return;
  }
  if (g->running) return;
  runs++;
  g->turn(g->host);
  runs--;
  if (r->ex != NULL) la_guest_attend(r);
}

/* ---- the parker: only while we run the loop to end ----------------------------------*/

/* Without a handle that keeps it alive uv_run would return at once. */
static void park(void *self, uint64_t deadline) {
  la_reactor *r = self;
  r->guest->running = true;
  uv_ref((uv_handle_t *)&r->async);
  runs++;
  la_reactor_park(r, deadline);
  runs--;
  uv_unref((uv_handle_t *)&r->async);
  r->guest->running = false;
}

static void rouse(void *self) { la_guest_attend(self); }

static const la_parker_vtable parker =
    {park, la_reactor_unpark, la_reactor_alive, la_reactor_working, la_reactor_now, rouse};

/* ---- birth and end ------------------------------------------------------------------*/

static void on_own_closed(uv_handle_t *h) {
  la_guest *g = h->data;
  if (--g->open > 0) return;
  la_reactor *r = g->r;
  r->guest = NULL;
  free(g);
  if (r->closed)
    la_reactor_unref(r); /* it never came to life */
  else
    la_reactor_ended(r);
}

static void own(la_guest *g, void *handle) {
  ((uv_handle_t *)handle)->data = g;
  uv_unref(handle);
  g->open++;
}

static void close_own(la_guest *g) {
  la_reactor *r = g->r;
  uv_close((uv_handle_t *)&g->prepare, on_own_closed);
  uv_close((uv_handle_t *)&g->idle, on_own_closed);
  uv_close((uv_handle_t *)&r->timer, on_own_closed);
  if (r->async.type == UV_ASYNC) uv_close((uv_handle_t *)&r->async, on_own_closed);
}

static int init(la_reactor *r, la_guest *g) {
  uv_prepare_init(r->uv, &g->prepare);
  own(g, &g->prepare);
  uv_idle_init(r->uv, &g->idle);
  own(g, &g->idle);
  uv_timer_init(r->uv, &r->timer);
  own(g, &r->timer);
  int err = uv_async_init(r->uv, &r->async, on_async);
  if (err == 0) own(g, &r->async);
  if (err == 0) err = la_reactor_equip(r, &parker);
  if (err == 0) return uv_prepare_start(&g->prepare, on_prepare);
  r->closed = true;
  close_own(g);
  return err;
}

int la_guest_new(la_reactor **out, uv_loop_t *loop, void (*turn)(void *), void *host) {
  la_reactor *r = la_reactor_blank();
  la_guest *g = calloc(1, sizeof *g);
  if (r == NULL || g == NULL) {
    free(r);
    free(g);
    return UV_ENOMEM;
  }
  *g = (la_guest){.r = r, .turn = turn, .host = host};
  r->uv = loop;
  r->guest = g;
  int err = init(r, g);
  if (err == 0) r->ex->resting = true;
  if (err == 0) *out = r;
  return err;
}

void la_guest_free(la_reactor *r) {
  la_reactor_begin_end(r);
  allow_wait(r->guest, drained(r) ? 0 : LA_TIMER_NEVER); /* else what drains it wakes the loop */
  keep_loop(r->guest, true);
}

void la_guest_finish(la_reactor *r) {
  la_reactor_ref(r);
  runs++;
  while (r->guest != NULL) uv_run(r->uv, UV_RUN_ONCE);
  runs--;
  la_reactor_unref(r);
}

bool la_guest_runs(void) { return runs > 0; }
