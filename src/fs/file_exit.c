/* What a file has accepted and not yet handed to the pool, as the process ends. */
#include "driver/loss.h"
#include "fs/file_job.h"

/* What is under way comes first; where that failed, what follows it would be in the wrong place. */
static bool wait_for_job(la_file *f) {
  const la_file_job *j = &f->job;
  if (!f->busy) return true;
  bool writes = j->kind == LA_JOB_WRITE || j->kind == LA_JOB_CLOSE;
  if (!writes && la_file_unwritten(f) == 0) return true;
  ssize_t result = la_work_wait(&f->job.work);
  if (j->kind == LA_JOB_WRITE) la_file_write_ended(f, result);
  if (j->kind == LA_JOB_CLOSE && f->write_error == 0) f->write_error = (int)result;
  return !writes || f->write_error == 0;
}

void la_file_at_exit(la_resource *resource) {
  la_file *f = la_container(resource, la_file, resource);
  if (f->fd < 0 || !(f->flags & LA_FILE_WRITES)) return;
  bool go_on = wait_for_job(f);
  bool nobody_read = f->write_error == UV_ECANCELED; /* a FIFO: it was given up for the exit */
  if (nobody_read) return;
  int err = go_on ? la_file_write_here(f) : f->write_error;
  if (err != 0 && !la_file_told(f)) la_loss_add(f->reactor, f->name, err);
}
