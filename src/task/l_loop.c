/* async.loop: a runtime that the program around it drives, from an event loop of its own. */
#include <string.h>

#include "bridge/lib.h"
#include "bridge/losses.h"
#include "bridge/report.h"
#include "bridge/task_object.h"
#include "driver/guest.h"
#include "task/l_dump.h"
#include "task/l_future.h"
#include "task/l_life.h"
#include "task/l_task.h"

#define LOOP_NAME "lua_async.Loop"

typedef struct loop_object {
  la_life life;
  la_node node;        /* of the loops of this thread that are not closed */
  bool guest;          /* on luv's loop, which drives it */
  bool turning;        /* a guest: in a turn, in which a task may run luv's loop again */
  bool closing;        /* a guest: its tasks unwind as luv's loop runs */
  la_reactor *leaving; /* a guest that is closed: its handles may still be on luv's loop */
  int self_ref;        /* a guest is kept until it is closed: luv's loop has its address */
  int mode_ref;        /* luv.loop_mode */
} loop_object;

static LA_THREAD_LOCAL la_list loops; /* of this thread; all zero until there is one */

/* ---- what may be asked of it, and when ------------------------------------------------*/

static bool is_closed(const loop_object *o) { return o->life.reactor == NULL; }

/* Raises unless it is there, and this is its thread. */
static loop_object *check(lua_State *L, const char *what) {
  loop_object *o = luaL_checkudata(L, 1, LOOP_NAME);
  if (is_closed(o)) luaL_error(L, "loop:%s: this loop is closed, make another one", what);
  if (!la_executor_is_here(o->life.rt.ex))
    luaL_error(L, "loop:%s must be called on the thread that made the loop", what);
  return o;
}

static void check_outside(lua_State *L, const loop_object *o, const char *what) {
  if (o->life.rt.entered)
    luaL_error(L, "loop:%s was called in one of the loop's own tasks: only the host may call it",
               what);
}

/* Calls `body` protected, with the loop as its argument, as the runtime that runs. Leaves an error
** on the stack. */
static int enter(lua_State *L, loop_object *o, lua_CFunction body) {
  lua_pushcfunction(L, body);
  lua_pushlightuserdata(L, o);
  la_runtime_enter(L, &o->life.rt);
  int status = lua_pcall(L, 1, 0, 0);
  if (o->life.begun) la_runtime_exit(&o->life.rt);
  return status;
}

/* ---- turns --------------------------------------------------------------------------*/

/* The second look hands to the system what the tasks have begun to wait for, so that the
** descriptor tells of it. */
static int turn_body(lua_State *L) {
  const loop_object *o = lua_touserdata(L, 1);
  la_reactor_look(o->life.reactor);
  la_executor_step(o->life.rt.ex);
  la_reactor_look(o->life.reactor);
  return 0;
}

static int loop_turn(lua_State *L) {
  loop_object *o = check(L, "turn");
  check_outside(L, o, "turn");
  if (o->guest) return luaL_error(L, "loop:turn was called on a loop that luv's uv.run() drives");
  if (la_runtime_of(L) != NULL)
    return luaL_error(L, "loop:turn was called inside another runtime: use async.spawn there");
  if (enter(L, o, turn_body) != LUA_OK) return lua_error(L);
  lua_pushboolean(L, o->life.rt.ex->live_count > 0);
  return 1;
}

static int step_body(lua_State *L) {
  loop_object *o = lua_touserdata(L, 1);
  la_executor_step(o->life.rt.ex);
  if (o->closing) la_life_settle(&o->life);
  return 0;
}

static void unref(lua_State *L, int *ref) {
  luaL_unref(L, LUA_REGISTRYINDEX, *ref);
  *ref = LUA_NOREF;
}

static void end_guest(lua_State *L, loop_object *o) {
  if (la_node_linked(&o->node)) la_node_unlink(&o->node);
  o->leaving = o->life.reactor;
  la_reactor_ref(o->leaving);
  la_losses_tell(L, la_life_end(L, &o->life));
  unref(L, &o->self_ref);
}

/* Runs luv's loop until nothing of ours is on it: luv takes all that it finds there as it ends
** for its own. */
static void finish_guest(lua_State *L, loop_object *o) {
  la_guest_finish(o->leaving);
  la_reactor_unref(o->leaving);
  o->leaving = NULL;
  unref(L, &o->mode_ref);
}

