/* Jobs on threads of our own: in each state, across a fork, with threads that cannot be made. */
#include "reactor_rig.h"

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "driver/forking.h"
#include "driver/threads.h"

/* Runs until `gate` is posted; counts. */
typedef struct gated {
  la_job job;
} gated;

static _Atomic int began, ran, released, unblocked;
static sem_t gate;

static ssize_t gated_run(la_job *job) {
  sigset_t set;
  (void)job;
  pthread_sigmask(SIG_SETMASK, NULL, &set);
  if (!sigismember(&set, SIGINT) || !sigismember(&set, SIGCHLD)) unblocked++;
  began++;
  while (sem_wait(&gate) != 0) continue;
  ran++;
  return 42;
}

static void gated_release(la_op *op) {
  free(op);
  released++;
}

static const la_job_class gated_class = {LA_JOB_OP("gated", gated_release), gated_run};

static la_future *new_job(void) {
  gated *g = malloc(sizeof *g);
  la_job_init(&g->job, &gated_class, R);
  return &g->job.op.base;
}

static ssize_t result(la_future *f) { return ((la_op *)(void *)f)->result; }

static void let_go(int n) {
  while (n-- > 0) sem_post(&gate);
}

static void wait_until(_Atomic int *what, int is) {
  while (*what != is) usleep(100);
}

static int start(void **state) {
  began = ran = released = unblocked = 0;
  sem_init(&gate, 0, 0);
  return setup(state);
}

static int count_threads(void) {
  int n = 0;
  DIR *d = opendir("/proc/self/task");
  for (struct dirent *e; (e = readdir(d)) != NULL;) n += e->d_name[0] != '.';
  closedir(d);
  return n;
}

static void a_job_runs_and_returns(void **state) {
  (void)state;
  la_future *f = new_job();
  let_go(1);
  run(R, f);
  assert_int_equal(result(f), 42);
  assert_int_equal(R->pool, 0);
  la_future_drop(f);
  assert_int_equal(released, 1);
  assert_int_equal(unblocked, 0);
}

static void dropped_new_it_never_runs(void **state) {
  (void)state;
  la_future_drop(new_job());
  assert_int_equal(released, 1);
  assert_int_equal(began, 0);
}

static void dropped_while_it_runs_nobody_waits(void **state) {
  (void)state;
  la_future *f = new_job();
  la_task *t = go_once(R, f);
  wait_until(&began, 1);
  stop(R, t);
  la_future_drop(f);
  assert_int_equal(R->pool, 0);
  la_reactor_free(R);
  R = NULL;
  assert_int_equal(released, 0);
  let_go(1); /* the thread outlives the reactor, and frees it */
  wait_until(&released, 1);
}

static void dropped_in_the_queue_it_never_runs(void **state) {
  (void)state;
  la_future *f[LA_THREADS_MAX + 10];
  la_task *t[LA_THREADS_MAX + 10];
  for (int i = 0; i < LA_THREADS_MAX + 10; i++) t[i] = go_once(R, f[i] = new_job());
  wait_until(&began, LA_THREADS_MAX);
  for (int i = LA_THREADS_MAX; i < LA_THREADS_MAX + 9; i++) {
    stop(R, t[i]);
    la_future_drop(f[i]);
  }
  assert_int_equal(released, 9);
  let_go(LA_THREADS_MAX + 1);
  for (int i = 0; i < LA_THREADS_MAX; i++) finish(R, t[i]);
  finish(R, t[LA_THREADS_MAX + 9]);
  for (int i = 0; i < LA_THREADS_MAX; i++) la_future_drop(f[i]);
  la_future_drop(f[LA_THREADS_MAX + 9]);
  assert_int_equal(ran, LA_THREADS_MAX + 1);
}

static void dropped_when_it_has_finished_it_is_released(void **state) {
  (void)state;
  la_future *f = new_job();
  la_task *t = go_once(R, f);
  let_go(1);
  wait_until(&ran, 1);
  usleep(2000); /* mostly it is in the reactor's list by then, which nobody looks at */
  la_task_cancel(t);
  la_executor_turn(R->ex);
  la_task_unref(t);
  la_future_drop(f);
  look(R);
  wait_until(&released, 1);
  assert_int_equal(R->pool, 0);
}

static void the_last_reactor_takes_the_threads_along(void **state) {
  (void)state;
  int before = count_threads();
  la_future *f[5];
  la_task *t[5];
  for (int i = 0; i < 5; i++) t[i] = go_once(R, f[i] = new_job());
  let_go(5);
  for (int i = 0; i < 5; i++) finish(R, t[i]);
  for (int i = 0; i < 5; i++) la_future_drop(f[i]);
  assert_true(count_threads() > before);
  la_reactor *other;
  assert_int_equal(la_reactor_new(&other), 0);
  la_reactor_free(other);
  assert_true(count_threads() > before);
  la_reactor_free(R);
  R = NULL;
  for (int i = 0; i < 1000 && count_threads() > before; i++)
    usleep(1000); /* joined, not yet reaped */
  assert_int_equal(count_threads(), before);
}

