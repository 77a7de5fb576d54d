#include "bridge/future_object.h"

#include <lauxlib.h>
#include <stdlib.h>

#include "bridge/error.h"
#include "bridge/poll_fn.h"
#include "bridge/report.h"
#include "bridge/task_object.h"
#include "bridge/traceback.h"
#include "core/group.h"

enum { UV_FUNCTION = 1, UV_ARGS = 2, MAX_ARGS = 250 };

/* ---- making --------------------------------------------------------------------------*/

static la_future_object *make(lua_State *L, la_future_kind kind, int uservalues) {
  la_future_object *o = lua_newuserdatauv(L, sizeof *o, uservalues);
  o->f = NULL;
  o->finish = NULL;
  o->op = NULL;
  o->rt = NULL;
  o->awaiter = NULL;
  o->nargs = 0;
  o->depth = o->height = 0;
  o->polling = false;
  o->started = o->done = (la_node){NULL, NULL};
  o->kind = (unsigned char)kind;
  o->state = LA_FUTURE_NEW;
  luaL_setmetatable(L, LA_FUTURE_NAME);
  return o;
}

void la_future_object_call(lua_State *L, int nargs) {
  if (nargs > MAX_ARGS) luaL_error(L, "too many arguments for a future: pass them in a table");
  int base = lua_gettop(L) - nargs;
  const la_operation *op = la_operation_of(L, base);
  la_future_object *o = make(L, op != NULL ? LA_KIND_OPERATION : LA_KIND_CALL, 1 + nargs);
  o->op = op;
  o->nargs = nargs;
  lua_insert(L, base);
  for (int i = nargs; i >= 0; i--) lua_setiuservalue(L, base, UV_FUNCTION + i);
}

void la_future_object_poll_fn(lua_State *L) {
  make(L, LA_KIND_POLL_FN, 3);
  lua_insert(L, -3);
  lua_setiuservalue(L, -3, 2);
  lua_setiuservalue(L, -2, 1);
  la_context_object *cx = lua_newuserdatauv(L, sizeof *cx, 0);
  cx->cx = NULL;
  luaL_setmetatable(L, LA_CONTEXT_NAME);
  lua_setiuservalue(L, -2, 3);
}

/* (lightuserdata f, lightuserdata finish) -> Future, of which f is not yet a part. */
static int make_c(lua_State *L) {
  make(L, LA_KIND_C, 0);
  return 1;
}

void la_api_push_future(lua_State *L, la_future *f, la_finish finish) {
  lua_pushcfunction(L, make_c);
  if (lua_pcall(L, 0, 1, 0) != LUA_OK) {
    la_future_drop(f);
    lua_error(L);
  }
  la_future_object *o = lua_touserdata(L, -1);
  o->f = f;
  o->finish = finish;
}

/* ---- starting ------------------------------------------------------------------------*/

static la_poll child_poll(la_future *f, la_context *cx) {
  return la_coro_poll((la_coro *)(void *)f, cx);
}

static void child_drop(la_future *f) {
  la_coro *c = (la_coro *)(void *)f;
  la_coro_drop(c);
  la_slot_give(la_rt->slots, c->slot);
  free(c);
}

static la_cancel child_cancel(la_future *f) {
  ((la_coro *)(void *)f)->flags |= LA_CORO_CANCELLED;
  return LA_CANCEL_UNWIND;
}

static const la_future_vtable child_vtable = {child_poll, child_drop, "future", child_cancel};

static void push_call(lua_State *L, int i, int nargs) {
  luaL_checkstack(L, nargs + LUA_MINSTACK, "too many arguments");
  for (int k = 0; k <= nargs; k++) lua_getiuservalue(L, i, UV_FUNCTION + k);
}

