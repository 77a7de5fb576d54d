#include "driver/threads.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "core/tls.h"
#include "driver/interrupt.h"

#define IDLE_NS UINT64_C(5000000000)

/* All of it under the mutex. */
typedef struct pool {
  la_list queue;
  unsigned queued, threads, idle, running;
  unsigned abandoned; /* of those that run: jobs for nobody */
  uv_cond_t work_came;
  pthread_t ended[LA_THREADS_MAX]; /* to be joined */
  unsigned ended_count;
} pool;

static struct {
  pool of[LA_POOLS];
  unsigned reactors;
  unsigned leaving; /* last reactors that wait for threads to end, and will join them */
  unsigned generation;
} all;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static uv_cond_t thread_ended;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int once_error;

/* The class is the one whose first member is the op's. */
static const la_job_class *class_of(const la_job *job) {
  return la_container(job->op.cls, const la_job_class, op);
}

static pool *pool_of(const la_job *job) { return &all.of[class_of(job)->pool]; }

/* ---- fork -------------------------------------------------------------------------*/

static void before_fork(void) { pthread_mutex_lock(&mutex); }
static void after_fork(void) { pthread_mutex_unlock(&mutex); }

static void empty_pools(void) {
  for (pool *p = all.of; p < all.of + LA_POOLS; p++) {
    *p = (pool){0};
    la_list_init(&p->queue);
  }
}

static int init_conditions(void) {
  int err = uv_cond_init(&thread_ended);
  for (pool *p = all.of; p < all.of + LA_POOLS && err == 0; p++) err = uv_cond_init(&p->work_came);
  return err;
}

static void in_child(void) {
  mutex = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
  empty_pools();
  init_conditions();
  all.leaving = 0;
  all.generation++;
}

static void init_once(void) {
  empty_pools();
  once_error = init_conditions();
  if (once_error == 0 && pthread_atfork(before_fork, after_fork, in_child) != 0)
    once_error = UV_ENOMEM;
}

/* ---- a thread ---------------------------------------------------------------------*/

/* Its end is told under the mutex, so that the reactor, which leaves under it, is there. */
static void tell(la_job *job) {
  la_reactor *r = job->op.reactor;
  job->place = LA_JOB_FINISHED;
  if (la_mpsc_push(&r->finished, &job->finished)) uv_async_send(&r->async);
}

static void run(pool *p, la_job *job) {
  job->place = LA_JOB_RUNNING;
  job->thread = pthread_self();
  p->running++;
  pthread_mutex_unlock(&mutex);
  job->ran = class_of(job)->run(job);
  pthread_mutex_lock(&mutex);
  if (job->place != LA_JOB_ABANDONED) {
    tell(job);
  } else {
    pthread_mutex_unlock(&mutex);
    job->op.cls->release(&job->op);
    pthread_mutex_lock(&mutex);
    p->abandoned--;
  }
  p->running--;
}

static la_job *next_job(pool *p) {
  la_node *n = la_list_pop(&p->queue);
  if (n == NULL) return NULL;
  p->queued--;
  return la_container(n, la_job, node);
}

/* False: there is no work, and the thread ends. */
static bool wait_for_work(pool *p) {
  if (all.reactors == 0) return false;
  p->idle++;
  int err = uv_cond_timedwait(&p->work_came, &mutex, IDLE_NS);
  p->idle--;
  return p->queued > 0 || (err == 0 && all.reactors > 0);
}

/* It is joined by who waits for that, or by nobody. */
static void end_thread(pool *p) {
  p->threads--;
  if (all.leaving == 0 || p->ended_count == LA_THREADS_MAX)
    pthread_detach(pthread_self());
  else
    p->ended[p->ended_count++] = pthread_self();
  if (all.leaving != 0) uv_cond_broadcast(&thread_ended);
}

static void *thread_main(void *arg) {
  pool *p = arg;
  pthread_mutex_lock(&mutex);
  do
    for (la_job *job; (job = next_job(p)) != NULL;) run(p, job);
  while (wait_for_work(p));
  end_thread(p);
  pthread_mutex_unlock(&mutex);
  return NULL;
}

/* ---- signals ------------------------------------------------------------------------*/

static LA_THREAD_LOCAL bool is_ours;
static LA_THREAD_LOCAL sigset_t program_mask;

void la_thread_program_mask(sigset_t *mask) {
  if (is_ours) {
    *mask = program_mask;
    return;
  }
  pthread_sigmask(SIG_SETMASK, NULL, mask);
  la_signal_add_blocked(mask);
}

typedef struct beginning {
  void *(*body)(void *);
  void *arg;
  sigset_t mask;
} beginning;

static void *begin(void *arg) {
  beginning b = *(beginning *)arg;
  free(arg);
  is_ours = true;
  program_mask = b.mask;
  return b.body(b.arg);
}

/* But those that a fault of the thread itself raises, and a profiler's. */
static void block_signals(sigset_t *old) {
  static const int open[] = {LA_JOB_SIGNAL, SIGSEGV, SIGBUS,  SIGFPE,
                             SIGILL,        SIGTRAP, SIGABRT, SIGPROF};
  sigset_t every;
  sigfillset(&every);
  for (size_t i = 0; i < sizeof open / sizeof *open; i++) sigdelset(&every, open[i]);
  pthread_sigmask(SIG_SETMASK, &every, old);
}

