#include "bridge/combine.h"

#include <lauxlib.h>

#include "bridge/future_object.h"
#include "bridge/task_object.h"

typedef struct arm {
  la_member member;
  la_combined *in;
  int pin; /* in the table of owners; 0: none */
  bool is_task;
  union {
    struct { /* a Future: polled where it is */
      la_future base;
      la_future_object *o;
    } future;
    struct { /* a Task */
      la_join join;
      la_task_object *o;
    } task;
  } u;
} arm;

/* ---- the futures of arms ------------------------------------------------------------*/

static arm *of_future(la_future *f) { return la_container(f, arm, u.future.base); }

static la_poll future_poll(la_future *f, la_context *cx) {
  la_future_object *o = of_future(f)->u.future.o;
  return o == NULL ? LA_READY : la_future_object_poll_started(o, cx);
}

static void future_drop(la_future *f) {
  arm *a = of_future(f);
  la_future_object *o = a->u.future.o;
  if (o == NULL) return;
  o->awaiter = NULL;
  if (a->member.ready && a->member.group != NULL) {
    la_list_push(&a->in->done, &o->done); /* its output is to be taken */
    return;
  }
  const la_group *g = a->member.group;
  la_future_object_give_up(o, g != NULL ? g->owner : NULL);
}

static la_cancel future_cancel(la_future *f) {
  la_future_object *o = of_future(f)->u.future.o;
  return o != NULL ? la_future_object_cancel(o) : LA_CANCEL_DROP;
}

/* Two tables, so that a group need not ask those which never unwind. */
static const la_future_vtable future_vtable = {future_poll, future_drop, "future", NULL};
static const la_future_vtable unwinding_vtable = {future_poll, future_drop, "future",
                                                  future_cancel};

static bool failed(const arm *a) {
  if (a->is_task) return a->u.task.o->outcome >= LA_OUTCOME_CANCELLED;
  return a->u.future.o != NULL && la_future_object_failed(a->u.future.o);
}

static bool arm_over(la_member *m, bool ready) {
  arm *a = la_container(m, arm, member);
  if (m->group == NULL || !ready || a->in->first != 0) return false;
  if (!a->in->select && !failed(a)) return false;
  a->in->first = (lua_Integer)m->index + 1;
  return true;
}

static void arm_release(la_member *m) {
  arm *a = la_container(m, arm, member);
  la_future_drop(m->f);
  if (a->pin != 0) la_owner_remove(la_rt, a->pin);
}

static const la_group_class arm_class = {LA_MEMBER(sizeof(arm)), arm_over, arm_release};

/* ---- the combination as a future ----------------------------------------------------*/

static la_poll combined_poll(la_future *f, la_context *cx) {
  return la_group_poll(&la_container(f, la_combined, base)->group, cx, 0);
}

static void combined_drop(la_future *f) {
  la_combined *all = la_container(f, la_combined, base);
  la_group_drop(&all->group);
  la_node *n;
  while ((n = la_list_pop(&all->done)) != NULL)
    la_future_object_drop(la_container(n, la_future_object, done));
}

static la_cancel combined_cancel(la_future *f) {
  la_combined *all = la_container(f, la_combined, base);
  return la_group_cancel_waiting(&all->group, all->first != 0);
}

static const la_future_vtable join_vtable = {combined_poll, combined_drop, "join", combined_cancel};
static const la_future_vtable select_vtable = {combined_poll, combined_drop, "select",
                                               combined_cancel};

/* ---- starting -----------------------------------------------------------------------*/

/* `pin` is given back when it fails. */
static arm *new_arm(lua_State *L, la_combined *all, lua_Integer i, int pin) {
  arm *a = (arm *)(void *)la_member_new(&all->group, &arm_class, (size_t)i - 1);
  if (a == NULL) {
    if (pin != 0) la_owner_remove(la_rt, pin);
    luaL_error(L, "not enough memory");
    return NULL;
  }
  a->in = all;
  a->pin = pin;
  a->is_task = false;
  return a;
}

/* What runs Lua is kept alive as long as it does: in its poll anything may be collected,
** even who waits for it. The Future is on top, the table of owners at index 3. */
static int pin(lua_State *L, const la_future_object *o) {
  if (o->kind != LA_KIND_CALL && o->kind != LA_KIND_POLL_FN) return 0;
  lua_pushvalue(L, -1);
  return la_owner_add(L, la_rt, 3);
}

