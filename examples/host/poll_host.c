/*
** poll_host.c - a program with an event loop of its own that embeds Lua and lets lua_async's tasks
** run in it.
**
**   poll_host SCRIPT    with lines on its standard input
**
** The loop is poll(2) on two descriptors: standard input, which is the host's business, and that
** of an async.loop. The script returns the loop, and a function that the host calls with each line.
**
** cc poll_host.c $(pkg-config --cflags --libs lua5.4) -lm -ldl -Wl,-E -o poll_host
** LUA_CPATH="../../build/?.so;;" ./poll_host lines.lua
*/
#include <errno.h>
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <math.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Where the script's results are on the stack. */
enum { LOOP = 1, LINE = 2 };

static int fail(lua_State *L) {
  fprintf(stderr, "poll_host: %s\n", luaL_tolstring(L, -1, NULL));
  lua_close(L);
  return 1;
}

/* Calls a method of the loop, with one result. */
static int call_loop(lua_State *L, const char *method) {
  lua_getfield(L, LOOP, method);
  lua_pushvalue(L, LOOP);
  return lua_pcall(L, 1, 1, 0);
}

/* How long poll may wait, in milliseconds: rounded up, so that it does not return too early. */
static int patience(lua_State *L) {
  double ms = lua_isnil(L, -1) ? -1 : ceil(lua_tonumber(L, -1) * 1e3);
  lua_pop(L, 1);
  return ms > 1e6 ? 1000000 : (int)ms;
}

/* Hands the whole lines of the buffer over. */
static int take_lines(lua_State *L, char *buffer, size_t *used) {
  char *start = buffer, *end;
  while ((end = memchr(start, '\n', *used - (size_t)(start - buffer))) != NULL) {
    lua_pushvalue(L, LINE);
    lua_pushlstring(L, start, (size_t)(end - start));
    int status = lua_pcall(L, 1, 0, 0);
    if (status != LUA_OK) return status;
    start = end + 1;
  }
  *used -= (size_t)(start - buffer);
  memmove(buffer, start, *used);
  return LUA_OK;
}

static int run(lua_State *L, int loop_fd) {
  char buffer[4096];
  size_t used = 0;
  bool input = true;
  for (;;) {
    if (call_loop(L, "turn") != LUA_OK) return fail(L);
    bool tasks = lua_toboolean(L, -1);
    lua_pop(L, 1);
    if (!input && !tasks) return 0;
    if (call_loop(L, "timeout") != LUA_OK) return fail(L);
    struct pollfd fds[] = {{.fd = loop_fd, .events = POLLIN},
                           {.fd = input ? STDIN_FILENO : -1, .events = POLLIN}};
    if (poll(fds, 2, patience(L)) < 0 && errno != EINTR) return 1;
    if (fds[1].revents == 0) continue;
    ssize_t n = read(STDIN_FILENO, buffer + used, sizeof buffer - used);
    input = n > 0 && used < sizeof buffer;
    if (n > 0) used += (size_t)n;
    if (take_lines(L, buffer, &used) != LUA_OK) return fail(L);
    if (!input) puts("host: the input is over");
  }
}

int main(int argc, char **argv) {
  lua_State *L = luaL_newstate();
  if (argc != 2 || L == NULL) return 2;
  setvbuf(stdout, NULL, _IOLBF, 0);
  luaL_openlibs(L);
  if (luaL_loadfile(L, argv[1]) != LUA_OK || lua_pcall(L, 0, 2, 0) != LUA_OK) return fail(L);
  if (call_loop(L, "fd") != LUA_OK) return fail(L);
  int loop_fd = (int)lua_tointeger(L, -1);
  lua_pop(L, 1);
  int status = run(L, loop_fd);
  if (status != 0) return status;
  if (call_loop(L, "close") != LUA_OK) return fail(L);
  puts("host: closed");
  lua_close(L);
  return 0;
}
