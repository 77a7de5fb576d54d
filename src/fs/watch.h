/*
** fs_watch.h - changes of a file, or of the entries of a folder, as libuv tells of them.
**
** They come in order; one that says the same as the last that nobody has taken yet is left out.
** When more than LA_WATCH_KEPT wait to be taken, or there is no memory, those that come are left
** out and LA_WATCH_OVERFLOW stands in their place.
*/
#ifndef LA_FS_WATCH_H
#define LA_FS_WATCH_H

#include "driver/handle.h"
#include "driver/waiter.h"

enum { LA_WATCH_KEPT = 4096 };

typedef struct la_fs_watch la_fs_watch;

typedef enum la_watch_kind {
  LA_WATCH_CHANGE,  /* content, mode, owner, times */
  LA_WATCH_RENAME,  /* a name came or went: created, removed, moved */
  LA_WATCH_OVERFLOW /* changes were left out */
} la_watch_kind;

typedef struct la_watch_event {
  la_node node;
  la_watch_kind kind;
  char name[]; /* of the entry; "": of what is watched, or not known */
} la_watch_event;

/* One reference. It is what the path leads to now that is watched: a file that is replaced by
** another of its name is not, its folder has to be. A negative errno (UV_ENOENT; UV_ENOSPC and
** UV_EMFILE: limits of the system on watches): nothing was made. */
int la_fs_watch_new(la_reactor *r, const char *path, la_fs_watch **out);
void la_fs_watch_ref(la_fs_watch *w);
void la_fs_watch_unref(la_fs_watch *w); /* the last one closes */
/* Who waits gets UV_ECANCELED, later ones UV_EBADF; what was not taken is dropped. */
void la_fs_watch_close(la_fs_watch *w);
bool la_fs_watch_is_open(const la_fs_watch *w);
bool la_fs_watch_waits(const la_fs_watch *w); /* somebody waits */
const char *la_fs_watch_path(const la_fs_watch *w);
bool la_fs_watch_of_folder(const la_fs_watch *w);

/* The first that nobody has taken, still in its place; NULL: none. */
la_watch_event *la_fs_watch_first(la_fs_watch *w);
/* Takes that one off, and frees it. */
void la_fs_watch_take(la_fs_watch *w);

/* Ready when there is one. It may be anywhere that does not move; one at a time, and a drop
** frees nothing and takes nothing. */
typedef struct la_watch_wait {
  la_future base;
  la_fs_watch *watch; /* a reference, until the drop */
  bool begun;
  int status; /* once ready: 0 or a negative errno, also one that the watch has failed with */
} la_watch_wait;

void la_watch_wait_init(la_watch_wait *f, la_fs_watch *w);

#endif