/* More threads than are joined: those that had abandoned jobs are idle, too. */
static void all_threads_of_the_pool_may_end_at_once(void **state) {
  (void)state;
  enum { ALL = 2 * LA_THREADS_MAX };
  la_future *f[ALL];
  la_task *t[ALL];
  for (int i = 0; i < ALL; i++) {
    t[i] = go_once(R, f[i] = new_job());
    wait_until(&began, i + 1);
    if (i >= LA_THREADS_MAX) continue;
    stop(R, t[i]);
    la_future_drop(f[i]);
  }
  let_go(ALL);
  wait_until(&released, LA_THREADS_MAX);
  for (int i = LA_THREADS_MAX; i < ALL; i++) {
    finish(R, t[i]);
    la_future_drop(f[i]);
  }
  usleep(2000); /* mostly they are idle by then, and end together */
  la_reactor_free(R);
  R = NULL;
  assert_int_equal(ran, ALL);
}

static void it_is_no_deadlock_until_dropped(void **state) {
  (void)state;
  la_future *f = new_job();
  stop(R, go_once(R, f));
  la_future_drop(f);
  la_task *t = go(R, &la_pending);
  assert_int_equal(la_executor_run(R->ex, t), LA_RUN_DEADLOCK);
  stop(R, t);
  let_go(1);
  wait_until(&released, 1);
}

static int child_status(pid_t pid) {
  int status;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Helgrind takes the child's only thread for one of the parent's. */
static bool cannot_fork(void) {
  const char *under = getenv("LA_UNDER_VALGRIND");
  return under != NULL && strcmp(under, "helgrind") == 0;
}

/* In the child: what was in flight can be dropped, and new jobs run. */
static void after_a_fork_the_child_has_its_own(void **state) {
  (void)state;
  if (cannot_fork()) skip();
  la_future *f = new_job();
  la_task *t = go_once(R, f);
  wait_until(&began, 1);
  pid_t pid = fork();
  if (pid == 0) {
    stop(R, t);
    la_future_drop(f);
    sem_init(&gate, 0, 1);
    la_reactor *r;
    if (la_reactor_new(&r) != 0) _exit(2);
    R = r;
    f = new_job();
    run(r, f);
    int status = result(f) == 42 && released == 1 ? 0 : 3;
    la_future_drop(f);
    la_reactor_free(r);
    _exit(status);
  }
  assert_int_equal(child_status(pid), 0);
  let_go(1);
  finish(R, t);
  assert_int_equal(result(f), 42);
  la_future_drop(f);
}

/* Another thread that starts a program when this one forks is not in the child to end that. */
static void *start_a_program(void *arg) {
  la_forking_begin();
  sem_post(arg);
  sem_wait(&gate);
  la_forking_end();
  return NULL;
}

static void after_a_fork_the_child_may_start_programs(void **state) {
  (void)state;
  if (cannot_fork()) skip();
  pthread_t thread;
  sem_t inside;
  sem_init(&inside, 0, 0);
  assert_int_equal(pthread_create(&thread, NULL, start_a_program, &inside), 0);
  sem_wait(&inside);
  pid_t pid = fork();
  if (pid == 0) {
    alarm(10);
    la_forking_begin();
    la_forking_end();
    _exit(0);
  }
  assert_int_equal(child_status(pid), 0);
  sem_post(&gate);
  pthread_join(thread, NULL);
  sem_destroy(&inside);
}

/* The limit counts the threads of the user, so that a child with another identity has none. */
static void without_a_thread_it_is_an_error(void **state) {
  (void)state;
  if (getuid() != 0 || cannot_fork()) skip();
  pid_t pid = fork();
  if (pid == 0) {
    struct rlimit none = {1, 1};
    if (setrlimit(RLIMIT_NPROC, &none) != 0 || setgid(54321) != 0 || setuid(54321) != 0) _exit(2);
    la_future *f = new_job();
    run(R, f);
    _exit(result(f) == UV_EAGAIN ? 0 : 3);
  }
  assert_int_equal(child_status(pid), 0);
}

#define JOB_TEST(F) cmocka_unit_test_setup_teardown(F, start, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      JOB_TEST(a_job_runs_and_returns),
      JOB_TEST(dropped_new_it_never_runs),
      JOB_TEST(dropped_while_it_runs_nobody_waits),
      JOB_TEST(dropped_in_the_queue_it_never_runs),
      JOB_TEST(dropped_when_it_has_finished_it_is_released),
      JOB_TEST(the_last_reactor_takes_the_threads_along),
      JOB_TEST(all_threads_of_the_pool_may_end_at_once),
      JOB_TEST(it_is_no_deadlock_until_dropped),
      JOB_TEST(after_a_fork_the_child_has_its_own),
      JOB_TEST(after_a_fork_the_child_may_start_programs),
      JOB_TEST(without_a_thread_it_is_an_error),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
