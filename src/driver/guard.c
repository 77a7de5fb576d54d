#include "driver/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- (a) the array of watchers ----------------------------------------------------*/

/* What maybe_resize would have for descriptors up to and with `fd`: a power of two,
** two of which are libuv's own use of the end. */
static size_t watchers_count(int fd) {
  size_t n = 1;
  while (n < (size_t)fd + 3) n *= 2;
  return n;
}

/* uv_loop_t's `watchers` and `nwatchers` are in libuv's public header. The array is
** malloc's, by replace_allocator below. */
int la_guard_watch(la_reactor *r, int fd) {
  uv_loop_t *loop = r->uv;
  if ((unsigned)fd < loop->nwatchers) return 0;
  size_t n = watchers_count(fd), old = loop->nwatchers;
  void **grown = calloc(n, sizeof *grown);
  if (grown == NULL) return UV_ENOMEM;
  if (loop->watchers != NULL) {
    memcpy(grown, loop->watchers, old * sizeof *grown);
    memcpy(grown + n - 2, loop->watchers + old, 2 * sizeof *grown);
  }
  free(loop->watchers);
  loop->watchers = (void *)grown;
  loop->nwatchers = (unsigned)(n - 2);
  return 0;
}

/* While uv_loop_init runs on this thread, its reallocations get this block. */
static _Thread_local struct {
  void *block;
  size_t size;
  bool given;
} reserve;

static void *reserved_realloc(void *old, size_t size) {
  if (reserve.block == NULL || size > reserve.size) return realloc(old, size);
  if (reserve.given) return old == reserve.block ? old : realloc(old, size);
  if (old != NULL) return realloc(old, size);
  reserve.given = true;
  return reserve.block;
}

static pthread_once_t allocator_once = PTHREAD_ONCE_INIT;

static void replace_allocator(void) {
  uv_replace_allocator(malloc, reserved_realloc, calloc, free);
}

/* ---- (b) the descriptors of uv_loop_init ------------------------------------------*/

enum {
  LOOP_FDS = 6,     /* epoll, two pipes, eventfd */
  OTHERS_FDS = 4096 /* room for what other threads open meanwhile */
};

/* A loop that got one of the first three would abort when it is closed. What is opened in their
** place fails as they would: it cannot be read, or not written. */
static int fill_standard(void) {
  for (int fd = 0; fd <= 2; fd++) {
    if (fcntl(fd, F_GETFD) >= 0) continue;
    if (open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY) < 0) return uv_translate_sys_error(errno);
  }
  return 0;
}

/* That so many can be had; *highest is the largest. */
static int try_descriptors(int *highest) {
  int fds[LOOP_FDS], n = 0, err = 0;
  *highest = 0;
  while (n < LOOP_FDS) {
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (fd < 0) fd = open("/", O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
      err = uv_translate_sys_error(errno);
      break;
    }
    if (fd > *highest) *highest = fd;
    fds[n++] = fd;
  }
  while (n > 0) close(fds[--n]);
  return err;
}

int la_guard_loop_init(uv_loop_t *loop) {
  pthread_once(&allocator_once, replace_allocator);
  int highest;
  int err = fill_standard();
  if (err == 0) err = try_descriptors(&highest);
  if (err != 0) return err;
  reserve.size = watchers_count(highest + OTHERS_FDS) * sizeof(void *);
  reserve.block = malloc(reserve.size);
  if (reserve.block == NULL) return UV_ENOMEM;
  reserve.given = false;
  err = uv_loop_init(loop);
  /* Which libuv forgets; it is 0 when it was not made yet, and those up to 2 are taken. */
  if (err != 0 && loop->backend_fd > STDERR_FILENO) close(loop->backend_fd);
  if (!reserve.given) free(reserve.block);
  reserve.block = NULL;
  return err;
}

/* ---- (c) the threads of the pool --------------------------------------------------*/

static pthread_mutex_t pool_mutex = PTHREAD_MUTEX_INITIALIZER;
static bool pool_atfork;
static _Atomic bool pool_ready;

