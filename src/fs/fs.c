#include "fs/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stream/posix.h"

/* ---- stat -------------------------------------------------------------------------*/

/* libuv's own, called without a loop: it fills uv_stat_t portably. */
static ssize_t run_stat(la_work *work) {
  la_fs_stat *op = la_container(work, la_fs_stat, work);
  uv_fs_t req;
  int err =
      op->follow ? uv_fs_stat(NULL, &req, op->path, NULL) : uv_fs_lstat(NULL, &req, op->path, NULL);
  if (err == 0) op->st = req.statbuf;
  uv_fs_req_cleanup(&req);
  return err;
}

static void release_stat(la_op *op) { free(la_container(op, la_fs_stat, work.op)); }

static const la_work_class stat_class = {LA_WORK_OP("fs.stat", release_stat), run_stat};

la_fs_stat *la_fs_stat_new(la_reactor *r, const char *path, bool follow) {
  size_t len = strlen(path) + 1;
  la_fs_stat *op = malloc(sizeof *op + len);
  if (op == NULL) return NULL;
  la_work_init(&op->work, &stat_class, r);
  op->follow = follow;
  memcpy(op->path, path, len);
  return op;
}

/* ---- dir --------------------------------------------------------------------------*/

char la_fs_dirent_type(const struct dirent *e) {
#ifdef DT_DIR
  switch (e->d_type) {
  case DT_REG: return 'f';
  case DT_DIR: return 'd';
  case DT_LNK: return 'l';
  case DT_FIFO: return 'p';
  case DT_SOCK: return 's';
  case DT_CHR: return 'c';
  case DT_BLK: return 'b';
  }
#else
  (void)e;
#endif
  return '?';
}

static int add_entry(la_fs_dir *op, size_t *cap, const struct dirent *e) {
  size_t len = strlen(e->d_name) + 2;
  if (op->bytes + len > *cap) {
    size_t bigger = *cap * 2 + len + 1024;
    char *entries = realloc(op->entries, bigger);
    if (entries == NULL) return UV_ENOMEM;
    op->entries = entries;
    *cap = bigger;
  }
  op->entries[op->bytes] = la_fs_dirent_type(e);
  memcpy(op->entries + op->bytes + 1, e->d_name, len - 1);
  op->bytes += len;
  op->count++;
  return 0;
}

