#include "bridge/losses.h"

#include <stdio.h>
#include <string.h>

#include "bridge/error.h"
#include "bridge/lib.h"
#include "bridge/report.h"

static void push_loss(lua_State *L, const la_loss *l) {
  if (l->name != NULL)
    la_fail_path(L, l->error, "write", l->name);
  else
    la_fail(L, l->error, "close");
  lua_remove(L, -2);
  if (l->name != NULL) return;
  lua_getfield(L, -1, "message");
  lua_pushliteral(L, ": not all that was written is in the file, whose close nobody waited for");
  lua_concat(L, 2);
  lua_setfield(L, -2, "message");
}

/* (light userdata) -> error */
static int make(lua_State *L) {
  push_loss(L, lua_touserdata(L, 1));
  return 1;
}

/* Pushes the error, or what was raised for want of memory for it. */
static void push_error(lua_State *L, la_loss *l) {
  lua_pushcfunction(L, make);
  lua_pushlightuserdata(L, l);
  (void)lua_pcall(L, 1, 1, 0);
}

static bool is_stdout(const la_loss *l) {
  return l->name != NULL && strcmp(l->name, "stdout") == 0;
}

static int print(lua_State *L) {
  fprintf(stderr, "lua_async: %s\n", luaL_tolstring(L, 1, NULL));
  return 0;
}

void la_losses_tell_error(lua_State *L) {
  bool handled = lua_rawgetp(L, LUA_REGISTRYINDEX, &la_error_handler_key) == LUA_TFUNCTION;
  lua_pop(L, 1);
  if (handled) {
    lua_pushnil(L);
    lua_pushnil(L);
    la_report_failure(L);
  } else {
    lua_pushcfunction(L, print);
    lua_insert(L, -2);
    if (lua_pcall(L, 1, 0, 0) != LUA_OK) lua_pop(L, 1);
  }
}

static void tell(lua_State *L, la_loss *l) {
  if (!lua_checkstack(L, LUA_MINSTACK)) return;
  push_error(L, l);
  la_losses_tell_error(L);
}

void la_losses_tell(lua_State *L, la_loss *list) {
  for (la_loss *l = list; l != NULL; l = l->next) tell(L, l);
  la_loss_free(list);
}

void la_losses_tell_others(lua_State *L, la_loss *list) {
  lua_pushnil(L);
  for (la_loss *l = list; l != NULL; l = l->next) {
    if (is_stdout(l) && lua_isnil(L, -1)) {
      lua_pop(L, 1);
      push_error(L, l);
    } else {
      tell(L, l);
    }
  }
  la_loss_free(list);
}

void la_losses_tell_at_exit(la_reactor *r) {
  for (la_runtime *rt = la_rt; rt != NULL && r->losses != NULL; rt = rt->outer)
    if (rt->reactor == r) la_losses_tell(rt->running, la_loss_take(r));
}
