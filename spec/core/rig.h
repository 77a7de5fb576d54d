/* rig.h - a group of parts, each of which counts what is done to it: for the tests of groups. */
#ifndef LA_TEST_RIG_H
#define LA_TEST_RIG_H

#include "core/group.h"

#include "core/future.h"
#include "counting.h"

#define EX (((fixture *)*state)->ex)

enum { N = 5 };

typedef struct rig rig;

/* What a member runs: counts in `c`, which outlives it. `cancel`: what its future answers;
** it is ready `unwinding_polls` after the first LA_CANCEL_UNWIND. */
typedef struct part {
  la_future base;
  counting c;
  int cancels, overs, ready_overs, releases, unwinding_polls;
  la_cancel answer;
  bool ends_all;   /* its `over` cancels the others */
  bool group_gone; /* as `over` saw it */
  rig *in;
} part;

/* A member, and what it reports to. */
typedef struct reporting {
  la_member member;
  part *p;
} reporting;

struct rig {
  la_group g;
  part p[N];
  counting owner; /* who polls the group is counted here */
  la_task *task;
};

static la_poll part_poll(la_future *f, la_context *cx) {
  part *p = la_container(f, part, base);
  counting *c = &p->c;
  assert_int_equal(c->drops, 0);
  assert_int_equal(p->overs, 0);
  c->polls++;
  if (c->has_waker) la_waker_drop(c->waker);
  c->waker = la_waker_clone(cx->waker);
  c->has_waker = true;
  if (c->during != NULL) c->during(c, cx);
  return c->ready_at != 0 && c->polls >= c->ready_at ? LA_READY : LA_PENDING;
}

static void part_drop(la_future *f) {
  part *p = la_container(f, part, base);
  p->c.drops++;
  if (p->c.has_waker) la_waker_drop(p->c.waker);
  p->c.has_waker = false;
}

static la_cancel part_cancel(la_future *f) {
  part *p = la_container(f, part, base);
  if (p->cancels++ == 0 && p->answer == LA_CANCEL_UNWIND)
    p->c.ready_at = p->c.polls + p->unwinding_polls;
  return p->answer;
}

static const la_future_vtable plain = {part_poll, part_drop, "part", NULL};
static const la_future_vtable asked = {part_poll, part_drop, "part", part_cancel};

static bool part_over(la_member *m, bool ready) {
  part *p = ((reporting *)(void *)m)->p;
  assert_int_equal(p->c.drops, 0); /* its output can be taken */
  assert_int_equal(p->releases, 0);
  p->overs++;
  p->ready_overs += ready;
  p->group_gone = m->group == NULL;
  return p->ends_all;
}

static void part_release(la_member *m) {
  part *p = ((reporting *)(void *)m)->p;
  assert_int_equal(p->overs, 1);
  p->releases++;
  la_future_drop(m->f);
}

static const la_group_class cls = {LA_MEMBER(sizeof(reporting)), part_over, part_release};

static inline void start(rig *r, int i) {
  reporting *m = (reporting *)(void *)la_member_new(&r->g, &cls, (size_t)i);
  assert_non_null(m);
  assert_int_equal(m->member.index, i);
  m->p = &r->p[i];
  r->p[i].in = r;
  la_member_start(&m->member, &r->g, &r->p[i].base);
}

/* Vtables are chosen before: `asks` is a bit for each part that has a cancel. */
static inline void begin(void **state, rig *r, unsigned asks) {
  la_group_init(&r->g, EX, "group");
  for (int i = 0; i < N; i++) {
    r->p[i].base.vt = (asks >> i & 1) != 0 ? &asked : &plain;
    start(r, i);
  }
}

static inline void wake(part *p) {
  assert_true(p->c.has_waker);
  la_waker w = la_waker_clone(&p->c.waker);
  la_waker_wake(w);
}

/* Of somebody who counts how often it is woken: a task that polls the group. */
static inline la_poll poll_with(la_group *g, const la_waker *w, size_t left) {
  unsigned budget = 100;
  la_context cx = {w, &budget};
  return la_group_poll(g, &cx, left);
}

static inline la_poll look(rig *r, size_t left) {
  la_waker w = la_task_borrow_waker(r->task);
  return poll_with(&r->g, &w, left);
}

/* A rig whose group is looked at by a task that is polled once for each wake. */
static inline void begin_owned(void **state, rig *r, unsigned asks) {
  r->task = counting_task(EX, &r->owner);
  la_task_ref(r->task);
  begin(state, r, asks);
  turns(EX);
  assert_int_equal(r->owner.polls, 1);
}

static inline void end(void **state, rig *r) {
  la_group_drop(&r->g);
  if (r->task != NULL) la_task_unref(r->task);
  turns(EX);
  for (int i = 0; i < N; i++) {
    assert_int_equal(r->p[i].overs, 1);
    assert_int_equal(r->p[i].releases, 1);
    assert_int_equal(r->p[i].c.drops, 1);
  }
  assert_int_equal(r->g.count, 0);
  executor_close(state);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, executor_setup, executor_teardown)

#endif
