#include "driver/forking.h"

#include <pthread.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* Whoever held it is not there. It cannot be taken before a fork, as others do: the forks in
** question are made with it. */
static void in_child(void) { mutex = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER; }

static void init_once(void) {
  pthread_atfork(NULL, NULL, in_child); /* without memory: children of such forks may hang */
}

void la_forking_begin(void) {
  pthread_once(&once, init_once);
  pthread_mutex_lock(&mutex);
}

void la_forking_end(void) { pthread_mutex_unlock(&mutex); }
