/*
** fs_tree.h - going through a tree of folders by descriptors, so that nothing outside of it is
** reached whatever links come to be in it meanwhile. Blocking; on the pool's threads.
**
** Each folder is opened by its name in the one above it, without following a link there
** (openat, O_NOFOLLOW). At most LA_TREE_OPEN of them are open at a time; the way back up to
** one that had to be closed is "..", or else the names from the top, and what is found there
** is compared with what it was (device and inode). Nothing recurses, so that a tree may be as
** deep as there is memory for its path.
*/
#ifndef LA_FS_TREE_H
#define LA_FS_TREE_H

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { LA_TREE_OPEN = 16 };

typedef struct la_tree_level {
  DIR *dir; /* NULL: closed meanwhile, or lost */
  dev_t dev;
  ino_t ino;
  size_t name, end; /* its name, in the path */
  long at;          /* where reading goes on when it has been closed */
  bool marked;      /* the user's own */
} la_tree_level;

typedef struct la_tree {
  la_tree_level *levels; /* the top first */
  unsigned depth, cap;
  char *path; /* of the innermost folder, with a zero */
  size_t len, path_cap;
  bool follow; /* links to folders, too; one that leads to a folder above it is UV_ELOOP */
} la_tree;

/* A tree without a level; la_tree_end frees what comes to be in it. */
void la_tree_init(la_tree *t, bool follow);
void la_tree_end(la_tree *t);

/* Goes down. The top is `name` in the folder `parent` (or AT_FDCWD), and its path `path`, through
** a link if `links`; any other is `name` in the innermost folder. A negative errno: it is where
** it was. */
int la_tree_begin(la_tree *t, int parent, const char *name, const char *path, bool links);
int la_tree_enter(la_tree *t, const char *name);

/* Goes up, whatever it returns: a negative errno when the folder above could not be opened
** again (-ESTALE: it is not there any more): its `dir` is NULL then. The name of the one that was
** left is still at path + la_tree_left(t). */
int la_tree_leave(la_tree *t);

static inline la_tree_level *la_tree_level_of(const la_tree *t) { return &t->levels[t->depth - 1]; }
static inline const char *la_tree_left(const la_tree *t) {
  return t->path + t->levels[t->depth].name;
}

/* The next entry of the innermost folder, without "." and "..". NULL: the end, or *err. */
const struct dirent *la_tree_read(la_tree *t, int *err);
/* Reads it from the start again. */
void la_tree_rewind(la_tree *t);

/* What an entry is, asking the system if the folder does not say: the type letters of fs.h, of
** what a link leads to if the tree follows them. */
char la_tree_type(const la_tree *t, const struct dirent *e);

/* The path of an entry, malloced; NULL: no memory. */
char *la_tree_path_of(const la_tree *t, const char *name);

#endif
