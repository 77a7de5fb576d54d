/* The reactor as a parker, ops and works in each state, the guards. */
#include "reactor_rig.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "driver/guard.h"
#include "driver/work.h"

/* ---- parking ----------------------------------------------------------------------*/

static void sleeps_are_never_early(void **state) {
  (void)state;
  for (unsigned ms = 1; ms < 6; ms++) {
    uint64_t start = uv_hrtime();
    nap(R, ms);
    uint64_t took = uv_hrtime() - start;
    assert_true(took >= ms * UINT64_C(1000000));
  }
}

static void a_sleep_polls_twice_and_does_not_spin(void **state) {
  (void)state;
  unsigned polls = 0;
  la_sleep s;
  la_sleep_init(&s, R->ex, la_executor_now(R->ex) + 20500000);
  finish(R, go_counted(R, &s.base, &polls));
  la_future_drop(&s.base);
  assert_int_equal(polls, 2);
}

static void waiting_for_nothing_is_a_deadlock(void **state) {
  (void)state;
  la_task *t = go(R, &la_pending);
  assert_int_equal(la_executor_run(R->ex, t), LA_RUN_DEADLOCK);
  stop(R, t);
}

static void *wake_later(void *waker) {
  usleep(20000);
  la_waker_wake(*(la_waker *)waker);
  return NULL;
}

typedef struct handed {
  la_future base;
  la_waker waker;
  pthread_t thread;
  int polls;
} handed;

static la_poll handed_poll(la_future *f, la_context *cx) {
  handed *h = la_container(f, handed, base);
  if (h->polls++ > 0) return LA_READY;
  h->waker = la_task_clone_external(la_waker_task(cx->waker));
  pthread_create(&h->thread, NULL, wake_later, &h->waker);
  return LA_PENDING;
}

static void another_thread_unparks(void **state) {
  (void)state;
  static const la_future_vtable vt = {handed_poll, borrower_drop, "handed", NULL};
  handed h = {.base = {&vt}};
  run(R, &h.base);
  pthread_join(h.thread, NULL);
  assert_int_equal(h.polls, 2);
}

static void sigpipe_is_ignored_meanwhile(void **state) {
  (void)state;
  struct sigaction sa;
  sigaction(SIGPIPE, NULL, &sa);
  assert_true(sa.sa_handler == SIG_IGN);
  la_reactor *second;
  assert_int_equal(la_reactor_new(&second), 0);
  la_reactor_free(second);
  sigaction(SIGPIPE, NULL, &sa);
  assert_true(sa.sa_handler == SIG_IGN);
  la_reactor_free(R);
  R = NULL;
  sigaction(SIGPIPE, NULL, &sa);
  assert_true(sa.sa_handler == SIG_DFL);
}

/* ---- work -------------------------------------------------------------------------*/

typedef struct job {
  la_work work;
  _Atomic int *ran;
  int *released;
  unsigned us;
} job;

static ssize_t job_run(la_work *w) {
  job *j = (job *)(void *)w;
  usleep(j->us);
  ++*j->ran;
  return 42;
}
static void job_release(la_op *op) {
  job *j = (job *)(void *)op;
  ++*j->released;
  free(j);
}
static const la_work_class job_class = {LA_WORK_OP("job", job_release), job_run};

static _Atomic int ran;
static int released;

static job *new_job(unsigned us) {
  job *j = malloc(sizeof *j);
  la_work_init(&j->work, &job_class, R);
  j->ran = &ran;
  j->released = &released;
  j->us = us;
  return j;
}

static void work_runs_and_returns(void **state) {
  (void)state;
  ran = released = 0;
  job *j = new_job(1000);
  run(R, &j->work.op.base);
  assert_int_equal(j->work.op.result, 42);
  assert_int_equal(released, 0);
  la_future_drop(&j->work.op.base);
  assert_int_equal(released, 1);
  assert_int_equal(ran, 1);
}

static void work_dropped_new_never_runs(void **state) {
  (void)state;
  ran = released = 0;
  la_future_drop(&new_job(0)->work.op.base);
  assert_int_equal(released, 1);
  assert_int_equal(ran, 0);
}

static void work_dropped_while_it_runs_is_released_after(void **state) {
  (void)state;
  ran = released = 0;
  job *j = new_job(30000);
  la_task *t = go_once(R, &j->work.op.base);
  nap(R, 10); /* a thread has taken it */
  stop(R, t);
  la_future_drop(&j->work.op.base);
  assert_int_equal(released, 0);
  nap(R, 60);
  assert_int_equal(released, 1);
  assert_int_equal(ran, 1);
}