static void start_call(lua_State *L, int i, la_future_object *o, la_runtime *rt) {
  push_call(L, i, o->nargs);
  int slot = la_slot_take(rt->slots);
  la_coro *c = slot != 0 ? malloc(sizeof *c) : NULL;
  if (c != NULL) {
    la_coro_init(c, &child_vtable, o, slot);
    if (la_coro_load(c, L, o->nargs)) {
      o->f = &c->base;
      return;
    }
  }
  free(c);
  if (slot != 0) la_slot_give(rt->slots, slot);
  luaL_error(L, "not enough memory");
}

/* (Future) with its arguments as the rest of the stack, where `begin` finds them
** when the Future is out of the way. What `begin` has left there, a future may refer to: it
** goes back into the Future, what is more than the arguments as a table in place of the
** function. */
static int begin_operation(lua_State *L) {
  la_future_object *o = lua_touserdata(L, 1);
  int self = lua_upvalueindex(1), n = o->nargs;
  lua_remove(L, 1);
  int results = o->op->begin(L, &o->room, &o->f);
  if (o->f == NULL) return results;
  int more = lua_gettop(L) - n;
  for (int i = 1; i <= n && i <= n + more; i++) {
    lua_pushvalue(L, i);
    lua_setiuservalue(L, self, UV_FUNCTION + i);
  }
  if (more > 0) {
    lua_createtable(L, more, 0);
    lua_insert(L, n + 1);
    for (int i = more; i >= 1; i--) lua_rawseti(L, n + 1, i);
    lua_setiuservalue(L, self, UV_FUNCTION);
  }
  return 0;
}

/* The error on top is a misuse that has no name to blame, since it is not the function itself that
** was called: it gets that of the operation. */
static int raise_named(lua_State *L, const la_operation *op) {
  if (lua_type(L, -1) == LUA_TSTRING) {
    const char *name = lua_pushfstring(L, "to '%s'", op->name);
    luaL_gsub(L, lua_tostring(L, -2), "to '?'", name);
  }
  return lua_error(L);
}

/* The results of an operation that was over at once (it failed) stand in for its arguments.
** Without budget it takes nothing: see la_operation_may_take. */
static void start_operation(lua_State *L, int i, la_future_object *o, la_executor *ex) {
  int top = lua_gettop(L);
  unsigned budget = ex->budget;
  luaL_checkstack(L, o->nargs + LUA_MINSTACK, "too many arguments");
  lua_pushvalue(L, i);
  lua_pushcclosure(L, begin_operation, 1);
  lua_pushvalue(L, i);
  for (int k = 1; k <= o->nargs; k++) lua_getiuservalue(L, i, UV_FUNCTION + k);
  ex->budget = 0; /* until the next poll, if this raises */
  int status = lua_pcall(L, o->nargs + 1, LUA_MULTRET, 0);
  if (status != LUA_OK) raise_named(L, o->op);
  ex->budget = budget;
  int n = lua_gettop(L) - top;
  if (o->f != NULL) return;
  lua_createtable(L, n, 0);
  lua_insert(L, top + 1);
  for (int k = n; k >= 1; k--) lua_rawseti(L, top + 1, k);
  lua_setiuservalue(L, i, UV_FUNCTION);
  o->nargs = n;
  o->state = LA_FUTURE_READY;
}

static void start_poll_fn(lua_State *L, int i, la_future_object *o) {
  for (int k = 1; k <= 3; k++) lua_getiuservalue(L, i, k);
  la_poll_fn *p = malloc(sizeof *p);
  if (p == NULL || !la_poll_fn_init(p, L)) {
    free(p);
    luaL_error(L, "not enough memory");
    return;
  }
  o->f = &p->base;
}

static void start(lua_State *L, int i, la_future_object *o) {
  la_runtime *rt = la_runtime_check(L, "polling a future");
  switch ((la_future_kind)o->kind) {
  case LA_KIND_CALL: start_call(L, i, o, rt); break;
  case LA_KIND_OPERATION: start_operation(L, i, o, rt->ex); break;
  case LA_KIND_POLL_FN: start_poll_fn(L, i, o); break;
  case LA_KIND_C: break;
  }
  o->rt = rt;
  if (o->state == LA_FUTURE_NEW) o->state = LA_FUTURE_STARTED;
  la_list_push(&o->rt->futures, &o->started);
}

