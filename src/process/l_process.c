/* async.process: child processes. */
#include <string.h>
#include <unistd.h>

#include "process/stop.h"
#include "task/l_life.h"

#include "process/l_process.h"
#include "process/l_signal.h"

typedef la_child child;

/* Registry: Pipe -> its child, an ephemeron table: who has a pipe has the child, which would else
** be collected, and so killed, while it is being read from. */
static char children_key;

static const char *const pipe_names[] = {"stdin", "stdout", "stderr", NULL};

static void child_close(void *object) {
  child *c = object;
  if (c->process != NULL) la_process_close(c->process);
}

static void child_end(void *object) {
  child *c = object;
  if (c->process != NULL) la_process_unref(c->process);
  c->process = NULL;
}

static const la_object_class child_class = {"lua_async.Child", child_close, child_end};

static child *check(lua_State *L) {
  child *c = la_object_check(L, 1, &child_class);
  luaL_argcheck(L, c->process != NULL, 1, "this child has been collected");
  return c;
}

/* ---- spawn -------------------------------------------------------------------------*/

/* All that Lua has to make comes first, where raising loses nothing: a Pipe without a stream yet,
** set in the child on top of the stack. */
static la_io_object *new_pipe(lua_State *L, int i) {
  la_io_object *o = la_pipe_new(L);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &children_key);
  lua_pushvalue(L, -2);
  lua_pushvalue(L, -4);
  lua_rawset(L, -3); /* the pipe's child */
  lua_pop(L, 1);
  lua_setiuservalue(L, -2, i + 1);
  return o;
}

static int start(lua_State *L, la_reactor *r, la_spawn *s, child *c) {
  la_io_object *pipes[3] = {NULL, NULL, NULL};
  for (int i = 0; i < 3; i++)
    if (s->pipe[i]) pipes[i] = new_pipe(L, i);
  int error = la_spawn_pipes(r, s);
  if (error != 0) return error;
  for (int i = 0; i < 3; i++)
    if (pipes[i] != NULL) pipes[i]->self = s->ours[i];
  return la_spawn_start(r, s, &c->process);
}

static const char *const none[] = {NULL};

void la_child_read(lua_State *L, int arg, const char *in, const char *out, la_spawn *s) {
  const la_spawn_defaults defaults = {{in, out, "inherit"}, none, true};
  la_spawn_read(L, arg, &defaults, s);
}

int la_child_push(lua_State *L, la_reactor *r, la_spawn *s) {
  child *c = la_object_new(L, &child_class, sizeof *c, 3);
  la_object_made(L, &child_class);
  return start(L, r, s, c);
}

static int spawn(lua_State *L) {
  la_spawn s;
  la_reactor *r = la_check_reactor(L, "process.spawn");
  la_child_read(L, 1, "inherit", "inherit", &s);
  int error = la_child_push(L, r, &s);
  return error == 0 ? 1 : la_spawn_fail(L, &s, error, "spawn");
}

/* ---- the end -----------------------------------------------------------------------*/

bool la_push_status(lua_State *L, const la_process *p) {
  int code, signal;
  bool ended = la_process_look(p, &code, &signal), ok = signal == 0 && code == 0;
  lua_createtable(L, 0, 4);
  if (signal != 0)
    la_push_signal(L, signal);
  else
    lua_pushinteger(L, code);
  lua_setfield(L, -2, signal != 0 ? "signal" : "code");
  lua_pushboolean(L, ok);
  lua_setfield(L, -2, "ok");
  return ended;
}

static int wait_begin(lua_State *L, void *room, la_future **f) {
  child *c = check(L);
  la_runtime_check(L, "waiting for a child");
  if (c->head.closed) return la_fail_closed(L, "wait");
  la_process_wait_init(room, c->process);
  *f = &((la_process_wait *)room)->base;
  return 0;
}

static int wait_finish(lua_State *L, la_future *f) {
  const la_process *p = la_container(f, la_process_wait, base)->process;
  if (p->closed) return la_fail_meanwhile(L, "wait");
  la_push_status(L, p);
  return 1;
}

static const la_operation wait_operation = {"child.wait", wait_begin, wait_finish};
static int child_wait(lua_State *L) { return la_operate(L, &wait_operation); }

static int child_try_wait(lua_State *L) {
  const child *c = check(L);
  if (c->head.closed) return la_fail_closed(L, "try_wait");
  return la_push_status(L, c->process) ? 1 : la_fail_again(L, "try_wait");
}

/* ---- stop --------------------------------------------------------------------------*/

uint64_t la_check_grace(lua_State *L, int arg) {
  return lua_isnoneornil(L, arg) ? LA_GRACE : la_check_seconds(L, arg);
}

