/* Whole files: read in one trip, written in one trip. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/fs.h"
#include "stream/posix.h"

/* ---- read_file --------------------------------------------------------------------*/

enum { UNKNOWN_SIZE = 4096, PIECE = 1 << 23 };

static int grow_to(la_fs_read_file *op, size_t size) {
  char *data = realloc(op->data, size);
  if (data == NULL) return UV_ENOMEM;
  op->data = data;
  return 0;
}

/* Asks for one byte more than is expected, so that one read both gets all and sees, by
** coming short of that byte, that it is all. Any other short read means nothing: it goes by
** pieces, between which is seen whether anybody wants it still. `regular`: `size` is what it
** is expected to have; `waits`: a FIFO or the like, where the other end may take its time. */
static int read_all(la_fs_read_file *op, int fd, size_t size, bool regular, bool waits) {
  for (;;) {
    int err = grow_to(op, size + 1);
    if (err != 0) return err;
    while (op->len < size + 1) {
      err = waits ? la_posix_wait_readable(fd, &op->work) : 0;
      if (err != 0) return err;
      if (la_work_is_unwanted(&op->work)) return UV_ECANCELED;
      size_t rest = size + 1 - op->len;
      ssize_t n = la_posix_read(fd, op->data + op->len, rest < PIECE ? rest : PIECE);
      if (n < 0) return (int)n;
      op->len += (size_t)n;
      if (op->len > op->max) return UV_EFBIG;
      if (n == 0 || (regular && op->len == size)) return 0;
    }
    if (size > SIZE_MAX / 4) return UV_ENOMEM;
    size = size < UNKNOWN_SIZE ? UNKNOWN_SIZE : size * 2;
  }
}

static ssize_t read_file(la_work *work) {
  la_fs_read_file *op = la_container(work, la_fs_read_file, work);
  struct stat st;
  int fd = la_posix_open_patiently(op->path, O_RDONLY, 0, work);
  if (fd < 0) return fd;
  int err = fstat(fd, &st) != 0 ? la_posix_errno() : 0;
  if (err == 0 && S_ISDIR(st.st_mode)) err = UV_EISDIR;
  bool regular = err == 0 && S_ISREG(st.st_mode) && st.st_size > 0;
  if (regular && (uint64_t)st.st_size > op->max) err = UV_EFBIG;
  if (err == 0)
    err = read_all(op, fd, regular ? (size_t)st.st_size : UNKNOWN_SIZE, regular,
                   !S_ISREG(st.st_mode));
  close(fd);
  return err;
}

static void release_read(la_op *o) {
  la_fs_read_file *op = la_container(o, la_fs_read_file, work.op);
  free(op->data);
  free(op);
}

static const la_work_class read_class = {LA_WORK_OP("fs.read_file", release_read), read_file};

la_fs_read_file *la_fs_read_file_new(la_reactor *r, const char *path, size_t max) {
  size_t len = strlen(path) + 1;
  la_fs_read_file *op = malloc(sizeof *op + len);
  if (op == NULL) return NULL;
  la_work_init(&op->work, &read_class, r);
  op->data = NULL;
  op->len = 0;
  op->max = max;
  memcpy(op->path, path, len);
  return op;
}

/* ---- write_file -------------------------------------------------------------------*/

static int write_plain(la_fs_write_file *op) {
  int flags = O_WRONLY | O_CREAT | (op->how == LA_FS_APPEND ? O_APPEND : O_TRUNC);
  int fd = la_posix_open_patiently(op->path, flags, op->mode, &op->work);
  if (fd < 0) return fd;
  int err = la_posix_write_all(fd, op->data, op->len, &op->done, &op->work);
  int closed = la_posix_close(fd);
  return err != 0 ? err : closed;
}

enum { SUFFIX_SIZE = 24 };
static const char prefix[] = ".lua_async.";

/* "/a/b" -> "/a/.lua_async." with room for a suffix, malloced. Without the name itself,
** which may be as long as names can be. */
static char *temporary_name(const char *target) {
  const char *slash = strrchr(target, '/');
  size_t folder = slash == NULL ? 0 : (size_t)(slash - target) + 1;
  char *name = malloc(folder + sizeof prefix + SUFFIX_SIZE);
  if (name == NULL) return NULL;
  memcpy(name, target, folder);
  memcpy(name + folder, prefix, sizeof prefix);
  return name;
}

/* A file that was not there before; its name gets its suffix. */
static int open_temporary(char *name, mode_t mode) {
  static _Atomic unsigned serial;
  char *suffix = name + strlen(name);
  int fd;
  do {
    snprintf(suffix, SUFFIX_SIZE, "%x-%x", (unsigned)getpid(), serial++);
    fd = la_posix_open(name, O_WRONLY | O_CREAT | O_EXCL, (int)mode);
  } while (fd == UV_EEXIST);
  return fd;
}

/* The folder of `path`, or a negative errno. */
static int open_folder_of(const char *path) {
  const char *slash = strrchr(path, '/');
  size_t len = slash == NULL ? 0 : (size_t)(slash - path) + 1;
  char *folder = malloc(len + 2);
  if (folder == NULL) return UV_ENOMEM;
  memcpy(folder, path, len);
  memcpy(folder + len, ".", 2);
  int fd = la_posix_open(folder, O_RDONLY, 0);
  free(folder);
  return fd;
}

