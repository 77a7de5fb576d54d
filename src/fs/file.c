#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "driver/loss.h"
#include "fs/file_job.h"
#include "stream/posix.h"

static la_file *from_reader(la_reader *rd) { return la_container(rd, la_file, reader); }

/* ---- life -------------------------------------------------------------------------*/

static la_poll reader_fill(la_reader *rd, la_context *cx, size_t want, ssize_t *n);
static void reader_forget(la_reader *rd);
static const la_future_vtable reader_vtable = LA_READER_VTABLE("read");
static const la_source file_source = {reader_fill, reader_forget, &reader_vtable};

static void end_with_loop(la_resource *r) {
  la_file_begin_close(la_container(r, la_file, resource));
}

la_file *la_file_new(la_reactor *r) {
  la_file *f = calloc(1, sizeof *f);
  if (f == NULL) return NULL;
  la_reader_init(&f->reader, r, &file_source);
  f->reactor = r;
  la_reactor_ref(r);
  f->resource = (la_resource){.end = end_with_loop,
                              .at_exit = la_file_at_exit,
                              .name = "open file",
                              .fd = &f->fd};
  la_list_push(&r->resources, &f->resource.node);
  f->refs = 1;
  f->fd = -1;
  la_list_init(&f->turns);
  return f;
}

void la_file_ref(la_file *f) { f->refs++; }
bool la_file_is_open(const la_file *f) { return f->fd >= 0 && !(f->flags & LA_FILE_CLOSING); }
bool la_file_told(const la_file *f) { return (f->flags & LA_FILE_TOLD) != 0; }
int la_file_fd(const la_file *f) {
  if (!la_file_is_open(f)) return UV_EBADF;
  return f->busy || la_file_unwritten(f) > 0 ? UV_EBUSY : f->fd;
}

la_reader *la_file_reader(la_file *f) { return &f->reader; }

static size_t head_of(bool block) { return block ? LA_BLOCK_HEAD : 0; }

static void forget_ahead(la_file *f) {
  la_file_buffer_give(f, &f->ahead, f->ahead_block);
  f->ahead_len = 0;
}

static void free_if_over(la_file *f) {
  if (f->refs > 0 || f->busy || f->fd >= 0) return;
  la_reactor *r = f->reactor;
  if (la_node_linked(&f->resource.node)) la_node_unlink(&f->resource.node);
  la_reader_clear(&f->reader);
  forget_ahead(f);
  la_file_drop_unwritten(f);
  la_waiter_clear(&f->reading.waiter, r);
  la_waiter_clear(&f->writing.waiter, r);
  free(f);
  la_reactor_unref(r);
}

void la_file_unref(la_file *f) {
  if (--f->refs > 0) return;
  la_file_begin_close(f);
  free_if_over(f);
}

/* ---- turns ------------------------------------------------------------------------*/

bool la_file_may_go(const la_file *f, const la_file_turn *t) {
  const la_node *first = f->turns.head.next;
  return !f->busy && (first == &f->turns.head || first == &t->node);
}

static void wake_first(la_file *f) {
  if (la_list_empty(&f->turns)) return;
  la_waiter_wake(&la_container(f->turns.head.next, la_file_turn, node)->waiter, f->reactor);
}

static void wake_all(la_file *f) {
  for (la_node *n = f->turns.head.next; n != &f->turns.head; n = n->next)
    la_waiter_wake(&la_container(n, la_file_turn, node)->waiter, f->reactor);
}

la_poll la_file_wait(la_file *f, la_file_turn *t, la_context *cx) {
  if (!la_node_linked(&t->node)) la_list_push(&f->turns, &t->node);
  la_waiter_set(&t->waiter, f->reactor, cx);
  return LA_PENDING;
}

void la_file_leave(la_file *f, la_file_turn *t) {
  la_waiter_clear(&t->waiter, f->reactor);
  if (!la_node_linked(&t->node)) return;
  la_node_unlink(&t->node);
  if (!f->busy) wake_first(f); /* else the job's end does */
}