static int stop_begin(lua_State *L, void *room, la_future **f) {
  const child *c = check(L);
  (void)room;
  uint64_t grace = la_check_grace(L, 2);
  la_executor *ex = la_runtime_check(L, "stopping a child")->ex;
  if (c->head.closed) return la_fail_closed(L, "stop");
  la_process_stop *s = la_process_stop_new(ex, &c->process, 1, grace);
  if (s == NULL) return la_no_memory(L);
  *f = &s->base;
  return 0;
}

static int stop_finish(lua_State *L, la_future *f) {
  const la_process *p = ((const la_process_stop *)(const void *)f)->of[0].process;
  if (p->closed) return la_fail_meanwhile(L, "stop");
  la_push_status(L, p);
  return 1;
}

static const la_operation stop_operation = {"child.stop", stop_begin, stop_finish};
static int child_stop(lua_State *L) { return la_operate(L, &stop_operation); }

/* ---- signals -----------------------------------------------------------------------*/

static int child_kill(lua_State *L) {
  static const char *const names[] = {"tree", NULL};
  child *c = check(L);
  int options = lua_istable(L, 2) ? 2 : 3; /* kill({ tree = true }) */
  int signum = options == 2 ? la_check_signal(L, 4) : la_check_signal(L, 2);
  la_check_options(L, options, names);
  bool tree = la_option_boolean(L, options, "tree", false);
  luaL_argcheck(L, !tree || c->process->group, options,
                "this child shares our process group: spawn it with group = true");
  if (c->head.closed) return la_fail_closed(L, "kill");
  return la_push_done(L, la_process_kill(c->process, signum, tree), "kill");
}

/* kill(pid [, signal]) */
static int process_kill(lua_State *L) {
  lua_Integer pid = luaL_checkinteger(L, 1);
  luaL_argcheck(L, pid > INT32_MIN && pid <= INT32_MAX && (pid > 0 || pid < -1), 1,
                "the id of a process expected, or minus that of a group");
  return la_push_done(L, uv_kill((int)pid, la_check_signal(L, 2)), "kill");
}

/* ---- the object --------------------------------------------------------------------*/

/* Gives up the pipes, too. */
static void close_all(lua_State *L) {
  if (la_object_collected(L, 1)) return;
  check(L);
  for (int i = 1; i <= 3; i++) {
    if (lua_getiuservalue(L, 1, i) == LUA_TUSERDATA) {
      lua_getfield(L, -1, "close");
      lua_insert(L, -2);
      lua_call(L, 1, 0);
    } else {
      lua_pop(L, 1);
    }
  }
}

static int close_child(lua_State *L) {
  close_all(L);
  return la_object_close(L);
}

static int leave_scope(lua_State *L) {
  close_child(L);
  return 0;
}

/* Of one that was collected, as the Lua state closes, the methods alone. */
static int index_child(lua_State *L) {
  bool collected = la_object_collected(L, 1);
  const child *c = collected ? NULL : check(L);
  const char *key = !collected && lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
  lua_settop(L, 2);
  if (strcmp(key, "pid") == 0) {
    lua_pushinteger(L, c->process->pid);
    return 1;
  }
  for (int i = 0; pipe_names[i] != NULL; i++) {
    if (strcmp(key, pipe_names[i]) != 0) continue;
    lua_getiuservalue(L, 1, i + 1);
    return 1;
  }
  lua_rawget(L, lua_upvalueindex(1));
  return 1;
}

static int to_string(lua_State *L) {
  const child *c = check(L);
  lua_pushfstring(L, "Child (pid %d%s)", c->process->pid,
                  c->process->ended ? ", ended"
                  : c->head.closed  ? ", closed"
                                    : "");
  return 1;
}

/* ---- the module --------------------------------------------------------------------*/

static void make_class(lua_State *L) {
  static const luaL_Reg methods[] = {{"wait", child_wait},   {"try_wait", child_try_wait},
                                     {"stop", child_stop},   {"kill", child_kill},
                                     {"close", close_child}, {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__close", leave_scope},
                                  {"__tostring", to_string},
                                  {NULL, NULL}};
  la_object_class_open(L, &child_class, meta, methods);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &child_class);
  lua_getfield(L, -1, "__index");
  lua_pushcclosure(L, index_child, 1);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}

void la_open_process(lua_State *L) {
  static const luaL_Reg functions[] = {{"spawn", spawn}, {"kill", process_kill}, {NULL, NULL}};
  static const la_operation_entry operations[] = {{child_wait, &wait_operation},
                                                  {child_stop, &stop_operation},
                                                  {NULL, NULL}};
  _Static_assert(sizeof(la_process_wait) <= LA_SLOT_SIZE, "waiting for a child needs no memory");
  la_operations_add(L, operations);
  la_life_after(la_process_reap);
  la_push_registered(L, &children_key, "k");
  lua_pop(L, 1);
  make_class(L);
  la_open_streams(L);
  luaL_setfuncs(L, functions, 0);
  la_open_output(L);
  la_open_pipeline(L);
}
