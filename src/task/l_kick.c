#include "task/l_kick.h"

#include <lauxlib.h>
#include <pthread.h>

#include "bridge/compat.h"
#include "bridge/runtime.h"
#include "driver/threads.h"

/* Instructions until it is interrupted again. */
enum { AGAIN = 1000000 };

static LA_THREAD_LOCAL la_kick *current;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* Sees to it that this Lua thread is interrupted, in due time. */
static void watch(lua_State *L);

static void hook(lua_State *L, lua_Debug *ar) {
  (void)ar;
  lua_sethook(L, NULL, 0, 0);
  if (!la_kick_wanted()) return;
  if (current->raised < LA_KICK_TWICE) current->raised++;
  watch(L);
  luaL_error(L, LA_KICK_MESSAGE);
}

static void watch(lua_State *L) {
  int count = current != NULL && current->raised == LA_KICK_TWICE ? 1 : AGAIN;
  if (L == NULL || (lua_gethook(L) == hook && lua_gethookcount(L) <= count)) return;
  lua_sethook(L, hook, LUA_MASKCOUNT, count);
}

static void interrupt_at_once(lua_State *L) {
  if (L == NULL) return;
  lua_sethook(L, hook, LUA_MASKCALL | LUA_MASKRET | LUA_MASKCOUNT, 1);
}

/* The innermost of a plain coroutine and a runtime, which that coroutine may have entered. NULL:
** the runtime itself is at work, whose own calls are not to fail, and in no callback; what it
** resumes is watched. */
static lua_State *innermost(const la_kick *k) {
  lua_State *inner = k->inner;
  const la_runtime *rt = la_rt;
  bool in_runtime = rt != NULL && rt->running != NULL && (inner == NULL || inner == rt->L);
  if (in_runtime) return rt->current != NULL ? rt->running : rt->callback;
  return inner != NULL ? inner : k->L;
}

void la_kick_go_on(void) {
  const la_kick *k = current;
  if (k == NULL || !la_kick_wanted()) return;
  la_resuming = watch;
  if (k->raised == LA_KICK_NEVER)
    interrupt_at_once(innermost(k));
  else
    watch(innermost(k));
}

/* lua_sethook may be called from a signal handler of the thread that runs the state, and
** uv_async_send is in libuv's list of what may. Who is told again is interrupted at once, again. */
static void on_signal(int signum) {
  (void)signum;
  la_kick *k = current;
  if (k == NULL || !la_kick_wanted()) return;
  if (k->told) k->raised = LA_KICK_TWICE;
  k->told = true;
  la_kick_go_on();
  if (k->async != NULL) uv_async_send(k->async);
}

static void install(void) {
  struct sigaction old, ours = {.sa_handler = on_signal};
  if (sigaction(LA_JOB_SIGNAL, NULL, &old) != 0) return;
  bool free =
      (old.sa_flags & SA_SIGINFO) == 0 && (old.sa_handler == SIG_DFL || old.sa_handler == SIG_IGN);
  sigemptyset(&ours.sa_mask);
  if (free) sigaction(LA_JOB_SIGNAL, &ours, NULL);
}

void la_kick_install(void) { pthread_once(&once, install); }

bool la_kick_wanted(void) {
  return current != NULL && atomic_load_explicit(&current->wanted, memory_order_acquire);
}

void la_kick_init(la_kick *k) {
  k->L = NULL;
  k->inner = NULL;
  k->async = NULL;
  k->raised = LA_KICK_NEVER;
  k->told = false;
  atomic_init(&k->wanted, false);
}

void la_kick_begin(la_kick *k, lua_State *L) {
  k->L = L;
  current = k;
  atomic_signal_fence(memory_order_seq_cst);
  la_kick_go_on();
}

void la_kick_end(la_kick *k) {
  current = NULL;
  la_resuming = NULL;
  atomic_signal_fence(memory_order_seq_cst);
  if (lua_gethook(k->L) == hook) lua_sethook(k->L, NULL, 0, 0);
}

void la_kick_begin_run(uv_async_t *async) {
  if (current == NULL) return;
  current->async = async;
  atomic_signal_fence(memory_order_seq_cst);
  if (la_kick_wanted()) uv_async_send(async);
}

void la_kick_end_run(const uv_async_t *async) {
  if (current != NULL && current->async == async) current->async = NULL;
  atomic_signal_fence(memory_order_seq_cst);
}

void la_kick_want(la_kick *k) { atomic_store_explicit(&k->wanted, true, memory_order_release); }

/* ---- coroutines -------------------------------------------------------------------*/

lua_State *la_kick_enter(lua_State *co) {
  la_kick *k = current;
  lua_State *outer = k != NULL ? k->inner : NULL;
  if (k != NULL) k->inner = co;
  la_about_to_run(co);
  return outer;
}

void la_kick_leave(lua_State *outer) {
  if (current == NULL) return;
  current->inner = outer;
  la_kick_go_on();
}

/* As lcorolib.c's auxresume: the arguments are on top of L, and so are the results, of which it
** returns how many; -1: the error is there. */
static int aux_resume(lua_State *L, lua_State *co, int n) {
  int results;
  if (!lua_checkstack(co, n)) {
    lua_pushliteral(L, "too many arguments to resume");
    return -1;
  }
  lua_xmove(L, co, n);
  lua_State *outer = la_kick_enter(co);
  int status = lua_resume(co, L, n, &results);
  la_kick_leave(outer);
  bool failed = status != LUA_OK && status != LUA_YIELD;
  if (!failed && !lua_checkstack(L, results + 1)) {
    lua_pop(co, results);
    lua_pushliteral(L, "too many results to resume");
    return -1;
  }
  lua_xmove(co, L, failed ? 1 : results);
  return failed ? -1 : results;
}

static int resume(lua_State *L) {
  lua_State *co = lua_tothread(L, 1);
  luaL_argexpected(L, co, 1, "coroutine");
  int n = aux_resume(L, co, lua_gettop(L) - 1);
  lua_pushboolean(L, n >= 0);
  lua_insert(L, n >= 0 ? -(n + 1) : -2);
  return n >= 0 ? n + 1 : 2;
}

/* Upvalue: the coroutine. */
static int wrapped(lua_State *L) {
  lua_State *co = lua_tothread(L, lua_upvalueindex(1));
  int n = aux_resume(L, co, lua_gettop(L));
  if (n >= 0) return n;
  int status = lua_status(co);
  if (status != LUA_OK && status != LUA_YIELD) {
    status = la_close_thread(co, L);
    lua_xmove(co, L, 1);
  }
  if (status != LUA_ERRMEM && lua_type(L, -1) == LUA_TSTRING) {
    luaL_where(L, 1);
    lua_insert(L, -2);
    lua_concat(L, 2);
  }
  return lua_error(L);
}

static int wrap(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_State *co = lua_newthread(L);
  lua_pushvalue(L, 1);
  lua_xmove(L, co, 1);
  lua_pushcclosure(L, wrapped, 1);
  return 1;
}

void la_kick_open(lua_State *L) {
  lua_getglobal(L, "coroutine");
  lua_pushcfunction(L, wrap);
  lua_setfield(L, -2, "wrap");
  lua_pushcfunction(L, resume);
  lua_setfield(L, -2, "resume");
  lua_pop(L, 1);
}
