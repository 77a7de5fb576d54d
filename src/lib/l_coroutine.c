/*
** async.coroutine: as `coroutine`, but an await passes through.
**
** An await in such a coroutine yields with the task's coroutine holding an inner
** future. Its resumer sees that, and yields in turn, up to the executor; resumed, it
** resumes downwards again. A yield without an inner future is the program's own.
*/
#include "bridge/compat.h"
#include "bridge/scope.h"
#include "lib/lib.h"

enum { RESUME, WRAP };

static lua_State *check_thread(lua_State *L, int arg) {
  lua_State *co = lua_tothread(L, arg);
  luaL_argexpected(L, co != NULL, arg, "coroutine");
  return co;
}

static int create(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_State *co = lua_newthread(L);
  lua_pushvalue(L, 1);
  lua_xmove(L, co, 1);
  return 1;
}

/* Pushes a message onto `co` and closes it. */
static int refuse(lua_State *L, lua_State *co, const char *message) {
  la_close_thread(co, L);
  lua_settop(co, 0);
  lua_pushstring(co, message);
  return LUA_ERRRUN;
}

/* What the resumer of `co` gets: `n` values of it, or its one error. */
static int finish(lua_State *L, lua_State *co, int status, int n, lua_KContext kind) {
  bool ok = status == LUA_OK || status == LUA_YIELD;
  if (!ok) n = 1;
  if (ok && !lua_checkstack(L, n + 1)) {
    lua_pop(co, n);
    return luaL_error(L, "too many results to resume");
  }
  if (kind == RESUME) {
    lua_pushboolean(L, ok);
    lua_xmove(co, L, n);
    return n + 1;
  }
  /* As in coroutine.wrap: a failed coroutine is closed, which may change the error. */
  if (lua_status(co) != LUA_OK && lua_status(co) != LUA_YIELD) la_close_thread(co, L);
  lua_xmove(co, L, n);
  if (ok) return n;
  if (lua_type(L, -1) == LUA_TSTRING) {
    luaL_where(L, 1);
    lua_insert(L, -2);
    lua_concat(L, 2);
  }
  return lua_error(L);
}

static int resumed(lua_State *L, int status, lua_KContext kind);

/* Resumes the coroutine, whose `n` arguments are on its own stack. */
static int resume_thread(lua_State *L, lua_State *co, int n, lua_KContext kind) {
  la_runtime *rt = la_rt;
  bool in_task = rt != NULL && rt->running == L && rt->current != NULL && lua_isyieldable(L);
  la_coro *c = in_task ? rt->current : NULL;
  la_scope *scope = in_task ? c->scope : NULL;
  if (in_task) rt->running = co;
  int results, status = lua_resume(co, L, n, &results);
  if (!in_task) return finish(L, co, status, results, kind);
  rt->running = L;
  if (status == LUA_YIELD && la_coro_awaits(c)) {
    lua_pop(co, results);
    return lua_yieldk(L, 0, kind, resumed);
  }
  if (c->scope != scope && status == LUA_YIELD) {
    la_scope_abandon_to(c, scope);
    status = refuse(L, co,
                    "coroutine.yield inside async.timeout or async.shield, which would "
                    "leave it open: yield outside of it");
  }
  la_scope_abandon_to(c, scope);
  return finish(L, co, status, results, kind);
}

/* The coroutine is at index 1, or, for wrap, the first upvalue. */
static lua_State *subject(lua_State *L, lua_KContext kind) {
  return lua_tothread(L, kind == RESUME ? 1 : lua_upvalueindex(1));
}

static int resumed(lua_State *L, int status, lua_KContext kind) {
  (void)status;
  if (la_rt == NULL || la_rt->running != L) return lua_yieldk(L, 0, kind, resumed);
  return resume_thread(L, subject(L, kind), 0, kind);
}

/* Moves the n arguments on top of L over and resumes. */
static int begin(lua_State *L, lua_State *co, int n, lua_KContext kind) {
  if (!lua_checkstack(co, n + 1)) return luaL_error(L, "too many arguments to resume");
  if (lua_status(co) == LUA_OK && lua_gettop(co) == 0) {
    lua_pushliteral(co, "cannot resume dead coroutine");
    return finish(L, co, LUA_ERRRUN, 1, kind);
  }
  lua_xmove(L, co, n);
  return resume_thread(L, co, n, kind);
}

static int resume(lua_State *L) { return begin(L, check_thread(L, 1), lua_gettop(L) - 1, RESUME); }

static int call_wrapped(lua_State *L) {
  return begin(L, lua_tothread(L, lua_upvalueindex(1)), lua_gettop(L), WRAP);
}

static int wrap(lua_State *L) {
  create(L);
  lua_pushcclosure(L, call_wrapped, 1);
  return 1;
}

void la_open_coroutine(lua_State *L) {
  static const luaL_Reg functions[] = {{"create", create},
                                       {"resume", resume},
                                       {"wrap", wrap},
                                       {NULL, NULL}};
  static const char *const same[] = {"close", "isyieldable", "running", "status", "yield"};
  luaL_newlib(L, functions);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  if (lua_getfield(L, -1, "coroutine") == LUA_TTABLE) {
    for (int i = 0; i < 5; i++) {
      lua_getfield(L, -1, same[i]);
      lua_setfield(L, -4, same[i]);
    }
  }
  lua_pop(L, 2);
  lua_setfield(L, -2, "coroutine");
}