static bool dots(const char *name) {
  return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

static ssize_t run_dir(la_work *work) {
  la_fs_dir *op = la_container(work, la_fs_dir, work);
  DIR *dir;
  do dir = opendir(op->path);
  while (dir == NULL && errno == EINTR);
  if (dir == NULL) return la_posix_errno();
  size_t cap = 0;
  int err = 0;
  while (err == 0) {
    errno = 0;
    const struct dirent *e = readdir(dir);
    if (e == NULL) {
      err = errno != 0 ? la_posix_errno() : 0;
      break;
    }
    if (!dots(e->d_name)) err = add_entry(op, &cap, e);
  }
  closedir(dir);
  return err;
}

static void release_dir(la_op *o) {
  la_fs_dir *op = la_container(o, la_fs_dir, work.op);
  free(op->entries);
  free(op);
}

static const la_work_class dir_class = {LA_WORK_OP("fs.dir", release_dir), run_dir};

la_fs_dir *la_fs_dir_new(la_reactor *r, const char *path) {
  size_t len = strlen(path) + 1;
  la_fs_dir *op = malloc(sizeof *op + len);
  if (op == NULL) return NULL;
  la_work_init(&op->work, &dir_class, r);
  op->entries = NULL;
  op->count = op->bytes = 0;
  memcpy(op->path, path, len);
  return op;
}

const char *la_fs_dir_next(const char *entries, size_t bytes, size_t *at, char *type) {
  if (*at >= bytes) return NULL;
  const char *name = entries + *at + 1;
  *type = name[-1];
  *at += strlen(name) + 2;
  return name;
}

/* ---- mkdir, remove, rename --------------------------------------------------------*/

static la_fs_change *from_work(la_work *work) { return la_container(work, la_fs_change, work); }

static void release_change(la_op *op) { free(la_container(op, la_fs_change, work.op)); }

static int make_folder(const char *path, int mode) {
  return mkdir(path, (mode_t)mode) == 0 ? 0 : la_posix_errno();
}

static ssize_t run_mkdir(la_work *work) {
  la_fs_change *op = from_work(work);
  return make_folder(op->path, op->mode);
}

/* 0: a folder, or a link to one; UV_ENOENT: nothing, any more; UV_EEXIST: something else. */
static int look(const char *path) {
  struct stat st;
  if (lstat(path, &st) != 0) return errno == ENOENT ? UV_ENOENT : UV_EEXIST;
  if (S_ISLNK(st.st_mode) && stat(path, &st) != 0) return UV_EEXIST;
  return S_ISDIR(st.st_mode) ? 0 : UV_EEXIST;
}

/* As mkdir -p has it: the owner can make folders in it, whatever the umask. Not through a link
** that took its place meanwhile. */
static int make_intermediate(const char *path) {
  struct stat st;
  int err = make_folder(path, 0777);
  if (err != 0) return err == UV_EEXIST || look(path) == 0 ? 0 : err;
  if (lstat(path, &st) == 0 && S_ISDIR(st.st_mode) && (st.st_mode & 0300) != 0300)
    (void)fchmodat(AT_FDCWD, path, (st.st_mode & 07777) | 0300, AT_SYMLINK_NOFOLLOW);
  return 0;
}

/* From the top: each prefix that ends at a slash, then the whole. */
static int make_with_parents(char *path, int mode) {
  int err = make_folder(path, mode);
  if (err != UV_ENOENT) return err;
  for (char *p = path + 1; *p != '\0'; p++) {
    if (*p != '/') continue;
    *p = '\0';
    err = make_intermediate(path);
    *p = '/';
    if (err != 0) return err;
  }
  return make_folder(path, mode);
}

/* Somebody may remove what was just there or just made: that often it is tried again. */
enum { TRIES = 8 };

static ssize_t run_mkdir_parents(la_work *work) {
  la_fs_change *op = from_work(work);
  int err = UV_ENOENT;
  for (int i = 0; i < TRIES && err == UV_ENOENT; i++) {
    err = make_with_parents(op->path, op->mode);
    if (err == 0 || err == UV_ENOENT) continue;
    int there = look(op->path);
    if (there == 0 || err == UV_EEXIST) err = there;
  }
  return err;
}

static ssize_t run_rename(la_work *work) {
  la_fs_change *op = from_work(work);
  return rename(op->path, op->to) == 0 ? 0 : la_posix_errno();
}

static ssize_t run_symlink(la_work *work) {
  la_fs_change *op = from_work(work);
  return symlink(op->path, op->to) == 0 ? 0 : la_posix_errno();
}

static ssize_t run_link(la_work *work) {
  la_fs_change *op = from_work(work);
  return link(op->path, op->to) == 0 ? 0 : la_posix_errno();
}

static const la_work_class symlink_class = {LA_WORK_OP("fs.symlink", release_change), run_symlink};
static const la_work_class link_class = {LA_WORK_OP("fs.link", release_change), run_link};
static const la_work_class mkdir_class = {LA_WORK_OP("fs.mkdir", release_change), run_mkdir};
static const la_work_class parents_class = {LA_WORK_OP("fs.mkdir", release_change),
                                            run_mkdir_parents};
static const la_work_class rename_class = {LA_WORK_OP("fs.rename", release_change), run_rename};

static la_fs_change *new_change(la_reactor *r, const la_work_class *cls, const char *path,
                                const char *to) {
  size_t len = strlen(path) + 1, to_len = strlen(to) + 1;
  la_fs_change *op = malloc(sizeof *op + len + to_len);
  if (op == NULL) return NULL;
  la_work_init(&op->work, cls, r);
  memcpy(op->path, path, len);
  op->to = memcpy(op->path + len, to, to_len);
  op->mode = 0;
  return op;
}

la_fs_change *la_fs_mkdir_new(la_reactor *r, const char *path, int mode, bool parents) {
  la_fs_change *op = new_change(r, parents ? &parents_class : &mkdir_class, path, "");
  if (op != NULL) op->mode = mode;
  return op;
}

la_fs_change *la_fs_rename_new(la_reactor *r, const char *from, const char *to) {
  return new_change(r, &rename_class, from, to);
}

la_fs_change *la_fs_symlink_new(la_reactor *r, const char *from, const char *to) {
  return new_change(r, &symlink_class, from, to);
}

la_fs_change *la_fs_link_new(la_reactor *r, const char *from, const char *to) {
  return new_change(r, &link_class, from, to);
}
