/*
** async.coroutine: as `coroutine`, but an await passes through.
**
** An await in such a coroutine yields with the task's coroutine holding an inner
** future. Its resumer sees that, and yields in turn, up to the executor; resumed, it
** resumes downwards again. A yield without an inner future is the program's own.
*/
#include "bridge/future_object.h"
#include "bridge/lib.h"
#include "bridge/scope.h"
#include "bridge/task_object.h"
#include "bridge/traceback.h"
#include "task/l_kick.h"
#include "task/l_task.h"

/* A continuation's context is one of these, and the scope in which the coroutine was resumed
** in the bits above. */
enum { RESUME, WRAP, KIND = 1 };

static bool is_wrap(lua_KContext k) { return (k & KIND) == WRAP; }
static la_scope *scope_of(lua_KContext k) { return (la_scope *)(k & ~(lua_KContext)KIND); }

static char coroutine_guard_key; /* registry: the guard of the threads made here */

static lua_State *check_thread(lua_State *L, int arg) {
  lua_State *co = lua_tothread(L, arg);
  luaL_argexpected(L, co != NULL, arg, "coroutine");
  return co;
}

/* Stack: the message handler, then the results or the error. */
static int body_over(lua_State *L, int status, lua_KContext k) {
  (void)k;
  return status == LUA_OK || status == LUA_YIELD ? lua_gettop(L) - 1 : lua_error(L);
}

/* Upvalues: the function, whether the coroutine waits in a task, and the version of its hook. It
** is called protected, so that the <close> variables of one that fails, or is cancelled, run where
** they may wait. */
enum { FUNCTION = 1, WAITS, HOOK };

static int body(lua_State *L) {
  lua_pushcfunction(L, la_traceback_handler);
  lua_insert(L, 1);
  lua_pushvalue(L, lua_upvalueindex(FUNCTION));
  lua_insert(L, 2);
  return body_over(L, lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 1, 0, body_over), 0);
}

/* Pushes the coroutine and its body. */
static void make(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_State *co = lua_newthread(L);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &coroutine_guard_key);
  lua_xmove(L, co, 1);
  lua_toclose(co, LA_THREAD_GUARD);
  la_hook_copy(L, co);
  lua_pushvalue(L, 1);
  lua_pushboolean(L, false);
  lua_pushinteger(L, 0);
  lua_pushcclosure(L, body, 3);
  lua_pushvalue(L, -1);
  lua_xmove(L, co, 1);
}

static int create(lua_State *L) {
  make(L);
  lua_pop(L, 1);
  return 1;
}

/* ---- whose coroutine it is -----------------------------------------------------------*/

/* Pushes the function that a suspended thread was started with. */
static bool push_first_function(lua_State *L, lua_State *co) {
  lua_Debug ar;
  int level = 0, step = 1;
  if (!lua_getstack(co, 0, &ar) || !lua_checkstack(co, 1)) return false;
  while (lua_getstack(co, level + step, &ar)) {
    level += step;
    step *= 2;
  }
  for (; step > 0; step /= 2)
    if (lua_getstack(co, level + step, &ar)) level += step;
  lua_getstack(co, level, &ar);
  lua_getinfo(co, "f", &ar);
  lua_xmove(co, L, 1);
  return true;
}

/* Pushes the body of a coroutine that was made here and can be resumed. */
static bool push_body(lua_State *L, lua_State *co) {
  bool begun = lua_status(co) == LUA_YIELD;
  if (!begun && (lua_status(co) != LUA_OK || lua_gettop(co) != LA_THREAD_GUARD + 1)) return false;
  if (begun && !push_first_function(L, co)) return false;
  if (!begun) {
    if (lua_tocfunction(co, -1) != body || !lua_checkstack(co, 1)) return false;
    lua_pushvalue(co, -1);
    lua_xmove(co, L, 1);
  }
  if (lua_tocfunction(L, -1) == body) return true;
  lua_pop(L, 1);
  return false;
}

/* Where the call that resumes it has the body. */
static int body_index(lua_KContext kind) { return is_wrap(kind) ? lua_upvalueindex(2) : 2; }

static void set_waits(lua_State *L, lua_KContext kind, bool waits) {
  lua_pushboolean(L, waits);
  lua_setupvalue(L, body_index(kind), WAITS);
}

static bool waits(lua_State *L, lua_KContext kind) {
  lua_getupvalue(L, body_index(kind), WAITS);
  bool is = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return is;
}

static void follow_hook(lua_State *L, la_runtime *rt, lua_State *co, lua_KContext kind) {
  if (la_hook_unused(&rt->hook)) return;
  lua_getupvalue(L, body_index(kind), HOOK);
  unsigned before = (unsigned)lua_tointeger(L, -1), version = before;
  lua_pop(L, 1);
  la_hook_follow(rt, co, &version);
  if (version == before) return;
  lua_pushinteger(L, version);
  lua_setupvalue(L, body_index(kind), HOOK);
}

/* ---- resuming ------------------------------------------------------------------------*/

