/* What a file has accepted and not yet handed to the pool, as the process ends. */
#include "driver/loss.h"
#include "io/file_job.h"

/* What is under way comes first; where that failed, what follows it would be in the wrong place. */
static bool wait_for_job(la_file *f) {
  const la_file_job *j = &f->job;
  if (!f->busy) return true;
  bool writes = j->kind == LA_JOB_WRITE || j->kind == LA_JOB_CLOSE;
  if (!writes && f->out_len == 0) return true;
  ssize_t result = la_work_wait(&f->job.work);
  if (j->kind == LA_JOB_WRITE) f->position = j->at;
  if (writes && result < 0) f->write_error = (int)result;
  return !writes || result >= 0;
}

void la_file_at_exit(la_resource *resource) {
  la_file *f = la_container(resource, la_file, resource);
  if (f->fd < 0 || !(f->flags & LA_FILE_WRITES)) return;
  bool go_on = wait_for_job(f);
  bool nobody_read = f->write_error == UV_ECANCELED; /* a FIFO: it was given up for the exit */
  if (f->write_error != 0 && !nobody_read) la_loss_add(f->reactor, f->name, f->write_error);
  if (!go_on || f->out_len == 0) return;
  la_file_job *j = &f->job;
  la_work_init(&j->work, &la_file_job_class, f->reactor);
  j->kind = LA_JOB_WRITE;
  j->fd = f->fd;
  j->flags = f->flags;
  j->buf = f->out;
  j->len = f->out_len;
  j->at = f->position;
  j->done = 0;
  ssize_t result = la_file_job_class.run(&j->work);
  if (result < 0) la_loss_add(f->reactor, f->name, (int)result);
}
