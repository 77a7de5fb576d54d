/* What a file has accepted and not yet handed to the pool, as the process ends. */
#include "io/file_job.h"

static bool leaves_rest(const la_file *f) {
  return f->fd >= 0 && f->out_len > 0 && (f->flags & LA_FILE_WRITES);
}

/* What is under way comes first; where that failed, what follows it would be in the wrong place. */
static bool wait_for_job(la_file *f) {
  const la_file_job *j = &f->job;
  if (!f->busy) return true;
  ssize_t result = la_work_wait(&f->job.work);
  if (j->kind == LA_JOB_WRITE) f->position = j->at;
  return j->kind != LA_JOB_WRITE || result >= 0;
}

void la_file_at_exit(la_resource *resource) {
  la_file *f = la_container(resource, la_file, resource);
  if (!leaves_rest(f) || !wait_for_job(f)) return;
  la_file_job *j = &f->job;
  la_work_init(&j->work, &la_file_job_class, f->reactor);
  j->kind = LA_JOB_WRITE;
  j->fd = f->fd;
  j->flags = f->flags;
  j->buf = f->out;
  j->len = f->out_len;
  j->at = f->position;
  j->done = 0;
  la_file_job_class.run(&j->work);
}
