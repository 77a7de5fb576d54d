/* From file to file by copy_file_range, as copy.h wants it: pieces, each a job of the target. */
#include <stdlib.h>

#include "fs/file_stream.h"

enum { PIECE = 8 << 20 }; /* at once, on a thread of the pool */

struct la_range {
  la_file *from, *to;
  la_file_op op; /* under way, while `begun` */
  bool begun;
  bool settled; /* the source was idle: the next op copies a piece */
};

static la_range *range_open(void *from, void *to) {
  la_range *r = calloc(1, sizeof *r);
  if (r == NULL) return NULL;
  r->from = from;
  r->to = to;
  return r;
}

static void begin(la_range *r, uint64_t limit) {
  if (r->settled)
    la_file_op_init(&r->op, r->to, LA_FILE_COPY);
  else
    la_file_op_init(&r->op, r->from, LA_FILE_FLUSH); /* waits for its turn there */
  r->op.source = r->from;
  r->op.len = limit < PIECE ? (size_t)limit : PIECE;
  r->begun = true;
}

/* The result of the op, which is dropped. */
static ssize_t end(la_range *r) {
  ssize_t n = r->op.status < 0 ? r->op.status : (ssize_t)r->op.done;
  la_future_drop(&r->op.base);
  r->begun = false;
  return n;
}

static la_poll range_poll(la_range *r, la_context *cx, uint64_t limit, ssize_t *n) {
  for (;;) {
    if (!r->begun) begin(r, limit);
    if (la_future_poll(&r->op.base, cx) == LA_PENDING) return LA_PENDING;
    bool copied = r->settled;
    int status = r->op.status;
    *n = end(r);
    r->settled = status == 0;
    if (copied && status != UV_EAGAIN) break;
    if (!copied && status != 0) break;
  }
  if (*n == UV_ENOTSUP) *n = 0;
  return LA_READY;
}

/* The job of the files ends by itself, and counts. */
static void range_drop(la_range *r) {
  if (r->begun) la_future_drop(&r->op.base);
  free(r);
}

const la_range_kind la_file_range = {range_open, range_poll, range_drop};