/* A child has no pool: libuv makes a new one there. */
static void pool_forget(void) {
  atomic_store(&pool_ready, false);
  pool_mutex = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
}

/* As libuv's init_threads counts. */
static unsigned pool_threads(void) {
  const char *val = getenv("UV_THREADPOOL_SIZE");
  unsigned n = val == NULL ? 4 : (unsigned)strtol(val, NULL, 10);
  if (n == 0) n = 1;
  return n > 1024 ? 1024 : n;
}

/* A thread that has been joined counts against the limits until the kernel has reaped
** it, and then leaves this directory's link count. */
static void wait_reaped(nlink_t before) {
  struct stat st;
  for (int i = 0; i < 1000; i++) {
    if (stat("/proc/self/task", &st) != 0 || st.st_nlink <= before) return;
    usleep(100);
  }
}

static void pool_thread(void *gate) { uv_sem_wait(gate); }

static int try_threads(void) {
  struct stat st = {0};
  nlink_t before = stat("/proc/self/task", &st) == 0 ? st.st_nlink : 0;
  unsigned n = pool_threads(), made = 0;
  uv_thread_t *threads = malloc(n * sizeof *threads);
  uv_sem_t gate;
  if (threads == NULL) return UV_ENOMEM;
  int err = uv_sem_init(&gate, 0);
  if (err == 0) {
    while (made < n && err == 0) {
      err = uv_thread_create(&threads[made], pool_thread, &gate);
      if (err == 0) made++;
    }
    for (unsigned i = 0; i < made; i++) uv_sem_post(&gate);
    for (unsigned i = 0; i < made; i++) uv_thread_join(&threads[i]);
    uv_sem_destroy(&gate);
  }
  free(threads);
  if (made > 0 && before > 0) wait_reaped(before);
  return err;
}

static void no_work(uv_work_t *req) { (void)req; }
static void no_work_done(uv_work_t *req, int status) {
  (void)status;
  free(req);
}

/* Under the mutex, so that of two reactors only one tries, and makes the pool at once. */
static int make_pool(la_reactor *r) {
  if (!pool_atfork && pthread_atfork(NULL, NULL, pool_forget) != 0) return UV_ENOMEM;
  pool_atfork = true;
  uv_work_t *first = malloc(sizeof *first);
  if (first == NULL) return UV_ENOMEM;
  int err = try_threads();
  if (err == 0) err = uv_queue_work(r->uv, first, no_work, no_work_done);
  if (err != 0)
    free(first);
  else
    atomic_store_explicit(&pool_ready, true, memory_order_release);
  return err;
}

int la_guard_pool(la_reactor *r) {
  if (atomic_load_explicit(&pool_ready, memory_order_acquire)) return 0;
  pthread_mutex_lock(&pool_mutex);
  int err = atomic_load(&pool_ready) ? 0 : make_pool(r);
  pthread_mutex_unlock(&pool_mutex);
  return err;
}

/* ---- SIGPIPE ----------------------------------------------------------------------*/

static pthread_mutex_t sigpipe_mutex = PTHREAD_MUTEX_INITIALIZER;
static int sigpipe_users;
static bool sigpipe_ours;

static void set_sigpipe(void (*handler)(int)) {
  struct sigaction sa = {.sa_handler = handler};
  sigaction(SIGPIPE, &sa, NULL);
}

void la_guard_sigpipe(int change) {
  struct sigaction old;
  pthread_mutex_lock(&sigpipe_mutex);
  sigpipe_users += change;
  if (change > 0 && sigpipe_users == 1) {
    sigpipe_ours = sigaction(SIGPIPE, NULL, &old) == 0 && old.sa_handler == SIG_DFL;
    if (sigpipe_ours) set_sigpipe(SIG_IGN);
  } else if (sigpipe_users == 0 && sigpipe_ours) {
    /* Not when the program has set something else in the meantime. */
    if (sigaction(SIGPIPE, NULL, &old) == 0 && old.sa_handler == SIG_IGN) set_sigpipe(SIG_DFL);
  }
  pthread_mutex_unlock(&sigpipe_mutex);
}
