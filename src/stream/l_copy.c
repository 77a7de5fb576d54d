/* async.copy and copy_both: from stream to stream, without Lua strings in between. */
#include <stdlib.h>
#include <string.h>

#include "bridge/error.h"
#include "stream/copy.h"
#include "stream/l_stream.h"

typedef struct copy_future {
  la_future base;
  la_io_object *from, *to; /* NULL: collected */
  la_copy copy;
} copy_future;

static la_poll copy_poll(la_future *f, la_context *cx) {
  if (la_rt->ex->trying) return LA_PENDING;
  return la_future_poll(&((copy_future *)(void *)f)->copy.base, cx);
}

static void copy_drop(la_future *f) {
  copy_future *c = (copy_future *)(void *)f;
  if (c->from != NULL && c->to != NULL)
    la_future_drop(&c->copy.base);
  else
    la_copy_abandon(&c->copy);
  if (c->from != NULL) c->from->reading = NULL;
  if (c->to != NULL) c->to->writing = NULL;
  free(c);
}

static const la_future_vtable copy_vtable = {copy_poll, copy_drop, "copy", NULL};

/* The stream at `arg`. */
static la_io_object *check_end(lua_State *L, int arg) {
  lua_pushvalue(L, arg);
  lua_insert(L, 1);
  la_io_object *o = la_io_check(L);
  lua_remove(L, 1);
  return o;
}

static uint64_t check_limit(lua_State *L, int arg) {
  if (lua_isnoneornil(L, arg)) return UINT64_MAX;
  lua_Integer n = luaL_checkinteger(L, arg);
  luaL_argcheck(L, n >= 0, arg, "a count of bytes cannot be negative");
  return (uint64_t)n;
}

static int fail(lua_State *L, int status, const char *op, uint64_t done) {
  int n = la_fail(L, status, op);
  lua_pushinteger(L, (lua_Integer)done);
  lua_setfield(L, -2, "partial");
  return n;
}

static int copy_begin(lua_State *L, void *room, la_future **f) {
  (void)room;
  la_io_object *from = check_end(L, 1), *to = check_end(L, 2);
  uint64_t limit = check_limit(L, 3);
  if (from->self == to->self && to->cls->stream->one_position)
    luaL_argerror(
        L, 2,
        "a file has one position and cannot be copied to itself: open it twice, and pass the number of bytes");
  la_io_check_reader(L, from);
  la_io_check_writer(L, to);
  if (!from->cls->stream->is_open(from->self))
    return fail(L, la_io_closed_error(from), "copy (reading)", 0);
  if (!to->cls->stream->is_open(to->self))
    return fail(L, la_io_closed_error(to), "copy (writing)", 0);
  copy_future *c = malloc(sizeof *c);
  if (c == NULL) return la_no_memory(L);
  c->base.vt = &copy_vtable;
  c->from = from;
  c->to = to;
  la_copy_init(&c->copy, from->cls->stream, from->self, to->cls->stream, to->self, limit);
  from->reading = &c->from;
  to->writing = &c->to;
  *f = &c->base;
  return 0;
}

static int copy_finish(lua_State *L, la_future *f) {
  const copy_future *c = (const copy_future *)(const void *)f;
  const la_copy *copy = &c->copy;
  if (copy->status != 0)
    return copy->failed_reading
               ? fail(L, la_io_cut(c->from, copy->status), "copy (reading)", copy->done)
               : fail(L, la_io_cut(c->to, copy->status), "copy (writing)", copy->done);
  lua_pushinteger(L, (lua_Integer)copy->done);
  return 1;
}

static const la_operation copy_operation = {"copy", copy_begin, copy_finish};
static int copy(lua_State *L) { return la_operate(L, &copy_operation); }

/* ---- both ways ---------------------------------------------------------------------*/

/* Whether the value on top is the error of a connection that the peer has torn down. */
static bool is_gone(lua_State *L) {
  lua_getfield(L, -1, "code");
  bool gone = strcmp(luaL_tolstring(L, -1, NULL), "ENOTCONN") == 0;
  lua_pop(L, 2);
  return gone;
}

/* Stack: to, bytes, and what shutdown gave. That the peer is gone will be seen by who reads
** there; after another failure it would wait for an end that has not been sent. */
static int half_closed(lua_State *L, int status, lua_KContext k) {
  (void)status;
  (void)k;
  lua_settop(L, 4);
  if (lua_isnil(L, 3) && la_is_error(L, 4) && !is_gone(L)) return lua_error(L);
  lua_settop(L, 2);
  return 1;
}

/* Stack: to, bytes, or nil and an error. */
static int half_copied(lua_State *L, int status, lua_KContext k) {
  (void)status;
  (void)k;
  if (lua_isnil(L, 2)) return lua_error(L); /* ends the other half */
  lua_settop(L, 2);
  if (luaL_getmetafield(L, 1, "__index") == LUA_TTABLE &&
      lua_getfield(L, -1, "shutdown") == LUA_TFUNCTION) {
    lua_replace(L, 3);
    lua_pushvalue(L, 1);
    lua_pushliteral(L, "send");
    lua_callk(L, 2, 2, 0, half_closed);
    return half_closed(L, LUA_OK, 0);
  }
  lua_settop(L, 2);
  return 1;
}

/* Upvalues: from, to. */
static int half(lua_State *L) {
  lua_settop(L, 0);
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_pushcfunction(L, copy);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_callk(L, 2, 2, 0, half_copied);
  return half_copied(L, LUA_OK, 0);
}

/* Stack: a, b, and the counts or an error: one of ours is the failure of a copy. */
static int both_copied(lua_State *L, int status, lua_KContext k) {
  (void)k;
  if (status == LUA_OK || status == LUA_YIELD) return 2;
  if (!la_is_error(L, -1) || la_is_cancelled(L, -1)) return lua_error(L);
  lua_pushnil(L);
  lua_insert(L, -2);
  return 2;
}

static void push_half(lua_State *L, int from, int to) {
  lua_pushvalue(L, from);
  lua_pushvalue(L, to);
  lua_pushcclosure(L, half, 2);
}

/* Upvalue: async.join. */
static int copy_both(lua_State *L) {
  check_end(L, 1);
  check_end(L, 2);
  lua_settop(L, 2);
  lua_pushvalue(L, lua_upvalueindex(1));
  push_half(L, 1, 2);
  push_half(L, 2, 1);
  return both_copied(L, lua_pcallk(L, 2, 2, 0, 0, both_copied), 0);
}

void la_open_copy(lua_State *L) {
  static const la_operation_entry operations[] = {{copy, &copy_operation}, {NULL, NULL}};
  la_operations_add(L, operations);
  lua_pushcfunction(L, copy);
  lua_setfield(L, -2, "copy");
  lua_getfield(L, -1, "join");
  lua_pushcclosure(L, copy_both, 1);
  lua_setfield(L, -2, "copy_both");
}
