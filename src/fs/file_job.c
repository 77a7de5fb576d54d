#include "fs/file_job.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stream/posix.h"

static ssize_t job_read(la_file_job *j) {
  char *to = j->block ? j->buf + LA_BLOCK_HEAD : j->buf;
  if (j->flags & LA_FILE_SEEKS) return la_posix_pread_all(j->fd, to, j->len, j->at);
  int err = la_posix_wait_readable(j->fd, &j->work);
  return err != 0 ? err : la_posix_read(j->fd, j->buf, j->len);
}

/* After an append the position is the end of the file, wherever others moved it. */
static int job_write(la_file_job *j) {
  if ((j->flags & LA_FILE_SEEKS) == 0 || (j->flags & LA_FILE_APPENDS)) {
    struct stat st;
    int err = la_posix_write_all(j->fd, j->buf, j->len, &j->done, &j->work);
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

enum { PIECE = 1 << 16 };

/* How much memory to begin with: for what is there and one byte more, so that one read both
** gets all and sees that it is all. The size is a hint: some files have more than it says. */
static size_t room_for(const la_file_job *j) {
  struct stat st;
  size_t room = PIECE;
  if (j->len > PIECE && fstat(j->fd, &st) == 0 && st.st_size > j->at) {
    uint64_t rest = (uint64_t)st.st_size - (uint64_t)j->at;
    if (rest >= PIECE) room = rest < SIZE_MAX ? (size_t)rest + 1 : SIZE_MAX;
  }
  return room < j->len ? room : j->len;
}

/* Memory is had for what is there, not for what is asked for. */
static ssize_t job_read_at(la_file_job *j) {
  size_t done = 0;
  for (size_t room = room_for(j);; room = room < j->len / 2 ? room * 2 : j->len) {
    char *buf = realloc(j->buf, room);
    if (buf == NULL) return UV_ENOMEM;
    j->buf = buf;
    ssize_t n = la_posix_pread_all(j->fd, buf + done, room - done, j->at + (int64_t)done);
    if (n < 0) return n;
    done += (size_t)n;
    if (done < room || room == j->len) return (ssize_t)done;
  }
}

/* Only by the system's own means, within itself; for others there are reads and writes. */
static ssize_t job_copy(la_file_job *j) {
#ifdef __linux__
  loff_t in = j->source_at, out = j->at;
  ssize_t n;
  do n = copy_file_range(j->source_fd, &in, j->fd, &out, j->len, 0);
  while (n < 0 && errno == EINTR);
  if (n >= 0) return n;
  return errno == ENOSPC || errno == EIO || errno == EFBIG || errno == EDQUOT ? la_posix_errno()
                                                                              : UV_ENOTSUP;
#else
  (void)j;
  return UV_ENOTSUP;
#endif
}

static ssize_t run(la_work *work) {
  la_file_job *j = la_container(work, la_file_job, work);
  switch (j->kind) {
  case LA_JOB_READ: return job_read(j);
  case LA_JOB_WRITE: return job_write(j);
  case LA_JOB_SYNC: return la_posix_sync(j->fd);
  case LA_JOB_DATASYNC: return la_posix_datasync(j->fd);
  case LA_JOB_TRUNCATE: return la_posix_truncate(j->fd, j->at);
  case LA_JOB_STAT: return job_stat(j);
  case LA_JOB_READ_AT: return job_read_at(j);
  case LA_JOB_WRITE_AT: return la_posix_pwrite_all(j->fd, j->buf, j->len, j->at, &j->done);
  case LA_JOB_COPY: return job_copy(j);
  case LA_JOB_CLOSE: return job_close(j);
  }
  return UV_EINVAL;
}

/* The file owns its job: it is never polled or dropped as a future. */
const la_work_class la_file_job_class = {LA_WORK_OP("file", NULL), run};