int la_thread_start(pthread_t *thread, void *(*body)(void *), void *arg) {
  sigset_t old;
  beginning *b = malloc(sizeof *b);
  if (b == NULL) return UV_ENOMEM;
  b->body = body;
  b->arg = arg;
  la_thread_program_mask(&b->mask);
  block_signals(&old);
  int err = pthread_create(thread, NULL, begin, b);
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  if (err != 0) free(b);
  return uv_translate_sys_error(err);
}

static int start_thread(pool *p) {
  pthread_t thread;
  int err = la_thread_start(&thread, thread_main, p);
  if (err == 0) p->threads++;
  return err;
}

/* Threads with an abandoned job do not count, within reason. */
static bool has_room(const pool *p) {
  unsigned gone = p->abandoned < LA_THREADS_LEFT_MAX ? p->abandoned : LA_THREADS_LEFT_MAX;
  return p->threads < LA_THREADS_MAX + gone;
}

/* ---- jobs, on the thread of their reactor -----------------------------------------*/

void la_job_init(la_job *job, const la_job_class *cls, la_reactor *r) {
  la_op_init(&job->op, &cls->op, r);
  job->node = (la_node){NULL, NULL};
}

/* A job for which no thread could be made waits for one that there is. */
static int enqueue(la_job *job) {
  pool *p = pool_of(job);
  int err = 0;
  job->generation = all.generation;
  job->place = LA_JOB_QUEUED;
  la_list_push(&p->queue, &job->node);
  p->queued++;
  if (p->queued <= p->idle)
    uv_cond_signal(&p->work_came);
  else if (has_room(p))
    err = start_thread(p);
  if (err == 0 || p->threads > 0) return 0;
  la_node_unlink(&job->node);
  p->queued--;
  return err;
}

int la_job_op_submit(la_op *op) {
  la_reactor *r = op->reactor;
  if (r->closed || r->ex == NULL) return UV_ECANCELED;
  pthread_once(&once, init_once);
  if (once_error != 0) return once_error;
  pthread_mutex_lock(&mutex);
  int err = enqueue(la_container(op, la_job, op));
  pthread_mutex_unlock(&mutex);
  if (err == 0) r->pool++;
  return err;
}

/* Whoever waits in line has its place. */
static void abandon(la_job *job) {
  pool *p = pool_of(job);
  job->place = LA_JOB_ABANDONED;
  p->abandoned++;
  if (p->queued > p->idle && has_room(p)) start_thread(p);
}

/* Takes the job off the pool. True: it is the caller's alone. */
static bool withdraw(la_job *job) {
  if (job->generation != all.generation) return true;
  switch (job->place) {
  case LA_JOB_QUEUED:
    la_node_unlink(&job->node);
    pool_of(job)->queued--;
    return true;
  case LA_JOB_RUNNING: abandon(job); return false;
  default: return false;
  }
}

void la_job_drop(la_future *f) {
  la_job *job = la_container(f, la_job, op.base);
  la_reactor *r = job->op.reactor;
  if (job->op.state != LA_OP_IN_FLIGHT) {
    la_op_drop(f);
    return;
  }
  la_waiter_clear(&job->op.waiter, r);
  pthread_mutex_lock(&mutex);
  bool mine = withdraw(job), finished = !mine && job->place == LA_JOB_FINISHED;
  if (finished) job->op.state = LA_OP_ORPHANED; /* released when it is collected */
  pthread_mutex_unlock(&mutex);
  if (!finished) r->pool--;
  if (mine) job->op.cls->release(&job->op);
}

la_job_place la_job_where(const la_job *job) {
  pthread_mutex_lock(&mutex);
  la_job_place place = job->place;
  pthread_mutex_unlock(&mutex);
  return place;
}

void la_job_kick(la_job *job) {
  pthread_mutex_lock(&mutex);
  if (job->generation == all.generation && job->place == LA_JOB_RUNNING)
    pthread_kill(job->thread, LA_JOB_SIGNAL);
  pthread_mutex_unlock(&mutex);
}

/* ---- reactors ---------------------------------------------------------------------*/

void la_threads_collect(la_reactor *r) {
  for (la_mpsc_node *n = la_mpsc_take(&r->finished); n != NULL;) {
    la_job *job = la_container(n, la_job, finished);
    n = n->next;
    r->pool--;
    la_op_complete(&job->op, job->ran);
  }
}

void la_threads_enter(void) {
  pthread_mutex_lock(&mutex);
  all.reactors++;
  pthread_mutex_unlock(&mutex);
}

/* Every thread of it but those with an abandoned job ends soon, once it sees that nobody is there;
** returns how many wait to be joined. */
static unsigned leave(pool *p, pthread_t *ended) {
  unsigned n = 0;
  if (p->threads == 0) return 0;
  uv_cond_broadcast(&p->work_came);
  all.leaving++;
  while (p->threads > p->running && all.reactors == 0) uv_cond_wait(&thread_ended, &mutex);
  all.leaving--;
  while (p->ended_count > 0) ended[n++] = p->ended[--p->ended_count];
  return n;
}

void la_threads_leave(la_reactor *r) {
  pthread_t ended[LA_POOLS * LA_THREADS_MAX];
  unsigned n = 0;
  la_threads_collect(r);
  pthread_mutex_lock(&mutex);
  all.reactors--;
  for (pool *p = all.of; p < all.of + LA_POOLS && all.reactors == 0; p++) n += leave(p, ended + n);
  pthread_mutex_unlock(&mutex);
  while (n > 0) pthread_join(ended[--n], NULL);
}
