#include "fs/walk.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "fs/tree.h"

/* A trip brings so many bytes, and at least one entry; the first one fewer, for those who look
** at the first entries only. */
enum { BATCH_FIRST = 4096, BATCH = 1 << 16, NO_SKIP = 0 };

/* An entry in the batch: this, and the path with its zero. */
typedef struct head {
  int error;
  unsigned depth;
  char type;
} head;

/* While `busy`, the tree and the batch belong to the pool's thread. */
struct la_walk {
  la_reactor *reactor; /* a reference */
  la_resource resource;
  la_work work;
  la_waiter waiter;
  unsigned refs;
  bool busy, closed, ended, begun;
  int status; /* of what ended it */
  la_walk_options options;
  la_tree tree;
  char *batch;
  size_t len, cap, at, goal;
  unsigned last_depth; /* of the entry given last, when it is a folder that may be skipped */
  unsigned skip;       /* what is deeper than this is passed over, until something is not */
  char root[];
};

/* ---- a batch: on the pool's thread --------------------------------------------------*/

static int emit(la_walk *w, const char *path, size_t len, head h) {
  size_t need = w->len + sizeof h + len + 1;
  if (need > w->cap) {
    size_t cap = need + need / 2;
    char *batch = realloc(w->batch, cap);
    if (batch == NULL) return UV_ENOMEM;
    w->batch = batch;
    w->cap = cap;
  }
  memcpy(w->batch + w->len, &h, sizeof h);
  memcpy(w->batch + w->len + sizeof h, path, len);
  w->batch[need - 1] = '\0';
  w->len = need;
  return 0;
}

/* An entry of the innermost folder. */
static int emit_entry(la_walk *w, const char *name, char type, int error) {
  char *path = la_tree_path_of(&w->tree, name);
  if (path == NULL) return UV_ENOMEM;
  int err = emit(w, path, strlen(path), (head){error, w->tree.depth, type});
  free(path);
  return err;
}

/* The innermost folder itself. */
static int emit_folder(la_walk *w, int error) {
  return emit(w, w->tree.path, w->tree.len, (head){error, w->tree.depth - 1, 'd'});
}

/* Goes up; a folder there that cannot be opened again is told of, and left as well. */
static int leave(la_walk *w) {
  int err = 0;
  bool root = w->tree.depth == 1;
  if (w->options.post && !root) err = emit_folder(w, 0);
  int lost = la_tree_leave(&w->tree);
  while (err == 0 && lost != 0) {
    err = emit_folder(w, lost);
    lost = la_tree_leave(&w->tree);
  }
  return err;
}

static int visit_folder(la_walk *w, const struct dirent *e) {
  if (w->tree.depth >= w->options.max_depth) return emit_entry(w, e->d_name, 'd', 0);
  bool pre = !w->options.post;
  if (pre) {
    size_t len = w->len;
    int err = emit_entry(w, e->d_name, 'd', 0);
    if (err != 0) return err;
    err = la_tree_enter(&w->tree, e->d_name);
    if (err != 0) memcpy(w->batch + len, &(head){err, w->tree.depth, 'd'}, sizeof(head));
    return err == UV_ENOMEM ? err : 0;
  }
  int err = la_tree_enter(&w->tree, e->d_name);
  return err == 0 || err == UV_ENOMEM ? err : emit_entry(w, e->d_name, 'd', err);
}

static int step(la_walk *w) {
  int err;
  const struct dirent *e = la_tree_read(&w->tree, &err);
  if (e == NULL && err != 0 && (err = emit_folder(w, err)) != 0) return err;
  if (e == NULL) return leave(w);
  char type = la_tree_type(&w->tree, e);
  return type == 'd' ? visit_folder(w, e) : emit_entry(w, e->d_name, type, 0);
}

static ssize_t run(la_work *work) {
  la_walk *w = la_container(work, la_walk, work);
  int err = 0;
  if (!w->begun) err = la_tree_begin(&w->tree, AT_FDCWD, w->root, w->root, true);
  w->begun = true;
  while (err == 0 && w->skip != NO_SKIP && w->tree.depth > w->skip) err = leave(w);
  while (err == 0 && w->tree.depth > 0 && w->len < w->goal && !la_work_is_unwanted(work))
    err = step(w);
  return err;
}

static const la_work_class class = {LA_WORK_OP("fs.walk", NULL), run};

/* ---- life -------------------------------------------------------------------------*/

static void end_with_loop(la_resource *r) { la_walk_close(la_container(r, la_walk, resource)); }

