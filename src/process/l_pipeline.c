/* async.process.pipeline: children whose stdout is the next one's stdin. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "process/l_process.h"
#include "process/l_signal.h"
#include "process/stop.h"

/* User values 1, 2, … are the children. */
typedef struct pipeline {
  la_object head;
  int count;
} pipeline;

/* The children look after themselves. */
static void nothing(void *object) { (void)object; }

static const la_object_class pipeline_class = {"lua_async.Pipeline", nothing, NULL};

static pipeline *check(lua_State *L) { return la_object_check(L, 1, &pipeline_class); }

/* Pushes child i (from 1 on) of the pipeline at index `at`. */
static la_child *push_child(lua_State *L, int at, int i) {
  lua_getiuservalue(L, at, i);
  la_child *c = lua_touserdata(L, -1);
  if (c->process == NULL) luaL_argerror(L, 1, "this pipeline has been collected");
  return c;
}

/* ---- making one --------------------------------------------------------------------*/

static void read_stage(lua_State *L, int i, int count, la_spawn *s) {
  luaL_checktype(L, i, LUA_TTABLE);
  luaL_argcheck(L, i == 1 || lua_getfield(L, i, "stdin") == LUA_TNIL, i,
                "stdin is the stdout of the one before");
  luaL_argcheck(L, i == count || lua_getfield(L, i, "stdout") == LUA_TNIL, i,
                "stdout is the stdin of the next");
  la_child_read(L, i, i == 1 ? "inherit" : "null", i == count ? "inherit" : "pipe", s);
}

/* Its stdin is the stdout of the child on top of the stack, which gives it away. */
static void take_stdout(lua_State *L, la_spawn *s) {
  lua_getiuservalue(L, -1, STDOUT_FILENO + 1);
  const la_io_object *o = lua_touserdata(L, -1);
  lua_pop(L, 1);
  s->given[STDIN_FILENO] = o->self;
  s->fds[STDIN_FILENO] = s->given[STDIN_FILENO]->fd;
}

/* The pipeline stands at count + 1. */
static int start_stage(lua_State *L, la_reactor *r, int i, int count, la_spawn *s) {
  read_stage(L, i, count, s);
  if (i > 1) {
    push_child(L, count + 1, i - 1);
    take_stdout(L, s);
  }
  int error = la_child_push(L, r, s);
  if (error == 0) lua_setiuservalue(L, count + 1, i);
  return error;
}

/* Those that were started before one failed. */
static void close_started(lua_State *L, int at, int count) {
  for (int i = 1; i <= count; i++, lua_pop(L, 1)) la_process_close(push_child(L, at, i)->process);
}

static int new_pipeline(lua_State *L) {
  la_spawn s;
  int count = lua_gettop(L);
  la_reactor *r = la_check_reactor(L, "process.pipeline");
  luaL_argcheck(L, count > 0, 1, "no command: pass one table for each, as for process.spawn");
  for (int i = 1; i <= count; i++) { /* first, since it may raise */
    read_stage(L, i, count, &s);
    lua_settop(L, count);
  }
  pipeline *p = la_object_new(L, &pipeline_class, sizeof *p, count);
  la_object_made(L, &pipeline_class);
  for (int i = 1; i <= count; i++) {
    int error = start_stage(L, r, i, count, &s);
    if (error != 0) {
      close_started(L, count + 1, p->count);
      return la_spawn_fail(L, &s, error, "pipeline");
    }
    p->count = i;
    lua_settop(L, count + 1);
  }
  return 1;
}

/* ---- waiting -----------------------------------------------------------------------*/

/* For one after the other. */
typedef struct all_future {
  la_future base;
  la_process_wait wait; /* for process[at], unless that is the last */
  int at, count;
  la_process *process[]; /* references */
} all_future;

static la_poll all_poll(la_future *f, la_context *cx) {
  all_future *a = (all_future *)(void *)f;
  while (a->at < a->count) {
    if (la_future_poll(&a->wait.base, cx) == LA_PENDING) return LA_PENDING;
    la_future_drop(&a->wait.base);
    if (++a->at < a->count) la_process_wait_init(&a->wait, a->process[a->at]);
  }
  return LA_READY;
}

static void all_drop(la_future *f) {
  all_future *a = (all_future *)(void *)f;
  if (a->at < a->count) la_future_drop(&a->wait.base);
  for (int i = 0; i < a->count; i++) la_process_unref(a->process[i]);
  free(a);
}

static const la_future_vtable all_vtable = {all_poll, all_drop, "pipeline", NULL};

/* A wait for all; NULL: no memory. */
static all_future *new_all(lua_State *L, const pipeline *p) {
  for (int i = p->count; i > 1; i--, lua_pop(L, 1)) push_child(L, 1, i); /* may raise */
  la_process *first = push_child(L, 1, 1)->process;
  all_future *a = malloc(sizeof *a + (size_t)p->count * sizeof *a->process);
  if (a == NULL) return NULL;
  a->base.vt = &all_vtable;
  a->at = 0;
  a->count = p->count;
  for (int i = 0; i < p->count; i++, lua_pop(L, 1)) {
    a->process[i] = push_child(L, 1, i + 1)->process;
    la_process_ref(a->process[i]);
  }
  la_process_wait_init(&a->wait, first);
  return a;
}

