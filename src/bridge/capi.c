#include "bridge/capi.h"

#include <lauxlib.h>

#include "bridge/future_object.h"
#include "bridge/waker_object.h"
#include "core/combinator.h"

static la_executor *executor(lua_State *L, la_future *const *futures, size_t n, const char *what) {
  la_runtime *rt = la_runtime_of(L);
  if (rt == NULL) {
    for (size_t i = 0; i < n; i++) la_future_drop(futures[i]);
    la_runtime_check(L, what); /* which raises */
    return NULL;
  }
  return rt->ex;
}

static la_future *checked(lua_State *L, la_future *f) {
  if (f == NULL) luaL_error(L, "not enough memory");
  return f;
}

static la_future *api_join(lua_State *L, la_future *const *futures, size_t n) {
  return checked(L, la_future_join(executor(L, futures, n, "la_api.join"), futures, n));
}

static la_future *api_select(lua_State *L, la_future *const *futures, size_t n, size_t *winner) {
  luaL_argcheck(L, n > 0, 1, "an empty select would wait forever");
  return checked(L, la_future_select(executor(L, futures, n, "la_api.select"), futures, n, winner));
}

static const la_api api = {LA_ABI_MAJOR,       LA_ABI_MINOR,      la_api_await, la_api_push_future,
                           la_api_check_waker, la_api_push_waker, api_join,     api_select};

void la_capi_open(lua_State *L) {
  lua_pushlightuserdata(L, (void *)(uintptr_t)&api);
  lua_setfield(L, LUA_REGISTRYINDEX, LA_API_KEY);
}
