/*
** futures.c - futures of a C module that strain the bridge: without a name, or with that of
** a task; finish functions that raise; a waker that another thread drops unused.
*/
#include <lauxlib.h>
#include <lua.h>
#include <pthread.h>
#include <stdlib.h>

#include "lua_async.h"

static int drops; /* of all futures */

static la_poll never_poll(la_future *f, la_context *cx) {
  (void)f;
  (void)cx;
  return LA_PENDING;
}

static la_poll ready_poll(la_future *f, la_context *cx) {
  (void)f;
  return la_budget_take(cx) ? LA_READY : LA_PENDING;
}

static void count_drop(la_future *f) {
  drops++;
  free(f);
}

static const la_future_vtable named_task = {never_poll, count_drop, "task", NULL};
static const la_future_vtable nameless = {never_poll, count_drop, NULL, NULL};
static const la_future_vtable ready = {ready_poll, count_drop, "ready", NULL};

static int raise_finish(lua_State *L, la_future *f) {
  (void)f;
  return luaL_error(L, "finish raised");
}

static la_future *new_future(const la_future_vtable *vt) {
  la_future *f = malloc(sizeof *f);
  if (f == NULL) abort();
  f->vt = vt;
  return f;
}

static int await(lua_State *L, const la_future_vtable *vt, la_finish finish) {
  const la_api *api = la_import(L);
  return api->await(L, new_future(vt), finish);
}

static int push(lua_State *L, const la_future_vtable *vt, la_finish finish) {
  const la_api *api = la_import(L);
  api->push_future(L, new_future(vt), finish);
  return 1;
}

static int await_task(lua_State *L) { return await(L, &named_task, NULL); }
static int await_nameless(lua_State *L) { return await(L, &nameless, NULL); }
static int await_raise(lua_State *L) { return await(L, &ready, raise_finish); }
static int push_task(lua_State *L) { return push(L, &named_task, NULL); }
static int push_nameless(lua_State *L) { return push(L, &nameless, NULL); }
static int push_raise(lua_State *L) { return push(L, &ready, raise_finish); }

static int count(lua_State *L) {
  lua_pushinteger(L, drops);
  return 1;
}

/* How much la_import leaves on the stack, of an empty one and of one with a value. */
static int import_leaves(lua_State *L) {
  lua_settop(L, 0);
  la_import(L);
  int empty = lua_gettop(L);
  lua_settop(L, 0);
  lua_pushboolean(L, 1);
  la_import(L);
  int one = lua_gettop(L) - 1;
  lua_settop(L, 0);
  lua_pushinteger(L, empty);
  lua_pushinteger(L, one);
  return 2;
}

/* ---- a waker on another thread ------------------------------------------------------*/

static la_waker held;
static pthread_t holder;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int may_drop;

static void *drop_held(void *unused) {
  (void)unused;
  pthread_mutex_lock(&lock);
  while (!may_drop) pthread_cond_wait(&changed, &lock);
  pthread_mutex_unlock(&lock);
  la_waker_drop(held);
  return NULL;
}

/* hold(waker): a thread takes a clone, and drops it once let_go is called. */
static int hold(lua_State *L) {
  const la_api *api = la_import(L);
  held = api->check_waker(L, 1);
  may_drop = 0;
  if (pthread_create(&holder, NULL, drop_held, NULL) != 0) abort();
  return 0;
}

static int let_go(lua_State *L) {
  (void)L;
  pthread_mutex_lock(&lock);
  may_drop = 1;
  pthread_cond_signal(&changed);
  pthread_mutex_unlock(&lock);
  return 0;
}

static int joined(lua_State *L) {
  (void)L;
  pthread_join(holder, NULL);
  return 0;
}

int luaopen_futures(lua_State *L) {
  static const luaL_Reg functions[] = {{"await_task", await_task},
                                       {"await_nameless", await_nameless},
                                       {"await_raise", await_raise},
                                       {"push_task", push_task},
                                       {"push_nameless", push_nameless},
                                       {"push_raise", push_raise},
                                       {"drops", count},
                                       {"import_leaves", import_leaves},
                                       {"hold", hold},
                                       {"let_go", let_go},
                                       {"joined", joined},
                                       {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