static void start_future(lua_State *L, la_combined *all, lua_Integer i) {
  la_future_object *o = la_future_object_prepare(L, -1);
  if (o->state == LA_FUTURE_READY) {
    if (all->select || la_future_object_failed(o)) all->first = i;
    return;
  }
  arm *a = new_arm(L, all, i, pin(L, o));
  a->u.future.base.vt = o->f->vt->cancel != NULL ? &unwinding_vtable : &future_vtable;
  a->u.future.o = o;
  o->awaiter = &a->u.future.o;
  la_member_start(&a->member, &all->group, &a->u.future.base);
}

static void start_task(lua_State *L, la_combined *all, lua_Integer i, la_task_object *o) {
  if (la_task_object_ended(o)) {
    if (all->select || o->outcome >= LA_OUTCOME_CANCELLED) all->first = i;
    return;
  }
  la_task_object_check(L, o);
  arm *a = new_arm(L, all, i, 0);
  a->is_task = true;
  la_join_init(&a->u.task.join, o->task);
  a->u.task.o = o;
  la_member_start(&a->member, &all->group, &a->u.task.join.base);
}

/* Called protected: (combination, arms, owners). One that has decided already ends it:
** those behind it never begin. */
static int start_all(lua_State *L) {
  la_combined *all = lua_touserdata(L, 1);
  lua_Integer n = all->count;
  lua_Integer at = 0;
  if (all->select && n > 1) at = (lua_Integer)la_random_below(&la_rt->ex->random, (uint64_t)n);
  for (lua_Integer k = 0; k < n && all->first == 0; k++, at++) {
    lua_Integer i = at % n + 1;
    lua_rawgeti(L, 2, i);
    la_task_object *task = luaL_testudata(L, -1, LA_TASK_NAME);
    if (task != NULL)
      start_task(L, all, i, task);
    else
      start_future(L, all, i);
    lua_pop(L, 1);
  }
  if (all->first != 0) la_group_cancel(&all->group);
  return 0;
}

la_combined *la_combine(lua_State *L, int arms, lua_Integer count, bool select) {
  arms = lua_absindex(L, arms);
  la_combined *all = lua_newuserdatauv(L, sizeof *all, 0);
  all->base.vt = select ? &select_vtable : &join_vtable;
  all->count = count;
  all->first = 0;
  la_list_init(&all->done);
  all->select = select;
  lua_pushcfunction(L, start_all);
  lua_pushvalue(L, -2);
  lua_pushvalue(L, arms);
  la_owners_push(L);
  la_group_init(&all->group, la_rt->ex, all->base.vt->name);
  if (lua_pcall(L, 3, 0, 0) != LUA_OK) {
    la_group_drop(&all->group);
    lua_error(L);
  }
  return all;
}

la_arm_info la_arm_of(la_task *member) {
  la_member *m = (la_member *)(void *)la_task_future(member);
  const arm *a = (const arm *)(const void *)m;
  la_arm_info info = {NULL, NULL};
  if (m->cls != &arm_class)
    info.waits_for = m->f;
  else if (a->is_task)
    info.waits_for = &a->u.task.join.base;
  else if (a->u.future.o != NULL && (info.coro = la_future_object_coro(a->u.future.o)) == NULL)
    info.waits_for = a->u.future.o->f;
  return info;
}

/* ---- the output ---------------------------------------------------------------------*/

void la_combined_finish(la_combined *all) {
  while (la_list_pop(&all->done) != NULL) continue;
  la_coro_drop_inner(la_rt->current);
}

int la_combined_take(lua_State *L, int arms, lua_Integer i) {
  lua_rawgeti(L, arms, i);
  int at = lua_gettop(L);
  int n = luaL_testudata(L, at, LA_TASK_NAME) != NULL ? la_task_object_results(L, at)
                                                      : la_future_object_take(L, at);
  lua_remove(L, at);
  return n;
}

void la_combined_drop_losers(lua_State *L, int arms, const la_combined *all) {
  for (lua_Integer i = 1; i <= all->count; i++) {
    if (i == all->first) continue;
    lua_rawgeti(L, arms, i);
    la_future_object *o = luaL_testudata(L, -1, LA_FUTURE_NAME);
    if (o != NULL) la_future_object_drop(o); /* one that never began, or was not waited for */
    lua_pop(L, 1);
  }
}
