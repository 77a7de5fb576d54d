/* Modes, owners, times; links and names resolved; temporary folders. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/fs.h"
#include "stream/posix.h"

static int outcome(int status) { return status == 0 ? 0 : la_posix_errno(); }

/* ---- modes, owners, times ---------------------------------------------------------*/

static la_fs_set *from_work(la_work *work) { return la_container(work, la_fs_set, work); }

static ssize_t run_chmod(la_work *work) {
  const la_fs_set *op = from_work(work);
  return outcome(chmod(op->path, op->mode));
}

static ssize_t run_chown(la_work *work) {
  const la_fs_set *op = from_work(work);
  return outcome(chown(op->path, op->uid, op->gid));
}

static ssize_t run_lchown(la_work *work) {
  const la_fs_set *op = from_work(work);
  return outcome(lchown(op->path, op->uid, op->gid));
}

static ssize_t run_utime(la_work *work) {
  const la_fs_set *op = from_work(work);
  return outcome(utimensat(AT_FDCWD, op->path, op->times, 0));
}

static void release_set(la_op *op) { free(la_container(op, la_fs_set, work.op)); }

static const la_work_class chmod_class = {LA_WORK_OP("fs.chmod", release_set), run_chmod};
static const la_work_class chown_class = {LA_WORK_OP("fs.chown", release_set), run_chown};
static const la_work_class lchown_class = {LA_WORK_OP("fs.lchown", release_set), run_lchown};
static const la_work_class utime_class = {LA_WORK_OP("fs.utime", release_set), run_utime};

static la_fs_set *new_set(la_reactor *r, const la_work_class *cls, const char *path) {
  size_t len = strlen(path) + 1;
  la_fs_set *op = malloc(sizeof *op + len);
  if (op == NULL) return NULL;
  la_work_init(&op->work, cls, r);
  op->mode = 0;
  op->uid = op->gid = LA_FS_KEEP;
  op->times[0] = op->times[1] = (struct timespec){.tv_nsec = UTIME_NOW};
  memcpy(op->path, path, len);
  return op;
}

la_fs_set *la_fs_chmod_new(la_reactor *r, const char *path) {
  return new_set(r, &chmod_class, path);
}
la_fs_set *la_fs_chown_new(la_reactor *r, const char *path) {
  return new_set(r, &chown_class, path);
}
la_fs_set *la_fs_lchown_new(la_reactor *r, const char *path) {
  return new_set(r, &lchown_class, path);
}
la_fs_set *la_fs_utime_new(la_reactor *r, const char *path) {
  return new_set(r, &utime_class, path);
}

/* ---- what gives a path ------------------------------------------------------------*/

static la_fs_text *text_of(la_work *work) { return la_container(work, la_fs_text, work); }

/* lstat's size is no help: some links (in /proc) say 0. */
static ssize_t run_readlink(la_work *work) {
  la_fs_text *op = text_of(work);
  for (size_t size = 256;; size *= 2) {
    char *text = realloc(op->text, size);
    if (text == NULL) return UV_ENOMEM;
    op->text = text;
    ssize_t n = readlink(op->path, text, size);
    if (n < 0) return la_posix_errno();
    op->len = (size_t)n;
    if (op->len < size) return 0;
  }
}

static ssize_t run_realpath(la_work *work) {
  la_fs_text *op = text_of(work);
  op->text = realpath(op->path, NULL);
  if (op->text == NULL) return la_posix_errno();
  op->len = strlen(op->text);
  return 0;
}

static ssize_t run_mkdtemp(la_work *work) {
  la_fs_text *op = text_of(work);
  op->len = strlen(op->path);
  op->text = malloc(op->len + 1);
  if (op->text == NULL) return UV_ENOMEM;
  memcpy(op->text, op->path, op->len + 1);
  return mkdtemp(op->text) != NULL ? 0 : la_posix_errno();
}

static void release_text(la_op *o) {
  la_fs_text *op = la_container(o, la_fs_text, work.op);
  free(op->text);
  free(op);
}

static void release_mkdtemp(la_op *o) {
  la_fs_text *op = la_container(o, la_fs_text, work.op);
  if (op->text != NULL && o->result == 0) rmdir(op->text);
  release_text(o);
}

static const la_work_class readlink_class = {LA_WORK_OP("fs.readlink", release_text), run_readlink};
static const la_work_class realpath_class = {LA_WORK_OP("fs.realpath", release_text), run_realpath};
static const la_work_class mkdtemp_class = {LA_WORK_OP("fs.mkdtemp", release_mkdtemp), run_mkdtemp};

static la_fs_text *new_text(la_reactor *r, const la_work_class *cls, const char *path) {
  size_t len = strlen(path) + 1;
  la_fs_text *op = malloc(sizeof *op + len);
  if (op == NULL) return NULL;
  la_work_init(&op->work, cls, r);
  op->text = NULL;
  op->len = 0;
  memcpy(op->path, path, len);
  return op;
}

la_fs_text *la_fs_readlink_new(la_reactor *r, const char *path) {
  return new_text(r, &readlink_class, path);
}
la_fs_text *la_fs_realpath_new(la_reactor *r, const char *path) {
  return new_text(r, &realpath_class, path);
}
la_fs_text *la_fs_mkdtemp_new(la_reactor *r, const char *path) {
  return new_text(r, &mkdtemp_class, path);
}
