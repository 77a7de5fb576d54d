/* A parker with no reactor: a condition variable and the monotonic clock. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "core/executor.h"

typedef struct thread_parker {
  pthread_mutex_t mutex;
  pthread_cond_t cond;
  bool unparked;
} thread_parker;

static uint64_t parker_now(void *self) {
  struct timespec t;
  (void)self;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * UINT64_C(1000000000) + (uint64_t)t.tv_nsec;
}

static void parker_park(void *self, uint64_t deadline) {
  thread_parker *p = self;
  struct timespec t = {.tv_sec = (time_t)(deadline / UINT64_C(1000000000)),
                       .tv_nsec = (long)(deadline % UINT64_C(1000000000))};
  int r = 0;
  pthread_mutex_lock(&p->mutex);
  while (!p->unparked && r != ETIMEDOUT)
    r = deadline == LA_TIMER_NEVER ? pthread_cond_wait(&p->cond, &p->mutex)
                                   : pthread_cond_timedwait(&p->cond, &p->mutex, &t);
  p->unparked = false;
  pthread_mutex_unlock(&p->mutex);
}

static void parker_unpark(void *self) {
  thread_parker *p = self;
  pthread_mutex_lock(&p->mutex);
  p->unparked = true;
  pthread_cond_signal(&p->cond);
  pthread_mutex_unlock(&p->mutex);
}

static bool parker_alive(void *self) {
  (void)self;
  return false;
}

static const la_parker_vtable thread_vtable = {parker_park, parker_unpark, parker_alive, NULL,
                                               parker_now};

la_parker la_parker_thread_new(void) {
  thread_parker *p = malloc(sizeof *p);
  if (p != NULL) {
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&p->cond, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&p->mutex, NULL);
    p->unparked = false;
  }
  return (la_parker){p, &thread_vtable};
}

void la_parker_thread_free(la_parker parker) {
  thread_parker *p = parker.self;
  pthread_cond_destroy(&p->cond);
  pthread_mutex_destroy(&p->mutex);
  free(p);
}
