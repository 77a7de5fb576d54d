#include "stream/copy.h"

/* Smaller pieces cost less through memory than through a pipe. */
enum { SPLICE_FROM = 16384 };

static size_t at_most(const la_copy *c) {
  uint64_t left = c->limit - c->done;
  return left < LA_BUFFER_SIZE ? (size_t)left : LA_BUFFER_SIZE;
}

static la_poll end(la_copy *c, int status, bool reading) {
  c->status = status;
  c->failed_reading = reading;
  return LA_READY;
}

/* ---- through the pipe -------------------------------------------------------------*/

static void close_pipe(la_copy *c) {
  if (c->piped) la_splice_close(&c->pipe, c->from);
  c->piped = false;
}

/* Only what has not been read yet can go that way. */
static bool want_pipe(la_copy *c) {
  if (c->source == NULL || c->no_pipe || la_rbuf_len(&c->from->buf) > 0) return false;
  if (c->last < SPLICE_FROM || at_most(c) < SPLICE_FROM) return false;
  if (c->piped) return true;
  c->no_pipe = !la_uv_stream_splices(c->source) || la_splice_open(&c->pipe, c->from->reactor) != 0;
  c->piped = !c->no_pipe;
  return c->piped;
}

/* A descriptor that will not be spliced says so before anything has moved. */
static bool refused(const la_copy *c, ssize_t n) {
  return c->pipe.held == 0 && (n == UV_EINVAL || n == UV_ENOSYS);
}

/* ---- by the system ----------------------------------------------------------------*/

static void end_range(la_copy *c) {
  if (c->range != NULL) c->range_kind->drop(c->range);
  c->range = NULL;
}

/* LA_READY with *n: bytes; 0: go on by hand; or an errno. */
static la_poll copy_range(la_copy *c, la_context *cx, ssize_t *n) {
  if (c->range == NULL) c->range = c->range_kind->open(c->range_from, c->to);
  *n = 0;
  if (c->range != NULL && c->range_kind->poll(c->range, cx, c->limit - c->done, n) == LA_PENDING)
    return LA_PENDING;
  if (*n > 0) return LA_READY;
  end_range(c);
  c->range_kind = NULL;
  return LA_READY;
}

/* ---- pieces -----------------------------------------------------------------------*/

/* Each: LA_PENDING; or LA_READY with *n the bytes, 0 at the end, or an errno. */

static la_poll read_piece(la_copy *c, la_context *cx, ssize_t *n) {
  if (!c->reading && want_pipe(c)) {
    if (la_splice_poll_in(&c->pipe, c->source, cx, at_most(c), n) == LA_PENDING) return LA_PENDING;
    c->spliced = !refused(c, *n);
    if (c->spliced) return LA_READY;
    close_pipe(c);
    c->no_pipe = true;
  }
  if (!c->reading) la_reader_some(c->from, at_most(c));
  c->reading = true;
  c->spliced = false;
  if (la_future_poll(&c->from->base, cx) == LA_PENDING) return LA_PENDING;
  c->reading = false;
  size_t len;
  la_reader_span(c->from, &len);
  int status = c->from->status == UV_EOF ? 0 : c->from->status;
  *n = status < 0 ? status : (ssize_t)len;
  if (*n > 0) la_reader_hold(c->from);
  return LA_READY;
}

static la_poll write_piece(la_copy *c, la_context *cx, ssize_t *n) {
  if (c->spliced) return la_splice_poll_out(&c->pipe, c->target, cx, n);
  size_t len;
  const char *data = la_reader_span(c->from, &len);
  return c->vt->poll_write(c->to, cx, data, len, n);
}

/* n bytes of the piece have gone; true: all of it. */
static bool written(la_copy *c, size_t n) {
  c->done += n;
  if (c->spliced) return c->pipe.held == 0;
  la_reader_take_some(c->from, n);
  return c->from->span == 0;
}

/* The target will not be spliced to: what is in the pipe is read once more, and written. */
static void unsplice(la_copy *c) {
  close_pipe(c);
  c->no_pipe = true;
  c->writing = false;
}

static la_poll copy_poll(la_future *f, la_context *cx) {
  la_copy *c = la_container(f, la_copy, base);
  for (;;) {
    ssize_t n;
    if (!c->writing) {
      if (c->done == c->limit) return end(c, 0, false);
      if (c->range_kind != NULL) {
        if (copy_range(c, cx, &n) == LA_PENDING) return LA_PENDING;
        if (n < 0) return end(c, (int)n, false);
        c->done += (uint64_t)n;
        continue;
      }
      if (read_piece(c, cx, &n) == LA_PENDING) return LA_PENDING;
      if (n <= 0) return end(c, (int)n, true);
      c->last = (size_t)n;
      c->writing = true;
    }
    if (write_piece(c, cx, &n) == LA_PENDING) return LA_PENDING;
    if (c->spliced && n == UV_EINVAL) {
      unsplice(c);
      continue;
    }
    if (n < 0) return end(c, (int)n, false);
    c->writing = !written(c, (size_t)n);
  }
}

static void forget(la_copy *c) {
  if (c->range != NULL) {
    end_range(c);
  } else if (c->writing) {
    size_t n = c->vt->forget_write(c->to);
    if (n > 0) written(c, n);
  } else if (c->reading) {
    la_future_drop(&c->from->base);
  } else if (c->piped) {
    la_uv_stream_forget_read(c->source);
  }
}

/* What was read for a write that is given up, or has failed, stays with the reader. */
static void copy_drop(la_future *f) {
  la_copy *c = la_container(f, la_copy, base);
  if (c->status == 0) forget(c);
  la_reader_let_go(c->from);
  close_pipe(c);
}

void la_copy_abandon(la_copy *c) {
  end_range(c);
  if (c->piped) la_splice_abandon(&c->pipe);
  c->piped = false;
}

static const la_future_vtable copy_vtable = {copy_poll, copy_drop, "copy", NULL};

void la_copy_init(la_copy *c, const la_stream_class *source, void *from,
                  const la_stream_class *target, void *to, uint64_t limit) {
  *c = (la_copy){.base = {&copy_vtable},
                 .from = source->reader(from),
                 .vt = target->vt,
                 .to = to,
                 .limit = limit};
  if (source->uv != NULL && target->uv != NULL) {
    c->source = source->uv(from);
    c->target = target->uv(to);
  }
  if (source->range != NULL && source->range == target->range) {
    c->range_kind = source->range;
    c->range_from = from;
  }
}
