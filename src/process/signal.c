#include "process/signal.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "driver/interrupt.h"

/* ---- names -------------------------------------------------------------------------*/

static const struct {
  int number;
  const char *name;
} names[] = {
#define SIGNAL(NAME)                                                                               \
  { NAME, #NAME }
    SIGNAL(SIGHUP),    SIGNAL(SIGINT),   SIGNAL(SIGQUIT), SIGNAL(SIGILL),  SIGNAL(SIGTRAP),
    SIGNAL(SIGABRT),   SIGNAL(SIGBUS),   SIGNAL(SIGFPE),  SIGNAL(SIGKILL), SIGNAL(SIGUSR1),
    SIGNAL(SIGSEGV),   SIGNAL(SIGUSR2),  SIGNAL(SIGPIPE), SIGNAL(SIGALRM), SIGNAL(SIGTERM),
    SIGNAL(SIGCHLD),   SIGNAL(SIGCONT),  SIGNAL(SIGSTOP), SIGNAL(SIGTSTP), SIGNAL(SIGTTIN),
    SIGNAL(SIGTTOU),   SIGNAL(SIGURG),   SIGNAL(SIGXCPU), SIGNAL(SIGXFSZ), SIGNAL(SIGVTALRM),
    SIGNAL(SIGPROF),   SIGNAL(SIGWINCH), SIGNAL(SIGIO),   SIGNAL(SIGSYS),
#ifdef SIGPWR
    SIGNAL(SIGPWR),
#endif
#ifdef SIGSTKFLT
    SIGNAL(SIGSTKFLT),
#endif
#ifdef SIGPOLL
    SIGNAL(SIGPOLL),
#endif
    SIGNAL(SIGIOT),
#undef SIGNAL
};

enum { NAMES = sizeof names / sizeof *names };

int la_signal_number(const char *name) {
  for (int i = 0; i < NAMES; i++)
    if (strcmp(names[i].name, name) == 0) return names[i].number;
  return 0;
}

const char *la_signal_name(int number) {
  for (int i = 0; i < NAMES; i++)
    if (names[i].number == number) return names[i].name;
  return NULL;
}

int la_signal_catchable(int number) {
  switch (number) {
  case SIGKILL:
  case SIGSTOP:
  case SIGSEGV:
  case SIGBUS:
  case SIGFPE:
  case SIGILL: return UV_EINVAL;
  default: return 0;
  }
}

/* ---- sets --------------------------------------------------------------------------*/

static void unref(la_signals *s) {
  if (--s->refs > 0) return;
  la_reactor *r = s->reactor;
  la_waiter_clear(&s->waiter, r);
  free(s);
  la_reactor_unref(r);
}

static bool is_pending(const la_signals *s, int signum) {
  return memchr(s->pending, signum, s->npending) != NULL;
}

static void on_signal(uv_signal_t *uv, int signum) {
  la_signals *s = la_container(uv, la_signal_handle, uv)->set;
  if (!s->open || is_pending(s, signum)) return;
  s->pending[s->npending++] = (unsigned char)signum;
  la_waiter_wake(&s->waiter, s->reactor);
}

static void on_closed(uv_handle_t *uv) {
  la_signals *s = la_container((uv_signal_t *)uv, la_signal_handle, uv)->set;
  s->reactor->bare--;
  unref(s);
}

static void close_handle(la_signal_handle *h, int signum) {
  uv_close((uv_handle_t *)&h->uv, on_closed);
  la_signal_release(signum);
}

static int open_handle(la_signals *s, int signum) {
  la_signal_handle *h = &s->handles[s->count];
  int err = uv_signal_init(s->reactor->uv, &h->uv);
  if (err != 0) return err;
  h->uv.data = NULL;
  h->set = s;
  s->refs++;
  s->reactor->bare++;
  la_signal_hold(signum);
  err = uv_signal_start(&h->uv, on_signal, signum);
  if (err == 0)
    s->count++;
  else
    close_handle(h, signum);
  return err;
}

static void end_with_loop(la_resource *r) {
  la_signals_close(la_container(r, la_signals, resource));
}

int la_signals_new(la_reactor *r, const unsigned char *numbers, unsigned count, la_signals **out) {
  if (r->closed) return UV_ECANCELED;
  la_signals *s = calloc(1, sizeof *s + count * sizeof *s->handles);
  if (s == NULL) return UV_ENOMEM;
  s->reactor = r;
  la_reactor_ref(r);
  s->refs = 1;
  s->open = true;
  s->resource = (la_resource){.end = end_with_loop, .name = "signal stream"};
  la_list_push(&r->resources, &s->resource.node);
  int err = 0;
  for (unsigned i = 0; i < count && err == 0; i++) err = open_handle(s, numbers[i]);
  if (err == 0)
    *out = s;
  else
    la_signals_unref(s);
  return err;
}

void la_signals_close(la_signals *s) {
  if (!s->open) return;
  s->open = false;
  s->npending = 0;
  if (la_node_linked(&s->resource.node)) la_node_unlink(&s->resource.node);
  for (unsigned i = 0; i < s->count; i++) close_handle(&s->handles[i], s->handles[i].uv.signum);
  la_waiter_wake(&s->waiter, s->reactor);
}

void la_signals_unref(la_signals *s) {
  la_signals_close(s);
  unref(s);
}

int la_signals_take(la_signals *s) {
  if (s->npending == 0) return 0;
  int signum = s->pending[0];
  memmove(s->pending, s->pending + 1, --s->npending);
  return signum;
}

/* ---- waiting -----------------------------------------------------------------------*/

static la_poll wait_poll(la_future *f, la_context *cx) {
  la_signals *s = la_container(f, la_signal_wait, base)->signals;
  if (s->npending == 0 && s->open) {
    la_waiter_set(&s->waiter, s->reactor, cx);
    return LA_PENDING;
  }
  if (!la_budget_take(cx)) return LA_PENDING;
  la_waiter_clear(&s->waiter, s->reactor);
  return LA_READY;
}

static void wait_drop(la_future *f) {
  la_signals *s = la_container(f, la_signal_wait, base)->signals;
  la_waiter_clear(&s->waiter, s->reactor);
}

static const la_future_vtable wait_vtable = {wait_poll, wait_drop, "signal", NULL};

void la_signal_wait_init(la_signal_wait *w, la_signals *s) {
  *w = (la_signal_wait){{&wait_vtable}, s};
}