static void queued_work_is_cancelled(void **state) {
  (void)state;
  ran = released = 0;
  job *j[40];
  la_task *t[40];
  for (int i = 0; i < 40; i++) t[i] = go_once(R, &(j[i] = new_job(20000))->work.op.base);
  for (int i = 0; i < 40; i++) {
    stop(R, t[i]);
    la_future_drop(&j[i]->work.op.base);
  }
  la_reactor_free(R);
  R = NULL;
  assert_int_equal(released, 40);
  assert_true(ran < 40);
}

static void an_orphan_is_no_reason_to_wait(void **state) {
  (void)state;
  job *j = new_job(20000);
  stop(R, go_once(R, &j->work.op.base));
  la_future_drop(&j->work.op.base);
  la_task *t = go(R, &la_pending);
  assert_int_equal(la_executor_run(R->ex, t), LA_RUN_DEADLOCK);
  stop(R, t);
}

static void budget_is_taken_before_ready(void **state) {
  (void)state;
  job *j = new_job(0);
  unsigned none = 0, some = 1;
  la_context broke = {&la_waker_noop, &none}, rich = {&la_waker_noop, &some};
  assert_int_equal(la_future_poll(&j->work.op.base, &broke), LA_PENDING);
  nap(R, 30);
  assert_int_equal(la_future_poll(&j->work.op.base, &broke), LA_PENDING);
  assert_int_equal(la_future_poll(&j->work.op.base, &rich), LA_READY);
  assert_int_equal(some, 0);
  la_future_drop(&j->work.op.base);
}

/* ---- guards -----------------------------------------------------------------------*/

static void no_descriptors_is_an_error(void **state) {
  (void)state;
  struct rlimit old, tight;
  getrlimit(RLIMIT_NOFILE, &old);
  for (rlim_t n = 3; n < 24; n++) {
    tight = old;
    tight.rlim_cur = n;
    setrlimit(RLIMIT_NOFILE, &tight);
    la_reactor *r;
    int err = la_reactor_new(&r);
    setrlimit(RLIMIT_NOFILE, &old);
    if (err == 0)
      la_reactor_free(r);
    else
      assert_int_equal(err, UV_EMFILE);
  }
}

static void watching_a_large_descriptor_grows_the_array(void **state) {
  (void)state;
  assert_int_equal(la_guard_watch(R, 5000), 0);
  assert_true(R->uv->nwatchers > 5000);
  nap(R, 1);
}

/* In a child, as the pool of this process is there already: a user that may have no more
** threads. Root is not bound by RLIMIT_NPROC, so it becomes somebody else. */
static void no_threads_is_an_error(void **state) {
  (void)state;
  pid_t pid = fork();
  if (pid == 0) {
    struct rlimit none = {1, 1};
    alarm(20);
    if (geteuid() == 0 && (setgid(54321) != 0 || setuid(54321) != 0)) _exit(4);
    setrlimit(RLIMIT_NPROC, &none);
    la_reactor *r;
    if (la_reactor_new(&r) != 0) _exit(2);
    job *j = malloc(sizeof *j);
    la_work_init(&j->work, &job_class, r);
    j->ran = &ran;
    j->released = &released;
    j->us = 0;
    run(r, &j->work.op.base);
    int result = (int)j->work.op.result;
    la_future_drop(&j->work.op.base);
    la_reactor_free(r);
    _exit(result == UV_EAGAIN ? 0 : 3);
  }
  int status;
  waitpid(pid, &status, 0);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(sleeps_are_never_early),
      TEST(a_sleep_polls_twice_and_does_not_spin),
      TEST(waiting_for_nothing_is_a_deadlock),
      TEST(another_thread_unparks),
      TEST(sigpipe_is_ignored_meanwhile),
      TEST(work_runs_and_returns),
      TEST(work_dropped_new_never_runs),
      TEST(work_dropped_while_it_runs_is_released_after),
      TEST(queued_work_is_cancelled),
      TEST(an_orphan_is_no_reason_to_wait),
      TEST(budget_is_taken_before_ready),
      TEST(no_descriptors_is_an_error),
      TEST(watching_a_large_descriptor_grows_the_array),
      TEST(no_threads_is_an_error),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
