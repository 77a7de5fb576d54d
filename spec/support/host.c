/*
** host.c - a program that embeds Lua, for what `lua5.4` cannot do itself.
**
**   host close SCRIPT         runs it in a coroutine until that yields or ends, then lua_close
**   host threads N SCRIPT     runs it in N Lua states on N threads, three times each
**
** The script may also call close_now(), which closes the state on the spot. Prints "ok" and
** returns 0 when all went well.
*/
#include <dlfcn.h>
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* libuv closes descriptors by a raw system call, which libtsan does not see: to it, another
** thread that gets the same number then races with whoever had it before. */
long syscall(long number, ...) {
  long a[6];
  va_list list;
  va_start(list, number);
  for (int i = 0; i < 6; i++) a[i] = va_arg(list, long);
  va_end(list);
  if (number == SYS_close) return close((int)a[0]);
  long (*real)(long, ...) = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
  return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

static const char *script;

static int close_now(lua_State *L) {
  lua_close(L); /* as os.exit(code, true) does, in the middle of everything */
  puts("ok");
  exit(0);
}

static lua_State *open_state(void) {
  lua_State *L = luaL_newstate();
  if (L == NULL) exit(2);
  luaL_openlibs(L);
  lua_register(L, "close_now", close_now);
  return L;
}

static int fail(lua_State *L) {
  fprintf(stderr, "%s\n", luaL_tolstring(L, -1, NULL));
  return 1;
}

static int run_and_close(void) {
  lua_State *L = open_state(), *co = lua_newthread(L);
  int results;
  if (luaL_loadfile(co, script) != LUA_OK) return fail(co);
  int status = lua_resume(co, L, 0, &results);
  if (status != LUA_OK && status != LUA_YIELD) return fail(co);
  lua_close(L);
  puts("ok");
  return 0;
}

static void *thread_main(void *arg) {
  int failed = 0;
  for (int round = 0; round < 3 && !failed; round++) {
    lua_State *L = open_state();
    lua_pushinteger(L, *(int *)arg);
    lua_setglobal(L, "thread");
    if (luaL_dofile(L, script) != LUA_OK) failed = fail(L);
    lua_close(L);
  }
  *(int *)arg = failed;
  return NULL;
}

enum { MOST = 64 };

static int run_threads(int n) {
  pthread_t threads[MOST];
  int args[MOST], failed = 0;
  for (int i = 0; i < n; i++) {
    args[i] = i;
    if (pthread_create(&threads[i], NULL, thread_main, &args[i]) != 0) return 1;
  }
  for (int i = 0; i < n; i++) {
    pthread_join(threads[i], NULL);
    failed |= args[i];
  }
  if (!failed) puts("ok");
  return failed;
}

int main(int argc, char **argv) {
  if (argc < 3) return 2;
  script = argv[argc - 1];
  if (strcmp(argv[1], "close") == 0) return run_and_close();
  int n = atoi(argv[2]);
  return strcmp(argv[1], "threads") == 0 && n > 0 && n <= MOST ? run_threads(n) : 2;
}
