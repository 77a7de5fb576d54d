#include "net/connect.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/timer_queue.h"
#include "driver/waiter.h"

/* Freed by its callback when there is one, so that closing the stream is all it takes to
** give an attempt up. */
typedef struct attempt {
  uv_connect_t req;
  struct race *race; /* NULL: given up */
  la_uv_stream *stream;
  const la_address *address;
  la_node node; /* in the race's list while it is under way */
} attempt;

typedef struct race {
  la_connect pub;
  la_reactor *reactor;
  la_waiter waiter;
  la_timer stagger;
  uint64_t next_at; /* the next attempt starts then, if none fails before */
  la_list running;
  bool failed; /* pub.status is that of the first address to fail, in their order */
  size_t failed_at;
  size_t next, count;
  bool bound;
  la_address bind_to;
  la_address list[];
} race;

/* ---- the order of the addresses ---------------------------------------------------*/

/* RFC 8305, section 4: as they are, but the families take turns. */
static void interleave(la_address *to, const la_address *from, size_t n) {
  size_t at[2] = {0, 0}, put = 0;
  sa_family_t first = from[0].any.sa_family;
  for (int turn = 0; put < n; turn = !turn) {
    size_t i = at[turn];
    while (i < n && (from[i].any.sa_family == first) != (turn == 0)) i++;
    if (i < n) to[put++] = from[i++];
    at[turn] = i;
  }
}

static size_t of_family(la_address *list, size_t n, sa_family_t family) {
  size_t kept = 0;
  for (size_t i = 0; i < n; i++)
    if (list[i].any.sa_family == family) list[kept++] = list[i];
  return kept;
}

/* ---- one attempt ------------------------------------------------------------------*/

static void give_up(attempt *a) {
  a->race = NULL;
  la_node_unlink(&a->node);
  la_uv_stream_unref(a->stream); /* closes: on_connected comes, and frees the attempt */
}

static void give_up_all(race *r) {
  while (!la_list_empty(&r->running)) give_up(la_container(r->running.head.next, attempt, node));
}

/* The error of the address that is tried first is the one to tell. */
static void note_failure(race *r, const la_address *address, int err) {
  size_t at = (size_t)(address - r->list);
  if (r->failed && at > r->failed_at) return;
  r->failed = true;
  r->failed_at = at;
  r->pub.status = err;
  r->pub.winner = *address;
}

static void won(race *r, attempt *a) {
  r->pub.stream = a->stream;
  r->pub.winner = *a->address;
  r->pub.status = 0;
  give_up_all(r);
}

static void on_connected(uv_connect_t *req, int status) {
  attempt *a = la_container(req, attempt, req);
  race *r = a->race;
  if (r != NULL) {
    la_node_unlink(&a->node);
    if (status == 0) {
      won(r, a);
    } else {
      note_failure(r, a->address, status);
      r->next_at = 0;
      la_uv_stream_unref(a->stream);
    }
    la_waiter_wake(&r->waiter, r->reactor);
  }
  free(a);
}

static int open_socket(race *r, attempt *a) {
  int fd = la_tcp_socket(a->address->any.sa_family);
  if (fd < 0) return fd;
  int err = 0, on = 1;
  if (r->bound) {
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, &r->bind_to.any, la_address_len(&r->bind_to)) != 0)
      err = uv_translate_sys_error(errno);
  }
  if (err == 0) err = la_tcp_kind.open(a->stream, fd);
  if (err != 0) close(fd);
  return err;
}

static int start(race *r, const la_address *address) {
  attempt *a = calloc(1, sizeof *a);
  if (a == NULL) return UV_ENOMEM;
  a->race = r;
  a->address = address;
  a->stream = la_tcp_kind.make(r->reactor);
  int err = a->stream == NULL ? UV_ENOMEM : open_socket(r, a);
  if (err == 0)
    err = uv_tcp_connect(&a->req, (uv_tcp_t *)la_uv_stream_uv(a->stream), &address->any,
                         on_connected);
  if (err == 0) {
    la_list_push(&r->running, &a->node);
    return 0;
  }
  if (a->stream != NULL) la_uv_stream_unref(a->stream);
  free(a);
  return err;
}

/* ---- the race ---------------------------------------------------------------------*/

static void start_due(race *r) {
  uint64_t now = la_executor_now(r->reactor->ex);
  while (r->next < r->count && (la_list_empty(&r->running) || now >= r->next_at)) {
    const la_address *address = &r->list[r->next++];
    int err = start(r, address);
    if (err == 0)
      r->next_at = now + LA_CONNECT_STAGGER_NS;
    else
      note_failure(r, address, err);
  }
}

/* A race that outlives the executor finds its timer in no queue any more. */
static void stop_timer(race *r) {
  if (la_timer_idle(&r->stagger)) return;
  if (r->reactor->ex != NULL)
    la_timer_cancel(&r->reactor->ex->timers, &r->stagger);
  else
    la_waker_drop(r->stagger.waker);
}

static la_poll race_poll(la_future *f, la_context *cx) {
  race *r = (race *)(void *)la_container(f, la_connect, base);
  stop_timer(r);
  if (r->pub.stream == NULL) start_due(r);
  if (r->pub.stream != NULL || la_list_empty(&r->running))
    return la_budget_take(cx) ? LA_READY : LA_PENDING;
  la_waiter_set(&r->waiter, r->reactor, cx);
  if (r->next < r->count)
    la_timer_insert(&r->reactor->ex->timers, &r->stagger, r->next_at, la_waker_clone(cx->waker));
  return LA_PENDING;
}

static void race_drop(la_future *f) {
  race *r = (race *)(void *)la_container(f, la_connect, base);
  stop_timer(r);
  la_waiter_clear(&r->waiter, r->reactor);
  give_up_all(r);
  if (r->pub.stream != NULL) la_uv_stream_unref(r->pub.stream);
  la_reactor_unref(r->reactor);
  free(r);
}

static const la_future_vtable race_vtable = {race_poll, race_drop, "connect", NULL};

la_connect *la_connect_new(la_reactor *reactor, const la_address *list, size_t n,
                           const la_address *bind_to) {
  race *r = calloc(1, sizeof *r + n * sizeof *list);
  if (r == NULL) return NULL;
  r->pub = (la_connect){.base = {&race_vtable}, .status = UV_EAFNOSUPPORT, .winner = list[0]};
  r->reactor = reactor;
  la_reactor_ref(reactor);
  la_list_init(&r->running);
  interleave(r->list, list, n);
  r->count = n;
  if (bind_to != NULL) {
    r->bound = true;
    r->bind_to = *bind_to;
    r->count = of_family(r->list, n, bind_to->any.sa_family);
  }
  return &r->pub;
}