/* Called by luv's loop, on a Lua thread of our own; no error leaves it. */
static void guest_turn(void *host) {
  loop_object *o = host;
  lua_State *L = o->life.rt.rest;
  const la_executor *ex = o->life.rt.ex;
  if (o->turning) return;
  o->turning = true;
  int status = enter(L, o, step_body);
  o->turning = false;
  if (status != LUA_OK) {
    lua_pushnil(L);
    lua_pushnil(L);
    la_report_failure(L);
  }
  if (o->closing && (ex->live_count == 0 || la_executor_stuck(o->life.rt.ex))) end_guest(L, o);
}

/* ---- methods --------------------------------------------------------------------------*/

static int loop_spawn(lua_State *L) {
  loop_object *o = check(L, "spawn");
  if (!lua_isfunction(L, 2)) la_push_callable(L, 2);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &la_task_metatable_key);
  la_owners_push(L);
  lua_rotate(L, 2, 2); /* the loop, metatable, owners, function, arguments */
  la_task_object_spawn(L, &o->life.rt, lua_gettop(L) - 4, 1, 3, 2, NULL);
  return 1;
}

static int loop_fd(lua_State *L) {
  const loop_object *o = check(L, "fd");
  lua_pushinteger(L, uv_backend_fd(o->life.reactor->uv));
  return 1;
}

static int loop_timeout(lua_State *L) {
  const loop_object *o = check(L, "timeout");
  uint64_t ns =
      o->guest ? la_executor_patience(o->life.rt.ex) : la_reactor_patience(o->life.reactor);
  if (ns == LA_TIMER_NEVER)
    lua_pushnil(L);
  else
    lua_pushnumber(L, (lua_Number)ns / 1e9);
  return 1;
}

static int loop_dump(lua_State *L) {
  loop_object *o = check(L, "dump");
  la_push_dump(L, &o->life.rt);
  return 1;
}

static int loop_tostring(lua_State *L) {
  const loop_object *o = luaL_checkudata(L, 1, LOOP_NAME);
  if (is_closed(o))
    lua_pushliteral(L, "Loop (closed)");
  else
    lua_pushfstring(L, "Loop (%s%I tasks)", o->closing ? "closing, " : "",
                    (lua_Integer)o->life.rt.ex->live_count);
  return 1;
}

/* ---- the end --------------------------------------------------------------------------*/

static int cancel_body(lua_State *L) {
  loop_object *o = lua_touserdata(L, 1);
  la_life_cancel(&o->life);
  return 0;
}

static int unwind_body(lua_State *L) {
  loop_object *o = lua_touserdata(L, 1);
  la_life_cancel(&o->life);
  la_life_unwind(&o->life);
  return 0;
}

/* luv's loop runs: this is a callback of it. */
static bool host_runs(lua_State *L, const loop_object *o) {
  if (la_guest_runs()) return true;
  lua_rawgeti(L, LUA_REGISTRYINDEX, o->mode_ref);
  lua_call(L, 0, 1);
  bool runs = !lua_isnil(L, -1);
  lua_pop(L, 1);
  return runs;
}

static void close_rest(lua_State *L, loop_object *o) {
  if (o->leaving != NULL && !host_runs(L, o)) finish_guest(L, o);
}

static void end_now(lua_State *L, loop_object *o) {
  if (!o->guest) {
    if (la_node_linked(&o->node)) la_node_unlink(&o->node);
    la_losses_tell(L, la_life_end(L, &o->life));
    return;
  }
  end_guest(L, o);
  close_rest(L, o);
}

static int loop_close(lua_State *L) {
  loop_object *o = luaL_checkudata(L, 1, LOOP_NAME);
  if (is_closed(o)) {
    close_rest(L, o);
    lua_pushboolean(L, 1);
    return 1;
  }
  check(L, "close");
  check_outside(L, o, "close");
  bool later = o->guest && host_runs(L, o);
  int status = enter(L, o, later ? cancel_body : unwind_body);
  if (later && o->life.rt.ex->live_count > 0) {
    o->closing = true;
    la_guest_attend(o->life.reactor);
  } else {
    end_now(L, o);
  }
  if (status != LUA_OK) return lua_error(L);
  lua_pushboolean(L, 1);
  return 1;
}

/* Nobody can drive it any more, or the state closes: its tasks end without another turn. */
static int loop_gc(lua_State *L) {
  loop_object *o = luaL_checkudata(L, 1, LOOP_NAME);
  if (is_closed(o)) {
    close_rest(L, o);
  } else {
    end_now(L, o);
    if (o->leaving != NULL) finish_guest(L, o);
  }
  return 0;
}

void la_loops_end(lua_State *L) {
  if (loops.head.next == NULL) return;
  while (!la_list_empty(&loops)) end_now(L, la_container(loops.head.next, loop_object, node));
}

/* ---- luv --------------------------------------------------------------------------------*/

