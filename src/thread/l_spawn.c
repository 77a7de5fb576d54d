/* async.thread.spawn: a runtime of its own on a thread of its own. */
#include "task/l_dump.h"
#include "thread/l_run.h"
#include "thread/l_thread.h"

static int begin(lua_State *L, void *room, la_future **f) {
  (void)room;
  la_thread_work *w = lua_touserdata(L, 1);
  la_thread_work work = *w;
  la_thread_future *future;
  *w = (la_thread_work){NULL, NULL};
  int error = la_thread_future_new(la_rt, work.plan, work.in, &future);
  if (error != 0) {
    la_fail(L, error, "thread.spawn");
    return lua_error(L);
  }
  *f = &future->base;
  return 0;
}

static int finish(lua_State *L, la_future *f) {
  return la_thread_future_results(L, la_container(f, la_thread_future, base));
}

static const la_operation operation = {"thread.spawn", begin, finish};
static int body(lua_State *L) { return la_operate(L, &operation); }
static int spawn(lua_State *L) { return la_thread_spawn(L, body, "async.thread.spawn"); }

static void push_dumps(lua_State *L, la_runtime *rt) {
  la_thread_push_dumps(L, rt, LA_DUMP_PATIENCE);
}

void la_open_thread_spawn(lua_State *L) {
  la_dump_also(push_dumps);
  lua_pushcfunction(L, spawn);
  lua_setfield(L, -2, "spawn");
}
