/*
** floor: what Lua's own C API costs an executor that does nothing else.
**   floor spawn N    N tasks, 1,000 at a time, on threads that are used again
**   floor tasks N    the same with what the contract asks of a Task: an object of a class that
**                    outlives it, the line it was spawned at, and a body under lua_pcallk
**   floor switch N   two coroutines yield N times each
**   floor timers N   N coroutines sleep 1 to 1,000 ms in a list for each millisecond
**   floor parked N   the same, sleeping for good: the memory of each
**   floor channel N  N messages through a ring of 128 between two coroutines
**   floor call N     N times two calls of a C function that does nothing
** Prints CPU nanoseconds for each operation, or bytes.
*/
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BATCH = 1000, TICKS = 1001 };

typedef struct sleeper {
  struct sleeper *next;
  lua_State *co;
  int ref;
} sleeper;

static sleeper *due[TICKS];
static int sleeping_ref;

static double cpu_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static double rss(void) {
  double kb = 0;
  char line[256];
  FILE *f = fopen("/proc/self/status", "r");
  while (f != NULL && fgets(line, sizeof line, f) != NULL)
    if (strncmp(line, "VmRSS:", 6) == 0) kb = strtod(line + 6, NULL);
  if (f != NULL) fclose(f);
  return kb * 1024;
}

static int l_yield(lua_State *L) { return lua_yield(L, 0); }

static int l_sleep(lua_State *L) {
  sleeper *s = malloc(sizeof *s);
  lua_Integer ms = lua_tointeger(L, 1);
  *s = (sleeper){due[ms], L, sleeping_ref};
  due[ms] = s;
  return lua_yield(L, 0);
}

/* ---- a ring between two coroutines: upvalue 1 is the table of values ----*/

enum { RING = 128 };
static unsigned ring_head, ring_count;

static int l_send(lua_State *L);
static int send_again(lua_State *L, int status, lua_KContext k) {
  (void)status;
  (void)k;
  return l_send(L);
}

static int l_send(lua_State *L) {
  if (ring_count == RING) return lua_yieldk(L, 0, 0, send_again);
  lua_pushvalue(L, 1);
  lua_rawseti(L, lua_upvalueindex(1), (ring_head + ring_count++) % RING + 1);
  return 0;
}

static int l_recv(lua_State *L);
static int recv_again(lua_State *L, int status, lua_KContext k) {
  (void)status;
  (void)k;
  return l_recv(L);
}

static int l_recv(lua_State *L) {
  if (ring_count == 0) return lua_yieldk(L, 0, 0, recv_again);
  lua_rawgeti(L, lua_upvalueindex(1), ring_head + 1);
  ring_head = (ring_head + 1) % RING;
  ring_count--;
  return 1;
}

static int l_nothing(lua_State *L) {
  (void)L;
  return 0;
}

static void register_ring(lua_State *L) {
  lua_createtable(L, RING, 0);
  lua_pushvalue(L, -1);
  lua_pushcclosure(L, l_send, 1);
  lua_setglobal(L, "send");
  lua_pushcclosure(L, l_recv, 1);
  lua_setglobal(L, "recv");
}

static void resume(lua_State *L, lua_State *co, int nargs, int expected) {
  int n;
  if (lua_resume(co, L, nargs, &n) != expected) exit(1);
  lua_settop(co, 0);
}

static void spawn(lua_State *L, long n) {
  lua_State *t[BATCH];
  for (int i = 0; i < BATCH; i++) {
    t[i] = lua_newthread(L);
    luaL_ref(L, LUA_REGISTRYINDEX);
  }
  for (long r = 0; r < n / BATCH; r++) {
    for (int i = 0; i < BATCH; i++) lua_getglobal(t[i], "task");
    for (int i = 0; i < BATCH; i++) resume(L, t[i], 0, LUA_OK);
  }
}

/* Upvalues: the metatable, what keeps the objects alive. The function to run is argument 1. */
static int l_spawn(lua_State *L) {
  static int slot;
  lua_Debug ar;
  int *object = lua_newuserdatauv(L, 16, 1);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_setmetatable(L, -2);
  if (lua_getstack(L, 1, &ar) && lua_getinfo(L, "Sl", &ar)) *object = ar.currentline;
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  lua_pushvalue(L, -1);
  lua_rawseti(L, lua_upvalueindex(2), slot++ % BATCH + 1);
  return 1;
}

static int handler(lua_State *L) { return lua_gettop(L) > 0 ? 1 : 0; }

static int body_over(lua_State *L, int status, lua_KContext k) {
  (void)status;
  (void)k;
  return lua_gettop(L) - 1;
}

static int body(lua_State *L) {
  return body_over(L, lua_pcallk(L, 0, LUA_MULTRET, 1, 0, body_over), 0);
}

