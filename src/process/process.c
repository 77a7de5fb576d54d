#include "process/process.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "driver/forking.h"
#include "driver/interrupt.h"

/* ---- children that are left behind -------------------------------------------------*/

struct la_orphan {
  la_orphan *next;
  int pid;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static la_orphan *orphans;

static bool has_ended(int pid) {
  int n;
  do n = waitpid(pid, NULL, WNOHANG);
  while (n < 0 && errno == EINTR);
  return n != 0; /* or somebody else has reaped it */
}

void la_process_reap(void) {
  pthread_mutex_lock(&mutex);
  for (la_orphan **at = &orphans; *at != NULL;) {
    la_orphan *o = *at;
    if (has_ended(o->pid)) {
      *at = o->next;
      free(o);
    } else {
      at = &o->next;
    }
  }
  pthread_mutex_unlock(&mutex);
}

static void leave_behind(la_process *p) {
  la_orphan *o = p->orphan;
  p->orphan = NULL;
  o->pid = p->pid;
  pthread_mutex_lock(&mutex);
  o->next = orphans;
  orphans = o;
  pthread_mutex_unlock(&mutex);
}

/* ---- the end of the process --------------------------------------------------------*/

/* Those of all threads that die with us and have not ended; under the mutex. */
static la_list living;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool exiting; /* while nobody forks */

/* The process exits without its runs' having ended: os.exit in a task. A child that was forked has
** no part in the children of its parent. Other threads go on running: the child that one of them is
** starting is waited for, and they start no more. */
static void at_exit(void) {
  la_forking_begin();
  exiting = true;
  la_forking_end();
  pthread_mutex_lock(&mutex);
  for (la_node *n = living.head.next; n != &living.head; n = n->next) {
    la_process *p = la_container(n, la_process, living);
    if (p->parent == getpid()) kill(p->group ? -p->pid : p->pid, SIGKILL);
  }
  pthread_mutex_unlock(&mutex);
}

static void lock_lists(void) { pthread_mutex_lock(&mutex); }
static void unlock_lists(void) { pthread_mutex_unlock(&mutex); }

static void init_once(void) {
  la_list_init(&living);
  (void)atexit(at_exit);
  pthread_atfork(lock_lists, unlock_lists, unlock_lists); /* without memory: such forks may hang */
}

static void begin_to_live(la_process *p) {
  p->parent = getpid();
  pthread_mutex_lock(&mutex);
  la_list_push(&living, &p->living);
  pthread_mutex_unlock(&mutex);
}

/* Its pid may be another's from here on. */
static void end_to_live(la_process *p) {
  pthread_mutex_lock(&mutex);
  if (la_node_linked(&p->living)) la_node_unlink(&p->living);
  pthread_mutex_unlock(&mutex);
}

/* ---- life --------------------------------------------------------------------------*/

static la_process *from_uv(void *uv) { return la_container(uv, la_process, uv); }

static void unref(la_process *p) {
  if (--p->refs > 0) return;
  la_reactor *r = p->reactor;
  free(p->orphan);
  free(p);
  la_reactor_unref(r);
}

static void on_closed(uv_handle_t *uv) {
  la_process *p = from_uv(uv);
  p->reactor->bare--;
  unref(p);
}

/* libuv is done with it, or made to be. */
static void close_uv(la_process *p) {
  end_to_live(p);
  if (la_node_linked(&p->resource.node)) la_node_unlink(&p->resource.node);
  uv_close((uv_handle_t *)&p->uv, on_closed);
  la_signal_release(SIGCHLD);
}

static void wake_waits(la_process *p) {
  for (la_node *n; (n = la_list_pop(&p->waits)) != NULL;)
    la_waiter_wake(&la_container(n, la_process_wait, node)->waiter, p->reactor);
}

static void on_ended(uv_process_t *uv, int64_t code, int signum) {
  la_process *p = from_uv(uv);
  p->ended = true;
  p->code = (int)code;
  p->signal = signum;
  wake_waits(p);
  close_uv(p);
}

/* One that is gone without libuv's knowing was reaped by somebody else in this process
** (waitpid(-1)); libuv would wait for it for ever. */
static void kill_for_good(la_process *p) {
  if (la_process_kill(p, SIGKILL, p->group) == UV_ESRCH && !uv_is_closing((uv_handle_t *)&p->uv))
    close_uv(p);
}

static void end_with_loop(la_resource *r) {
  la_process *p = la_container(r, la_process, resource);
  if (!p->detached) {
    kill_for_good(p);
    return;
  }
  leave_behind(p);
  close_uv(p);
}

enum { BUSY_MS = 8 }; /* the last of the pauses before a busy program is tried again */

/* ---- spawn -------------------------------------------------------------------------*/

static la_process *new_process(la_reactor *r, const la_process_spec *spec) {
  la_process *p = calloc(1, sizeof *p);
  if (p == NULL) return NULL;
  p->orphan = spec->detached ? malloc(sizeof *p->orphan) : NULL;
  if (spec->detached && p->orphan == NULL) {
    free(p);
    return NULL;
  }
  p->reactor = r;
  la_reactor_ref(r);
  p->refs = 1; /* the loop's */
  p->detached = spec->detached;
  p->group = spec->group || spec->detached;
  p->resource = (la_resource){.end = end_with_loop, .name = "child process"};
  la_list_init(&p->waits);
  return p;
}

static unsigned flags_of(const la_process_spec *spec) {
  unsigned flags = spec->group || spec->detached ? UV_PROCESS_DETACHED : 0;
  if (spec->uid != LA_PROCESS_NOBODY) flags |= UV_PROCESS_SETUID;
  if (spec->gid != LA_PROCESS_NOBODY) flags |= UV_PROCESS_SETGID;
  return flags;
}

static int spawn(la_process *p, const la_process_spec *spec) {
  uv_stdio_container_t stdio[LA_PROCESS_FDS];
  for (unsigned i = 0; i < spec->nfds; i++) {
    stdio[i].flags = spec->fds[i] == LA_PROCESS_NULL ? UV_IGNORE : UV_INHERIT_FD;
    stdio[i].data.fd = spec->fds[i];
  }
  uv_process_options_t options = {.exit_cb = on_ended,
                                  .file = spec->file,
                                  .args = spec->argv,
                                  .env = spec->env,
                                  .cwd = spec->cwd,
                                  .flags = flags_of(spec),
                                  .stdio_count = (int)spec->nfds,
                                  .stdio = stdio,
                                  .uid = (uv_uid_t)spec->uid,
                                  .gid = (uv_gid_t)spec->gid};
  return uv_spawn(p->reactor->uv, &p->uv, &options); /* returns when the program is executed */
}

static int start(la_reactor *r, const la_process_spec *spec, la_process **out) {
  la_process *p = new_process(r, spec);
  if (p == NULL) return UV_ENOMEM;
  la_signal_hold(SIGCHLD);
  r->bare++;
  int err = spawn(p, spec);
  if (err != 0) {
    close_uv(p); /* as libuv wants it even then */
    return err;
  }
  p->pid = p->uv.pid;
  p->refs++;
  if (!p->detached) begin_to_live(p);
  la_list_push(&r->resources, &p->resource.node);
  *out = p;
  return 0;
}

/* Until the child is on the list of those that die with us. */
static int start_alone(la_reactor *r, const la_process_spec *spec, la_process **out) {
  la_forking_begin();
  int err = exiting ? UV_ECANCELED : start(r, spec, out);
  la_forking_end();
  return err;
}

/* A program is busy while somebody has it open to write. Who has just written it finds it so for a
** moment when a child that another thread starts, or another library, still has that descriptor. */
int la_process_spawn(la_reactor *r, const la_process_spec *spec, la_process **out) {
  if (r->closed) return UV_ECANCELED;
  pthread_once(&once, init_once);
  la_process_reap();
  int err = start_alone(r, spec, out);
  for (unsigned ms = 1; err == UV_ETXTBSY && ms <= BUSY_MS; ms *= 2) {
    uv_sleep(ms);
    err = start_alone(r, spec, out);
  }
  return err;
}

int la_process_kill(la_process *p, int signum, bool tree) {
  if (p->ended || p->reactor->closed) return UV_ESRCH;
  return kill(tree ? -p->pid : p->pid, signum) == 0 ? 0 : uv_translate_sys_error(errno);
}

bool la_process_look(const la_process *p, int *code, int *signal) {
  *code = p->code;
  *signal = p->signal;
  if (p->ended || p->reactor->closed) return p->ended;
  siginfo_t info = {0};
  if (waitid(P_PID, (id_t)p->pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0) return false;
  if (info.si_pid != p->pid) return false;
  bool exited = info.si_code == CLD_EXITED;
  *code = exited ? info.si_status : 0;
  *signal = exited ? 0 : info.si_status;
  return true;
}

void la_process_close(la_process *p) {
  if (p->closed) return;
  p->closed = true;
  wake_waits(p);
  if (p->ended || p->detached || p->reactor->closed) return;
  p->resource.name = NULL; /* it ends by itself */
  kill_for_good(p);
}

void la_process_ref(la_process *p) { p->refs++; }

void la_process_unref(la_process *p) { unref(p); }

/* ---- waiting -----------------------------------------------------------------------*/

static la_poll wait_poll(la_future *f, la_context *cx) {
  la_process_wait *w = la_container(f, la_process_wait, base);
  la_process *p = w->process;
  if (p->ended || p->closed) return la_budget_take(cx) ? LA_READY : LA_PENDING;
  if (!la_node_linked(&w->node)) la_list_push(&p->waits, &w->node);
  la_waiter_set(&w->waiter, p->reactor, cx);
  return LA_PENDING;
}

static void wait_drop(la_future *f) {
  la_process_wait *w = la_container(f, la_process_wait, base);
  la_waiter_clear(&w->waiter, w->process->reactor);
  if (la_node_linked(&w->node)) la_node_unlink(&w->node);
  unref(w->process);
}

static const la_future_vtable wait_vtable = {wait_poll, wait_drop, "child process", NULL};

void la_process_wait_init(la_process_wait *w, la_process *p) {
  *w = (la_process_wait){.base = {&wait_vtable}, .process = p};
  la_process_ref(p);
}
