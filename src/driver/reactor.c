#include "driver/reactor.h"

#include <stdlib.h>

#include "driver/guard.h"
#include "driver/handle.h"
#include "driver/interrupt.h"

static void on_async(uv_async_t *a) { la_interrupt_look(la_container(a, la_reactor, async)); }

/* uv_run runs timers before it polls, too: one that expires there, on a busy machine,
** would be gone by the time uv_run asks how long it may block. A stopped loop does not
** block. */
static void on_timer(uv_timer_t *t) { uv_stop(t->loop); }

/* ---- the parker -------------------------------------------------------------------*/

/* Milliseconds are rounded up: a loop that woke a fraction before the deadline would
** find nothing due and spin until it is. */
static void start_timer(la_reactor *r, uint64_t ns) {
  uv_update_time(&r->loop);
  uv_timer_start(&r->timer, on_timer, ns / 1000000 + (ns % 1000000 != 0), 0);
}

/* The async is a referenced, active handle, so UV_RUN_ONCE blocks whatever else is there. */
static void park(void *self, uint64_t deadline) {
  la_reactor *r = self;
  if (deadline == LA_TIMER_NEVER) {
    uv_run(&r->loop, UV_RUN_ONCE);
    return;
  }
  uint64_t now = deadline == 0 ? 0 : uv_hrtime();
  if (deadline <= now) {
    uv_run(&r->loop, UV_RUN_NOWAIT);
    return;
  }
  start_timer(r, deadline - now);
  uv_run(&r->loop, UV_RUN_ONCE);
  uv_timer_stop(&r->timer);
}

static void unpark(void *self) { uv_async_send(&((la_reactor *)self)->async); }

static bool alive(void *self) { return ((la_reactor *)self)->waiting > 0; }

static bool working(void *self) { return ((la_reactor *)self)->pool > 0; }

static uint64_t now(void *self) {
  (void)self;
  return uv_hrtime();
}

static const la_parker_vtable parker = {park, unpark, alive, working, now};

/* ---- birth and end ----------------------------------------------------------------*/

/* A handle that carries no la_handle is our own, or its owner is in the list of resources. */
static void close_handle(uv_handle_t *uv, void *unused) {
  (void)unused;
  if (uv->data != NULL) la_handle_close(uv->data);
}

/* What ends may start more (a dropped file that still has to be closed), so the loop runs
** until it has nothing left. */
static void close_loop(la_reactor *r) {
  uv_close((uv_handle_t *)&r->timer, NULL);
  if (r->async.type == UV_ASYNC) uv_close((uv_handle_t *)&r->async, NULL);
  do uv_run(&r->loop, UV_RUN_DEFAULT);
  while (uv_loop_close(&r->loop) == UV_EBUSY);
  r->closed = true;
}

static int init(la_reactor *r) {
  int err = la_guard_loop_init(&r->loop);
  if (err != 0) return err;
  uv_timer_init(&r->loop, &r->timer);
  err = uv_async_init(&r->loop, &r->async, on_async);
  if (err == 0) r->ex = la_executor_new((la_parker){r, &parker});
  if (err == 0 && r->ex == NULL) err = UV_ENOMEM;
  if (err != 0) close_loop(r);
  return err;
}

int la_reactor_new(la_reactor **out) {
  la_reactor *r = calloc(1, sizeof *r);
  if (r == NULL) return UV_ENOMEM;
  r->refs = 1;
  la_list_init(&r->resources);
  int err = init(r);
  if (err != 0) {
    free(r);
    return err;
  }
  la_guard_sigpipe(1);
  *out = r;
  return 0;
}

void la_reactor_free(la_reactor *r) {
  la_interrupt_end(r);
  uv_walk(&r->loop, close_handle, NULL); /* first: handles may have timers in the executor */
  for (la_node *n; (n = la_list_pop(&r->resources)) != NULL;) {
    la_resource *resource = la_container(n, la_resource, node);
    resource->end(resource);
  }
  la_executor_close(r->ex);
  r->ex = NULL;
  close_loop(r);
  while (r->buffers_free > 0) free(r->buffers[--r->buffers_free]);
  while (r->blocks_free > 0) free(r->kept[--r->blocks_free]);
  la_guard_sigpipe(-1);
  la_reactor_unref(r);
}

void la_reactor_unref(la_reactor *r) {
  if (--r->refs == 0) free(r);
}

/* ---- buffers ----------------------------------------------------------------------*/

char *la_buffer_take(la_reactor *r) {
  if (r->buffers_free > 0) return r->buffers[--r->buffers_free];
  return malloc(LA_BUFFER_SIZE);
}

void la_buffer_give(la_reactor *r, char *buffer) {
  if (!r->closed && r->buffers_free < LA_BUFFERS_KEPT)
    r->buffers[r->buffers_free++] = buffer;
  else
    free(buffer);
}

char *la_block_take(la_reactor *r) {
  if (r->blocks_free > 0) return r->kept[--r->blocks_free];
  char *block = r->blocks < LA_BLOCKS_MAX ? malloc(LA_BLOCK_SIZE) : NULL;
  if (block != NULL) r->blocks++;
  return block;
}

void la_block_give(la_reactor *r, char *block) {
  if (!r->closed && r->blocks_free < LA_BLOCKS_KEPT) {
    r->kept[r->blocks_free++] = block;
    return;
  }
  free(block);
  r->blocks--;
}
