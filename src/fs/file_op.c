/* What one does with an open file besides reading and writing in sequence. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/file_job.h"

static la_poll finish(la_file_op *op, int status) {
  op->status = status;
  op->finished = true;
  la_file_leave(op->file, &op->turn);
  return LA_READY;
}

static la_poll wait(la_file_op *op, la_context *cx) {
  return la_file_wait(op->file, &op->turn, cx);
}

/* ---- seek -------------------------------------------------------------------------*/

static int seek_to(la_file *f, la_file_op *op, int64_t base) {
  if (op->at > 0 && base > INT64_MAX - op->at) return UV_EOVERFLOW;
  if (base + op->at < 0) return UV_EINVAL;
  la_file_unread(f);
  f->position = op->at = base + op->at;
  return 0;
}

static int64_t told(const la_file *f) {
  return f->position - (int64_t)(la_reader_unread(&f->reader) + f->ahead_len) +
         (int64_t)la_file_unwritten(f);
}

/* f:seek(): only asks where we are, and disturbs no buffer. */
static bool only_asks(const la_file_op *op) {
  const la_file *f = op->file;
  if (op->kind != LA_FILE_SEEK || op->whence != SEEK_CUR || op->at != 0) return false;
  return (f->flags & LA_FILE_SEEKS) && !((f->flags & LA_FILE_APPENDS) && la_file_unwritten(f) > 0);
}

/* ---- the work of each -------------------------------------------------------------*/

static int prepare(la_file *f, la_file_op *op, char *buf, size_t size) {
  if (size > 0 && buf == NULL) buf = malloc(size);
  if (size > 0 && buf == NULL) return UV_ENOMEM;
  f->job.buf = buf;
  f->job.len = op->len;
  f->job.at = op->at;
  f->job.op = op;
  return 0;
}

static int start(la_file *f, la_file_op *op, la_job_kind kind, size_t size) {
  int err = prepare(f, op, NULL, size);
  if (err != 0) return err;
  if (kind == LA_JOB_WRITE_AT) memcpy(f->job.buf, op->from, op->len);
  err = la_file_start(f, kind);
  if (err == 0) return 0;
  f->job.op = NULL;
  free(f->job.buf);
  return err;
}

/* One that succeeds after another has failed says nothing of what that one lost. */
static int start_sync(la_file *f, la_file_op *op, la_job_kind kind) {
  return f->sync_error != 0 ? f->sync_error : start(f, op, kind, 0);
}

/* Bytes that were read ahead of either are read again. */
static int start_copy(la_file *f, la_file_op *op) {
  la_file *source = op->source;
  int both = LA_FILE_SEEKS;
  if (!(f->flags & source->flags & both) || (f->flags & LA_FILE_APPENDS) || source == f ||
      !(source->flags & LA_FILE_READS) || !(f->flags & LA_FILE_WRITES) ||
      la_file_unwritten(source) > 0)
    return UV_ENOTSUP;
  if (!la_file_is_open(source)) return UV_EBADF;
  if (source->busy) return UV_EAGAIN;
  la_file_unread(source);
  la_file_unread(f);
  op->at = f->position;
  int err = prepare(f, op, NULL, 0);
  f->job.source = source;
  f->job.source_fd = source->fd;
  f->job.source_at = source->position;
  if (err == 0) err = la_file_start(f, LA_JOB_COPY);
  if (err != 0) {
    f->job.op = NULL;
    return err;
  }
  la_file_ref(source);
  source->busy = true;
  return 0;
}

/* Nothing is under way and nothing unwritten. 0: it is done; 1: its job has begun. */
static int begin(la_file *f, la_file_op *op) {
  bool seeks = (f->flags & LA_FILE_SEEKS) != 0;
  bool changes = op->kind == LA_FILE_WRITE_AT || op->kind == LA_FILE_TRUNCATE;
  int err = 0;
  if (seeks && changes) la_file_unread(f); /* what was read ahead may not be so any more */
  switch (op->kind) {
  case LA_FILE_SEEK:
    if (!seeks) return UV_ESPIPE;
    if (op->whence == SEEK_END)
      err = start(f, op, LA_JOB_STAT, sizeof(uv_stat_t));
    else
      return seek_to(f, op, op->whence == SEEK_CUR ? told(f) : 0);
    break;
  case LA_FILE_SYNC: err = start_sync(f, op, LA_JOB_SYNC); break;
  case LA_FILE_DATASYNC: err = start_sync(f, op, LA_JOB_DATASYNC); break;
  case LA_FILE_TRUNCATE: err = start(f, op, LA_JOB_TRUNCATE, 0); break;
  case LA_FILE_STAT: err = start(f, op, LA_JOB_STAT, sizeof(uv_stat_t)); break;
  case LA_FILE_READ_AT:
    if (op->len == 0) return 0;
    err = start(f, op, LA_JOB_READ_AT, 0); /* has its memory from the job */
    break;
  case LA_FILE_WRITE_AT:
    if (op->len == 0) return 0;
    err = start(f, op, LA_JOB_WRITE_AT, op->len);
    break;
  case LA_FILE_COPY: err = start_copy(f, op); break;
  default: return 0;
  }
  return err == 0 ? 1 : err;
}