la_walk *la_walk_new(la_reactor *r, const char *root, la_walk_options options) {
  size_t len = strlen(root) + 1;
  la_walk *w = calloc(1, sizeof *w + len);
  if (w == NULL) return NULL;
  w->reactor = r;
  la_reactor_ref(r);
  w->resource.end = end_with_loop;
  w->resource.name = "open walk";
  la_list_push(&r->resources, &w->resource.node);
  w->refs = 1;
  w->options = options;
  w->goal = BATCH_FIRST;
  la_tree_init(&w->tree, options.follow);
  memcpy(w->root, root, len);
  return w;
}

/* What it holds of the system, as soon as nobody needs it. */
static void release(la_walk *w) {
  la_tree_end(&w->tree);
  if (!w->ended || w->closed) {
    free(w->batch);
    w->batch = NULL;
    w->len = w->cap = w->at = 0;
  }
  if (la_node_linked(&w->resource.node)) la_node_unlink(&w->resource.node);
}

static void free_if_over(la_walk *w) {
  if (w->refs > 0 || w->busy) return;
  la_reactor *r = w->reactor;
  release(w);
  free(w);
  la_reactor_unref(r);
}

void la_walk_ref(la_walk *w) { w->refs++; }
bool la_walk_is_open(const la_walk *w) { return !w->closed; }
bool la_walk_steps(const la_walk *w) { return la_waiter_holds(&w->waiter); }

void la_walk_unref(la_walk *w) {
  if (--w->refs > 0) return;
  la_walk_close(w);
  free_if_over(w);
}

void la_walk_close(la_walk *w) {
  if (w->closed) return;
  w->closed = true;
  if (w->busy)
    atomic_store_explicit(&w->work.unwanted, true, memory_order_relaxed);
  else
    release(w);
  la_waiter_wake(&w->waiter, w->reactor);
}

/* ---- steps ------------------------------------------------------------------------*/

static void batch_ended(la_work *work, ssize_t result) {
  la_walk *w = la_container(work, la_walk, work);
  w->busy = false;
  w->goal = BATCH;
  w->skip = NO_SKIP;
  w->ended = result < 0 || w->tree.depth == 0;
  w->status = (int)result;
  if (w->closed || w->ended) release(w);
  la_waiter_wake(&w->waiter, w->reactor);
  free_if_over(w);
}

static int start(la_walk *w) {
  w->at = w->len = 0;
  la_work_init(&w->work, &class, w->reactor);
  int err = la_work_submit(&w->work, batch_ended);
  w->busy = err == 0;
  return err;
}

static head head_at(const la_walk *w, size_t at) {
  head h;
  memcpy(&h, w->batch + at, sizeof h);
  return h;
}

static size_t after(const la_walk *w, size_t at) {
  return at + sizeof(head) + strlen(w->batch + at + sizeof(head)) + 1;
}

bool la_walk_next(la_walk *w, la_walk_entry *e) {
  if (w->busy || w->closed) return false;
  while (w->skip != NO_SKIP && w->at < w->len) {
    if (head_at(w, w->at).depth <= w->skip) {
      w->skip = NO_SKIP;
      break;
    }
    w->at = after(w, w->at);
  }
  if (w->at >= w->len) return false;
  head h = head_at(w, w->at);
  *e = (la_walk_entry){w->batch + w->at + sizeof h, h.type, h.error};
  w->last_depth = h.type == 'd' && !w->options.post ? h.depth : NO_SKIP;
  w->at = after(w, w->at);
  return true;
}

void la_walk_skip(la_walk *w) {
  if (w->last_depth != NO_SKIP && !w->busy) w->skip = w->last_depth;
}

static bool has_entry(la_walk *w) {
  size_t at = w->at;
  if (w->skip == NO_SKIP) return at < w->len;
  while (at < w->len && head_at(w, at).depth > w->skip) at = after(w, at);
  return at < w->len;
}

static la_poll step_poll(la_future *f, la_context *cx) {
  la_walk_step *s = la_container(f, la_walk_step, base);
  la_walk *w = s->walk;
  for (;;) {
    if (w->closed)
      s->status = s->begun ? UV_ECANCELED : UV_EBADF;
    else if (!w->busy && has_entry(w))
      s->status = 1;
    else if (!w->busy && w->ended)
      s->status = w->status;
    else if (!w->busy && (s->status = start(w)) == 0)
      continue;
    else if (w->busy)
      break;
    return la_budget_take(cx) ? LA_READY : LA_PENDING;
  }
  s->begun = true;
  la_waiter_set(&w->waiter, w->reactor, cx);
  return LA_PENDING;
}

static void step_drop(la_future *f) {
  la_walk_step *s = la_container(f, la_walk_step, base);
  la_waiter_clear(&s->walk->waiter, s->walk->reactor);
  la_walk_unref(s->walk);
}

static const la_future_vtable step_vtable = {step_poll, step_drop, "walk", NULL};

void la_walk_step_init(la_walk_step *s, la_walk *w) {
  la_walk_ref(w);
  *s = (la_walk_step){.base = {&step_vtable}, .walk = w};
}