/* ---- polling -------------------------------------------------------------------------*/

static void check_usable(lua_State *L, const la_future_object *o) {
  if (o->state == LA_FUTURE_OVER)
    luaL_error(L, "this future has finished or was dropped: make a new one");
  if (o->polling) luaL_error(L, "this future is being polled already: it cannot wait for itself");
  if (o->rt != NULL && o->rt != la_runtime_of(L))
    luaL_error(L, "this future belongs to another run");
}

static void check_unawaited(lua_State *L, const la_future_object *o) {
  check_usable(L, o);
  if (o->awaiter != NULL || la_node_linked(&o->done))
    luaL_error(
        L, "this future is already being awaited: only one task at a time may await or poll it");
}

/* While another module's future is pending, it may be woken by what we cannot see. */
static la_poll poll_started(la_future_object *o, la_context *cx) {
  o->polling = true;
  la_poll r = la_future_poll(o->f, cx);
  o->polling = false;
  if (r == LA_READY && o->state == LA_FUTURE_STARTED) o->state = LA_FUTURE_READY;
  bool counted = o->nargs != 0, pending = r == LA_PENDING;
  if (o->kind == LA_KIND_C && counted != pending) {
    o->nargs = pending;
    la_executor_keep_alive(o->rt->ex, pending ? 1 : -1);
  }
  return r;
}

la_poll la_future_object_poll(lua_State *L, int i, la_context *cx) {
  return la_future_object_poll_started(la_future_object_prepare(L, i), cx);
}

la_future_object *la_future_object_prepare(lua_State *L, int i) {
  la_future_object *o = lua_touserdata(L, i);
  check_unawaited(L, o);
  if (o->state == LA_FUTURE_NEW) start(L, lua_absindex(L, i), o);
  return o;
}

la_poll la_future_object_poll_started(la_future_object *o, la_context *cx) {
  return o->state != LA_FUTURE_STARTED ? LA_READY : poll_started(o, cx);
}

la_cancel la_future_object_cancel(la_future_object *o) {
  if (o->f == NULL || o->f->vt->cancel == NULL) return LA_CANCEL_DROP;
  return o->f->vt->cancel(o->f);
}

la_coro *la_future_object_coro(const la_future_object *o) {
  return o->kind == LA_KIND_CALL ? (la_coro *)(void *)o->f : NULL;
}

bool la_future_object_failed(const la_future_object *o) {
  if (o->f == NULL) return false;
  if (o->kind == LA_KIND_CALL) return (((la_coro *)(void *)o->f)->flags & LA_CORO_FAILED) != 0;
  return o->kind == LA_KIND_POLL_FN && la_container(o->f, la_poll_fn, base)->failed;
}

/* ---- the output ----------------------------------------------------------------------*/

static int take_call(lua_State *L, la_future_object *o) {
  la_coro *c = (la_coro *)(void *)o->f;
  luaL_checkstack(L, c->values + 2, "too many results");
  int n = la_coro_take(c, L);
  if ((c->flags & LA_CORO_FAILED) == 0) {
    la_future_object_drop(o);
    return n;
  }
  la_coro_push_traceback(L, c);
  la_future_object_drop(o);
  return la_raise_from(L);
}

static int take_poll_fn(lua_State *L, la_future_object *o) {
  la_poll_fn *p = la_container(o->f, la_poll_fn, base);
  luaL_checkstack(L, p->results + 2, "too many results");
  bool failed = p->failed;
  if (failed) luaL_traceback(L, p->co, NULL, 0);
  int n = la_poll_fn_take(p, L);
  la_future_object_drop(o);
  if (!failed) return n;
  lua_insert(L, -2);
  return la_raise_from(L);
}