static void tasks(lua_State *L, long n) {
  lua_newtable(L);
  lua_newtable(L);
  int owners = lua_gettop(L);
  lua_pushvalue(L, -2);
  lua_pushvalue(L, owners);
  lua_pushcclosure(L, l_spawn, 2);
  lua_setglobal(L, "spawn");
  lua_State *co = lua_newthread(L);
  for (long r = 0; r < n / BATCH; r++) {
    lua_getglobal(L, "spawn_all");
    lua_pushinteger(L, BATCH);
    lua_call(L, 1, 0);
    for (int i = 1; i <= BATCH; i++) {
      lua_pushcfunction(co, body);
      lua_pushcfunction(co, handler);
      lua_rawgeti(L, owners, i);
      lua_getiuservalue(L, -1, 1);
      lua_xmove(L, co, 1);
      resume(L, co, 2, LUA_OK);
      lua_pushnil(L);
      lua_setiuservalue(L, -2, 1);
      lua_pop(L, 1);
      lua_pushnil(L);
      lua_rawseti(L, owners, i);
    }
  }
}

static void switch_two(lua_State *L, long n) {
  lua_State *t[2] = {lua_newthread(L), lua_newthread(L)};
  for (int i = 0; i < 2; i++) {
    lua_getglobal(t[i], "spin");
    lua_pushinteger(t[i], n);
    resume(L, t[i], 1, LUA_YIELD);
  }
  for (long k = 1; k <= n; k++)
    for (int i = 0; i < 2; i++) resume(L, t[i], 0, k < n ? LUA_YIELD : LUA_OK);
}

static void begin_sleeps(lua_State *L, long n) {
  unsigned s = 12345;
  for (long i = 0; i < n; i++) {
    lua_State *co = lua_newthread(L);
    sleeping_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_getglobal(co, "nap");
    s = s * 1103515245u + 12345u;
    lua_pushinteger(co, 1 + (s >> 16) % 1000);
    resume(L, co, 1, LUA_YIELD);
  }
}

static void end_sleeps(lua_State *L) {
  for (int ms = 0; ms < TICKS; ms++) {
    while (due[ms] != NULL) {
      sleeper *s = due[ms];
      due[ms] = s->next;
      resume(L, s->co, 0, LUA_OK);
      luaL_unref(L, LUA_REGISTRYINDEX, s->ref);
      free(s);
    }
  }
}

static lua_State *begin(lua_State *L, const char *function, long n, int *status) {
  int results;
  lua_State *co = lua_newthread(L);
  lua_getglobal(co, function);
  lua_pushinteger(co, n);
  *status = lua_resume(co, L, 1, &results);
  return co;
}

static void channel(lua_State *L, long n) {
  int sending, receiving, results;
  lua_State *tx = begin(L, "produce", n, &sending), *rx = begin(L, "consume", n, &receiving);
  while (receiving == LUA_YIELD) {
    if (sending == LUA_YIELD) sending = lua_resume(tx, L, 0, &results);
    receiving = lua_resume(rx, L, 0, &results);
  }
  if (sending != LUA_OK || receiving != LUA_OK) exit(1);
}

static void call(lua_State *L, long n) {
  int status;
  begin(L, "call_twice", n, &status);
  if (status != LUA_OK) exit(1);
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  long n = atol(argv[2]);
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  lua_gc(L, LUA_GCGEN, 0, 0); /* as the lua5.4 program */
  lua_register(L, "yield", l_yield);
  lua_register(L, "sleep", l_sleep);
  lua_register(L, "nothing", l_nothing);
  register_ring(L);
  if (luaL_dostring(
          L, "count = 0 local yield, sleep = yield, sleep\n"
             "local send, recv, nothing = send, recv, nothing\n"
             "function produce(n) for i = 1, n do send(i) end end\n"
             "function consume(n) local s = 0 for _ = 1, n do s = s + recv() end end\n"
             "function call_twice(n) for _ = 1, n do nothing() nothing() end end\n"
             "function task() count = count + 1 end\n"
             "function spawn_all(n) local spawn, task = spawn, task for _ = 1, n do spawn(task) "
             "end end\n"
             "function spin(n) for _ = 1, n do yield() end count = count + n end\n"
             "function nap(ms) sleep(ms) count = count + 1 end"))
    return 1;
  lua_gc(L, LUA_GCCOLLECT);
  double start = cpu_ns(), before = rss();
  if (strcmp(argv[1], "spawn") == 0)
    spawn(L, n);
  else if (strcmp(argv[1], "tasks") == 0)
    tasks(L, n);
  else if (strcmp(argv[1], "switch") == 0)
    switch_two(L, n), n *= 2;
  else if (strcmp(argv[1], "channel") == 0)
    channel(L, n);
  else if (strcmp(argv[1], "call") == 0)
    call(L, n);
  else
    begin_sleeps(L, n);
  if (strcmp(argv[1], "timers") == 0) end_sleeps(L);
  double cost = cpu_ns() - start;
  if (strcmp(argv[1], "parked") == 0) {
    lua_gc(L, LUA_GCCOLLECT);
    cost = rss() - before;
  }
  printf("%.1f\n", cost / (double)n);
  return 0;
}
