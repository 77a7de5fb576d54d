/* Removing: a name, or a tree and nothing outside of it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/fs.h"
#include "fs/tree.h"
#include "stream/posix.h"

/* A folder in which others go on making files is given up after so many attempts. */
enum { ATTEMPTS = 100 };

/* Its own folder need not be readable. */
#ifdef O_PATH
enum { FOLDER = O_PATH | O_DIRECTORY };
#else
enum { FOLDER = O_RDONLY | O_DIRECTORY };
#endif

typedef struct removal {
  la_tree tree;
  const la_fs_remove *op;
  int parent;       /* the folder of the top */
  const char *base; /* its name there */
  int attempts;
} removal;

static int unlink_at(int fd, const char *name, int flags) {
  int n;
  do n = unlinkat(fd, name, flags);
  while (n != 0 && errno == EINTR);
  return n == 0 || errno == ENOENT ? 0 : la_posix_errno();
}

/* A folder is gone into, unless it is empty and may not be read, or is a folder no more. */
static int enter(removal *r, int fd, const char *name) {
  int err = la_tree_enter(&r->tree, name);
  if (err == UV_ENOENT) return 0;
  if (err == UV_ENOTDIR || err == UV_ELOOP) return unlink_at(fd, name, 0);
  if (err == UV_EACCES && unlink_at(fd, name, AT_REMOVEDIR) == 0) return 0;
  return err;
}

static int remove_entry(removal *r, const struct dirent *e) {
  int fd = dirfd(la_tree_level_of(&r->tree)->dir);
  la_tree_level_of(&r->tree)->marked = true;
  if (la_tree_type(&r->tree, e) == 'd') return enter(r, fd, e->d_name);
  int err = unlink_at(fd, e->d_name, 0);
  return err == UV_EISDIR ? enter(r, fd, e->d_name) : err;
}

/* The innermost folder is empty: goes up, and removes it there. */
static int remove_folder(removal *r) {
  bool top = r->tree.depth == 1;
  int err = la_tree_leave(&r->tree);
  if (err != 0) return err;
  int fd = top ? r->parent : dirfd(la_tree_level_of(&r->tree)->dir);
  const char *name = top ? r->base : la_tree_left(&r->tree);
  err = unlink_at(fd, name, AT_REMOVEDIR);
  if (err == UV_ENOTDIR) err = unlink_at(fd, name, 0); /* a link has come to be there */
  if ((err != UV_ENOTEMPTY && err != UV_EEXIST) || ++r->attempts == ATTEMPTS) return err;
  char *again = strdup(name); /* `enter` may move the path */
  if (again == NULL) return UV_ENOMEM;
  err = top ? la_tree_begin(&r->tree, fd, again, r->op->path, false) : enter(r, fd, again);
  free(again);
  return err;
}

/* One step. A folder is read from its start until nothing is found in it: what is read while
** entries vanish need not be all. */
static int step(removal *r, char **failed) {
  int err = 0;
  la_tree *t = &r->tree;
  if (la_work_is_unwanted(&r->op->work)) return UV_ECANCELED;
  const struct dirent *e = la_tree_read(t, &err);
  if (e != NULL) {
    err = remove_entry(r, e);
    if (err != 0) *failed = la_tree_path_of(t, e->d_name);
  } else if (err != 0) {
    t->path[t->len] = '\0';
    *failed = strdup(t->path);
  } else if (la_tree_level_of(t)->marked) {
    la_tree_level_of(t)->marked = false;
    la_tree_rewind(t);
  } else {
    err = remove_folder(r);
    if (err != 0 && t->depth > 0) *failed = strdup(t->path); /* still with the name that was left */
  }
  return err;
}

/* Whether it is the root of all: its ".." is itself. */
static bool is_root(const char *path) {
  struct stat st, root;
  return stat(path, &st) == 0 && stat("/", &root) == 0 && st.st_dev == root.st_dev &&
         st.st_ino == root.st_ino;
}

static int remove_tree(la_fs_remove *op, removal *r) {
  int err = la_tree_begin(&r->tree, r->parent, r->base, op->path, false);
  if (err == UV_ENOTDIR || err == UV_ELOOP) {
    return unlinkat(r->parent, r->base, 0) == 0 ? 0 : la_posix_errno();
  }
  if (err == UV_EACCES && unlink_at(r->parent, r->base, AT_REMOVEDIR) == 0) return 0;
  while (err == 0 && r->tree.depth > 0) err = step(r, &op->failed);
  return err;
}

/* "a/b//" -> the folder "a" and "b". Slashes at the end are cut off: a link with one would be
** what it leads to. UV_EINVAL for ".", ".." and the root, which nobody means. */
static int run_recursive(la_fs_remove *op) {
  removal r = {.op = op};
  size_t len = strlen(op->path);
  while (len > 1 && op->path[len - 1] == '/') op->path[--len] = '\0';
  char *slash = strrchr(op->path, '/');
  r.base = slash == NULL ? op->path : slash + 1;
  if (len == 0) return UV_ENOENT;
  if (*r.base == '\0' || strcmp(r.base, ".") == 0 || strcmp(r.base, "..") == 0) return UV_EINVAL;
  char *folder = slash == NULL ? strdup(".") : strndup(op->path, (size_t)(slash - op->path) + 1);
  if (folder == NULL) return UV_ENOMEM;
  r.parent = la_posix_open(folder, FOLDER, 0);
  free(folder);
  if (r.parent < 0) return r.parent;
  la_tree_init(&r.tree, false);
  struct stat st;
  int err = fstatat(r.parent, r.base, &st, AT_SYMLINK_NOFOLLOW) != 0 ? la_posix_errno() : 0;
  if (err == 0 && S_ISDIR(st.st_mode) && is_root(op->path)) err = UV_EINVAL;
  if (err == 0) err = remove_tree(op, &r);
  la_tree_end(&r.tree);
  close(r.parent);
  return err;
}

static ssize_t run(la_work *work) {
  la_fs_remove *op = la_container(work, la_fs_remove, work);
  if (op->recursive) return run_recursive(op);
  return remove(op->path) == 0 ? 0 : la_posix_errno();
}

static void release(la_op *o) {
  la_fs_remove *op = la_container(o, la_fs_remove, work.op);
  free(op->failed);
  free(op);
}

static const la_work_class class = {LA_WORK_OP("fs.remove", release), run};

la_fs_remove *la_fs_remove_new(la_reactor *r, const char *path, bool recursive) {
  size_t len = strlen(path) + 1;
  la_fs_remove *op = malloc(sizeof *op + len);
  if (op == NULL) return NULL;
  la_work_init(&op->work, &class, r);
  op->recursive = recursive;
  op->failed = NULL;
  memcpy(op->path, path, len);
  return op;
}
