/*
** combined.c - a C module that joins and selects futures of its own, against the installed
** header alone: countdowns, each of which wakes itself until it is through.
*/
#include <lauxlib.h>
#include <lua.h>
#include <stdlib.h>

#include "lua_async.h"

enum { MOST = 16 };

typedef struct countdown {
  la_future base;
  lua_Integer left, polls; /* left < 0: it is never ready, and wakes nobody */
} countdown;

/* What one call waits for, on its stack. */
typedef struct call {
  countdown *futures[MOST];
  size_t n, winner;
} call;

static lua_Integer drops;

static la_poll countdown_poll(la_future *f, la_context *cx) {
  countdown *c = (countdown *)(void *)f;
  c->polls++;
  if (c->left == 0) return la_budget_take(cx) ? LA_READY : LA_PENDING;
  if (c->left > 0) {
    c->left--;
    la_waker_wake_by_ref(cx->waker);
  }
  return LA_PENDING;
}

static void countdown_drop(la_future *f) {
  drops++;
  free(f);
}

static const la_future_vtable countdown_vtable = {countdown_poll, countdown_drop, "countdown",
                                                  NULL};

/* The counts are the arguments; the call stands behind them. */
static call *begin(lua_State *L, la_future **futures) {
  int n = lua_gettop(L);
  luaL_argcheck(L, n <= MOST, MOST + 1, "too many");
  for (int i = 1; i <= n; i++) luaL_checkinteger(L, i);
  call *c = lua_newuserdatauv(L, sizeof *c, 0);
  c->n = (size_t)n;
  for (int i = 0; i < n; i++) {
    c->futures[i] = malloc(sizeof(countdown));
    if (c->futures[i] == NULL) abort();
    *c->futures[i] = (countdown){{&countdown_vtable}, lua_tointeger(L, i + 1), 0};
    futures[i] = &c->futures[i]->base;
  }
  return c;
}

/* How often each was polled. */
static int join_finish(lua_State *L, la_future *f) {
  const call *c = lua_touserdata(L, -1);
  (void)f;
  for (size_t i = 0; i < c->n; i++) lua_pushinteger(L, c->futures[i]->polls);
  return (int)c->n;
}

/* The winner, and how many had been dropped by then. */
static int select_finish(lua_State *L, la_future *f) {
  const call *c = lua_touserdata(L, -1);
  (void)f;
  lua_pushinteger(L, (lua_Integer)c->winner + 1);
  lua_pushinteger(L, drops);
  return 2;
}

static int join(lua_State *L) {
  const la_api *api = la_import(L);
  la_future *futures[MOST];
  call *c = begin(L, futures);
  return api->await(L, api->join(L, futures, c->n), join_finish);
}

static int select_one(lua_State *L) {
  const la_api *api = la_import(L);
  la_future *futures[MOST];
  call *c = begin(L, futures);
  return api->await(L, api->select(L, futures, c->n, &c->winner), select_finish);
}

static int dropped(lua_State *L) {
  lua_pushinteger(L, drops);
  drops = 0;
  return 1;
}

int luaopen_combined(lua_State *L) {
  static const luaL_Reg functions[] = {{"join", join},
                                       {"select", select_one},
                                       {"dropped", dropped},
                                       {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
