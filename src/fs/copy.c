/* Copying a file by the system's own means. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef __linux__
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#endif

#include "fs/fs.h"
#include "stream/posix.h"

enum { BUFFER = 1 << 18 };

/* The ways, the best first; one that a file system has not leads on to the next. */
typedef enum way { BY_RANGE, BY_SENDFILE, BY_HAND } way;

typedef struct copy {
  int from, to;
  int64_t at; /* in both */
  way way;
  char *buffer; /* BY_HAND; NULL until then */
  la_fs_copy *op;
} copy;

/* ---- pieces -----------------------------------------------------------------------*/

static ssize_t by_hand(copy *c, size_t len) {
  if (c->buffer == NULL) c->buffer = malloc(BUFFER);
  if (c->buffer == NULL) return UV_ENOMEM;
  ssize_t n = la_posix_pread_all(c->from, c->buffer, len < BUFFER ? len : BUFFER, c->at);
  size_t done = 0;
  if (n <= 0) return n;
  int err = la_posix_pwrite_all(c->to, c->buffer, (size_t)n, c->at, &done);
  if (err == UV_ESPIPE) err = la_posix_write_all(c->to, c->buffer, (size_t)n, &done, &c->op->work);
  c->op->about_to = err != 0;
  return err != 0 ? err : n;
}

#ifdef __linux__
static ssize_t by_system(copy *c, size_t len) {
  loff_t in = c->at, out = c->at;
  if (c->way == BY_RANGE) return copy_file_range(c->from, &in, c->to, &out, len, 0);
  if (lseek(c->to, (off_t)c->at, SEEK_SET) < 0) return -1;
  return sendfile(c->to, c->from, &in, len);
}

/* The system says that it cannot do it so, not that it failed. */
static bool is_no_way(int e) {
  return e == EINVAL || e == ENOSYS || e == EXDEV || e == EOPNOTSUPP || e == EBADF || e == EPERM ||
         e == ESPIPE || e == ETXTBSY || e == EOVERFLOW;
}

/* Of one call for both files: no reading fails so. */
static bool is_of_target(int e) { return e == ENOSPC || e == EDQUOT || e == EFBIG; }
#endif

/* Up to len bytes: how many, 0 at the end of the file. Some files (in /proc) say that they
** have ended unless they are read, so the end is believed of a read alone. */
static ssize_t piece(copy *c, size_t len) {
#ifdef __linux__
  while (c->way != BY_HAND) {
    ssize_t n = by_system(c, len);
    if (n > 0) return n;
    if (n == 0) break;
    if (errno == EINTR) continue;
    if (!is_no_way(errno)) {
      c->op->about_to = is_of_target(errno);
      return la_posix_errno();
    }
    c->way++;
  }
#endif
  return by_hand(c, len);
}

/* What is from `at` up to `end`, or to the end of the file. */
static int copy_up_to(copy *c, int64_t end) {
  while (c->at < end) {
    if (la_work_is_unwanted(&c->op->work)) return UV_ECANCELED;
    int64_t rest = end - c->at;
    ssize_t n = piece(c, rest < LA_FS_COPY_PIECE ? (size_t)rest : LA_FS_COPY_PIECE);
    if (n < 0) return (int)n;
    if (n == 0) break;
    c->at += n;
  }
  return 0;
}

/* ---- the whole --------------------------------------------------------------------*/

static bool clones(const copy *c) {
#ifdef FICLONE
  return ioctl(c->to, FICLONE, c->from) == 0;
#else
  (void)c;
  return false;
#endif
}

/* The parts that are no holes, up to `size`; the caller has seen that there are holes. */
static int copy_parts(copy *c, int64_t size) {
#ifdef SEEK_DATA
  while (c->at < size) {
    off_t data = lseek(c->from, (off_t)c->at, SEEK_DATA);
    if (data < 0 && errno != ENXIO) return 0; /* cannot tell: all from here on */
    c->at = data < 0 ? size : data;
    off_t hole = data < 0 ? size : lseek(c->from, data, SEEK_HOLE);
    int err = copy_up_to(c, hole < 0 ? size : hole);
    if (err != 0) return err;
    if (c->at < hole) break; /* it has become shorter */
  }
  if (c->at == size) {
    int err = la_posix_truncate(c->to, size);
    c->op->about_to = err != 0;
    return err;
  }
#else
  (void)c;
  (void)size;
#endif
  return 0;
}

