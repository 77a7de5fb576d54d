#include "bridge/poll_fn.h"

#include <lauxlib.h>
#include <string.h>

#include "bridge/report.h"
#include "bridge/task_object.h"

enum { POLL = LA_THREAD_GUARD + 1, DROP, CONTEXT };

/* Calls the function below the n arguments on top of the future's own thread, which
** keeps what is beneath; lua_resume counts that among the results. */
static int call(la_poll_fn *p, int n, int *results) {
  la_runtime *rt = la_rt;
  la_coro *current = rt->current;
  lua_State *running = rt->running;
  if (!la_hook_unused(&rt->hook)) la_hook_follow(rt, p->co, &p->hook);
  rt->current = NULL;
  rt->running = p->co;
  p->running = true;
  lua_State *callback = la_callback_begin(p->co);
  int status = lua_resume(p->co, running, n, results);
  la_callback_end(p->co, callback);
  p->running = false;
  if (status == LUA_OK) *results -= CONTEXT;
  rt->running = running;
  rt->current = current;
  la_about_to_run(running);
  return status;
}

/* Ends it with an error: the message (static), or what is on top of its stack. */
static la_poll fail(la_poll_fn *p, const char *message) {
  p->failed = p->over = true;
  p->results = 1;
  p->message = message;
  return LA_READY;
}

/* The program may get hold of the thread (coroutine.running), and close or resume it. */
static bool untouched(const la_poll_fn *p) {
  return lua_status(p->co) == LUA_OK && lua_gettop(p->co) == CONTEXT;
}

static la_poll poll_fn_poll(la_future *f, la_context *cx) {
  la_poll_fn *p = la_container(f, la_poll_fn, base);
  if (!untouched(p))
    return fail(p, "the coroutine of a poll function was closed or resumed elsewhere");
  la_context_object *object = lua_touserdata(p->co, CONTEXT);
  int n;
  if (*cx->budget == 0) {
    la_waker_wake_by_ref(cx->waker);
    return LA_PENDING;
  }
  lua_pushvalue(p->co, POLL);
  lua_pushvalue(p->co, CONTEXT);
  object->cx = cx;
  int status = call(p, 1, &n);
  object->cx = NULL;
  if (status == LUA_YIELD)
    return fail(p, "a poll function cannot wait or yield: it returns \"pending\"");
  if (status != LUA_OK) return fail(p, NULL);
  const char *state = n > 0 && lua_type(p->co, -n) == LUA_TSTRING ? lua_tostring(p->co, -n) : "";
  if (strcmp(state, "pending") == 0) {
    lua_settop(p->co, CONTEXT);
    return LA_PENDING;
  }
  if (strcmp(state, "ready") != 0)
    return fail(p, "a poll function must return \"pending\", or \"ready\" and the values");
  if (*cx->budget > 0) --*cx->budget;
  p->results = n - 1;
  p->over = true;
  return LA_READY;
}

static void call_drop(la_poll_fn *p) {
  int n;
  lua_pushvalue(p->co, DROP);
  int status = call(p, 0, &n);
  if (status == LUA_OK) return;
  if (status == LUA_YIELD) lua_pushliteral(p->co, "a drop function cannot wait or yield");
  lua_State *L = la_rt->running;
  if (!lua_checkstack(L, LUA_MINSTACK)) return;
  lua_xmove(p->co, L, 1);
  lua_pushnil(L);
  lua_pushnil(L);
  la_report_failure(L);
}

static void poll_fn_drop(la_future *f) {
  la_poll_fn *p = la_container(f, la_poll_fn, base);
  if (p->running) { /* the Lua state is being closed in the middle of it: it stays as it is */
    p->co = NULL;
    return;
  }
  if (!p->over && untouched(p) && !lua_isnil(p->co, DROP)) call_drop(p);
  bool usable = lua_status(p->co) == LUA_OK;
  if (!usable) la_thread_close(p->co, la_rt->running);
  la_thread_give(la_rt, p->co, p->anchor, usable);
  p->co = NULL;
}

static const la_future_vtable poll_fn_vtable = {poll_fn_poll, poll_fn_drop, "poll_fn", NULL};

bool la_poll_fn_init(la_poll_fn *p, lua_State *L) {
  lua_State *co = la_thread_take(la_rt, &p->anchor);
  if (co == NULL) return false;
  lua_xmove(L, co, 3);
  p->base.vt = &poll_fn_vtable;
  p->co = co;
  p->results = 0;
  p->hook = 0;
  p->message = NULL;
  p->failed = p->over = p->running = false;
  return true;
}

int la_poll_fn_take(la_poll_fn *p, lua_State *L) {
  if (p->message == NULL && lua_gettop(p->co) < p->results)
    p->message = "its results are lost: its coroutine was closed elsewhere";
  if (p->message != NULL) p->results = 1;
  if (p->message != NULL)
    lua_pushstring(L, p->message);
  else
    lua_xmove(p->co, L, p->results);
  return p->results;
}
