#include "bridge/capi.h"

#include "bridge/future_object.h"
#include "bridge/waker_object.h"

static const la_api api = {LA_ABI_MAJOR,       LA_ABI_MINOR,       la_api_await,
                           la_api_push_future, la_api_check_waker, la_api_push_waker};

void la_capi_open(lua_State *L) {
  lua_pushlightuserdata(L, (void *)(uintptr_t)&api);
  lua_setfield(L, LUA_REGISTRYINDEX, LA_API_KEY);
}
