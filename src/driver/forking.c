#include "driver/forking.h"

#include <pthread.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

void la_forking_begin(void) { pthread_mutex_lock(&mutex); }
void la_forking_end(void) { pthread_mutex_unlock(&mutex); }
