#include "net/dial.h"

#include <stdlib.h>
#include <string.h>

#include "core/sleep.h"

typedef struct dial {
  la_dial pub;
  la_reactor *reactor;
  la_resolve *all, *four; /* `four`: NULL until the hesitation is over */
  la_sleep hesitation;
  la_connect *connect; /* NULL: there are no addresses to race yet */
  bool early;          /* it races those of `four` */
  bool patient;        /* `all` is waited for, whatever comes */
  bool bound;
  la_address bind_to;
  char host[];
} dial;

static bool race(dial *d, const la_resolve *of) {
  d->connect = la_connect_new(d->reactor, of->list, of->count, d->bound ? &d->bind_to : NULL);
  return d->connect != NULL;
}

/* The addresses of IPv4 are raced from here on. Without memory for that, it waits. */
static bool go_early(dial *d, la_context *cx) {
  if (d->patient) return false;
  if (d->four == NULL) {
    if (la_future_poll(&d->hesitation.base, cx) == LA_PENDING) return false;
    d->four = la_resolve_new(d->reactor, d->host, d->pub.port, AF_INET);
  }
  if (d->four != NULL && la_future_poll(&d->four->op.base, cx) == LA_PENDING) return false;
  d->patient = true;
  d->early = d->four != NULL && d->four->op.result == 0 && race(d, d->four);
  return d->early;
}

/* All addresses are known, or that there are none. True: ready. */
static bool go_on(dial *d) {
  int err = (int)d->all->op.result;
  if (err == 0 && !race(d, d->all)) err = UV_ENOMEM;
  if (err != 0 && d->pub.status == 0) d->pub.status = err; /* else what `four` failed with */
  return err != 0;
}

/* The race is over. True: ready. */
static bool settle(dial *d) {
  d->pub.status = d->connect->status;
  d->pub.stream = d->connect->stream;
  d->connect->stream = NULL;
  if (d->pub.status == 0 || !d->early) return true;
  la_future_drop(&d->connect->base);
  d->connect = NULL;
  d->early = false;
  return false;
}

static la_poll dial_poll(la_future *f, la_context *cx) {
  dial *d = (dial *)(void *)la_container(f, la_dial, base);
  if (d->reactor->ex != NULL && d->reactor->ex->trying) return LA_PENDING;
  for (;;) {
    if (d->connect != NULL) {
      if (la_future_poll(&d->connect->base, cx) == LA_PENDING) return LA_PENDING;
      if (settle(d)) return LA_READY;
    } else if (la_future_poll(&d->all->op.base, cx) == LA_READY) {
      if (go_on(d)) return LA_READY;
    } else if (!go_early(d, cx)) {
      return LA_PENDING;
    }
  }
}

/* As sleep's drop; one that outlives the executor finds its timer in no queue any more. */
static void stop_hesitating(dial *d) {
  if (d->reactor->ex != NULL)
    la_future_drop(&d->hesitation.base);
  else if (!la_timer_idle(&d->hesitation.timer))
    la_waker_drop(d->hesitation.timer.waker);
}

static void dial_drop(la_future *f) {
  dial *d = (dial *)(void *)la_container(f, la_dial, base);
  la_future_drop(&d->all->op.base);
  if (d->four != NULL) la_future_drop(&d->four->op.base);
  stop_hesitating(d);
  if (d->connect != NULL) la_future_drop(&d->connect->base);
  if (d->pub.stream != NULL) la_uv_stream_unref(d->pub.stream);
  la_reactor_unref(d->reactor);
  free(d);
}

static const la_future_vtable dial_vtable = {dial_poll, dial_drop, "connect", NULL};

la_dial *la_dial_new(la_reactor *r, const char *host, int port, const la_address *bind_to) {
  size_t len = strlen(host) + 1;
  dial *d = calloc(1, sizeof *d + len);
  if (d == NULL) return NULL;
  d->pub = (la_dial){.base = {&dial_vtable}, .port = port, .host = d->host};
  memcpy(d->host, host, len);
  if (bind_to != NULL) {
    d->bound = true;
    d->bind_to = *bind_to;
    d->patient = bind_to->any.sa_family != AF_INET;
  }
  d->all = la_resolve_new(r, d->host, port, AF_UNSPEC);
  if (d->all == NULL) {
    free(d);
    return NULL;
  }
  d->reactor = r;
  la_reactor_ref(r);
  la_sleep_init(&d->hesitation, r->ex, la_executor_now(r->ex) + LA_DIAL_HESITATION_NS);
  return &d->pub;
}
