#include "core/combinator.h"

#include <stdlib.h>

typedef struct combination combination;

typedef struct part {
  la_member member;
  combination *in;
} part;

struct combination {
  la_future base;
  la_group group;
  size_t n, *winner; /* winner: NULL for a join */
  bool started, won;
  struct {
    la_future *f; /* NULL once dropped */
    part *part;   /* until it is started */
  } parts[];
};

static void drop_part(combination *c, size_t i) {
  la_future *f = c->parts[i].f;
  c->parts[i].f = NULL;
  if (f != NULL) la_future_drop(f);
}

static bool part_over(la_member *m, bool ready) {
  const part *p = la_container(m, part, member);
  if (m->group == NULL || !ready || p->in->winner == NULL || p->in->won) return false;
  p->in->won = true;
  *p->in->winner = m->index;
  return true;
}

/* A future that is not over when the combination is dropped is dropped here: its poll may be
** under way. */
static void part_release(la_member *m) {
  const part *p = la_container(m, part, member);
  if (m->group == NULL)
    la_future_drop(m->f);
  else if (!m->ready)
    drop_part(p->in, m->index);
}

static const la_group_class part_class = {LA_MEMBER(sizeof(part)), part_over, part_release};

static void start(combination *c) {
  c->started = true;
  size_t at = c->winner != NULL ? la_random_below(&c->group.ex->random, c->n) : 0;
  for (size_t k = 0; k < c->n; k++, at++) {
    part *p = c->parts[at % c->n].part;
    c->parts[at % c->n].part = NULL;
    la_member_start(&p->member, &c->group, c->parts[at % c->n].f);
  }
}

static la_poll combination_poll(la_future *f, la_context *cx) {
  combination *c = la_container(f, combination, base);
  if (!c->started) start(c);
  return la_group_poll(&c->group, cx, 0);
}

static la_cancel combination_cancel(la_future *f) {
  combination *c = la_container(f, combination, base);
  return c->started ? la_group_cancel_waiting(&c->group, c->won) : LA_CANCEL_DROP;
}

static void combination_drop(la_future *f) {
  combination *c = la_container(f, combination, base);
  for (la_node *n = c->group.members.head.next; n != &c->group.members.head; n = n->next)
    c->parts[la_container(n, la_member, node)->index].f = NULL;
  la_group_drop(&c->group);
  for (size_t i = 0; i < c->n; i++) {
    if (c->parts[i].part != NULL) la_member_discard(&c->parts[i].part->member);
    drop_part(c, i);
  }
  free(c);
}

static const la_future_vtable join_vtable = {combination_poll, combination_drop, "join",
                                             combination_cancel};
static const la_future_vtable select_vtable = {combination_poll, combination_drop, "select",
                                               combination_cancel};

static la_future *combine(la_executor *ex, la_future *const *futures, size_t n, size_t *winner) {
  combination *c =
      n < SIZE_MAX / sizeof c->parts[0] / 2 ? malloc(sizeof *c + n * sizeof c->parts[0]) : NULL;
  if (c == NULL) {
    for (size_t i = 0; i < n; i++) la_future_drop(futures[i]);
    return NULL;
  }
  c->base.vt = winner != NULL ? &select_vtable : &join_vtable;
  c->n = n;
  c->winner = winner;
  c->started = c->won = false;
  la_group_init(&c->group, ex, c->base.vt->name);
  bool whole = true;
  for (size_t i = 0; i < n; i++) {
    part *p = (part *)(void *)la_member_new(&c->group, &part_class, i);
    c->parts[i].f = futures[i];
    c->parts[i].part = p;
    whole = whole && p != NULL;
    if (p != NULL) p->in = c;
  }
  if (whole) return &c->base;
  combination_drop(&c->base);
  return NULL;
}

la_future *la_future_join(la_executor *ex, la_future *const *futures, size_t n) {
  return combine(ex, futures, n, NULL);
}

la_future *la_future_select(la_executor *ex, la_future *const *futures, size_t n, size_t *winner) {
  return combine(ex, futures, n, winner);
}
