#include "io/file_job.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/posix.h"

static ssize_t job_read(la_file_job *j) {
  if (j->flags & LA_FILE_SEEKS) return la_posix_pread_all(j->fd, j->buf, j->len, j->at);
  return la_posix_read(j->fd, j->buf, j->len);
}

/* After an append the position is the end of the file, wherever others moved it. */
static int job_write(la_file_job *j) {
  if ((j->flags & LA_FILE_SEEKS) == 0 || (j->flags & LA_FILE_APPENDS)) {
    struct stat st;
    int err = la_posix_write_all(j->fd, j->buf, j->len, &j->done);
    if (fstat(j->fd, &st) == 0) j->at = st.st_size;
    return err;
  }
  int err = la_posix_pwrite_all(j->fd, j->buf, j->len, j->at, &j->done);
  j->at += (int64_t)j->done;
  return err;
}

static int job_close(la_file_job *j) {
  int err = j->len > 0 ? job_write(j) : 0;
  int closed = la_posix_close(j->fd);
  return err != 0 ? err : closed;
}

static int job_stat(la_file_job *j) {
  uv_fs_t req;
  int err = uv_fs_fstat(NULL, &req, j->fd, NULL);
  if (err == 0) memcpy(j->buf, &req.statbuf, sizeof req.statbuf);
  uv_fs_req_cleanup(&req);
  return err;
}

static ssize_t run(la_work *work) {
  la_file_job *j = la_container(work, la_file_job, work);
  switch (j->kind) {
  case LA_JOB_READ: return job_read(j);
  case LA_JOB_WRITE: return job_write(j);
  case LA_JOB_SYNC: return fsync(j->fd) == 0 ? 0 : la_posix_errno();
  case LA_JOB_TRUNCATE: return ftruncate(j->fd, (off_t)j->at) == 0 ? 0 : la_posix_errno();
  case LA_JOB_STAT: return job_stat(j);
  case LA_JOB_READ_AT: return la_posix_pread_all(j->fd, j->buf, j->len, j->at);
  case LA_JOB_WRITE_AT: return la_posix_pwrite_all(j->fd, j->buf, j->len, j->at, &j->done);
  case LA_JOB_CLOSE: return job_close(j);
  }
  return UV_EINVAL;
}

/* The file owns its job: it is never polled or dropped as a future. */
const la_work_class la_file_job_class = {LA_WORK_OP("file", NULL), run};
