#include "core/circle.h"

#include <pthread.h>

/* All of it, and the fields `circle` of executors, under the mutex. */
static struct {
  la_list all;
  size_t count, stuck;
  long working;
} circle;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void before_fork(void) { pthread_mutex_lock(&mutex); }
static void after_fork(void) { pthread_mutex_unlock(&mutex); }

static void forget(la_executor *ex) {
  la_node_unlink(&ex->circle.node);
  circle.count--;
  if (ex->circle.stuck) circle.stuck--;
  ex->circle.stuck = false;
}

/* Of the threads only the one that forked is there. */
static void in_child(void) {
  la_node *next;
  for (la_node *n = circle.all.head.next; n != &circle.all.head; n = next) {
    la_executor *ex = la_container(n, la_executor, circle.node);
    next = n->next;
    if (!la_executor_is_here(ex)) forget(ex);
  }
  circle.working = 0;
  pthread_mutex_unlock(&mutex);
}

static void init_once(void) {
  la_list_init(&circle.all);
  pthread_atfork(before_fork, after_fork, in_child); /* without memory: such forks may hang */
}

void la_circle_join(la_executor *ex) {
  pthread_once(&once, init_once);
  pthread_mutex_lock(&mutex);
  la_list_push(&circle.all, &ex->circle.node);
  circle.count++;
  pthread_mutex_unlock(&mutex);
}

static la_executor *first(void) {
  return la_container(circle.all.head.next, la_executor, circle.node);
}

static la_executor *next(const la_executor *ex) {
  return la_container(ex->circle.node.next, la_executor, circle.node);
}

#define EACH(ex)                                                                                   \
  la_executor *ex = first();                                                                       \
  &ex->circle.node != &circle.all.head;                                                            \
  ex = next(ex)

/* Who is to be told; NULL: it is no deadlock, or somebody was told and has not come back. */
static la_executor *find(void) {
  la_executor *youngest = NULL;
  if (circle.count == 0 || circle.stuck != circle.count || circle.working != 0) return NULL;
  for (EACH(ex))
    if (ex->circle.told || la_executor_is_woken(ex)) return NULL;
  for (EACH(ex)) {
    if (ex->circle.settled != ex->polls) return ex;
    if (youngest == NULL || ex->number > youngest->number) youngest = ex;
  }
  return youngest;
}

/* After each change that may have made it a deadlock, on whatever thread. Who is told, is parked,
** or about to: he comes by la_circle_unpark. */
static void judge(void) {
  la_executor *who = find();
  if (who == NULL) return;
  who->circle.told = true;
  who->parker.vt->unpark(who->parker.self);
}

void la_circle_leave(la_executor *ex) {
  pthread_mutex_lock(&mutex);
  if (la_node_linked(&ex->circle.node)) forget(ex);
  judge();
  pthread_mutex_unlock(&mutex);
}

void la_circle_working(int change) {
  pthread_once(&once, init_once);
  pthread_mutex_lock(&mutex);
  circle.working += change;
  judge();
  pthread_mutex_unlock(&mutex);
}

void la_circle_park(la_executor *ex) {
  pthread_mutex_lock(&mutex);
  ex->circle.stuck = true;
  circle.stuck++;
  judge();
  pthread_mutex_unlock(&mutex);
}

bool la_circle_unpark(la_executor *ex, bool idle) {
  pthread_mutex_lock(&mutex);
  bool told = ex->circle.told && idle;
  circle.stuck--;
  ex->circle.stuck = ex->circle.told = false;
  if (told) ex->circle.settled = ex->polls;
  pthread_mutex_unlock(&mutex);
  return told;
}
