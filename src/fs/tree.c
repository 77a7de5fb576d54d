#include "fs/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "fs/fs.h"
#include "stream/posix.h"

void la_tree_init(la_tree *t, bool follow) { *t = (la_tree){.follow = follow}; }

void la_tree_end(la_tree *t) {
  for (unsigned i = 0; i < t->depth; i++)
    if (t->levels[i].dir != NULL) closedir(t->levels[i].dir);
  free(t->levels);
  free(t->path);
  la_tree_init(t, t->follow);
}

/* ---- descriptors ------------------------------------------------------------------*/

static int open_folder(int parent, const char *name, bool links) {
  int fd, flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK | (links ? 0 : O_NOFOLLOW);
  do fd = openat(parent, name, flags);
  while (fd < 0 && errno == EINTR);
  return fd >= 0 ? fd : la_posix_errno();
}

/* Takes the descriptor over. */
static int open_dir(la_tree_level *level, int fd) {
  level->dir = fdopendir(fd);
  if (level->dir != NULL) return 0;
  int err = la_posix_errno();
  close(fd);
  return err;
}

static bool is_it(const la_tree_level *level, int fd) {
  struct stat st;
  return fstat(fd, &st) == 0 && st.st_dev == level->dev && st.st_ino == level->ino;
}

/* Reading goes on there. On Linux a place is one in the folder, elsewhere one of a DIR, so that
** entries are counted and passed over. */
#ifdef __linux__
static void remember(la_tree_level *level) { level->at = telldir(level->dir); }
static void go_on(const la_tree_level *level) { seekdir(level->dir, level->at); }
static void one_read(la_tree_level *level) { (void)level; }
#else
static void remember(la_tree_level *level) { (void)level; }
static void go_on(const la_tree_level *level) {
  for (long i = 0; i < level->at && readdir(level->dir) != NULL; i++) continue;
}
static void one_read(la_tree_level *level) { level->at++; }
#endif

/* The one that is LA_TREE_OPEN above the innermost is closed, but never the top. */
static void close_far(la_tree *t) {
  if (t->depth <= LA_TREE_OPEN + 1) return;
  la_tree_level *level = &t->levels[t->depth - 1 - LA_TREE_OPEN];
  if (level->dir == NULL) return;
  remember(level);
  closedir(level->dir);
  level->dir = NULL;
}

/* From the top down to level i, by the names that led there. */
static int open_by_names(la_tree *t, unsigned i) {
  int fd = -1;
  for (unsigned k = 1; k <= i; k++) {
    const la_tree_level *level = &t->levels[k];
    char kept = t->path[level->end];
    t->path[level->end] = '\0';
    int next = open_folder(fd < 0 ? dirfd(t->levels[0].dir) : fd, t->path + level->name, t->follow);
    t->path[level->end] = kept;
    if (fd >= 0) close(fd);
    if (next < 0) return next;
    fd = next;
  }
  return fd;
}

static int open_again(la_tree *t, unsigned i, const DIR *below) {
  la_tree_level *level = &t->levels[i];
  int fd = below != NULL ? open_folder(dirfd((DIR *)below), "..", false) : -1;
  if (fd < 0 || !is_it(level, fd)) {
    if (fd >= 0) close(fd);
    fd = open_by_names(t, i);
    if (fd < 0) return fd;
    if (!is_it(level, fd)) {
      close(fd);
      return -ESTALE;
    }
  }
  int err = open_dir(level, fd);
  if (err == 0) go_on(level);
  return err;
}

/* ---- the path ---------------------------------------------------------------------*/

static bool room_for_path(la_tree *t, size_t len) {
  if (len < t->path_cap) return true;
  size_t cap = t->path_cap * 2 > len + 256 ? t->path_cap * 2 : len + 256;
  char *path = realloc(t->path, cap);
  if (path == NULL) return false;
  t->path = path;
  t->path_cap = cap;
  return true;
}

static size_t joined(const char *path, size_t len, const char *name, char *to) {
  bool slash = len > 0 && path[len - 1] != '/';
  size_t name_len = strlen(name);
  if (to != NULL) {
    memmove(to, path, len);
    if (slash) to[len] = '/';
    memcpy(to + len + slash, name, name_len + 1);
  }
  return len + slash + name_len;
}

