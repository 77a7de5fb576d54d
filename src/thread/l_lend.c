#include "thread/l_lend.h"

#include <lauxlib.h>
#include <stdlib.h>

/* Registry: userdata, a lending, whose user value is loan -> string; false: it lends nothing. */
static char lending_key;

typedef struct lending {
  la_lender *lender; /* NULL: the state is closing */
  bool watched;      /* a sentinel is there, see on_cycle */
} lending;

static lending *find(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &lending_key);
  return lua_touserdata(L, -1);
}

static int close(lua_State *L) {
  lending *g = lua_touserdata(L, 1);
  if (g->lender != NULL) la_lender_close(g->lender);
  g->lender = NULL;
  return 0;
}

static void set_finaliser(lua_State *L, lua_CFunction f) {
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, f);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
}

/* Pushes it; made at the first time. */
static lending *push(lua_State *L) {
  lending *g = find(L);
  if (g != NULL) return g;
  if (lua_isboolean(L, -1)) luaL_error(L, "nothing is lent");
  lua_pop(L, 1);
  g = lua_newuserdatauv(L, sizeof *g, 1);
  *g = (lending){NULL, false};
  lua_newtable(L);
  lua_setiuservalue(L, -2, 1);
  set_finaliser(L, close);
  g->lender = la_lender_new();
  if (g->lender == NULL) luaL_error(L, "not enough memory");
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &lending_key);
  return g;
}

/* What came back, of the lending at the top, may be collected. */
static void let_go(lua_State *L, lending *g) {
  lua_getiuservalue(L, -1, 1);
  for (la_loan *back = la_lender_fetch(g->lender), *next; back != NULL; back = next) {
    next = back->next;
    lua_pushnil(L);
    lua_rawsetp(L, -2, back); /* takes no memory */
    free(back);
  }
  lua_pop(L, 1);
}

static int on_cycle(lua_State *L);

/* A sentinel is garbage from the start: its finaliser runs once in each cycle. */
static void watch(lua_State *L, lending *g) {
  lua_newuserdatauv(L, 0, 0);
  set_finaliser(L, on_cycle);
  lua_pop(L, 1);
  g->watched = true;
}

static int on_cycle(lua_State *L) {
  lending *g = find(L);
  g->watched = false;
  if (g->lender == NULL) return 0;
  let_go(L, g);
  if (la_lender_waits(g->lender)) watch(L, g);
  return 0;
}

/* lend(string, light userdata: la_loan **) */
static int lend(lua_State *L) {
  la_loan **out = lua_touserdata(L, 2);
  size_t len;
  const char *s = lua_tolstring(L, 1, &len);
  lending *g = push(L);
  if (g->lender == NULL) return luaL_error(L, "closing");
  let_go(L, g);
  if (!g->watched) watch(L, g);
  *out = la_lender_lend(g->lender, s, len);
  if (*out == NULL) return luaL_error(L, "not enough memory");
  lua_getiuservalue(L, -1, 1);
  lua_pushvalue(L, 1);
  lua_rawsetp(L, -2, *out);
  return 0;
}

void la_lend_never(lua_State *L) {
  lua_pushboolean(L, 0);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &lending_key);
}

la_loan *la_lend(lua_State *L, int index) {
  la_loan *loan = NULL;
  index = lua_absindex(L, index);
  lua_pushcfunction(L, lend);
  lua_pushvalue(L, index);
  lua_pushlightuserdata(L, &loan);
  if (lua_pcall(L, 2, 0, 0) == LUA_OK) return loan;
  lua_pop(L, 1);
  if (loan != NULL) la_loan_return(loan);
  return NULL;
}

static bool is_own(lua_State *L, const la_loan *loan) {
  const lending *g = find(L);
  lua_pop(L, 1);
  return g != NULL && g->lender == loan->lender;
}

typedef struct span {
  const char *bytes;
  size_t len;
} span;

/* copy(light userdata: span *) -> string */
static int copy(lua_State *L) {
  const span *s = lua_touserdata(L, 1);
  lua_pushlstring(L, s->bytes, s->len);
  return 1;
}

static void push_copy(lua_State *L, la_loan *loan) {
  span s = {la_loan_begin(loan), loan->len};
  lua_pushcfunction(L, copy);
  lua_pushlightuserdata(L, &s);
  int status = s.bytes != NULL ? lua_pcall(L, 1, 1, 0) : LUA_ERRMEM;
  la_loan_end(loan);
  if (s.bytes == NULL)
    luaL_error(
        L, "not enough memory: a string of %d KiB was lost when the state that sent it was closed",
        (int)(loan->len >> 10));
  if (status != LUA_OK) lua_error(L);
}

void la_lend_push(lua_State *L, la_loan *loan) {
  luaL_checkstack(L, 4, "a message that is nested too deeply");
  if (!is_own(L, loan)) {
    push_copy(L, loan);
    return;
  }
  find(L);
  lua_getiuservalue(L, -1, 1);
  lua_rawgetp(L, -1, loan);
  lua_replace(L, -3);
  lua_pop(L, 1);
}
