/*
** signal.h - signals as they come: names, and sets of signals that are listened for.
**
** Each set sees every signal of its own that comes while it is open. One that comes again before
** it was taken is there once, as POSIX has it for pending signals; different ones are given in the
** order in which they first came. One waits for a set at a time: the caller sees to it.
*/
#ifndef LA_PROCESS_SIGNAL_H
#define LA_PROCESS_SIGNAL_H

#include "driver/waiter.h"

/* "SIGTERM" -> 15; 0: no such name. */
int la_signal_number(const char *name);

/* NULL: it has none (real-time signals). */
const char *la_signal_name(int number);

/* The number -> 0, or UV_EINVAL: SIGKILL and SIGSTOP cannot be caught, and from SIGSEGV,
** SIGBUS, SIGFPE and SIGILL, when they are meant, a handler cannot return. */
int la_signal_catchable(int number);

enum { LA_SIGNAL_MAX = 64 };

typedef struct la_signals la_signals;

typedef struct la_signal_handle {
  uv_signal_t uv; /* without `data`, which a la_handle would have */
  la_signals *set;
} la_signal_handle;

struct la_signals {
  la_resource resource;
  la_reactor *reactor; /* a reference */
  unsigned refs;       /* the owner's, and one for each handle that is not closed yet */
  unsigned count;      /* handles */
  bool open;
  la_waiter waiter;
  unsigned char pending[LA_SIGNAL_MAX]; /* those that came, in order */
  unsigned npending;
  la_signal_handle handles[];
};

/* Listens from now on for these `count` (> 0) different signals that can be caught; one
** reference. A negative errno: UV_ENOMEM, UV_EINVAL; nothing has changed then. */
int la_signals_new(la_reactor *r, const unsigned char *numbers, unsigned count, la_signals **out);

/* Who waits ends with UV_ECANCELED. What came and was not taken is forgotten. Twice is harmless. */
void la_signals_close(la_signals *s);

/* Closes. */
void la_signals_unref(la_signals *s);

/* Takes the first that has come; 0: none. */
int la_signals_take(la_signals *s);

/* Ready when one has come, or the set is closed; takes none. A drop frees nothing. */
typedef struct la_signal_wait {
  la_future base;
  la_signals *signals; /* the caller keeps it */
} la_signal_wait;

void la_signal_wait_init(la_signal_wait *w, la_signals *s);

/* Once it is ready: 0, or UV_ECANCELED because the set was closed. */
static inline int la_signal_wait_status(const la_signal_wait *w) {
  return w->signals->npending > 0 ? 0 : UV_ECANCELED;
}

#endif
