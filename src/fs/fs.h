/*
** fs.h - operations on paths: each one trip to the pool, whatever it takes there.
**
** A constructor copies its arguments and returns NULL when there is no memory. The
** future owns itself; its drop frees it with all it holds, so take the results first.
** `work.op.result` is 0 or a negative errno. What is under way on the pool when it is
** dropped runs to its end; no descriptor or temporary file is left behind by it.
*/
#ifndef LA_FS_FS_H
#define LA_FS_FS_H

#include <time.h>

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

struct dirent;
char la_fs_dirent_type(const struct dirent *e); /* as the folder says */

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

/* A file, a link, or an empty directory. `recursive`: anything, with what is in it; a link is
** removed, not followed, neither at the path's end nor below. UV_EINVAL for the root and for what
** ends with "." or "..". Ends at the first thing that cannot be removed, or when it is dropped. */
typedef struct la_fs_remove {
  la_work work;
  bool recursive;
  char *failed; /* the path of what could not be removed; NULL: `path`, or no memory */
  char path[];
} la_fs_remove;

la_fs_remove *la_fs_remove_new(la_reactor *r, const char *path, bool recursive);

la_fs_change *la_fs_rename_new(la_reactor *r, const char *from, const char *to);
/* `to` is the name that comes to be, `from` what it leads to (a symbolic link: any text). */
la_fs_change *la_fs_symlink_new(la_reactor *r, const char *from, const char *to);
la_fs_change *la_fs_link_new(la_reactor *r, const char *from, const char *to);

/* What is known about a file, changed. */
typedef struct la_fs_set {
  la_work work;
  unsigned mode, uid, gid;  /* a uid or gid of LA_FS_KEEP stays as it is */
  struct timespec times[2]; /* of access, of change; tv_nsec UTIME_NOW: the time of the call */
  char path[];
} la_fs_set;

#define LA_FS_KEEP ((unsigned)-1)

/* The fields that matter are set by the caller before the first poll. All follow symbolic
** links, but for lchown. */
la_fs_set *la_fs_chmod_new(la_reactor *r, const char *path);
la_fs_set *la_fs_chown_new(la_reactor *r, const char *path);
la_fs_set *la_fs_lchown_new(la_reactor *r, const char *path);
la_fs_set *la_fs_utime_new(la_reactor *r, const char *path);

/* What gives a path. */
typedef struct la_fs_text {
  la_work work;
  char *text; /* malloced, freed by the drop */
  size_t len;
  char path[];
} la_fs_text;

la_fs_text *la_fs_readlink_new(la_reactor *r, const char *path);
la_fs_text *la_fs_realpath_new(la_reactor *r, const char *path);
/* A new folder, for its owner alone; `path` ends with XXXXXX. One whose `text` was not taken
** (by setting it to NULL) is removed by the drop. */
la_fs_text *la_fs_mkdtemp_new(la_reactor *r, const char *path);

typedef struct la_fs_copy {
  la_work work;
  bool exclusive;
  bool about_to;  /* it is `to` that could not be opened or written, or must not be */
  bool same;      /* it is the file to be copied */
  const char *to; /* the second path, behind the first */
  char path[];
} la_fs_copy;

/* The content of a regular file (UV_EINVAL for others, UV_EISDIR) and its permission bits, by
** a clone of its blocks, or by copy_file_range(2), sendfile(2) or read and write, whichever the
** file systems can do. Holes stay holes. `to` is created or replaced in place, through a
** symbolic link too. UV_EINVAL when it is the same file, with nothing changed; `exclusive`:
** UV_EEXIST when anything is there. A copy that fails after it began, or is dropped (it looks
** every LA_FS_COPY_PIECE bytes), removes `to`; through a link it is left empty. */
la_fs_copy *la_fs_copy_new(la_reactor *r, const char *from, const char *to, bool exclusive);
enum { LA_FS_COPY_PIECE = 8 << 20 };

#endif