static int copy_content(copy *c, const struct stat *from, bool regular) {
  if (regular && from->st_size > 0 && clones(c)) return 0;
  if (!regular) c->way = BY_HAND;
  bool holes = regular && from->st_blocks < from->st_size / 512;
  int err = holes ? copy_parts(c, (int64_t)from->st_size) : 0;
  if (err == 0) err = copy_up_to(c, INT64_MAX);
  free(c->buffer);
  return err;
}

/* What came to be is taken away. A name that now stands for something else stays. */
static void undo(const char *path, int fd, const struct stat *st) {
  struct stat now;
  if (lstat(path, &now) == 0 && now.st_dev == st->st_dev && now.st_ino == st->st_ino) {
    unlink(path);
  } else {
    la_posix_truncate(fd, 0);
  }
}

/* Before anything is changed: what speaks against it. */
static int refuse(la_fs_copy *op, const struct stat *from, const struct stat *to) {
  if (S_ISDIR(to->st_mode)) return UV_EISDIR;
  op->same = from->st_dev == to->st_dev && from->st_ino == to->st_ino;
  return op->same ? UV_EINVAL : 0;
}

static int copy_to(la_fs_copy *op, int from, const struct stat *st) {
  int flags = O_WRONLY | O_CREAT | (op->exclusive ? O_EXCL : 0);
  mode_t mode = st->st_mode & 0777;
  int to = la_posix_open_patiently(op->to, flags, (int)mode, &op->work);
  struct stat old;
  int err = to < 0 ? to : fstat(to, &old) != 0 ? la_posix_errno() : refuse(op, st, &old);
  op->about_to = err != 0;
  if (to < 0) return to;
  if (err == 0) {
    bool regular = S_ISREG(old.st_mode);
    copy c = {.from = from, .to = to, .op = op};
    if (regular && fchmod(to, mode) != 0 && errno != EPERM) err = la_posix_errno();
    if (err == 0 && regular) err = la_posix_truncate(to, 0);
    op->about_to = err != 0;
    if (err == 0) err = copy_content(&c, st, regular); /* nobody reads it who may not read `from` */
    if (err != 0 && regular) undo(op->to, to, &old);
    int closed = la_posix_close(to);
    if (err == 0 && closed != 0) {
      op->about_to = true;
      if (regular) unlink(op->to);
    }
    return err != 0 ? err : closed;
  }
  close(to);
  return err;
}

static ssize_t run(la_work *work) {
  la_fs_copy *op = la_container(work, la_fs_copy, work);
  struct stat st;
  int from = la_posix_open_patiently(op->path, O_RDONLY, 0, work);
  if (from < 0) return from;
  int err = fstat(from, &st) != 0 ? la_posix_errno() : 0;
  if (err == 0 && S_ISDIR(st.st_mode)) err = UV_EISDIR;
  if (err == 0 && !S_ISREG(st.st_mode)) err = UV_EINVAL;
  if (err == 0) err = copy_to(op, from, &st);
  close(from);
  return err;
}

static void release(la_op *o) { free(la_container(o, la_fs_copy, work.op)); }

static const la_work_class copy_class = {LA_WORK_OP("fs.copy", release), run};

la_fs_copy *la_fs_copy_new(la_reactor *r, const char *from, const char *to, bool exclusive) {
  size_t len = strlen(from) + 1, to_len = strlen(to) + 1;
  la_fs_copy *op = malloc(sizeof *op + len + to_len);
  if (op == NULL) return NULL;
  la_work_init(&op->work, &copy_class, r);
  op->exclusive = exclusive;
  op->about_to = op->same = false;
  memcpy(op->path, from, len);
  op->to = memcpy(op->path + len, to, to_len);
  return op;
}
