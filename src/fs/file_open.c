/* Opening files, with the modes of io.open. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/file_job.h"
#include "stream/posix.h"

int la_file_mode(const char *mode) {
  int flags;
  bool plus = false, exclusive = false;
  char first = *mode;
  for (const char *p = mode; *p != '\0' && *++p != '\0';) {
    if (*p == '+' && !plus)
      plus = true;
    else if (*p == 'x' && first == 'w' && !exclusive)
      exclusive = true;
    else if (*p != 'b')
      return -1;
  }
  switch (first) {
  case 'r': flags = 0; break;
  case 'w': flags = O_CREAT | O_TRUNC; break;
  case 'a': flags = O_CREAT | O_APPEND; break;
  default: return -1;
  }
  flags |= plus ? O_RDWR : first == 'r' ? O_RDONLY : O_WRONLY;
  return exclusive ? flags | O_EXCL : flags;
}

static int file_flags(int flags, mode_t mode) {
  int access = flags & O_ACCMODE, result = 0;
  if (access != O_WRONLY) result |= LA_FILE_READS;
  if (access != O_RDONLY) result |= LA_FILE_WRITES;
  if (flags & O_APPEND) result |= LA_FILE_APPENDS;
  if (S_ISREG(mode) || S_ISBLK(mode)) result |= LA_FILE_SEEKS;
  return result;
}

static int open_temporary(la_file_open *op) {
  int fd = mkostemp(op->path, O_CLOEXEC);
  return fd >= 0 ? fd : la_posix_errno();
}

/* The file is nobody else's yet. */
static ssize_t run(la_work *work) {
  la_file_open *op = la_container(work, la_file_open, work);
  struct stat st;
  int fd = op->temporary ? open_temporary(op)
                         : la_posix_open_patiently(op->path, op->flags, op->mode, work);
  if (fd < 0) return fd;
  int err = fstat(fd, &st) != 0 ? la_posix_errno() : S_ISDIR(st.st_mode) ? UV_EISDIR : 0;
  if (err != 0) {
    close(fd);
    return err;
  }
  op->fd = fd;
  op->file_flags = file_flags(op->flags, st.st_mode);
  if ((op->flags & O_APPEND) && (op->flags & O_ACCMODE) == O_WRONLY)
    op->position = st.st_size; /* as fopen(3): "a" begins at the end, "a+" does not */
  return 0;
}

la_file *la_file_open_take(la_file_open *op) {
  la_file *f = op->file;
  f->fd = op->fd;
  f->flags = op->file_flags;
  f->position = op->position;
  op->file = NULL;
  op->fd = -1;
  return f;
}

static void release(la_op *o) {
  la_file_open *op = la_container(o, la_file_open, work.op);
  if (op->temporary && op->fd >= 0) unlink(op->path);
  if (op->file != NULL) la_file_unref(la_file_open_take(op));
  free(op);
}

static const la_work_class open_class = {LA_WORK_OP("open", release), run};

la_file_open *la_file_open_new(la_reactor *r, const char *path, int flags, int mode) {
  size_t len = strlen(path) + 1;
  la_file_open *op = malloc(sizeof *op + len);
  if (op == NULL) return NULL;
  op->file = la_file_new(r);
  if (op->file == NULL) {
    free(op);
    return NULL;
  }
  la_work_init(&op->work, &open_class, r);
  op->flags = flags;
  op->mode = mode;
  op->temporary = false;
  op->fd = -1;
  op->file_flags = 0;
  op->position = 0;
  memcpy(op->path, path, len);
  return op;
}

la_file_open *la_file_mkstemp_new(la_reactor *r, const char *path) {
  la_file_open *op = la_file_open_new(r, path, O_RDWR, 0600);
  if (op != NULL) op->temporary = true;
  return op;
}