/* Pushes a message onto `co` and closes it. */
static int refuse(lua_State *L, lua_State *co, const char *message) {
  la_thread_close(co, L);
  lua_settop(co, 0);
  lua_pushstring(co, message);
  return LUA_ERRRUN;
}

/* As in coroutine.wrap: a failed coroutine is closed, which may change the error, and a string gets
** the position of the call. What is known of where it was raised stays with it. */
static int raise_wrapped(lua_State *L) {
  la_runtime *rt = la_rt;
  la_coro *c = rt != NULL && rt->running == L ? rt->current : NULL;
  bool known = c != NULL && la_coro_has_traceback(L, c, -1);
  if (lua_type(L, -1) == LUA_TSTRING) {
    luaL_where(L, 1);
    lua_insert(L, -2);
    lua_concat(L, 2);
  }
  if (!known) return lua_error(L);
  la_coro_push_traceback(L, c);
  return la_raise_from(L);
}

/* What the resumer of `co` gets: `n` values of it, or its one error. One that has ended is closed:
** that makes it dead. */
static int finish(lua_State *L, lua_State *co, int status, int n, lua_KContext kind) {
  bool ok = status == LUA_OK || status == LUA_YIELD;
  if (!ok) n = 1;
  if (ok && !lua_checkstack(L, n + 1)) {
    lua_pop(co, n);
    return luaL_error(L, "too many results to resume");
  }
  if (!ok && is_wrap(kind) && lua_status(co) > LUA_YIELD) la_thread_close(co, L);
  lua_xmove(co, L, n);
  if (status == LUA_OK) la_thread_close(co, L);
  if (is_wrap(kind)) return ok ? n : raise_wrapped(L);
  lua_pushboolean(L, ok);
  lua_insert(L, -n - 1);
  return n + 1;
}

static int resumed(lua_State *L, int status, lua_KContext kind);

/* Resumes the coroutine, whose `n` arguments are on its own stack. `again`: the await that it
** passed on is over. */
static int resume_thread(lua_State *L, lua_State *co, int n, lua_KContext kind, bool again) {
  la_runtime *rt = la_rt;
  bool in_task = rt != NULL && rt->running == L && rt->current != NULL && lua_isyieldable(L);
  la_coro *c = in_task ? rt->current : NULL;
  if (in_task && !again) kind |= (lua_KContext)c->scope;
  la_scope *scope = scope_of(kind);
  lua_State *outer = NULL;
  if (in_task) {
    follow_hook(L, rt, co, kind);
    rt->running = co;
    la_about_to_run(co);
  } else {
    outer = la_kick_enter(co);
  }
  int results, status = lua_resume(co, L, n, &results);
  if (status == LUA_OK) results -= LA_THREAD_GUARD; /* it counts all that is on the stack */
  if (!in_task) {
    la_kick_leave(outer);
    return finish(L, co, status, results, kind);
  }
  rt->running = L;
  la_about_to_run(L);
  if (status == LUA_YIELD && la_coro_awaits(c)) {
    lua_pop(co, results);
    rt->passing++;
    set_waits(L, kind, true);
    return lua_yieldk(L, 0, kind, resumed);
  }
  if (c->scope != scope && status == LUA_YIELD) {
    la_scope_abandon_to(c, scope);
    status =
        refuse(L, co,
               "coroutine.yield inside async.timeout, async.shield or async.scope, which would "
               "leave it open: yield outside of it");
  }
  la_scope_abandon_to(c, scope);
  return finish(L, co, status, results, kind);
}

/* The coroutine is at index 1, or, for wrap, the first upvalue. */
static lua_State *subject(lua_State *L, lua_KContext kind) {
  return lua_tothread(L, is_wrap(kind) ? lua_upvalueindex(1) : 1);
}

static int resumed(lua_State *L, int status, lua_KContext kind) {
  (void)status;
  if (la_rt == NULL || la_rt->running != L) return lua_yieldk(L, 0, kind, resumed);
  la_rt->passing--;
  set_waits(L, kind, false);
  return resume_thread(L, subject(L, kind), 0, kind, true);
}

/* `false` and the message; or it raises that. */
static int fail(lua_State *L, lua_KContext kind, const char *message) {
  if (is_wrap(kind)) return luaL_error(L, "%s", message);
  lua_pushboolean(L, false);
  lua_pushstring(L, message);
  return 2;
}

/* It runs, or has resumed one that does. */
static bool is_busy(lua_State *L, lua_State *co) {
  lua_Debug ar;
  return L == co || (lua_status(co) == LUA_OK && lua_getstack(co, 0, &ar));
}

/* Moves the n arguments on top of L over and resumes. */
static int begin(lua_State *L, lua_State *co, int n, lua_KContext kind) {
  if (is_busy(L, co)) return fail(L, kind, "cannot resume non-suspended coroutine");
  if (lua_status(co) > LUA_YIELD || (lua_status(co) == LUA_OK && lua_gettop(co) <= LA_THREAD_GUARD))
    return fail(L, kind, "cannot resume dead coroutine");
  if (waits(L, kind)) return fail(L, kind, "cannot resume a coroutine that waits in another task");
  if (!lua_checkstack(co, n + 1)) return luaL_error(L, "too many arguments to resume");
  lua_xmove(L, co, n);
  return resume_thread(L, co, n, kind, false);
}