/* Its job has ended; the buffer is op->data. */
static int conclude(la_file *f, la_file_op *op) {
  int err = op->status;
  if (op->kind == LA_FILE_READ_AT) return err;
  if (err == 0 && op->kind == LA_FILE_STAT) memcpy(op->st, op->data, sizeof *op->st);
  if (err == 0 && op->kind == LA_FILE_SEEK) {
    uv_stat_t st;
    memcpy(&st, op->data, sizeof st);
    err = seek_to(f, op, (int64_t)st.st_size);
  }
  free(op->data);
  op->data = NULL;
  return err;
}

/* ---- the future -------------------------------------------------------------------*/

static la_poll poll_close(la_file *f, la_file_op *op, la_context *cx) {
  if (!op->begun) f->closers++;
  op->begun = true;
  la_file_begin_close(f);
  if (f->fd >= 0) return wait(op, cx);
  if (!la_budget_take(cx)) return LA_PENDING;
  int status = f->close_status;
  f->close_status = 0;
  return finish(op, status);
}

static la_poll op_poll(la_future *future, la_context *cx) {
  la_file_op *op = la_container(future, la_file_op, base);
  la_file *f = op->file;
  if (op->kind == LA_FILE_CLOSE) return poll_close(f, op, cx);
  if (op->finished) return la_budget_take(cx) ? finish(op, conclude(f, op)) : LA_PENDING;
  if (!la_file_is_open(f) && f->job.op != op)
    return finish(op, op->begun ? UV_ECANCELED : UV_EBADF);
  op->begun = true;
  if (!la_file_may_go(f, &op->turn)) return wait(op, cx);
  if (f->reactor->ex->trying && !only_asks(op)) return LA_PENDING;
  if (!la_budget_take(cx)) return LA_PENDING;
  if (only_asks(op)) {
    op->at = told(f);
    return finish(op, 0);
  }
  int err = la_file_unwritten(f) > 0 ? la_file_write_first(f, &op->turn) : begin(f, op);
  return err == 1 ? wait(op, cx) : finish(op, err);
}

static void op_drop(la_future *future) {
  la_file_op *op = la_container(future, la_file_op, base);
  la_file *f = op->file;
  if (f->job.op == op) f->job.op = NULL;
  if (op->kind == LA_FILE_CLOSE && op->begun && --f->closers == 0 && f->fd < 0) la_file_lose(f);
  la_file_leave(f, &op->turn);
  free(op->data);
  la_file_unref(f);
}

static const la_future_vtable vtables[] = {
    [LA_FILE_FLUSH] = {op_poll, op_drop, "flush", NULL},
    [LA_FILE_SEEK] = {op_poll, op_drop, "seek", NULL},
    [LA_FILE_SYNC] = {op_poll, op_drop, "sync", NULL},
    [LA_FILE_DATASYNC] = {op_poll, op_drop, "datasync", NULL},
    [LA_FILE_TRUNCATE] = {op_poll, op_drop, "truncate", NULL},
    [LA_FILE_STAT] = {op_poll, op_drop, "stat", NULL},
    [LA_FILE_READ_AT] = {op_poll, op_drop, "read_at", NULL},
    [LA_FILE_WRITE_AT] = {op_poll, op_drop, "write_at", NULL},
    [LA_FILE_COPY] = {op_poll, op_drop, "copy", NULL},
    [LA_FILE_CLOSE] = {op_poll, op_drop, "close", NULL},
};

void la_file_op_init(la_file_op *op, la_file *f, la_file_kind kind) {
  la_file_ref(f);
  *op = (la_file_op){.base = {&vtables[kind]}, .file = f, .kind = (unsigned char)kind};
}