static int wait_begin(lua_State *L, void *room, la_future **f) {
  const pipeline *p = check(L);
  (void)room;
  la_runtime_check(L, "waiting for a pipeline");
  if (p->head.closed) return la_fail_closed(L, "wait");
  all_future *a = new_all(L, p);
  if (a == NULL) return la_no_memory(L);
  *f = &a->base;
  return 0;
}

/* The status of the last, `ok` that of all, and at 1, 2, … each one's own. */
static int push_all(lua_State *L, const pipeline *p, const char *op) {
  bool ok = true;
  lua_createtable(L, p->count, 0);
  int statuses = lua_gettop(L);
  for (int i = 1; i <= p->count; i++) {
    const la_process *one = push_child(L, 1, i)->process;
    if (one->closed) return la_fail_meanwhile(L, op);
    if (!la_push_status(L, one)) return la_fail_again(L, op);
    lua_getfield(L, -1, "ok");
    ok = lua_toboolean(L, -1) && ok;
    lua_pop(L, 1);
    lua_rawseti(L, statuses, i);
    lua_settop(L, statuses);
  }
  lua_pushboolean(L, ok);
  lua_setfield(L, statuses, "ok");
  la_push_status(L, push_child(L, 1, p->count)->process);
  lua_getfield(L, -1, "signal");
  lua_setfield(L, statuses, "signal");
  lua_getfield(L, -1, "code");
  lua_setfield(L, statuses, "code");
  lua_settop(L, statuses);
  return 1;
}

static int wait_finish(lua_State *L, la_future *f) {
  (void)f;
  return push_all(L, check(L), "wait");
}

static const la_operation wait_operation = {"pipeline.wait", wait_begin, wait_finish};
static int pipeline_wait(lua_State *L) { return la_operate(L, &wait_operation); }

static int pipeline_try_wait(lua_State *L) {
  const pipeline *p = check(L);
  if (p->head.closed) return la_fail_closed(L, "try_wait");
  return push_all(L, p, "try_wait");
}

/* ---- stop --------------------------------------------------------------------------*/

static int stop_begin(lua_State *L, void *room, la_future **f) {
  const pipeline *p = check(L);
  (void)room;
  uint64_t grace = la_check_grace(L, 2);
  la_executor *ex = la_runtime_check(L, "stopping a pipeline")->ex;
  if (p->head.closed) return la_fail_closed(L, "stop");
  all_future *all = new_all(L, p); /* for its list */
  if (all == NULL) return la_no_memory(L);
  la_process_stop *s = la_process_stop_new(ex, all->process, (size_t)all->count, grace);
  la_future_drop(&all->base);
  if (s == NULL) return la_no_memory(L);
  *f = &s->base;
  return 0;
}

static int stop_finish(lua_State *L, la_future *f) {
  (void)f;
  return push_all(L, check(L), "stop");
}

static const la_operation stop_operation = {"pipeline.stop", stop_begin, stop_finish};
static int pipeline_stop(lua_State *L) { return la_operate(L, &stop_operation); }

/* ---- the object --------------------------------------------------------------------*/

static int pipeline_kill(lua_State *L) {
  const pipeline *p = check(L);
  int signum = la_check_signal(L, 2), error = UV_ESRCH;
  if (p->head.closed) return la_fail_closed(L, "kill");
  for (int i = 1; i <= p->count; i++, lua_pop(L, 1)) {
    int one = la_process_kill(push_child(L, 1, i)->process, signum, false);
    if (error == UV_ESRCH) error = one;
  }
  return la_push_done(L, error, "kill");
}

static int close_all(lua_State *L) {
  const pipeline *p = check(L);
  for (int i = 1; i <= p->count; i++) {
    lua_getiuservalue(L, 1, i);
    lua_getfield(L, -1, "close");
    lua_insert(L, -2);
    lua_call(L, 1, 0);
  }
  return la_object_close(L);
}

static int leave_scope(lua_State *L) {
  close_all(L);
  return 0;
}

static int length(lua_State *L) {
  lua_pushinteger(L, check(L)->count);
  return 1;
}

/* A child by its number; the stdin of the first, the stdout of the last; a method. */
static int index_pipeline(lua_State *L) {
  const pipeline *p = check(L);
  const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
  bool in = strcmp(key, "stdin") == 0, out = strcmp(key, "stdout") == 0;
  lua_Integer i = lua_isinteger(L, 2) ? lua_tointeger(L, 2) : in ? 1 : out ? p->count : 0;
  lua_settop(L, 2);
  if (i >= 1 && i <= p->count) {
    lua_getiuservalue(L, 1, (int)i);
    if (in || out) lua_getfield(L, -1, key);
  } else {
    lua_rawget(L, lua_upvalueindex(1));
  }
  return 1;
}

void la_open_pipeline(lua_State *L) {
  static const luaL_Reg methods[] = {{"wait", pipeline_wait}, {"try_wait", pipeline_try_wait},
                                     {"stop", pipeline_stop}, {"kill", pipeline_kill},
                                     {"close", close_all},    {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__close", leave_scope}, {"__len", length}, {NULL, NULL}};
  static const la_operation_entry operations[] = {{pipeline_wait, &wait_operation},
                                                  {pipeline_stop, &stop_operation},
                                                  {NULL, NULL}};
  la_operations_add(L, operations);
  la_object_class_open(L, &pipeline_class, meta, methods);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &pipeline_class);
  lua_getfield(L, -1, "__index");
  lua_pushcclosure(L, index_pipeline, 1);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
  lua_pushcfunction(L, new_pipeline);
  lua_setfield(L, -2, "pipeline");
}
