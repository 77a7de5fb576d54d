/*
** handle.h - the close protocol of libuv handles.
**
** A handle goes open, closing, closed. It is freed by whichever comes last: the
** close callback or the last reference. References are counted on the owner thread.
** It is made closed; the maker then acquires (uv_tcp_init, …) and marks it open, so
** that a failure in between finds something consistent.
**
** An operation that is pending when the handle closes ends with UV_ECANCELED, one
** begun afterwards with UV_EBADF; `closing` is where the class tells the pending ones.
*/
#ifndef LA_DRIVER_HANDLE_H
#define LA_DRIVER_HANDLE_H

#include "driver/reactor.h"

typedef enum la_handle_state {
  LA_HANDLE_CLOSED,
  LA_HANDLE_OPEN,
  LA_HANDLE_CLOSING
} la_handle_state;

typedef struct la_handle la_handle;

typedef struct la_handle_class {
  const char *name;                 /* what async.test calls one that was left: "open socket" */
  uv_handle_t *(*uv)(la_handle *h); /* the libuv handle inside it */
  void (*closing)(la_handle *h);    /* it has just left OPEN, uv_close follows: wake who waits */
  void (*free)(la_handle *h);       /* frees the struct: closed, and no reference left */
} la_handle_class;

struct la_handle {
  la_reactor *reactor; /* a reference */
  const la_handle_class *cls;
  la_node node; /* in the reactor's list, from opened to closed */
  unsigned refs;
  unsigned char state; /* la_handle_state */
  unsigned char flags; /* the class's own */
};

/* CLOSED, with one reference: the maker's. */
void la_handle_init(la_handle *h, la_reactor *r, const la_handle_class *cls);

/* libuv has initialised it. From here on only la_handle_close ends it. */
void la_handle_opened(la_handle *h);

static inline bool la_handle_is_open(const la_handle *h) { return h->state == LA_HANDLE_OPEN; }

/* Nothing when it is not open. */
void la_handle_close(la_handle *h);

static inline void la_handle_ref(la_handle *h) { h->refs++; }

/* The last one closes the handle when it is open. */
void la_handle_unref(la_handle *h);

#endif