/* Some file systems cannot sync folders. */
static int sync_folder(int fd) {
  int err = la_posix_sync(fd);
  return err == UV_EINVAL ? 0 : err;
}

/* Owner, group and mode of the old one, as far as we may: bits that lend somebody's rights only
** where these are still his, and those of a group that is lost are those of all others. */
static int take_place(int fd, const struct stat *old) {
  mode_t mode = old->st_mode & 07777;
  if (fchown(fd, old->st_uid, old->st_gid) != 0) {
    mode &= 0777;
    if (fchown(fd, (uid_t)-1, old->st_gid) != 0) mode = (mode & 0707) | (mode & 0007) << 3;
  }
  return fchmod(fd, mode) == 0 ? 0 : la_posix_errno();
}

static int fill_temporary(la_fs_write_file *op, int fd, const struct stat *old) {
  int err = la_posix_write_all(fd, op->data, op->len, &op->done, &op->work);
  if (err == 0 && old != NULL) err = take_place(fd, old);
  if (err == 0) err = la_posix_sync(fd);
  int closed = la_posix_close(fd);
  return err != 0 ? err : closed;
}

/* All that may fail does so before the rename, but for the sync of the folder, which is
** opened beforehand; one that may not be read cannot be synced. */
static int replace(la_fs_write_file *op, const char *target, const struct stat *old) {
  int folder = open_folder_of(target);
  if (folder < 0 && folder != UV_EACCES) return folder;
  char *temporary = temporary_name(target);
  int err = UV_ENOMEM;
  if (temporary != NULL)
    err = open_temporary(temporary, old != NULL ? old->st_mode & 0777 : (mode_t)op->mode);
  if (err >= 0) {
    err = fill_temporary(op, err, old);
    if (err == 0 && rename(temporary, target) != 0) err = la_posix_errno();
    if (err != 0)
      unlink(temporary);
    else if (folder >= 0)
      err = sync_folder(folder);
  }
  free(temporary);
  if (folder >= 0) close(folder);
  return err;
}

/* Where the symbolic link at `path` leads, malloced; NULL and *err. */
static char *link_target(const char *path, int *err) {
  char to[PATH_MAX];
  ssize_t n = readlink(path, to, sizeof to);
  *err = n < 0 ? la_posix_errno() : n == sizeof to ? UV_ENAMETOOLONG : 0;
  if (*err != 0) return NULL;
  const char *slash = to[0] == '/' ? NULL : strrchr(path, '/');
  size_t folder = slash == NULL ? 0 : (size_t)(slash - path) + 1;
  char *target = malloc(folder + (size_t)n + 1);
  if (target == NULL) {
    *err = UV_ENOMEM;
    return NULL;
  }
  memcpy(target, path, folder);
  memcpy(target + folder, to, (size_t)n);
  target[folder + (size_t)n] = '\0';
  return target;
}

enum { LINKS_MAX = 40 }; /* as Linux */

/* A link stays a link: what it leads to, be it there or not, is replaced. (realpath(3)
** fails for what is not there.) */
static int write_atomic(la_fs_write_file *op) {
  struct stat st;
  int err = 0;
  char *target = strdup(op->path);
  if (target == NULL) return UV_ENOMEM;
  for (int links = 0;; links++) {
    if (lstat(target, &st) != 0) {
      err = errno == ENOENT ? replace(op, target, NULL) : la_posix_errno();
      break;
    }
    if (!S_ISLNK(st.st_mode)) {
      err = S_ISREG(st.st_mode)   ? replace(op, target, &st)
            : S_ISDIR(st.st_mode) ? UV_EISDIR
                                  : UV_EINVAL;
      break;
    }
    char *next = links < LINKS_MAX ? link_target(target, &err) : NULL;
    if (links == LINKS_MAX) err = UV_ELOOP;
    free(target);
    target = next;
    if (next == NULL) return err;
  }
  free(target);
  return err;
}

static ssize_t write_file(la_work *work) {
  la_fs_write_file *op = la_container(work, la_fs_write_file, work);
  return op->how == LA_FS_ATOMIC ? write_atomic(op) : write_plain(op);
}

static void release_write(la_op *o) { free(la_container(o, la_fs_write_file, work.op)); }

static const la_work_class write_class = {LA_WORK_OP("fs.write_file", release_write), write_file};

la_fs_write_file *la_fs_write_file_new(la_reactor *r, const char *path, const char *data,
                                       size_t len, int mode, la_fs_how how) {
  size_t path_len = strlen(path) + 1;
  if (len > SIZE_MAX - sizeof(la_fs_write_file) - path_len) return NULL;
  la_fs_write_file *op = malloc(sizeof *op + path_len + len);
  if (op == NULL) return NULL;
  la_work_init(&op->work, &write_class, r);
  memcpy(op->path, path, path_len);
  op->data = memcpy(op->path + path_len, data, len);
  op->len = len;
  op->done = 0;
  op->mode = mode;
  op->how = (unsigned char)how;
  return op;
}
