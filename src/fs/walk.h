/*
** fs_walk.h - everything below a folder, a batch of entries a trip to the pool.
**
** The walk owns its tree, its batch and the one piece of work that it has on the pool. A step
** that is dropped only stops waiting: no entry is lost. It needs memory for one batch and for
** the path of the innermost folder, however large the tree is.
*/
#ifndef LA_FS_WALK_H
#define LA_FS_WALK_H

#include "driver/waiter.h"
#include "driver/work.h"

typedef struct la_walk la_walk;

typedef struct la_walk_options {
  unsigned max_depth; /* what is in the root has 1 */
  bool follow;        /* links to folders are gone into */
  bool post;          /* a folder comes after what is in it, not before */
} la_walk_options;

/* One reference. NULL: no memory. Nothing is opened before the first step. */
la_walk *la_walk_new(la_reactor *r, const char *root, la_walk_options options);
void la_walk_ref(la_walk *w);
void la_walk_unref(la_walk *w); /* the last one closes */
bool la_walk_is_open(const la_walk *w);

/* A step that waits ends with UV_ECANCELED, later ones with UV_EBADF. Twice is harmless. */
void la_walk_close(la_walk *w);

typedef struct la_walk_entry {
  const char *path; /* valid until the next step */
  char type;        /* as in fs.h */
  int error;        /* of a folder that could not be read, or not to its end; else 0 */
} la_walk_entry;

/* The next entry of the batch that is there; false: a step is needed. */
bool la_walk_next(la_walk *w, la_walk_entry *e);

/* What is in the folder that la_walk_next gave last is passed over, unless folders come last. */
void la_walk_skip(la_walk *w);

/* A future that is ready when there is an entry, or none any more. It may be anywhere that does
** not move; one at a time, and a drop frees nothing. */
typedef struct la_walk_step {
  la_future base;
  la_walk *walk; /* a reference, until the drop */
  bool begun;
  int status; /* once ready: 1 an entry, 0 the end, or a negative errno: the root cannot be
                 read, or no memory, and the walk has ended with it */
} la_walk_step;

void la_walk_step_init(la_walk_step *s, la_walk *w);
bool la_walk_steps(const la_walk *w); /* somebody waits for a step */

#endif
