/*
** failing_malloc: malloc, calloc and realloc that fail when they are told to.
**
** Preloaded, it serves Lua, lua_async and libuv alike; required, it is the Lua module
** that arms it: arm(n, span) lets the n-th allocation of this thread from now on fail,
** and the span - 1 after it; disarm() returns how many did. (One alone would prove
** little: Lua collects garbage and tries again.) Other threads are left alone, so that
** the count means the same each time. descriptors() says how many are open, and which, without
** any of its own.
*/
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <lauxlib.h>
#include <lua.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static long until_failure = -1, span, failed;
static pthread_t owner;

static int must_fail(void) {
  if (until_failure < 0 || !pthread_equal(pthread_self(), owner)) return 0;
  if (until_failure > 1) {
    until_failure--;
    return 0;
  }
  if (span-- > 0) {
    failed++;
    errno = ENOMEM; /* pthread_create relies on it */
    return 1;
  }
  until_failure = -1;
  return 0;
}

void *malloc(size_t n) {
  static void *(*next)(size_t);
  if (next == NULL) next = (void *(*)(size_t))dlsym(RTLD_NEXT, "malloc");
  return must_fail() ? NULL : next(n);
}

void *realloc(void *p, size_t n) {
  static void *(*next)(void *, size_t);
  if (next == NULL) next = (void *(*)(void *, size_t))dlsym(RTLD_NEXT, "realloc");
  return n > 0 && must_fail() ? NULL : next(p, n);
}

/* dlsym may itself want memory from calloc. */
void *calloc(size_t count, size_t n) {
  static void *(*next)(size_t, size_t);
  static char early[1024];
  static size_t used;
  static int looking;
  if (next == NULL && !looking) {
    looking = 1;
    next = (void *(*)(size_t, size_t))dlsym(RTLD_NEXT, "calloc");
  }
  if (next == NULL) {
    void *p = early + used;
    used += (count * n + 15) & ~(size_t)15;
    return used <= sizeof early ? p : NULL;
  }
  return must_fail() ? NULL : next(count, n);
}

static int arm(lua_State *L) {
  owner = pthread_self();
  failed = 0;
  span = (long)luaL_checkinteger(L, 2);
  until_failure = (long)luaL_checkinteger(L, 1);
  return 0;
}

static int disarm(lua_State *L) {
  until_failure = -1;
  lua_pushinteger(L, failed);
  return 1;
}

static int descriptors(lua_State *L) {
  luaL_Buffer b;
  lua_Integer count = 0;
  luaL_buffinit(L, &b);
  DIR *d = opendir("/proc/self/fd");
  if (d == NULL) return luaL_error(L, "/proc is not there");
  for (struct dirent *e; (e = readdir(d)) != NULL;) {
    int fd = atoi(e->d_name);
    char path[64], target[256];
    if (e->d_name[0] == '.' || fd == dirfd(d)) continue;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(path, target, sizeof target - 1);
    target[n < 0 ? 0 : n] = '\0';
    lua_pushfstring(L, "\n%d -> %s", fd, target);
    luaL_addvalue(&b);
    count++;
  }
  closedir(d);
  luaL_pushresult(&b);
  lua_pushinteger(L, count);
  lua_insert(L, -2);
  return 2;
}

int luaopen_failing_malloc(lua_State *L) {
  static const luaL_Reg functions[] = {{"arm", arm},
                                       {"disarm", disarm},
                                       {"descriptors", descriptors},
                                       {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
