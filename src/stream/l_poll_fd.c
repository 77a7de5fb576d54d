/* async.poll_fd: waiting for the descriptor of another library. */
#include "bridge/lib.h"
#include "stream/fd_poll.h"

static const char *const names[] = {"r", "w", "rw", NULL};
static const int events[] = {UV_READABLE, UV_WRITABLE, UV_READABLE | UV_WRITABLE};

static int check_events(lua_State *L) { return events[luaL_checkoption(L, 2, NULL, names)]; }

/* Pushes what the method `name` of the value at index 1 returns; false: it has none. */
static bool call_method(lua_State *L, const char *name) {
  if (lua_getfield(L, 1, name) == LUA_TNIL) {
    lua_pop(L, 1);
    return false;
  }
  lua_pushvalue(L, 1);
  lua_call(L, 1, 1);
  return true;
}

/* The descriptor at index 1, or that of an object. A library says -1 or nil of one that is
** closed. */
static int check_fd(lua_State *L) {
  int is;
  bool number = lua_type(L, 1) == LUA_TNUMBER;
  bool object = lua_istable(L, 1) || luaL_getmetafield(L, 1, "__index") != LUA_TNIL;
  lua_settop(L, 2);
  if (number)
    lua_pushvalue(L, 1);
  else if (!object ||
           !(call_method(L, "fd") || call_method(L, "getfd") || call_method(L, "pollfd")))
    luaL_typeerror(L, 1,
                   "descriptor (an integer), or object with a method 'fd', 'getfd' or 'pollfd'");
  lua_Integer fd = lua_tointegerx(L, -1, &is);
  if (lua_isnil(L, -1) && !number) return -1;
  luaL_argcheck(L, is && fd >= (number ? 0 : -1) && fd <= INT32_MAX, 1, "not a descriptor");
  lua_settop(L, 2);
  return (int)fd;
}

static int poll_fd_begin(lua_State *L, void *room, la_future **f) {
  (void)room;
  int wanted = check_events(L);
  la_reactor *r = la_check_reactor(L, "async.poll_fd");
  int fd = check_fd(L);
  if (fd < 0) return la_fail(L, UV_EBADF, "poll_fd");
  la_fd_poll *p = la_fd_poll_new(r, fd, wanted);
  if (p == NULL) return la_no_memory(L);
  *f = &p->base;
  return 0;
}

static int poll_fd_finish(lua_State *L, la_future *f) {
  const la_fd_poll *p = (const la_fd_poll *)(const void *)f;
  if (p->status != 0) return la_fail(L, p->status, "poll_fd");
  for (int i = 0; i < 3; i++)
    if (events[i] == p->events) lua_pushstring(L, names[i]);
  return 1;
}

static const la_operation poll_fd_operation = {"poll_fd", poll_fd_begin, poll_fd_finish};
static int poll_fd(lua_State *L) { return la_operate(L, &poll_fd_operation); }

void la_open_poll_fd(lua_State *L) {
  static const la_operation_entry operations[] = {{poll_fd, &poll_fd_operation}, {NULL, NULL}};
  la_operations_add(L, operations);
  lua_pushcfunction(L, poll_fd);
  lua_setfield(L, -2, "poll_fd");
}
