#include "driver/interrupt.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "driver/threads.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

/* ---- signals that are held ---------------------------------------------------------*/

enum { SIGNALS = 65 };

static struct {
  unsigned users;
  struct sigaction before;
} held[SIGNALS];

/* What this thread has unblocked. */
static _Thread_local struct {
  unsigned users;
  bool blocked; /* before */
} opened[SIGNALS];

static void block(int signum, int how) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signum);
  pthread_sigmask(how, &set, NULL);
}

static void open_signal(int signum) {
  if (opened[signum].users++ != 0) return;
  sigset_t program;
  la_thread_program_mask(&program);
  opened[signum].blocked = sigismember(&program, signum) == 1;
  if (opened[signum].blocked) block(signum, SIG_UNBLOCK);
}

static void close_signal(int signum) {
  if (--opened[signum].users == 0 && opened[signum].blocked) block(signum, SIG_BLOCK);
}

void la_signal_add_blocked(sigset_t *mask) {
  for (int i = 1; i < SIGNALS; i++)
    if (opened[i].users != 0 && opened[i].blocked) sigaddset(mask, i);
}

void la_signal_hold(int signum) {
  open_signal(signum);
  pthread_mutex_lock(&mutex);
  if (held[signum].users++ == 0) sigaction(signum, NULL, &held[signum].before);
  pthread_mutex_unlock(&mutex);
}

void la_signal_release(int signum) {
  close_signal(signum);
  pthread_mutex_lock(&mutex);
  if (--held[signum].users == 0 && held[signum].before.sa_handler != SIG_DFL)
    sigaction(signum, &held[signum].before, NULL);
  pthread_mutex_unlock(&mutex);
}

/* ---- SIGINT ------------------------------------------------------------------------*/

static la_reactor *_Atomic owner; /* whose root task it cancels */
static atomic_uint seen;          /* how many have come */
static atomic_uint inside;        /* threads in the handler */
static struct sigaction before;   /* what it had before; under the mutex */

/* Nothing here but what a signal handler may do: uv_async_send is in libuv's list of that. A
** signal that is raised in its own handler comes when that returns. */
static void on_sigint(int signum) {
  int saved = errno;
  atomic_fetch_add(&inside, 1);
  la_reactor *r = atomic_load(&owner);
  if (r != NULL && atomic_fetch_add(&seen, 1) == 0) {
    uv_async_send(&r->async);
  } else {
    struct sigaction sa = {.sa_handler = SIG_DFL};
    sigaction(signum, &sa, NULL);
    raise(signum);
  }
  atomic_fetch_sub(&inside, 1);
  errno = saved;
}

/* Puts `sa` in force, or where it will be when SIGINT is released; what was there -> *old. */
static void exchange(const struct sigaction *sa, struct sigaction *old) {
  if (held[SIGINT].users == 0) {
    sigaction(SIGINT, sa, old);
  } else {
    *old = held[SIGINT].before;
    held[SIGINT].before = *sa;
  }
}

static void take(la_reactor *r) {
  struct sigaction ours = {.sa_handler = on_sigint, .sa_flags = SA_RESTART};
  sigemptyset(&ours.sa_mask);
  atomic_store(&seen, 0);
  atomic_store(&owner, r);
  exchange(&ours, &before);
  if (before.sa_handler != SIG_IGN) return;
  exchange(&before, &ours);
  atomic_store(&owner, NULL);
}

void la_interrupt_begin(la_reactor *r, la_task *root) {
  pthread_mutex_lock(&mutex);
  if (atomic_load(&owner) == NULL) take(r);
  bool taken = atomic_load(&owner) == r;
  pthread_mutex_unlock(&mutex);
  if (!taken) return;
  la_task_ref(root);
  r->root = root;
}

void la_interrupt_pause(la_reactor *r) {
  if (r->root != NULL) la_task_unref(r->root);
  r->root = NULL;
}

void la_interrupt_look(la_reactor *r) {
  if (r->root == NULL || r->interrupted || atomic_load(&seen) == 0) return;
  r->interrupted = la_task_cancel(r->root);
}

bool la_interrupt_claim(la_reactor *r) {
  if (atomic_load(&owner) == r && atomic_load(&seen) > 0) r->interrupted = true;
  return r->interrupted;
}

void la_interrupt_end_process(void) {
  struct sigaction sa = {.sa_handler = SIG_DFL};
  sigset_t set;
  fflush(NULL);
  sigemptyset(&sa.sa_mask);
  sigaction(SIGINT, &sa, NULL);
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  raise(SIGINT);
  pthread_sigmask(SIG_UNBLOCK, &set, NULL); /* should it have been blocked */
  _exit(128 + SIGINT);
}

void la_interrupt_end(la_reactor *r) {
  if (atomic_load(&owner) != r) return;
  struct sigaction now;
  pthread_mutex_lock(&mutex);
  exchange(&before, &now);
  if (now.sa_handler != on_sigint) exchange(&now, &before); /* the program's own, set meanwhile */
  bool late = atomic_load(&seen) > 0 && !r->interrupted;
  atomic_store(&owner, NULL);
  pthread_mutex_unlock(&mutex);
  while (atomic_load(&inside) > 0) sched_yield(); /* it is about to use our async */
  la_interrupt_pause(r);
  if (late) raise(SIGINT);
}
