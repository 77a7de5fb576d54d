#include "process/stop.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

enum { LOOK_NS = 20000000 };

/* Of a child that has ended: its group has members. */
static bool lives_on(const la_stopped *s) {
  return s->group && s->process->ended && (kill(-s->process->pid, 0) == 0 || errno == EPERM);
}

static void kill_all(la_process_stop *s) {
  for (size_t i = 0; i < s->count; i++) {
    la_process *p = s->of[i].process;
    if (!p->ended)
      la_process_kill(p, SIGKILL, p->group);
    else if (lives_on(&s->of[i]))
      kill(-p->pid, SIGKILL);
  }
  s->killed = true;
}

static bool any_lives_on(const la_process_stop *s) {
  for (size_t i = 0; i < s->count; i++)
    if (lives_on(&s->of[i])) return true;
  return false;
}

/* LA_PENDING: all waited for but one. */
static la_poll wait_for_all(la_process_stop *s, la_context *cx) {
  while (s->at < s->count) {
    if (la_future_poll(&s->wait.base, cx) == LA_PENDING) return LA_PENDING;
    la_future_drop(&s->wait.base);
    if (++s->at < s->count) la_process_wait_init(&s->wait, s->of[s->at].process);
  }
  return LA_READY;
}

static void set_timer(la_process_stop *s, uint64_t t) {
  if (s->timed) la_future_drop(&s->timer.base);
  la_sleep_init(&s->timer, s->ex, t);
  s->timed = true;
}

static la_poll stop_poll(la_future *f, la_context *cx) {
  la_process_stop *s = (la_process_stop *)(void *)f;
  bool ended = wait_for_all(s, cx) == LA_READY;
  while (!s->killed && (!ended || any_lives_on(s))) {
    if (la_executor_now(s->ex) >= s->deadline) {
      kill_all(s);
      break;
    }
    if (ended) {
      uint64_t next = la_time_after(la_executor_now(s->ex), LOOK_NS);
      set_timer(s, next < s->deadline ? next : s->deadline);
    } else if (!s->timed) {
      set_timer(s, s->deadline);
    }
    if (la_future_poll(&s->timer.base, cx) == LA_PENDING) return LA_PENDING;
  }
  return ended ? LA_READY : LA_PENDING;
}

static void stop_drop(la_future *f) {
  la_process_stop *s = (la_process_stop *)(void *)f;
  if (s->at < s->count) la_future_drop(&s->wait.base);
  if (s->timed) la_future_drop(&s->timer.base);
  for (size_t i = 0; i < s->count; i++) la_process_unref(s->of[i].process);
  free(s);
}

static const la_future_vtable stop_vtable = {stop_poll, stop_drop, "child.stop", NULL};

la_process_stop *la_process_stop_new(la_executor *ex, la_process *const *processes, size_t count,
                                     uint64_t grace) {
  la_process_stop *s = malloc(sizeof *s + count * sizeof *s->of);
  if (s == NULL) return NULL;
  *s = (la_process_stop){.base = {&stop_vtable}, .ex = ex, .count = count};
  s->deadline = la_time_after(la_executor_now(ex), grace);
  for (size_t i = 0; i < count; i++) {
    la_process *p = processes[i];
    la_process_ref(p);
    s->of[i] = (la_stopped){p, p->group && !p->ended};
    la_process_kill(p, SIGTERM, p->group); /* one that has ended is no failure */
  }
  la_process_wait_init(&s->wait, processes[0]);
  return s;
}
