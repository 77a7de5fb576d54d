#include "process/output.h"

#include <stdlib.h>

static void give_up(la_uv_stream **s) {
  if (*s == NULL) return;
  la_uv_stream_close(*s);
  la_uv_stream_unref(*s);
  *s = NULL;
}

/* ---- what goes in ------------------------------------------------------------------*/

/* A child that does not read to the end, or has ended, is its own affair. */
static void feed(la_output *o, la_context *cx) {
  while (o->in != NULL && o->left > 0) {
    ssize_t n;
    if (la_uv_stream_poll_write(o->in, cx, o->input, o->left, &n) == LA_PENDING) return;
    if (n < 0) o->status = n == UV_EPIPE ? o->status : (int)n;
    o->left = n < 0 ? 0 : o->left - (size_t)n;
    if (n > 0) o->input += n;
  }
  give_up(&o->in);
}

/* ---- what comes out ----------------------------------------------------------------*/

static int grow(la_collected *c) {
  if (c->size - c->len >= LA_BUFFER_SIZE / 4) return 0;
  size_t size = c->size == 0 ? LA_BUFFER_SIZE / 4 : c->size * 2;
  char *data = realloc(c->data, size);
  if (data == NULL) return UV_ENOMEM;
  c->data = data;
  c->size = size;
  return 0;
}

static void collect(la_output *o, la_collected *c, la_context *cx) {
  while (c->stream != NULL && o->status == 0) {
    ssize_t n = grow(c);
    if (n == 0 &&
        la_uv_stream_poll_read(c->stream, cx, c->data + c->len, c->size - c->len, &n) == LA_PENDING)
      return;
    if (n > 0) c->len += (size_t)n;
    if (c->len > o->max) n = UV_EFBIG;
    if (n < 0) o->status = (int)n;
    if (n <= 0) give_up(&c->stream);
  }
}

/* ---- the future --------------------------------------------------------------------*/

static void end_wait(la_output *o) {
  if (o->waiting) la_future_drop(&o->wait.base);
  o->waiting = false;
}

static la_poll output_poll(la_future *f, la_context *cx) {
  la_output *o = la_container(f, la_output, base);
  feed(o, cx);
  for (int i = 0; i < 2; i++) collect(o, &o->out[i], cx);
  if (o->status != 0) {
    la_process_close(o->process);
    return LA_READY;
  }
  if (o->waiting && la_future_poll(&o->wait.base, cx) == LA_READY) end_wait(o);
  bool over = !o->waiting && o->out[0].stream == NULL && o->out[1].stream == NULL;
  if (over) give_up(&o->in); /* whatever has the other end does not belong to this child any more */
  return over ? LA_READY : LA_PENDING;
}

static void release(la_output *o) {
  give_up(&o->in);
  for (int i = 0; i < 2; i++) {
    give_up(&o->out[i].stream);
    free(o->out[i].data);
  }
  free(o);
}

static void output_drop(la_future *f) {
  la_output *o = la_container(f, la_output, base);
  end_wait(o);
  if (o->process != NULL) {
    la_process_close(o->process);
    la_process_unref(o->process);
  }
  release(o);
}

static const la_future_vtable output_vtable = {output_poll, output_drop, "process.output", NULL};

la_output *la_output_new(size_t max) {
  la_output *o = calloc(1, sizeof *o);
  if (o == NULL) return NULL;
  o->base.vt = &output_vtable;
  o->max = max;
  return o;
}

void la_output_begin(la_output *o, la_process *p, la_uv_stream *const streams[3], const char *input,
                     size_t len) {
  o->process = p;
  o->in = streams[0];
  o->input = input;
  o->left = len;
  for (int i = 0; i < 2; i++) o->out[i].stream = streams[i + 1];
  la_process_wait_init(&o->wait, p);
  o->waiting = true;
}
