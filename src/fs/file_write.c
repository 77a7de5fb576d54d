/* What a file has accepted, until it is written, and what becomes of it when that fails. */
#include <stdlib.h>
#include <string.h>

#include "fs/file_job.h"

/* ---- buffers ----------------------------------------------------------------------*/

char *la_file_buffer_take(la_file *f, unsigned sequence, bool *is_block) {
  char *block = sequence >= LA_FILE_SEQUENCE ? la_block_take(f->reactor) : NULL;
  *is_block = block != NULL;
  return block != NULL ? block : la_buffer_take(f->reactor);
}

size_t la_file_buffer_size(bool block) { return block ? LA_BLOCK_DATA : LA_BUFFER_SIZE; }

void la_file_buffer_give(la_file *f, char **buffer, bool block) {
  if (*buffer != NULL && block)
    la_block_give(f->reactor, *buffer);
  else if (*buffer != NULL)
    la_buffer_give(f->reactor, *buffer);
  *buffer = NULL;
}

/* ---- writing what was accepted ----------------------------------------------------*/

void la_file_drop_unwritten(la_file *f) {
  la_file_buffer_give(f, &f->kept, f->kept_block);
  la_file_buffer_give(f, &f->out, f->out_block);
  f->kept_len = f->out_len = 0;
}

void la_file_write_ended(la_file *f, ssize_t status) {
  la_file_job *j = &f->job;
  f->position = j->at;
  f->write_error = status < 0 ? (int)status : 0;
  if (status >= 0) {
    f->flags &= ~LA_FILE_TOLD;
    f->reading.tried = f->writing.tried = false;
  } else {
    f->kept_len = j->len - j->done;
    memmove(j->buf, j->buf + j->done, f->kept_len);
    f->kept = j->buf;
    f->kept_block = j->block;
    j->buf = NULL;
  }
  la_file_buffer_give(f, &j->buf, j->block);
}

static void hand_over(la_file *f, char **buf, size_t *len, bool block) {
  f->job.buf = *buf;
  f->job.block = block;
  f->job.len = *len;
  f->job.at = f->position;
  *buf = NULL;
  *len = 0;
}

void la_file_hand_over(la_file *f) {
  if (f->kept_len > 0)
    hand_over(f, &f->kept, &f->kept_len, f->kept_block);
  else
    hand_over(f, &f->out, &f->out_len, f->out_block);
}

int la_file_start_write(la_file *f) {
  bool kept = f->kept_len > 0;
  la_file_hand_over(f);
  int err = la_file_start(f, LA_JOB_WRITE);
  if (err == 0) return 0;
  *(kept ? &f->kept : &f->out) = f->job.buf;
  *(kept ? &f->kept_len : &f->out_len) = f->job.len;
  return err;
}

int la_file_write_first(la_file *f, la_file_turn *t) {
  if (t->tried && f->write_error != 0) {
    f->flags |= LA_FILE_TOLD;
    t->tried = false;
    return f->write_error;
  }
  int err = la_file_start_write(f);
  t->tried = err == 0;
  return err == 0 ? 1 : err;
}

ssize_t la_file_run_here(la_file *f, la_job_kind kind) {
  la_work_init(&f->job.work, &la_file_job_class, f->reactor);
  f->job.kind = kind;
  f->job.fd = f->fd;
  f->job.flags = f->flags;
  f->job.done = 0;
  return la_file_job_class.run(&f->job.work);
}

int la_file_write_here(la_file *f) {
  f->write_error = 0;
  while (la_file_unwritten(f) > 0 && f->write_error == 0) {
    la_file_hand_over(f);
    la_file_write_ended(f, la_file_run_here(f, LA_JOB_WRITE));
  }
  return f->write_error;
}

/* ---- accepting --------------------------------------------------------------------*/

/* Room in `out`: 0; 1 when it has to be waited for; or a negative errno. */
static int make_room(la_file *f) {
  bool unread = f->ahead_len > 0 || la_rbuf_len(&f->reader.buf) > 0;
  if (f->write_error != 0) return f->busy ? 1 : la_file_write_first(f, &f->writing);
  if ((f->flags & LA_FILE_SEEKS) && f->out_len == 0) {
    if (f->busy && f->job.kind == LA_JOB_READ) return 1;
    if (unread) la_file_unread(f);
  }
  if (f->out_len == la_file_buffer_size(f->out_block)) {
    if (f->busy) return 1;
    int err = la_file_start_write(f);
    if (err != 0) return err;
  }
  if (f->out == NULL) f->out = la_file_buffer_take(f, f->writes, &f->out_block);
  return f->out != NULL ? 0 : UV_ENOMEM;
}

la_poll la_file_poll_write(void *self, la_context *cx, const char *data, size_t len, ssize_t *n) {
  la_file *f = self;
  if (!la_file_is_open(f) || !(f->flags & LA_FILE_WRITES)) {
    *n = la_file_closed_error(f, LA_FILE_WRITE_CUT);
    return LA_READY;
  }
  int wait = make_room(f);
  if (wait > 0) return la_file_wait(f, &f->writing, cx);
  if (!la_budget_take(cx)) return LA_PENDING;
  la_file_leave(f, &f->writing);
  *n = wait;
  if (wait < 0) return LA_READY;
  size_t room = la_file_buffer_size(f->out_block) - f->out_len;
  if (len > room) len = room;
  memcpy(f->out + f->out_len, data, len);
  la_file_wrote(f, len);
  *n = (ssize_t)len;
  return LA_READY;
}

/* While `out` has something in it, all that has to be done before a write was done. */
char *la_file_room(void *self, size_t *size) {
  const la_file *f = self;
  if (!la_file_is_open(f) || f->write_error != 0 || f->out_len == 0) return NULL;
  if (f->flags & LA_FILE_DIRECT) return NULL;
  *size = la_file_buffer_size(f->out_block) - f->out_len;
  return f->out + f->out_len;
}

/* A full one goes its way; if it cannot, the next write says why. */
void la_file_wrote(void *self, size_t n) {
  la_file *f = self;
  f->out_len += n;
  bool full = f->out_len == la_file_buffer_size(f->out_block);
  if (full) la_file_one_more(&f->writes);
  if ((full || (f->flags & LA_FILE_DIRECT)) && !f->busy) la_file_start_write(f);
}

size_t la_file_forget_write(void *self) {
  la_file *f = self;
  la_file_leave(f, &f->writing);
  f->flags &= ~LA_FILE_WRITE_CUT;
  return 0;
}