/* (Future, arguments…): `finish` finds the arguments where `begin` did. */
static int finish_operation(lua_State *L) {
  la_future_object *o = lua_touserdata(L, 1);
  lua_remove(L, 1);
  return o->op->finish != NULL ? o->op->finish(L, o->f) : 0;
}

/* The output of a C future: it is dropped, whether that could be pushed or not. */
static int take_protected(lua_State *L, la_future_object *o, int nargs) {
  int top = lua_gettop(L) - nargs - 1;
  int status = lua_pcall(L, nargs, LUA_MULTRET, 0);
  la_future_object_drop(o);
  return status == LUA_OK ? lua_gettop(L) - top : lua_error(L);
}

static int take_operation(lua_State *L, int i, la_future_object *o) {
  int top = lua_gettop(L);
  if (o->f == NULL) {
    lua_getiuservalue(L, i, UV_FUNCTION);
    luaL_checkstack(L, o->nargs, "too many results");
    for (int k = 1; k <= o->nargs; k++) lua_rawgeti(L, top + 1, k);
    lua_remove(L, top + 1);
    la_node_unlink(&o->started);
    o->state = LA_FUTURE_OVER;
    return o->nargs;
  }
  lua_pushcfunction(L, finish_operation);
  lua_pushvalue(L, i);
  luaL_checkstack(L, o->nargs + LUA_MINSTACK, "too many arguments");
  for (int k = 1; k <= o->nargs; k++) lua_getiuservalue(L, i, UV_FUNCTION + k);
  return take_protected(L, o, o->nargs + 1);
}

static int finish_c(lua_State *L) {
  la_future_object *o = lua_touserdata(L, 1);
  return o->finish(L, o->f);
}

int la_future_object_take(lua_State *L, int i) {
  la_future_object *o = lua_touserdata(L, i);
  i = lua_absindex(L, i);
  if (o->state != LA_FUTURE_READY) check_usable(L, o);
  switch ((la_future_kind)o->kind) {
  case LA_KIND_CALL: return take_call(L, o);
  case LA_KIND_POLL_FN: return take_poll_fn(L, o);
  case LA_KIND_OPERATION: return take_operation(L, i, o);
  case LA_KIND_C: break;
  }
  if (o->finish == NULL) {
    la_future_object_drop(o);
    return 0;
  }
  lua_pushcfunction(L, finish_c);
  lua_pushvalue(L, i);
  return take_protected(L, o, 1);
}

/* Pushes the error and its record onto L, unless it is cancellation. */
static bool push_failure(lua_State *L, la_future_object *o) {
  bool call = o->kind == LA_KIND_CALL;
  if (call)
    la_coro_take((la_coro *)(void *)o->f, L);
  else
    la_poll_fn_take(la_container(o->f, la_poll_fn, base), L);
  if (la_is_cancelled(L, -1)) {
    lua_pop(L, 1);
    return false;
  }
  if (call)
    la_coro_push_traceback(L, (la_coro *)(void *)o->f);
  else
    lua_pushnil(L);
  return true;
}

void la_future_object_give_up(la_future_object *o, la_task *whose) {
  lua_State *L = o->rt != NULL ? o->rt->running : NULL;
  bool failed = o->state == LA_FUTURE_READY && la_future_object_failed(o);
  if (failed && lua_checkstack(L, LUA_MINSTACK) && push_failure(L, o)) {
    whose = la_task_for_whom(whose);
    if (whose != NULL && !la_task_has(whose, LA_TASK_COMPLETE))
      la_task_object_push(L, o->rt, whose);
    else
      lua_pushnil(L);
    la_report_failure(L);
  }
  la_future_object_drop(o);
}

/* ---- awaiting ------------------------------------------------------------------------*/

/* What a coroutine holds while it awaits a Future object, which is on its stack:
** dropped before the end, it gives the Future up. */
typedef struct borrowed {
  la_future base;
  la_future_object *o;
} borrowed;