/* ---- the job's end ----------------------------------------------------------------*/

static void read_ended(la_file *f, ssize_t n) {
  f->flags &= ~LA_FILE_MORE;
  if (n > 0) {
    if ((size_t)n == f->job.len) f->flags |= LA_FILE_MORE;
    la_file_one_more(&f->reads);
    f->ahead = f->job.buf;
    f->ahead_block = f->job.block;
    f->ahead_at = head_of(f->job.block);
    f->ahead_len = (size_t)n;
    f->position += n;
  } else {
    la_file_buffer_give(f, &f->job.buf, f->job.block);
    if (f->flags & LA_FILE_READ_DROPPED) return;
    f->read_result = (int)n;
    f->flags |= LA_FILE_READ_ENDED;
  }
}

static void close_ended(la_file *f, ssize_t status) {
  la_file_buffer_give(f, &f->job.buf, f->job.block);
  f->fd = -1;
  if (la_node_linked(&f->resource.node)) la_node_unlink(&f->resource.node);
  f->close_status = f->write_error != 0 ? f->write_error : (int)status;
  if (f->closers == 0) la_file_lose(f);
}

void la_file_lose(la_file *f) {
  if (f->close_status != 0 && !la_file_told(f)) la_loss_add(f->reactor, f->name, f->close_status);
  f->close_status = 0;
}

/* Of a sync: the system gives such pages up, and reports it once. */
static bool loses_data(int error) {
  return error == UV_EIO || error == UV_ENOSPC || error == -EDQUOT;
}

static void op_ended(la_file *f, ssize_t result) {
  la_file_op *op = f->job.op;
  bool syncs = f->job.kind == LA_JOB_SYNC || f->job.kind == LA_JOB_DATASYNC;
  if (syncs && loses_data((int)result)) f->sync_error = (int)result;
  f->job.op = NULL;
  if (op == NULL) {
    free(f->job.buf);
    return;
  }
  op->finished = true;
  op->status = result < 0 ? (int)result : 0;
  bool counts = f->job.kind == LA_JOB_READ_AT || f->job.kind == LA_JOB_COPY;
  op->done = counts && result > 0 ? (size_t)result : f->job.done;
  op->data = f->job.buf;
  la_node_unlink(&op->turn.node); /* it needs its turn no more, only to be polled */
  la_waiter_wake(&op->turn.waiter, f->reactor);
}

static void step_close(la_file *f);

/* Nothing is under way any more: what waits goes on. */
static void go_on(la_file *f) {
  f->busy = false;
  if (f->flags & LA_FILE_CLOSING) {
    step_close(f);
    wake_all(f);
  } else {
    if ((f->flags & LA_FILE_DIRECT) && f->out_len > 0 && f->write_error == 0)
      la_file_start_write(f);
    wake_first(f);
  }
}

static void copy_ended(la_file *f, ssize_t n) {
  la_file *source = f->job.source;
  if (n > 0) {
    f->position += n;
    source->position += n;
  }
  go_on(source);
  la_file_unref(source);
  op_ended(f, n);
}

static void job_ended(la_work *work, ssize_t result) {
  la_file *f = la_container(work, la_file, job.work);
  f->busy = false;
  switch (f->job.kind) {
  case LA_JOB_COPY: copy_ended(f, result); break;
  case LA_JOB_READ: read_ended(f, result); break;
  case LA_JOB_WRITE: la_file_write_ended(f, result); break;
  case LA_JOB_CLOSE: close_ended(f, result); break;
  default: op_ended(f, result);
  }
  go_on(f);
  free_if_over(f);
}