static int resume(lua_State *L) {
  lua_State *co = check_thread(L, 1);
  if (push_body(L, co)) {
    lua_insert(L, 2);
    return begin(L, co, lua_gettop(L) - 2, RESUME);
  }
  if (is_busy(L, co)) return fail(L, RESUME, "cannot resume non-suspended coroutine");
  bool dead = lua_status(co) > LUA_YIELD || (lua_status(co) == LUA_OK && lua_gettop(co) == 0);
  return fail(
      L, RESUME,
      dead
          ? "cannot resume dead coroutine"
          : "this coroutine was not made by async.coroutine: make it with async.coroutine.create, or resume it with coroutine.resume");
}

static int call_wrapped(lua_State *L) {
  return begin(L, lua_tothread(L, lua_upvalueindex(1)), lua_gettop(L), WRAP);
}

static int wrap(lua_State *L) {
  make(L);
  lua_pushcclosure(L, call_wrapped, 2);
  return 1;
}

/* ---- threads that somebody closes -----------------------------------------------------*/

/* The coroutine that the innermost function of a suspended thread has resumed and waits for;
** NULL: it is none of ours. `at` is as before. */
static lua_State *resumed_by(lua_State *at) {
  lua_Debug ar;
  lua_State *co = NULL;
  int top = lua_gettop(at);
  if (!lua_checkstack(at, 3) || !lua_getstack(at, 0, &ar) || !lua_getinfo(at, "f", &ar))
    return NULL;
  lua_CFunction f = lua_tocfunction(at, -1);
  if (f == call_wrapped ? lua_getupvalue(at, -1, 1) != NULL
                        : f == resume && lua_getlocal(at, &ar, 1) != NULL)
    co = lua_tothread(at, -1);
  lua_settop(at, top);
  return co;
}

static bool waits_in(const la_coro *c, const lua_State *closed) {
  if (!la_coro_awaits(c)) return false;
  for (lua_State *at = c->co; at != NULL; at = resumed_by(at))
    if (at == closed) return true;
  return false;
}

static void schedule_all(la_executor *ex) {
  for (la_node *n = ex->live.head.next; n != &ex->live.head; n = n->next)
    la_executor_schedule(ex, la_container(n, la_task, live));
}

/* The __close of the guard, on the thread that is being closed: what a coroutine of ours waits
** for in it may refer to strings on its stack, and the scopes of the calls in it are over. */
static bool closed_in(la_runtime *rt, const lua_State *L) {
  for (la_node *n = rt->ex->live.head.next; n != &rt->ex->live.head; n = n->next) {
    la_task *t = la_container(n, la_task, live);
    la_coro *c = la_task_coro(t);
    if (c == NULL || !waits_in(c, L)) continue;
    la_coro_thread_closed(c);
    la_executor_schedule(rt->ex, t);
    return true;
  }
  for (la_node *n = rt->futures.head.next; n != &rt->futures.head; n = n->next) {
    la_coro *c = la_future_object_coro(la_container(n, la_future_object, started));
    if (c == NULL || !waits_in(c, L)) continue;
    la_coro_thread_closed(c);
    schedule_all(rt->ex); /* who polls it is not known */
    return true;
  }
  return false;
}

static int thread_closed(lua_State *L) {
  if (la_rt != NULL && la_rt->closing == L) return 0;
  const la_list *all = la_runtimes();
  bool found = false;
  for (la_node *n = all->head.next; n != &all->head && !found; n = n->next) {
    la_runtime *rt = la_container(n, la_runtime, living);
    if (rt->ex == NULL) continue;
    la_runtime *before = la_runtime_visit(rt);
    found = closed_in(rt, L);
    la_rt = before;
  }
  return 0;
}

/* The same for those made here, of which most that are closed wait for nothing. */
static int coroutine_closed(lua_State *L) {
  const la_list *all = la_runtimes();
  for (la_node *n = all->head.next; n != &all->head; n = n->next)
    if (la_container(n, la_runtime, living)->passing > 0) return thread_closed(L);
  return 0;
}

static void set_guard(lua_State *L, const void *key, lua_CFunction close) {
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, close);
  lua_setfield(L, -2, "__close");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, key);
}

void la_open_guards(lua_State *L) {
  set_guard(L, &la_thread_guard_key, thread_closed);
  set_guard(L, &coroutine_guard_key, coroutine_closed);
}

void la_open_coroutine(lua_State *L) {
  static const luaL_Reg functions[] = {{"create", create},
                                       {"resume", resume},
                                       {"wrap", wrap},
                                       {NULL, NULL}};
  static const char *const same[] = {"close", "isyieldable", "running", "status", "yield"};
  luaL_setfuncs(L, functions, 0);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  if (lua_getfield(L, -1, "coroutine") == LUA_TTABLE) {
    for (int i = 0; i < 5; i++) {
      lua_getfield(L, -1, same[i]);
      lua_setfield(L, -4, same[i]);
    }
  }
  lua_pop(L, 2);
}
