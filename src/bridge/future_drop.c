/* The end of Futures, whoever gives them up. */
#include <stdlib.h>

#include "bridge/future_object.h"
#include "bridge/poll_fn.h"

/* Futures that wait for one another are dropped inside of one another, on the C stack: those that
** are too deep for that wait until the outermost is done, linked by their `owner`. */
enum { DROPS_MAX = 500 };
static LA_THREAD_LOCAL unsigned drops;
static LA_THREAD_LOCAL la_coro *undropped;

static void drop_within(la_future *f) {
  drops++;
  la_future_drop(f);
  drops--;
  while (drops == 0 && undropped != NULL) {
    la_coro *c = undropped;
    undropped = c->owner;
    drops++;
    la_future_drop(&c->base);
    drops--;
  }
}

/* A finaliser may do it in the name of a Loop that has no turn. */
static void drop_future(la_future_object *o, la_future *f) {
  if (o->kind == LA_KIND_CALL && drops >= DROPS_MAX) {
    la_coro *c = (la_coro *)(void *)f;
    c->owner = undropped;
    undropped = c;
    return;
  }
  la_runtime *before = o->rt != NULL ? la_runtime_visit(o->rt) : la_rt;
  drop_within(f);
  la_rt = before;
  if (o->kind == LA_KIND_POLL_FN) free(la_container(f, la_poll_fn, base));
}

static void free_future(la_future_object *o) {
  la_future *f = o->f;
  if (la_node_linked(&o->started)) la_node_unlink(&o->started);
  if (la_node_linked(&o->done)) la_node_unlink(&o->done);
  o->f = NULL;
  if (o->kind == LA_KIND_C && o->nargs != 0) {
    o->nargs = 0;
    la_executor_keep_alive(o->rt->ex, -1);
  }
  if (f != NULL) drop_future(o, f);
}

void la_future_object_drop(la_future_object *o) {
  if (o->state == LA_FUTURE_OVER) return;
  o->state = LA_FUTURE_OVER;
  free_future(o);
}

void la_future_object_collect(la_future_object *o) {
  if (o->awaiter != NULL) *o->awaiter = NULL;
  o->awaiter = NULL;
  la_future_object_drop(o);
}

void la_future_objects_drop_all(la_runtime *rt) {
  while (!la_list_empty(&rt->futures))
    la_future_object_drop(la_container(rt->futures.head.next, la_future_object, started));
}

/* One drop may end others, so the walk begins again after each. */
bool la_future_objects_drop_left(la_runtime *rt) {
  bool any = false;
  la_node *n = rt->futures.head.next;
  while (n != &rt->futures.head) {
    la_future_object *o = la_container(n, la_future_object, started);
    bool left = o->state == LA_FUTURE_STARTED && o->awaiter == NULL && !o->polling;
    if (left) la_future_object_drop(o);
    any = any || left;
    n = left ? rt->futures.head.next : n->next;
  }
  return any;
}