int la_file_start(la_file *f, la_job_kind kind) {
  f->job.kind = kind;
  f->job.fd = f->fd;
  f->job.flags = f->flags;
  f->job.done = 0;
  la_work_init(&f->job.work, &la_file_job_class, f->reactor);
  f->flags &= ~LA_FILE_READ_DROPPED;
  int err = la_work_submit(&f->job.work, job_ended);
  f->busy = err == 0;
  return err;
}

/* ---- close ------------------------------------------------------------------------*/

int la_file_closed_error(la_file *f, int cut) {
  bool was = (f->flags & cut) != 0;
  f->flags &= ~cut;
  return was ? UV_ECANCELED : UV_EBADF;
}

/* What failed before has a trip of its own. Behind what fails again nothing may follow, nor behind
** what nobody wants to wait for. True: it is under way. */
static bool try_last(la_file *f) {
  bool again = !(f->flags & LA_FILE_LAST_TRY) && f->write_error != UV_ECANCELED;
  f->flags |= LA_FILE_LAST_TRY;
  if (again && la_file_start_write(f) == 0) return true;
  if (again) la_file_write_here(f);
  if (f->kept_len > 0) la_file_drop_unwritten(f);
  return false;
}

/* Once nothing is under way: what is buffered is written and the descriptor closed, in one
** trip; at once when it has only been read, or when there is no pool to be had. */
static void step_close(la_file *f) {
  if (f->busy || f->fd < 0) return;
  if (f->kept_len > 0 && try_last(f)) return;
  la_file_hand_over(f);
  if ((f->flags & LA_FILE_WRITES) && la_file_start(f, LA_JOB_CLOSE) == 0) return;
  close_ended(f, la_file_run_here(f, LA_JOB_CLOSE));
}

void la_file_begin_close(la_file *f) {
  if (!la_file_is_open(f)) return;
  f->flags |= LA_FILE_CLOSING;
  la_reactor_closes(f->reactor, f->fd);
  if (f->busy && f->job.kind == LA_JOB_READ) atomic_store(&f->job.work.unwanted, true);
  if (la_node_linked(&f->reading.node)) f->flags |= LA_FILE_READ_CUT;
  if (la_node_linked(&f->writing.node)) f->flags |= LA_FILE_WRITE_CUT;
  step_close(f);
  wake_all(f);
}

/* ---- reading ----------------------------------------------------------------------*/

void la_file_unread(la_file *f) {
  f->position -= (int64_t)(la_reader_rewind(&f->reader) + f->ahead_len);
  forget_ahead(f);
  f->flags &= ~LA_FILE_READ_ENDED;
  f->reads = 0;
}

int la_file_give_back(la_file *f, int fd) {
  size_t n = la_reader_unread(&f->reader) + f->ahead_len;
  if (f->busy && f->job.kind == LA_JOB_READ) return UV_EBUSY;
  if (n > 0 && lseek(fd, -(off_t)n, SEEK_CUR) < 0) return la_posix_errno();
  la_reader_clear(&f->reader);
  forget_ahead(f);
  return 0;
}

static void reader_forget(la_reader *rd) {
  la_file *f = from_reader(rd);
  la_file_leave(f, &f->reading);
  f->flags &= ~(LA_FILE_READ_CUT | LA_FILE_READ_ENDED);
  f->flags |= LA_FILE_READ_DROPPED;
}

/* What a job has read: its buffer is taken over where that is possible. */
static ssize_t absorb(la_file *f) {
  la_rbuf *b = &f->reader.buf;
  size_t n = f->ahead_len;
  if (la_rbuf_len(b) <= f->ahead_at) {
    la_rbuf_adopt(b, f->reactor, f->ahead, f->ahead_block ? LA_BLOCK_SIZE : LA_BUFFER_SIZE,
                  f->ahead_at, n);
    f->ahead = NULL;
    f->ahead_len = 0;
    return (ssize_t)n;
  }
  int err = la_rbuf_grow(b, f->reactor, n);
  if (err != 0) return err;
  if (n > la_rbuf_room(b)) n = la_rbuf_room(b);
  memcpy(b->data + b->end, f->ahead + f->ahead_at, n);
  la_rbuf_added(b, n);
  f->ahead_at += n;
  f->ahead_len -= n;
  if (f->ahead_len == 0) forget_ahead(f);
  return (ssize_t)n;
}

