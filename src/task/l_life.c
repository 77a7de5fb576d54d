#include "task/l_life.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "bridge/future_object.h"
#include "bridge/lib.h"
#include "bridge/losses.h"
#include "bridge/report.h"
#include "core/group.h"
#include "driver/guest.h"
#include "task/l_kick.h"

static _Atomic(void (*)(void)) after;

void la_life_after(void (*f)(void)) { atomic_store_explicit(&after, f, memory_order_release); }

bool la_life_find_seed(lua_State *L, int arg, uint64_t *seed) {
  if (!lua_isnoneornil(L, arg)) {
    int is, type = lua_getfield(L, arg, "seed");
    *seed = (uint64_t)lua_tointegerx(L, -1, &is);
    luaL_argcheck(L, is || type == LUA_TNIL, arg, "option 'seed' must be an integer");
    lua_pop(L, 1);
    if (is) return true;
  }
  const char *s = getenv("LUA_ASYNC_SEED");
  if (s == NULL || *s == '\0') return false;
  char *end;
  *seed = strtoull(s, &end, 0);
  if (*end != '\0') luaL_error(L, "LUA_ASYNC_SEED must be an integer, not '%s'", s);
  return true;
}

void la_life_begin(lua_State *L, la_life *s, const uint64_t *seed) {
  la_runtime *rt = &s->rt;
  rt->ex = s->reactor->ex;
  rt->reactor = s->reactor;
  s->reactor->tell = la_losses_tell_at_exit;
  if (seed != NULL) la_executor_seed(rt->ex, *seed);
  s->begun = true;
  la_runtime_init(L, rt);
}

void la_life_cancel(la_life *s) {
  s->rt.ending = true;
  la_runtime_cancel_all(&s->rt);
}

/* The oldest task that is nobody's member, a reference; NULL: none. */
static la_task *first_task(la_executor *ex) {
  for (la_node *n = ex->live.head.next; n != &ex->live.head; n = n->next) {
    la_task *t = la_container(n, la_task, live);
    if (la_task_is_member(t)) continue;
    la_task_ref(t);
    return t;
  }
  return NULL;
}

/* Runs until there is no such task. False: those that are left wait for ever. */
static bool run_tasks(la_executor *ex) {
  la_run_end end = LA_RUN_DONE;
  for (la_task *t; end == LA_RUN_DONE && (t = first_task(ex)) != NULL; la_task_unref(t))
    end = la_executor_run(ex, t);
  return end == LA_RUN_DONE;
}

/* Tasks poll Futures as they unwind: only what is left then is nobody's. Dropped, it may cancel
** others, and let go of what some wait for. */
void la_life_unwind(la_life *s) {
  bool ended = run_tasks(s->rt.ex);
  while (la_future_objects_drop_left(&s->rt)) ended = run_tasks(s->rt.ex);
  if (ended) la_executor_run(s->rt.ex, NULL);
}

void la_life_settle(la_life *s) {
  la_executor *ex = s->rt.ex;
  la_task *t = first_task(ex);
  if (t == NULL || la_executor_stuck(ex)) la_future_objects_drop_left(&s->rt);
  if (t != NULL) la_task_unref(t);
}

/* NULL: on the loop of a host, whose end is later. */
static la_loss *end_reactor(la_reactor *r) {
  if (r->guest != NULL) {
    la_guest_free(r);
    return NULL;
  }
  la_reactor_ref(r);
  la_reactor_free(r);
  la_loss *list = la_loss_take(r);
  la_reactor_unref(r);
  return list;
}

la_loss *la_life_end(lua_State *L, la_life *s) {
  la_runtime *rt = &s->rt;
  la_reactor *r = s->reactor;
  if (r != NULL) la_kick_end_run(&r->async);
  if (s->begun && !rt->entered) la_runtime_enter(L, rt);
  if (s->begun) la_future_objects_drop_all(rt);
  if (s->begun) la_report_rest(rt);
  la_loss *losses = r != NULL ? end_reactor(r) : NULL;
  void (*f)(void) = atomic_load_explicit(&after, memory_order_acquire);
  if (f != NULL) f();
  s->reactor = NULL;
  rt->ex = NULL;
  if (s->begun) {
    la_runtime_exit(rt);
    la_runtime_free(L, rt);
  }
  s->begun = false;
  return losses;
}