char *la_tree_path_of(const la_tree *t, const char *name) {
  char *path = malloc(joined(t->path, t->len, name, NULL) + 1);
  if (path != NULL) joined(t->path, t->len, name, path);
  return path;
}

/* ---- down and up ------------------------------------------------------------------*/

static bool room_for_level(la_tree *t) {
  if (t->depth < t->cap) return true;
  unsigned cap = t->cap * 2 + 32;
  la_tree_level *levels = realloc(t->levels, cap * sizeof *levels);
  if (levels == NULL) return false;
  t->levels = levels;
  t->cap = cap;
  return true;
}

static bool is_above(const la_tree *t, const struct stat *st) {
  for (unsigned i = 0; i < t->depth; i++)
    if (t->levels[i].dev == st->st_dev && t->levels[i].ino == st->st_ino) return true;
  return false;
}

static int push(la_tree *t, int fd, size_t name, size_t end) {
  struct stat st;
  int err = fstat(fd, &st) != 0 ? la_posix_errno() : 0;
  if (err == 0 && t->follow && is_above(t, &st)) err = UV_ELOOP;
  if (err != 0) {
    close(fd);
    return err;
  }
  la_tree_level *level = &t->levels[t->depth];
  *level = (la_tree_level){.dev = st.st_dev, .ino = st.st_ino, .name = name, .end = end};
  err = open_dir(level, fd);
  if (err != 0) return err;
  t->depth++;
  t->len = end;
  close_far(t);
  return 0;
}

int la_tree_begin(la_tree *t, int parent, const char *name, const char *path, bool links) {
  size_t len = strlen(path);
  if (!room_for_level(t) || !room_for_path(t, len)) return UV_ENOMEM;
  int fd = open_folder(parent, name, links);
  if (fd < 0) return fd;
  memcpy(t->path, path, len + 1);
  return push(t, fd, 0, len);
}

int la_tree_enter(la_tree *t, const char *name) {
  size_t end = joined(t->path, t->len, name, NULL);
  if (!room_for_level(t) || !room_for_path(t, end)) return UV_ENOMEM;
  int fd = open_folder(dirfd(la_tree_level_of(t)->dir), name, t->follow);
  if (fd < 0) return fd;
  joined(t->path, t->len, name, t->path);
  int err = push(t, fd, end - strlen(name), end);
  if (err != 0) t->path[t->len] = '\0';
  return err;
}

int la_tree_leave(la_tree *t) {
  DIR *dir = la_tree_level_of(t)->dir;
  int err = 0;
  t->path[t->len] = '\0'; /* the end of its name; there may be a longer one */
  t->depth--;
  if (t->depth > 0) {
    if (la_tree_level_of(t)->dir == NULL) err = open_again(t, t->depth - 1, dir);
    t->len = la_tree_level_of(t)->end;
  }
  if (dir != NULL) closedir(dir);
  return err;
}

/* ---- entries ----------------------------------------------------------------------*/

static bool dots(const char *name) {
  return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

const struct dirent *la_tree_read(la_tree *t, int *err) {
  la_tree_level *level = la_tree_level_of(t);
  const struct dirent *e;
  do {
    errno = 0;
    e = readdir(level->dir);
    one_read(level);
  } while (e != NULL && dots(e->d_name));
  *err = e == NULL && errno != 0 ? la_posix_errno() : 0;
  return e;
}

void la_tree_rewind(la_tree *t) {
  rewinddir(la_tree_level_of(t)->dir);
  la_tree_level_of(t)->at = 0;
}

static char type_of_mode(mode_t mode) {
  switch (mode & S_IFMT) {
  case S_IFREG: return 'f';
  case S_IFDIR: return 'd';
  case S_IFLNK: return 'l';
  case S_IFIFO: return 'p';
  case S_IFSOCK: return 's';
  case S_IFCHR: return 'c';
  case S_IFBLK: return 'b';
  default: return '?';
  }
}

char la_tree_type(const la_tree *t, const struct dirent *e) {
  struct stat st;
  char type = la_fs_dirent_type(e);
  if (type != '?' && (type != 'l' || !t->follow)) return type;
  int fd = dirfd(la_tree_level_of(t)->dir);
  if (t->follow && fstatat(fd, e->d_name, &st, 0) == 0) return type_of_mode(st.st_mode);
  return fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 ? type_of_mode(st.st_mode) : type;
}