/* What the system has in its cache is read at once, with no trip to the pool: UV_EAGAIN
** when it would have to wait. */
static ssize_t read_cached(la_file *f, size_t want) {
#ifdef RWF_NOWAIT
  la_rbuf *b = &f->reader.buf;
  if (!(f->flags & LA_FILE_SEEKS) || (f->flags & LA_FILE_NO_NOWAIT)) return UV_EAGAIN;
  int err = la_rbuf_grow(b, f->reactor, want);
  if (err != 0) return err;
  struct iovec iov = {b->data + b->end, la_rbuf_room(b)};
  ssize_t n = preadv2(f->fd, &iov, 1, (off_t)f->position, RWF_NOWAIT);
  if (n < 0 && errno != EAGAIN) f->flags |= LA_FILE_NO_NOWAIT;
  if (n < 0) return UV_EAGAIN;
  la_rbuf_added(b, (size_t)n);
  f->position += n;
  return n;
#else
  (void)f;
  (void)want;
  return UV_EAGAIN;
#endif
}

static int start_read(la_file *f) {
  bool seeks = (f->flags & LA_FILE_SEEKS) != 0;
  f->job.buf = la_file_buffer_take(f, seeks ? f->reads : 0, &f->job.block);
  if (f->job.buf == NULL) return UV_ENOMEM;
  f->job.len = la_file_buffer_size(f->job.block);
  f->job.at = f->position;
  int err = la_file_start(f, LA_JOB_READ);
  if (err != 0) la_file_buffer_give(f, &f->job.buf, f->job.block);
  return err;
}

/* The next block, which nobody waits for yet. A failure is left to who comes for it. */
static void read_ahead(la_file *f) {
  if (f->reads < LA_FILE_SEQUENCE || !(f->flags & LA_FILE_MORE) || !(f->flags & LA_FILE_SEEKS))
    return;
  if (f->busy || f->ahead_len > 0 || la_file_unwritten(f) > 0 || !la_list_empty(&f->turns)) return;
  if (start_read(f) == 0) f->flags |= LA_FILE_READ_DROPPED;
}

static la_poll reader_fill(la_reader *rd, la_context *cx, size_t want, ssize_t *n) {
  la_file *f = from_reader(rd);
  if (!la_file_is_open(f) || !(f->flags & LA_FILE_READS)) {
    *n = la_file_closed_error(f, LA_FILE_READ_CUT);
    return LA_READY;
  }
  f->flags &= ~LA_FILE_READ_DROPPED;
  if (!la_file_may_go(f, &f->reading)) return la_file_wait(f, &f->reading, cx);
  if (!la_budget_take(cx)) return LA_PENDING;
  bool seeks = (f->flags & LA_FILE_SEEKS) != 0; /* what was written before is to be seen */
  bool first = la_file_unwritten(f) > 0 && (seeks || !f->reading.tried);
  *n = first ? la_file_write_first(f, &f->reading) : 0;
  if (*n > 0) return la_file_wait(f, &f->reading, cx);
  if (*n < 0 && seeks) {
    la_file_leave(f, &f->reading);
    return LA_READY;
  }
  if (f->ahead_len > 0) {
    *n = absorb(f);
  } else if (f->flags & LA_FILE_READ_ENDED) {
    f->flags &= ~LA_FILE_READ_ENDED;
    *n = f->read_result;
  } else {
    *n = read_cached(f, want);
    if (*n == UV_EAGAIN) *n = start_read(f);
    if (f->busy) return la_file_wait(f, &f->reading, cx);
  }
  la_file_leave(f, &f->reading);
  f->reading.tried = false;
  read_ahead(f);
  return LA_READY;
}
