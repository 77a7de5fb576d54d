#include "driver/threads.h"

#include <pthread.h>
#include <signal.h>

#define IDLE_NS UINT64_C(5000000000)

/* All of it under the mutex. */
static struct {
  la_list queue;
  unsigned queued, threads, idle, running, reactors;
  unsigned leaving; /* last reactors that wait for threads to end, and will join them */
  unsigned generation;
  pthread_t ended[LA_THREADS_MAX]; /* to be joined */
  unsigned ended_count;
} pool;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static uv_cond_t work_came, thread_ended;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int once_error;

/* The class is the one whose first member is the op's. */
static const la_job_class *class_of(const la_job *job) {
  return la_container(job->op.cls, const la_job_class, op);
}

/* ---- fork -------------------------------------------------------------------------*/

static void before_fork(void) { pthread_mutex_lock(&mutex); }
static void after_fork(void) { pthread_mutex_unlock(&mutex); }

static int init_conditions(void) {
  int err = uv_cond_init(&work_came);
  return err != 0 ? err : uv_cond_init(&thread_ended);
}

static void in_child(void) {
  mutex = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
  init_conditions();
  la_list_init(&pool.queue);
  pool.queued = pool.threads = pool.idle = pool.running = pool.leaving = pool.ended_count = 0;
  pool.generation++;
}

static void init_once(void) {
  la_list_init(&pool.queue);
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

static void run(la_job *job) {
  job->place = LA_JOB_RUNNING;
  pool.running++;
  pthread_mutex_unlock(&mutex);
  job->ran = class_of(job)->run(job);
  pthread_mutex_lock(&mutex);
  if (job->place != LA_JOB_ABANDONED) {
    tell(job);
  } else {
    pthread_mutex_unlock(&mutex);
    job->op.cls->release(&job->op);
    pthread_mutex_lock(&mutex);
  }
  pool.running--;
}

static la_job *next_job(void) {
  la_node *n = la_list_pop(&pool.queue);
  if (n == NULL) return NULL;
  pool.queued--;
  return la_container(n, la_job, node);
}

/* False: there is no work, and the thread ends. */
static bool wait_for_work(void) {
  if (pool.reactors == 0) return false;
  pool.idle++;
  int err = uv_cond_timedwait(&work_came, &mutex, IDLE_NS);
  pool.idle--;
  return pool.queued > 0 || (err == 0 && pool.reactors > 0);
}

/* It is joined by who waits for that, or by nobody. */
static void end_thread(void) {
  pool.threads--;
  if (pool.leaving == 0 || pool.ended_count == LA_THREADS_MAX) {
    pthread_detach(pthread_self());
  } else {
    pool.ended[pool.ended_count++] = pthread_self();
    uv_cond_broadcast(&thread_ended);
  }
}

static void *thread_main(void *unused) {
  (void)unused;
  pthread_mutex_lock(&mutex);
  do
    for (la_job *job; (job = next_job()) != NULL;) run(job);
  while (wait_for_work());
  end_thread();
  pthread_mutex_unlock(&mutex);
  return NULL;
}

static int start_thread(void) {
  sigset_t all, old;
  pthread_t thread;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &old);
  int err = pthread_create(&thread, NULL, thread_main, NULL);
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  if (err == 0) pool.threads++;
  return uv_translate_sys_error(err);
}

/* ---- jobs, on the thread of their reactor -----------------------------------------*/

void la_job_init(la_job *job, const la_job_class *cls, la_reactor *r) {
  la_op_init(&job->op, &cls->op, r);
  job->node = (la_node){NULL, NULL};
}

/* A job for which no thread could be made waits for one that there is. */
static int enqueue(la_job *job) {
  int err = 0;
  job->generation = pool.generation;
  job->place = LA_JOB_QUEUED;
  la_list_push(&pool.queue, &job->node);
  pool.queued++;
  if (pool.queued <= pool.idle)
    uv_cond_signal(&work_came);
  else if (pool.threads < LA_THREADS_MAX)
    err = start_thread();
  if (err == 0 || pool.threads > 0) return 0;
  la_node_unlink(&job->node);
  pool.queued--;
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

/* Takes the job off the pool. True: it is the caller's alone. */
static bool withdraw(la_job *job) {
  if (job->generation != pool.generation) return true;
  switch (job->place) {
  case LA_JOB_QUEUED:
    la_node_unlink(&job->node);
    pool.queued--;
    return true;
  case LA_JOB_RUNNING: job->place = LA_JOB_ABANDONED; return false;
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
  pool.reactors++;
  pthread_mutex_unlock(&mutex);
}

/* Every thread but those with an abandoned job ends soon, once it sees that nobody is there. */
void la_threads_leave(la_reactor *r) {
  pthread_t ended[LA_THREADS_MAX];
  unsigned n = 0;
  la_threads_collect(r);
  pthread_mutex_lock(&mutex);
  if (--pool.reactors == 0 && pool.threads > 0) {
    uv_cond_broadcast(&work_came);
    pool.leaving++;
    while (pool.threads > pool.running && pool.reactors == 0) uv_cond_wait(&thread_ended, &mutex);
    pool.leaving--;
    while (pool.ended_count > 0) ended[n++] = pool.ended[--pool.ended_count];
  }
  pthread_mutex_unlock(&mutex);
  while (n > 0) pthread_join(ended[--n], NULL);
}
