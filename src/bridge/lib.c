#include "bridge/lib.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "bridge/alias.h"
#include "bridge/error.h"
#include "bridge/future_object.h"
#include "bridge/losses.h"
#include "bridge/task_object.h"

void la_new_class(lua_State *L, const char *name, const luaL_Reg *meta, const luaL_Reg *methods) {
  luaL_newmetatable(L, name);
  luaL_setfuncs(L, meta, 0);
  lua_pushstring(L, name); /* nobody calls a finaliser by hand */
  lua_setfield(L, -2, "__metatable");
  if (methods != NULL) {
    lua_newtable(L);
    luaL_setfuncs(L, methods, 0);
    lua_pushvalue(L, -1);
    la_alias_add(L, name);
    lua_setfield(L, -2, "__index");
  }
  lua_pop(L, 1);
}

/* ---- failures ----------------------------------------------------------------------*/

/* Errors that libuv 1.44 does not know: the name, and in *message what it says. */
static const char *unknown_to_libuv(int number, const char **message) {
  switch (number) {
  case EDQUOT: *message = "disk quota exceeded"; return "EDQUOT";
  case ESTALE: *message = "stale file handle"; return "ESTALE";
  case ENOLCK: *message = "no locks available"; return "ENOLCK";
#ifdef ETOOMANYREFS
  case ETOOMANYREFS: *message = "too many descriptors wait to be taken"; return "ETOOMANYREFS";
#endif
  default: return NULL;
  }
}

static int fail(lua_State *L, ssize_t error, la_error_info info) {
  char code[32], message[128];
  info.code = unknown_to_libuv((int)-error, &info.message);
  if (info.code == NULL) {
    uv_err_name_r((int)error, code, sizeof code);
    uv_strerror_r((int)error, message, sizeof message);
    info.code = code;
    info.message = message;
  }
  info.number = (int)-error;
  lua_pushnil(L);
  la_push_error(L, &info);
  return 2;
}

int la_fail(lua_State *L, ssize_t error, const char *op) {
  return fail(L, error, (la_error_info){.op = op});
}

int la_fail_path(lua_State *L, ssize_t error, const char *op, const char *path) {
  return fail(L, error, (la_error_info){.op = op, .path = path});
}

int la_fail_paths(lua_State *L, ssize_t error, const char *op, const char *path, const char *to) {
  return fail(L, error, (la_error_info){.op = op, .path = path, .to = to});
}

int la_fail_address(lua_State *L, ssize_t error, const char *op, const char *host, int port) {
  const char *form = strchr(host, ':') != NULL ? "[%s]:%d" : "%s:%d";
  lua_pushfstring(L, form, host, port);
  const char *address = lua_tostring(L, -1);
  return fail(L, error, (la_error_info){.op = op, .address = address});
}

int la_fail_name(lua_State *L, ssize_t error, const char *op, const char *name) {
  return fail(L, error, (la_error_info){.op = op, .address = name});
}

int la_fail_message(lua_State *L, int error, const char *op, const char *message) {
  int n = la_fail(L, error, op);
  if (message != NULL) {
    lua_pushstring(L, message);
    lua_setfield(L, -2, "message");
  }
  return n;
}

int la_fail_closed(lua_State *L, const char *op) {
  return la_fail_message(L, UV_EBADF, op, "it was closed");
}

int la_fail_meanwhile(lua_State *L, const char *op) {
  return la_fail_message(L, UV_ECANCELED, op, "it was closed meanwhile");
}

int la_fail_again(lua_State *L, const char *op) {
  return la_fail_message(L, UV_EAGAIN, op, "it would have to wait");
}

la_reactor *la_check_reactor(lua_State *L, const char *what) {
  la_reactor *r = la_runtime_check(L, what)->reactor;
  if (r->losses != NULL) la_losses_tell(L, la_loss_take(r));
  return r;
}

int la_no_memory(lua_State *L) { return luaL_error(L, "not enough memory"); }

void la_push_registered(lua_State *L, const void *key, const char *mode) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, key) == LUA_TTABLE) return;
  lua_pop(L, 1);
  lua_newtable(L);
  if (mode != NULL) {
    lua_createtable(L, 0, 1);
    lua_pushstring(L, mode);
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
  }
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, key);
}

/* ---- arguments ---------------------------------------------------------------------*/

const char *la_check_text(lua_State *L, int arg) {
  size_t len;
  const char *s = luaL_checklstring(L, arg, &len);
  luaL_argcheck(L, strlen(s) == len, arg, "it contains a zero byte");
  return s;
}

uint64_t la_check_seconds(lua_State *L, int arg) {
  lua_Number s = luaL_checknumber(L, arg);
  luaL_argcheck(L, !isnan(s), arg, "seconds expected, got nan");
  if (s <= 0) return 0;
  lua_Number ns = s * 1e9;
  if (ns >= 9.2e18) return LA_TIMER_NEVER;
  uint64_t n = (uint64_t)ns;
  if (ns < 9e15) /* above it a number cannot tell one nanosecond from the next */
    while ((lua_Number)n / 1e9 < s) n++;
  return n;
}

void la_check_options(lua_State *L, int arg, const char *const *names) {
  if (lua_isnoneornil(L, arg)) return;
  luaL_checktype(L, arg, LUA_TTABLE);
  lua_pushnil(L);
  while (lua_next(L, arg) != 0) {
    const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : NULL;
    const char *const *n = names;
    while (*n != NULL && (key == NULL || strcmp(*n, key) != 0)) n++;
    if (*n == NULL) {
      key = luaL_tolstring(L, -2, NULL);
      luaL_argerror(L, arg, lua_pushfstring(L, "unknown option '%s'", key));
    }
    lua_pop(L, 1);
  }
}

static int option(lua_State *L, int arg, const char *name) {
  if (lua_isnoneornil(L, arg)) {
    lua_pushnil(L);
    return LUA_TNIL;
  }
  return lua_getfield(L, arg, name);
}

bool la_option_boolean(lua_State *L, int arg, const char *name, bool otherwise) {
  int type = option(L, arg, name);
  if (type != LUA_TNIL && type != LUA_TBOOLEAN)
    luaL_argerror(L, arg, lua_pushfstring(L, "option '%s' must be a boolean", name));
  bool value = type == LUA_TNIL ? otherwise : lua_toboolean(L, -1);
  lua_pop(L, 1);
  return value;
}

lua_Integer la_option_integer(lua_State *L, int arg, const char *name, lua_Integer otherwise,
                              lua_Integer min, lua_Integer max) {
  int is = 0;
  bool given = option(L, arg, name) != LUA_TNIL;
  lua_Integer value = lua_tointegerx(L, -1, &is);
  if (given && (!is || value < min || value > max))
    luaL_argerror(L, arg,
                  lua_pushfstring(L, "option '%s' must be an integer from %I to %I", name, min,
                                  max));
  lua_pop(L, 1);
  return given ? value : otherwise;
}

bool la_is_callable(lua_State *L, int i) {
  if (lua_isfunction(L, i)) return true;
  if (luaL_getmetafield(L, i, "__call") == LUA_TNIL) return false;
  lua_pop(L, 1);
  return true;
}

void la_check_awaitable(lua_State *L, int arg) {
  if (!la_is_callable(L, arg) && luaL_testudata(L, arg, LA_FUTURE_NAME) == NULL &&
      luaL_testudata(L, arg, LA_TASK_NAME) == NULL)
    luaL_typeerror(L, arg, "function, Future or Task");
}
