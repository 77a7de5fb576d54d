/*
** reactor.h - libuv as the parker of an executor: one loop, one timer, one async.
**
** The loop is its own, or one that belongs to the program around us (guest.h). One thread owns
** a reactor and everything made on it; only the executor's unpark crosses threads.
**
** `waiting` counts the wakers that the outside holds (la_waiter). It answers "may
** something still wake a task": an open connection that nobody reads wakes nobody,
** and a request whose future was dropped neither, whatever libuv counts as alive.
**
** References. The maker holds one, given up by la_reactor_free; handles and files
** hold one each, so that one which outlives the loop finds memory that says `closed`.
*/
#ifndef LA_DRIVER_REACTOR_H
#define LA_DRIVER_REACTOR_H

#include <uv.h>

#include "core/executor.h"
#include "core/export.h"
#include "core/mpsc.h"

/* Read buffers, all of one size, kept for use by whichever stream reads next: the
** last one returned is still in the cache. */
enum { LA_BUFFER_SIZE = 65536, LA_BUFFERS_KEPT = 16 };

/* Blocks, for files that are read or written in sequence: so few that no number of files
** fills the memory. In front of its data a block has room for what was left over from the one
** before it. */
enum {
  LA_BLOCK_DATA = 1 << 19,
  LA_BLOCK_HEAD = 4096,
  LA_BLOCK_SIZE = LA_BLOCK_HEAD + LA_BLOCK_DATA,
  LA_BLOCKS_MAX = 32,
  LA_BLOCKS_KEPT = 4
};

/* Something that is no la_handle and has to end with the loop: an open file. Its owner
** puts it into the reactor's list, and takes it out again unless it has been ended. */
typedef struct la_resource la_resource;
struct la_resource {
  la_node node;
  void (*end)(la_resource *);     /* begins its end; the loop runs until that is done */
  void (*at_exit)(la_resource *); /* as exit(3) ends the process, see exit.h; NULL: nothing */
  const char *name;               /* "open file"; NULL: it is about to end by itself */
  const int *fd;                  /* where its descriptor stands; NULL: it has none */
};

/* Somebody waits for a descriptor that may be that of a handle or resource. */
typedef struct la_watched la_watched;
struct la_watched {
  la_node node; /* in the reactor's list */
  int fd;
  void (*closes)(la_watched *); /* its owner is closing it; takes it out of the list */
};

typedef struct la_loss la_loss;
typedef struct la_guest la_guest;

typedef struct la_reactor la_reactor;
struct la_reactor {
  uv_loop_t *uv;    /* `own`, or the host's */
  uv_timer_t timer; /* runs only while parked: wakes the loop for the executor's timers */
  uv_async_t async; /* unpark */
  la_guest *guest;  /* on the loop of a host; NULL: on its own */
  la_list handles;  /* every la_handle that is not closed */
  la_executor *ex;  /* NULL once closed */
  unsigned waiting; /* wakers held by la_waiters */
  unsigned threads; /* that runs of this one have, and that a paused clock waits for */
  unsigned pool;    /* requests that libuv's pool has, and jobs of our threads */
  unsigned bare;    /* libuv handles that are not closed and have no la_handle */
  la_mpsc finished; /* jobs that our threads have finished; see threads.h */
  unsigned refs;
  la_list resources;
  la_list watched;            /* la_watched */
  la_loss *losses;            /* see loss.h */
  void (*tell)(la_reactor *); /* tells them, as the process exits; NULL: nobody can */
  la_node at_exit;            /* see exit.h */
  pid_t process;              /* that made it */
  unsigned buffers_free;
  unsigned blocks, blocks_free; /* that there are, and those of them that are kept */
  bool closed;                  /* the loop is gone: only memory may be given back */
  bool stopping;                /* listeners that are made now are closed at once */
  bool interrupted;             /* a SIGINT has cancelled the root task: see interrupt.h */
  la_task *root;                /* whom it cancels; NULL: nobody */
  bool (*unwanted)(void); /* asked whenever the async is woken: nobody wants this run; or NULL */
  la_task *unwanted_root; /* whom that cancels; NULL: nobody */
  char *buffers[LA_BUFFERS_KEPT];
  char *kept[LA_BLOCKS_KEPT];
  uv_loop_t own;
};

/* Makes the loop and the executor on it. A negative errno: UV_ENOMEM, UV_EMFILE, …;
** nothing is left then. From here until la_reactor_free SIGPIPE is ignored, unless
** the program has a handler for it. */
int la_reactor_new(la_reactor **out);

/* Closes every handle and resource that is left and the executor, runs the loop until all
** close callbacks and requests in flight have ended, and gives up its reference. What
** libuv's pool is doing is waited for: a thread that is blocked for good (say in open() of
** a FIFO that nobody writes) blocks this too. Jobs of threads.h are not. */
void la_reactor_free(la_reactor *r);

/* A look at the outside, without waiting. */
void la_reactor_look(la_reactor *r);

/* Whether a handle or resource of this reactor has the descriptor `fd`, and will close it. */
bool la_reactor_owns(const la_reactor *r, int fd);

/* The descriptor `fd` of a handle or resource is about to be closed: tells who waits for it. */
void la_reactor_closes(la_reactor *r, int fd);

/* For whoever watches the descriptor of the loop: nanoseconds until the loop or the executor
** wants a turn, LA_TIMER_NEVER for none. */
uint64_t la_reactor_patience(const la_reactor *r);

/* ---- for guest.c -----------------------------------------------------------------*/

/* One with no loop yet; NULL: no memory. */
la_reactor *la_reactor_blank(void);

/* The executor on a reactor whose `uv`, `timer` and `async` are there. A negative errno. */
int la_reactor_equip(la_reactor *r, const la_parker_vtable *parker);

/* Waits in the loop as a parker does. */
void la_reactor_park(void *self, uint64_t deadline);
void la_reactor_unpark(void *self);
bool la_reactor_alive(void *self);
bool la_reactor_working(void *self);
uint64_t la_reactor_now(void *self);

/* Begins the end of handles, resources and executor. */
void la_reactor_begin_end(la_reactor *r);

/* The loop is gone, or is no longer used: gives up the maker's reference. */
void la_reactor_ended(la_reactor *r);

/* For milliseconds from nanoseconds: rounded up, since a loop that woke a fraction before the
** deadline would find nothing due and spin until it is. */
static inline uint64_t la_reactor_ms(uint64_t ns) { return ns / 1000000 + (ns % 1000000 != 0); }

/* -------------------------------------------------------------------------------------*/

static inline void la_reactor_ref(la_reactor *r) { r->refs++; }
LA_PART void la_reactor_unref(la_reactor *r);

/* A buffer of LA_BUFFER_SIZE, NULL when there is no memory. */
LA_PART char *la_buffer_take(la_reactor *r);
LA_PART void la_buffer_give(la_reactor *r, char *buffer);

/* A block of LA_BLOCK_SIZE, NULL when there is no memory or LA_BLOCKS_MAX are in use: then
** a buffer serves. */
LA_PART char *la_block_take(la_reactor *r);
LA_PART void la_block_give(la_reactor *r, char *block);

#endif