/* Calls a function of luv, whose table is at index i. */
static void call_luv(lua_State *L, int i, const char *name) {
  if (lua_getfield(L, i, name) != LUA_TFUNCTION)
    luaL_error(L, "option 'luv': this luv has no function '%s', it is too old", name);
  lua_call(L, 0, 1);
}

/* Pushes luv, and returns its loop: luv keeps a context in the registry that begins with it (what
** luv_loop of its C face returns). The two modules must have one libuv between them. */
static uv_loop_t *luv_loop(lua_State *L) {
  lua_getglobal(L, "require");
  lua_pushliteral(L, "luv");
  lua_call(L, 1, 1);
  int luv = lua_gettop(L);
  call_luv(L, luv, "version");
  if (lua_tointeger(L, -1) != (lua_Integer)uv_version())
    luaL_error(L,
               "option 'luv': luv and lua_async are linked to different libuvs, which cannot share "
               "a loop: watch loop:fd() of a plain async.loop() with luv's new_poll instead");
  uv_loop_t *found = NULL;
  if (lua_getfield(L, LUA_REGISTRYINDEX, "luv_context") == LUA_TUSERDATA)
    found = *(uv_loop_t **)lua_touserdata(L, -1);
  call_luv(L, luv, "backend_fd");
  if (found == NULL || lua_tointeger(L, -1) != uv_backend_fd(found))
    luaL_error(L, "option 'luv': this luv keeps its loop in an unknown place");
  lua_settop(L, luv);
  return found;
}

/* ---- making ---------------------------------------------------------------------------*/

/* The object is at index 2. It gets its finaliser when luv's loop has one: as the state closes that
** of the younger runs first. */
static int make_reactor(lua_State *L, loop_object *o) {
  uv_loop_t *loop = o->guest ? luv_loop(L) : NULL;
  lua_pushvalue(L, 2);
  luaL_setmetatable(L, LOOP_NAME);
  lua_pop(L, 1);
  if (!o->guest) return la_reactor_new(&o->life.reactor);
  if (lua_getfield(L, -1, "loop_mode") != LUA_TFUNCTION)
    luaL_error(L, "option 'luv': this luv has no function 'loop_mode', it is too old");
  o->mode_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_pushvalue(L, 2);
  o->self_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  int error = la_guest_new(&o->life.reactor, loop, guest_turn, o);
  if (error != 0) {
    unref(L, &o->self_ref);
    unref(L, &o->mode_ref);
  }
  return error;
}

static int begin_body(lua_State *L) {
  loop_object *o = lua_touserdata(L, 1);
  la_life_begin(L, &o->life, lua_isnil(L, 2) ? NULL : lua_touserdata(L, 2));
  o->life.rt.ex->resting = true; /* the first spawn rouses the host */
  return 0;
}

static int begin(lua_State *L, loop_object *o, uint64_t *seed) {
  if (loops.head.next == NULL) la_list_init(&loops);
  la_list_push(&loops, &o->node);
  lua_pushcfunction(L, begin_body);
  lua_pushlightuserdata(L, o);
  if (seed != NULL)
    lua_pushlightuserdata(L, seed);
  else
    lua_pushnil(L);
  int status = lua_pcall(L, 2, 0, 0);
  if (status != LUA_OK) {
    end_now(L, o);
    return lua_error(L);
  }
  la_runtime_exit(&o->life.rt);
  if (!o->guest) la_reactor_look(o->life.reactor);
  return 1;
}

static int loop(lua_State *L) {
  static const char *const names[] = {"seed", "luv", NULL};
  uint64_t seed = 0;
  lua_settop(L, 1);
  la_check_options(L, 1, names);
  bool seeded = la_life_find_seed(L, 1, &seed), luv = la_option_boolean(L, 1, "luv", false);
  loop_object *o = lua_newuserdatauv(L, sizeof *o, 0);
  *o = (loop_object){.guest = luv, .self_ref = LUA_NOREF, .mode_ref = LUA_NOREF};
  int error = make_reactor(L, o);
  if (error != 0) return la_fail(L, error, "loop");
  lua_settop(L, 2);
  return begin(L, o, seeded ? &seed : NULL);
}

void la_open_loop(lua_State *L) {
  static const luaL_Reg methods[] = {{"spawn", loop_spawn},
                                     {"fd", loop_fd},
                                     {"timeout", loop_timeout},
                                     {"turn", loop_turn},
                                     {"dump", loop_dump},
                                     {"close", loop_close},
                                     {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__gc", loop_gc},
                                  {"__close", loop_close},
                                  {"__tostring", loop_tostring},
                                  {NULL, NULL}};
  la_new_class(L, LOOP_NAME, meta, methods);
  lua_pushcfunction(L, loop);
  lua_setfield(L, -2, "loop");
}
