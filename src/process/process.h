/*
** process.h - child processes: started, waited for by any number of tasks, killed, reaped.
**
** libuv reaps a child on the loop's thread, and tells of it there: a pid is that of our child
** until `ended`, so that no other process is ever signalled in its place.
**
** Every child is reaped. One that nobody refers to any more, or that is alive when the loop
** ends, or the process exits, is killed and then waited for. A detached one is left alone; when the
** loop ends before it does, its pid is remembered, and la_process_reap looks after it: at each
** spawn and at the end of each run.
*/
#ifndef LA_PROCESS_PROCESS_H
#define LA_PROCESS_PROCESS_H

#include "driver/waiter.h"

enum {
  LA_PROCESS_NULL = -1,  /* in `fds`: /dev/null for 0, 1, 2; nothing for others */
  LA_PROCESS_FDS = 256,  /* descriptors that can be passed on */
  LA_PROCESS_NOBODY = -1 /* in `uid`, `gid`: as we are */
};

/* What to start. All of it is the caller's, and only used by la_process_spawn. */
typedef struct la_process_spec {
  const char *file;   /* looked up in the PATH of `env` unless it has a slash */
  char **argv, **env; /* NULL at their ends; env NULL: ours */
  const char *cwd;    /* NULL: ours */
  int64_t uid, gid;
  bool group;     /* leads a session, and so a process group, of its own */
  bool detached;  /* outlives us; it has `group` as well */
  const int *fds; /* descriptor i of the child is ours of that number. None is closed here */
  unsigned nfds;  /* at least 3 */
} la_process_spec;

typedef struct la_orphan la_orphan;

typedef struct la_process {
  la_resource resource;
  la_reactor *reactor; /* a reference */
  unsigned refs;       /* the owner's, each wait's, and one of the loop until it is closed */
  bool group, detached;
  bool ended;  /* reaped: code and signal are there */
  bool closed; /* by la_process_close */
  int pid, parent;
  la_node living;   /* among those that die with the process */
  int code, signal; /* signal 0: it ended by itself */
  la_list waits;
  la_orphan *orphan; /* of a detached one: a place among those that are left behind */
  uv_process_t uv;   /* without `data`, which a la_handle would have */
} la_process;

/* Blocks until the child has executed the program, or failed to: then a negative errno, and nothing
** is left. One reference. */
int la_process_spawn(la_reactor *r, const la_process_spec *spec, la_process **out);

/* Signals the child, or with `tree` its whole process group (which needs `group`). UV_ESRCH when
** it has ended, whoever else may still be in its group. */
int la_process_kill(la_process *p, int signum, bool tree);

/* Whether it has ended, also when the loop has not been told: then how -> *code and *signal, as in
** the struct. It is not reaped. */
bool la_process_look(const la_process *p, int *code, int *signal);

/* Nobody cares for it any more: kills it (its group if it has one) unless it is detached.
** Pending waits end with UV_ECANCELED. Twice is harmless. */
void la_process_close(la_process *p);

void la_process_ref(la_process *p);

/* The owner's closes first. */
void la_process_unref(la_process *p);

/* Reaps those of the children left behind by runs that are over which have ended. Any thread. */
void la_process_reap(void);

/* Ready when the process has ended or was closed. */
typedef struct la_process_wait {
  la_future base;
  la_process *process; /* a reference, until the drop */
  la_node node;
  la_waiter waiter;
} la_process_wait;

void la_process_wait_init(la_process_wait *w, la_process *p);

#endif
