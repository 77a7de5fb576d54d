#include "fs/watch.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "driver/guard.h"

struct la_fs_watch {
  la_handle handle;
  uv_fs_event_t uv;
  la_waiter waiter;
  la_list events;
  unsigned kept;
  int failed; /* what libuv reported; nothing comes after it */
  bool folder, overflow;
  la_watch_event *lost; /* the event of an overflow: there before it is needed */
  char path[];
};

static la_fs_watch *from_handle(la_handle *h) { return la_container(h, la_fs_watch, handle); }

/* ---- events -----------------------------------------------------------------------*/

static la_watch_event *new_event(la_watch_kind kind, const char *name) {
  size_t len = strlen(name) + 1;
  la_watch_event *e = malloc(sizeof *e + len);
  if (e == NULL) return NULL;
  e->kind = kind;
  memcpy(e->name, name, len);
  return e;
}

static bool is_last(const la_fs_watch *w, la_watch_kind kind, const char *name) {
  if (w->kept == 0) return false;
  const la_watch_event *last = la_container(w->events.head.prev, la_watch_event, node);
  return last->kind == kind && strcmp(last->name, name) == 0;
}

static void append(la_fs_watch *w, la_watch_event *e) {
  la_list_push(&w->events, &e->node);
  w->kept++;
}

static void add(la_fs_watch *w, la_watch_kind kind, const char *name) {
  if (is_last(w, kind, name) || w->lost == NULL) return; /* NULL: an overflow is the last */
  la_watch_event *e = w->kept < LA_WATCH_KEPT ? new_event(kind, name) : NULL;
  if (e == NULL) {
    e = w->lost;
    w->lost = NULL;
  }
  append(w, e);
}

/* What befell the watched folder itself libuv tells by the end of its own path. */
static bool is_itself(const uv_fs_event_t *uv, const char *name) {
  const char *slash = strrchr(uv->path, '/');
  return name == (slash == NULL ? uv->path : slash + 1);
}

static void on_event(uv_fs_event_t *uv, const char *name, int events, int status) {
  la_fs_watch *w = la_container(uv, la_fs_watch, uv);
  if (status < 0) {
    w->failed = status;
  } else {
    if (name == NULL || !w->folder || is_itself(uv, name)) name = "";
    if (events & UV_RENAME) add(w, LA_WATCH_RENAME, name);
    if (events & UV_CHANGE) add(w, LA_WATCH_CHANGE, name);
  }
  la_waiter_wake(&w->waiter, w->handle.reactor);
}

la_watch_event *la_fs_watch_first(la_fs_watch *w) {
  return w->kept > 0 ? la_container(w->events.head.next, la_watch_event, node) : NULL;
}

void la_fs_watch_take(la_fs_watch *w) {
  la_watch_event *e = la_fs_watch_first(w);
  la_node_unlink(&e->node);
  w->kept--;
  if (e->kind == LA_WATCH_OVERFLOW)
    w->lost = e; /* for the next one */
  else
    free(e);
}

/* ---- life -------------------------------------------------------------------------*/

static uv_handle_t *uv_of(la_handle *h) { return (uv_handle_t *)&from_handle(h)->uv; }

static void drop_events(la_fs_watch *w) {
  for (la_node *n = w->events.head.next, *next; n != &w->events.head; n = next) {
    next = n->next;
    free(la_container(n, la_watch_event, node));
  }
  la_list_init(&w->events);
  w->kept = 0;
}

static void closing(la_handle *h) {
  la_fs_watch *w = from_handle(h);
  drop_events(w);
  la_waiter_wake(&w->waiter, h->reactor);
}

static void free_watch(la_handle *h) {
  la_fs_watch *w = from_handle(h);
  la_waiter_clear(&w->waiter, h->reactor);
  drop_events(w);
  free(w->lost);
  free(w);
}

static const la_handle_class class = {"open watch", uv_of, closing, free_watch};

/* The first watch of a loop opens a descriptor, which libuv watches at once. */
static int guard(la_reactor *r) {
  int fd = fcntl(uv_backend_fd(r->uv), F_DUPFD_CLOEXEC, 0);
  if (fd < 0) return uv_translate_sys_error(errno);
  int err = la_guard_watch(r, fd);
  close(fd);
  return err;
}

int la_fs_watch_new(la_reactor *r, const char *path, la_fs_watch **out) {
  struct stat st;
  size_t len = strlen(path) + 1;
  if (stat(path, &st) != 0) return uv_translate_sys_error(errno);
  la_fs_watch *w = calloc(1, sizeof *w + len);
  if (w == NULL) return UV_ENOMEM;
  la_handle_init(&w->handle, r, &class);
  la_list_init(&w->events);
  w->folder = S_ISDIR(st.st_mode);
  memcpy(w->path, path, len);
  w->lost = new_event(LA_WATCH_OVERFLOW, "");
  int err = w->lost == NULL ? UV_ENOMEM : guard(r);
  if (err == 0) err = uv_fs_event_init(r->uv, &w->uv);
  if (err == 0) {
    la_handle_opened(&w->handle);
    err = uv_fs_event_start(&w->uv, on_event, path, 0);
  }
  if (err != 0)
    la_fs_watch_unref(w);
  else
    *out = w;
  return err;
}

void la_fs_watch_ref(la_fs_watch *w) { la_handle_ref(&w->handle); }
void la_fs_watch_unref(la_fs_watch *w) { la_handle_unref(&w->handle); }
void la_fs_watch_close(la_fs_watch *w) { la_handle_close(&w->handle); }
bool la_fs_watch_is_open(const la_fs_watch *w) { return la_handle_is_open(&w->handle); }
bool la_fs_watch_waits(const la_fs_watch *w) { return la_waiter_holds(&w->waiter); }
const char *la_fs_watch_path(const la_fs_watch *w) { return w->path; }
bool la_fs_watch_of_folder(const la_fs_watch *w) { return w->folder; }

/* ---- waiting ----------------------------------------------------------------------*/

static la_poll wait_poll(la_future *f, la_context *cx) {
  la_watch_wait *wait = la_container(f, la_watch_wait, base);
  la_fs_watch *w = wait->watch;
  if (!la_fs_watch_is_open(w)) {
    wait->status = wait->begun ? UV_ECANCELED : UV_EBADF;
  } else if (w->kept > 0) {
    wait->status = 0;
  } else if (w->failed != 0) {
    wait->status = w->failed;
  } else {
    wait->begun = true;
    la_waiter_set(&w->waiter, w->handle.reactor, cx);
    return LA_PENDING;
  }
  return la_budget_take(cx) ? LA_READY : LA_PENDING;
}

static void wait_drop(la_future *f) {
  la_watch_wait *wait = la_container(f, la_watch_wait, base);
  la_waiter_clear(&wait->watch->waiter, wait->watch->handle.reactor);
  la_fs_watch_unref(wait->watch);
}

static const la_future_vtable wait_vtable = {wait_poll, wait_drop, "watch", NULL};

void la_watch_wait_init(la_watch_wait *f, la_fs_watch *w) {
  la_fs_watch_ref(w);
  *f = (la_watch_wait){.base = {&wait_vtable}, .watch = w};
}
