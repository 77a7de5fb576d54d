#include "bridge/waker_object.h"

#include <lauxlib.h>

#include "core/task.h"

static int make(lua_State *L) {
  la_waker_object *o = lua_newuserdatauv(L, sizeof *o, 0);
  o->live = false;
  luaL_setmetatable(L, LA_WAKER_NAME);
  return 1;
}

void la_api_push_waker(lua_State *L, la_waker w) {
  lua_pushcfunction(L, make);
  if (lua_pcall(L, 0, 1, 0) != LUA_OK) {
    la_waker_drop(w);
    lua_error(L);
  }
  la_waker_object *o = lua_touserdata(L, -1);
  o->waker = w;
  o->live = true;
}

la_waker la_api_check_waker(lua_State *L, int arg) {
  la_waker_object *o = luaL_checkudata(L, arg, LA_WAKER_NAME);
  luaL_argcheck(L, o->live, arg,
                "this waker was consumed by wake(): keep a clone(), or call "
                "wake_by_ref()");
  la_task *t = la_waker_task(&o->waker);
  return t != NULL ? la_task_clone_external(t) : la_waker_clone(&o->waker);
}
