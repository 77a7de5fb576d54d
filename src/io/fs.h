/*
** fs.h - operations on paths: each one trip to the pool, whatever it takes there.
**
** A constructor copies its arguments and returns NULL when there is no memory. The
** future owns itself; its drop frees it with all it holds, so take the results first.
** `work.op.result` is 0 or a negative errno. What is under way on the pool when it is
** dropped runs to its end; no descriptor or temporary file is left behind by it.
*/
#ifndef LA_IO_FS_H
#define LA_IO_FS_H

#include "driver/work.h"

typedef struct la_fs_read_file {
  la_work work;
  char *data; /* malloced, freed by the drop; may be NULL when `len` is 0 */
  size_t len, max;
  char path[];
} la_fs_read_file;

/* Files whose size is not known beforehand (/proc) too. UV_EISDIR for a directory,
** UV_EFBIG when there is more than max. */
la_fs_read_file *la_fs_read_file_new(la_reactor *r, const char *path, size_t max);

typedef struct la_fs_write_file {
  la_work work;
  const char *data; /* behind the path */
  size_t len;
  size_t done; /* bytes written */
  int mode;
  unsigned char how; /* la_fs_how */
  char path[];
} la_fs_write_file;

typedef enum la_fs_how { LA_FS_REPLACE, LA_FS_APPEND, LA_FS_ATOMIC } la_fs_how;

/* Creates the file with `mode` (less the umask) when it is not there. LA_FS_ATOMIC: a
** temporary file beside it, fsync, rename, fsync of the folder. It keeps the mode of the file
** it replaces and follows symbolic links, to what is not there too; what is no regular file
** is UV_EINVAL, a directory UV_EISDIR. On a failure the old content is there, unless the last
** step failed, the folder's fsync: then the new one is (`done` is `len`), and a crash may
** still undo it. A folder that may not be read is not synced. The data is copied. */
la_fs_write_file *la_fs_write_file_new(la_reactor *r, const char *path, const char *data,
                                       size_t len, int mode, la_fs_how how);

typedef struct la_fs_stat {
  la_work work;
  uv_stat_t st;
  bool follow;
  char path[];
} la_fs_stat;

la_fs_stat *la_fs_stat_new(la_reactor *r, const char *path, bool follow);

/* The entries of a folder, without "." and "..", in no order: `count` times one byte, the
** type ('f' file, 'd' directory, 'l' link, 'p' fifo, 's' socket, 'c', 'b' devices,
** '?' unknown), and a name with its zero. */
typedef struct la_fs_dir {
  la_work work;
  char *entries; /* malloced; NULL when empty */
  size_t count, bytes;
  char path[];
} la_fs_dir;

la_fs_dir *la_fs_dir_new(la_reactor *r, const char *path);

/* The entry at *at (start with 0) of such entries, moving it on; NULL at the end. */
const char *la_fs_dir_next(const char *entries, size_t bytes, size_t *at, char *type);

/* What changes a path and returns nothing. */
typedef struct la_fs_change {
  la_work work;
  int mode;
  const char *to; /* the second path, behind the first */
  char path[];
} la_fs_change;

/* `parents`: makes those that are missing, and a directory that is there already is fine. */
la_fs_change *la_fs_mkdir_new(la_reactor *r, const char *path, int mode, bool parents);
/* A file, a link, or an empty directory. */
la_fs_change *la_fs_remove_new(la_reactor *r, const char *path);
la_fs_change *la_fs_rename_new(la_reactor *r, const char *from, const char *to);

#endif
