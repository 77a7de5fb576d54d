#include "capi/l_capi.h"

#include <lauxlib.h>

#include "bridge/future_object.h"
#include "bridge/waker_object.h"
#include "core/combinator.h"
#include "stream/l_stream.h"

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

static bool is_complete(const la_stream_vtable *vt) {
  return vt != NULL && vt->size >= sizeof *vt && vt->name != NULL && vt->poll_read != NULL &&
         vt->forget_read != NULL && vt->poll_write != NULL && vt->forget_write != NULL &&
         vt->close != NULL && vt->drop != NULL;
}

static void api_push_stream(lua_State *L, la_stream s) {
  if (!is_complete(s.vt))
    luaL_error(L,
               "this stream cannot be used: its vtable lacks a function, or its size is not set");
  la_stream_push(L, s);
}

static la_stream api_take_stream(lua_State *L, int arg) {
  la_io_object *o = la_io_test(L, arg);
  if (o == NULL) luaL_typeerror(L, arg, "stream");
  return la_io_take(L, o, arg);
}

static const la_api api = {LA_ABI_MAJOR,       LA_ABI_MINOR,      la_api_await, la_api_push_future,
                           la_api_check_waker, la_api_push_waker, api_join,     api_select,
                           api_push_stream,    api_take_stream};

void la_capi_open(lua_State *L) {
  lua_pushlightuserdata(L, (void *)(uintptr_t)&api);
  lua_setfield(L, LUA_REGISTRYINDEX, LA_API_KEY);
}
