#include "driver/reactor.h"

#include <stdlib.h>

#include "driver/exit.h"
#include "driver/guard.h"
#include "driver/handle.h"
#include "driver/interrupt.h"
#include "driver/loss.h"
#include "driver/threads.h"

static void on_async(uv_async_t *a) {
  la_reactor *r = la_container(a, la_reactor, async);
  la_interrupt_look(r);
  if (r->unwanted_root != NULL && r->unwanted()) la_task_cancel(r->unwanted_root);
  la_threads_collect(r);
}

/* uv_run runs timers before it polls, too: one that expires there, on a busy machine,
** would be gone by the time uv_run asks how long it may block. A stopped loop does not
** block. */
static void on_timer(uv_timer_t *t) { uv_stop(t->loop); }

/* ---- the parker -------------------------------------------------------------------*/

static void start_timer(la_reactor *r, uint64_t ns) {
  uv_update_time(r->uv);
  uv_timer_start(&r->timer, on_timer, la_reactor_ms(ns), 0);
}

/* The async is a referenced, active handle, so UV_RUN_ONCE blocks whatever else is there. */
void la_reactor_park(void *self, uint64_t deadline) {
  la_reactor *r = self;
  if (deadline == LA_TIMER_NEVER) {
    uv_run(r->uv, UV_RUN_ONCE);
    return;
  }
  uint64_t now = deadline == 0 ? 0 : uv_hrtime();
  if (deadline <= now) {
    uv_run(r->uv, UV_RUN_NOWAIT);
    return;
  }
  start_timer(r, deadline - now);
  uv_run(r->uv, UV_RUN_ONCE);
  uv_timer_stop(&r->timer);
}

void la_reactor_unpark(void *self) { uv_async_send(&((la_reactor *)self)->async); }

bool la_reactor_alive(void *self) { return ((la_reactor *)self)->waiting > 0; }

bool la_reactor_working(void *self) {
  const la_reactor *r = self;
  return r->pool > 0 || r->threads > 0;
}

uint64_t la_reactor_now(void *self) {
  (void)self;
  return uv_hrtime();
}

/* Who watches the descriptor of the loop is roused as by another thread. */
static const la_parker_vtable parker = {la_reactor_park,    la_reactor_unpark, la_reactor_alive,
                                        la_reactor_working, la_reactor_now,    la_reactor_unpark};

void la_reactor_look(la_reactor *r) { la_reactor_park(r, 0); }

uint64_t la_reactor_patience(const la_reactor *r) {
  uv_update_time(r->uv);
  int ms = uv_backend_timeout(r->uv);
  uint64_t loop = ms < 0 ? LA_TIMER_NEVER : (uint64_t)ms * 1000000;
  uint64_t executor = la_executor_patience(r->ex);
  return loop < executor ? loop : executor;
}

/* ---- birth and end ----------------------------------------------------------------*/

/* What ends may start more (a dropped file that still has to be closed), so the loop runs
** until it has nothing left. */
static void close_loop(la_reactor *r) {
  uv_close((uv_handle_t *)&r->timer, NULL);
  if (r->async.type == UV_ASYNC) uv_close((uv_handle_t *)&r->async, NULL);
  do uv_run(r->uv, UV_RUN_DEFAULT);
  while (uv_loop_close(r->uv) == UV_EBUSY);
}

la_reactor *la_reactor_blank(void) {
  la_reactor *r = calloc(1, sizeof *r);
  if (r == NULL) return NULL;
  r->refs = 1;
  la_list_init(&r->resources);
  la_list_init(&r->watched);
  la_list_init(&r->handles);
  la_mpsc_init(&r->finished);
  return r;
}

int la_reactor_equip(la_reactor *r, const la_parker_vtable *vt) {
  r->ex = la_executor_new((la_parker){r, vt});
  if (r->ex == NULL) return UV_ENOMEM;
  la_threads_enter();
  la_exit_enter(r);
  la_guard_sigpipe(1);
  return 0;
}

static int init(la_reactor *r) {
  int err = la_guard_loop_init(&r->own);
  if (err != 0) return err;
  r->uv = &r->own;
  uv_timer_init(r->uv, &r->timer);
  err = uv_async_init(r->uv, &r->async, on_async);
  if (err == 0) err = la_reactor_equip(r, &parker);
  if (err != 0) close_loop(r);
  return err;
}

int la_reactor_new(la_reactor **out) {
  la_reactor *r = la_reactor_blank();
  if (r == NULL) return UV_ENOMEM;
  int err = init(r);
  if (err != 0) {
    free(r);
    return err;
  }
  *out = r;
  return 0;
}

/* The handles first: they may have timers in the executor. */
void la_reactor_begin_end(la_reactor *r) {
  la_exit_leave(r);
  la_interrupt_end(r);
  for (la_node *n = r->handles.head.next; n != &r->handles.head; n = n->next)
    la_handle_close(la_container(n, la_handle, node));
  for (la_node *n; (n = la_list_pop(&r->resources)) != NULL;) {
    la_resource *resource = la_container(n, la_resource, node);
    resource->end(resource);
  }
  la_executor_close(r->ex);
  r->ex = NULL;
  la_threads_leave(r);
}

void la_reactor_ended(la_reactor *r) {
  r->closed = true;
  while (r->buffers_free > 0) free(r->buffers[--r->buffers_free]);
  while (r->blocks_free > 0) free(r->kept[--r->blocks_free]);
  la_guard_sigpipe(-1);
  la_reactor_unref(r);
}

void la_reactor_free(la_reactor *r) {
  la_reactor_begin_end(r);
  close_loop(r);
  la_reactor_ended(r);
}

static bool has(la_handle *h, int fd) {
  uv_os_fd_t its;
  return uv_fileno(h->cls->uv(h), &its) == 0 && its == fd;
}

bool la_reactor_owns(const la_reactor *r, int fd) {
  for (la_node *i = r->handles.head.next; i != &r->handles.head; i = i->next)
    if (has(la_container(i, la_handle, node), fd)) return true;
  for (la_node *i = r->resources.head.next; i != &r->resources.head; i = i->next) {
    const la_resource *its = la_container(i, la_resource, node);
    if (its->fd != NULL && *its->fd == fd) return true;
  }
  return false;
}

void la_reactor_closes(la_reactor *r, int fd) {
  for (la_node *n = r->watched.head.next, *next; n != &r->watched.head; n = next) {
    la_watched *w = la_container(n, la_watched, node);
    next = n->next;
    if (w->fd == fd) w->closes(w);
  }
}

void la_reactor_unref(la_reactor *r) {
  if (--r->refs > 0) return;
  la_loss_print(la_loss_take(r));
  free(r);
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