static la_poll borrowed_poll(la_future *f, la_context *cx) {
  la_future_object *o = ((borrowed *)(void *)f)->o;
  return o == NULL ? LA_READY : la_future_object_poll_started(o, cx);
}

static void borrowed_drop(la_future *f) {
  la_future_object *o = ((borrowed *)(void *)f)->o;
  if (o == NULL) return;
  o->awaiter = NULL;
  la_future_object_give_up(o, o->rt->ex->current);
}

static la_cancel borrowed_cancel(la_future *f) {
  la_future_object *o = ((borrowed *)(void *)f)->o;
  return o == NULL ? LA_CANCEL_DROP : la_future_object_cancel(o);
}

static const la_future_vtable borrowed_vtable = {borrowed_poll, borrowed_drop, "future",
                                                 borrowed_cancel};

/* Futures that wait for one another in a circle are the program's mistake, and no reason to hang.
 */
enum { BENEATH_MAX = 200 };

const la_future *la_future_beneath(const la_future *f) {
  for (int i = 0; i < BENEATH_MAX && f != NULL && f->vt == &borrowed_vtable; i++) {
    const la_future_object *o = ((const borrowed *)(const void *)f)->o;
    if (o == NULL) return NULL;
    const la_coro *c = la_future_object_coro(o);
    f = c == NULL ? o->f : la_coro_awaits(c) ? c->inner : NULL;
  }
  return f;
}

static int take_first(lua_State *L, la_future *f) {
  (void)f;
  return la_future_object_take(L, 1);
}

static int called(lua_State *L, int status, lua_KContext k) {
  (void)status;
  (void)k;
  return lua_gettop(L) - 1;
}

/* Futures that wait for one another are polled and dropped inside of one another, on the C stack.
 */
enum { DEPTH_MAX = 5000 };

static void check_depth(lua_State *L, const la_coro *c, la_future_object *o) {
  if (c->base.vt != &child_vtable) return;
  la_future_object *above = c->owner;
  if (o->depth >= DEPTH_MAX || above->height >= DEPTH_MAX)
    luaL_error(L, "C stack overflow: too many futures wait for one another: spawn some of them");
  above->depth = (unsigned short)(o->depth + 1);
  o->height = (unsigned short)(above->height + 1);
}

/* Lua allows 200 nested calls of C functions, of which an await of a new Future is one. Where as
** many may be used up, it gets a coroutine instead, which is not resumed inside of this one. */
enum { LEVELS_MAX = 150 };

static bool is_nested(lua_State *L) {
  lua_Debug ar;
  return lua_getstack(L, LEVELS_MAX, &ar) != 0;
}

int la_future_object_await(lua_State *L) {
  la_future_object *o = lua_touserdata(L, 1);
  la_coro *c = la_await_coro(L);
  bool due = la_coro_cancelled(c);
  if (due && !la_await_may_try(c)) return la_await_cancelled(L, c);
  check_unawaited(L, o);
  bool is_new = o->state == LA_FUTURE_NEW;
  bool nested = is_new && o->kind == LA_KIND_CALL && is_nested(L);
  if (is_new && o->kind <= LA_KIND_OPERATION && !nested) {
    int n = o->nargs;
    push_call(L, 1, n);
    o->state = LA_FUTURE_OVER;
    lua_callk(L, n, LUA_MULTRET, 0, called);
    return called(L, LUA_OK, 0);
  }
  check_depth(L, c, o);
  if (o->state == LA_FUTURE_NEW) start(L, 1, o);
  borrowed *b = (borrowed *)(void *)&c->room;
  *b = (borrowed){.base = {&borrowed_vtable}, .o = o};
  o->awaiter = &b->o;
  if (nested) {
    la_waker_wake_by_ref(la_rt->cx->waker);
    return la_await_polled_later(L, c, &b->base, take_first);
  }
  la_coro_take_turn(c); /* if one is left; with none it is polled all the same, and given up */
  return (due ? la_await_overdue : la_await_future)(L, c, &b->base, take_first);
}
