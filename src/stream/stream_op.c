/* flush and shutdown of a stream as futures: see stream.h. */
#include "stream/stream.h"

static la_poll flush_poll(la_future *f, la_context *cx) {
  la_stream_op *op = la_container(f, la_stream_op, base);
  return la_stream_poll_settled(op->stream, cx, &op->status);
}

static la_poll shutdown_poll(la_future *f, la_context *cx) {
  la_stream_op *op = la_container(f, la_stream_op, base);
  return la_stream_poll_shutdown(op->stream, cx, &op->status);
}

static void op_drop(la_future *f) {
  la_stream_forget_write(la_container(f, la_stream_op, base)->stream);
}

static const la_future_vtable flush_vtable = {flush_poll, op_drop, "flush", NULL};
static const la_future_vtable shutdown_vtable = {shutdown_poll, op_drop, "shutdown", NULL};

void la_flush_init(la_stream_op *op, la_stream *s) {
  *op = (la_stream_op){.base = {&flush_vtable}, .stream = s};
}

void la_shutdown_init(la_stream_op *op, la_stream *s) {
  *op = (la_stream_op){.base = {&shutdown_vtable}, .stream = s};
}
