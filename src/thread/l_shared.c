/*
** async.thread.shared: a number or a flag that threads share.
**
** One mutex, held for a few instructions: what is shared may be an integer, a float or a boolean,
** and change from one to the other, which no machine has an atomic for.
*/
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "thread/l_parcel.h"
#include "thread/l_thread.h"

typedef struct scalar {
  enum { AN_INTEGER, A_FLOAT, A_BOOLEAN } type;
  union {
    lua_Integer i; /* of a boolean 0 or 1 */
    lua_Number n;
  };
} scalar;

typedef struct cell {
  pthread_mutex_t mutex;
  atomic_uint refs;
  scalar value;
} cell;

static cell *ref(cell *c) {
  atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
  return c;
}

static void unref(cell *c) {
  if (atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1) return;
  pthread_mutex_destroy(&c->mutex);
  free(c);
}

/* ---- values ----------------------------------------------------------------------------*/

static scalar check_scalar(lua_State *L, int arg) {
  if (lua_isboolean(L, arg)) return (scalar){A_BOOLEAN, {.i = lua_toboolean(L, arg)}};
  if (lua_isinteger(L, arg)) return (scalar){AN_INTEGER, {.i = lua_tointeger(L, arg)}};
  if (lua_type(L, arg) != LUA_TNUMBER)
    luaL_argerror(L, arg, "a number or a boolean expected: for other values make a thread.watch");
  return (scalar){A_FLOAT, {.n = lua_tonumber(L, arg)}};
}

static int push_scalar(lua_State *L, scalar s) {
  if (s.type == A_BOOLEAN)
    lua_pushboolean(L, s.i != 0);
  else if (s.type == AN_INTEGER)
    lua_pushinteger(L, s.i);
  else
    lua_pushnumber(L, s.n);
  return 1;
}

static scalar exchange(cell *c, scalar s) {
  pthread_mutex_lock(&c->mutex);
  scalar old = c->value;
  c->value = s;
  pthread_mutex_unlock(&c->mutex);
  return old;
}

/* ---- methods ---------------------------------------------------------------------------*/

typedef struct shared_object {
  la_object head;
  cell *cell;
} shared_object;

static void close_shared(void *object) { (void)object; }
static void end_shared(void *object) { unref(((shared_object *)object)->cell); }

static const la_object_class shared_class = {"lua_async.Shared", close_shared, end_shared, NULL};

/* NULL, with `nil, err` pushed: it is closed. */
static cell *check(lua_State *L, const char *op) {
  const shared_object *o = la_object_check(L, 1, &shared_class);
  if (!o->head.closed) return o->cell;
  la_fail_closed(L, op);
  return NULL;
}

/* shared(value) */
static int shared(lua_State *L) {
  scalar s = check_scalar(L, 1);
  shared_object *o = la_object_new(L, &shared_class, sizeof *o, 0);
  cell *c = malloc(sizeof *c);
  if (c == NULL) return la_no_memory(L);
  c->value = s;
  atomic_init(&c->refs, 1);
  pthread_mutex_init(&c->mutex, NULL);
  o->cell = c;
  la_object_made(L, &shared_class);
  return 1;
}

static int get(lua_State *L) {
  cell *c = check(L, "get");
  if (c == NULL) return 2;
  pthread_mutex_lock(&c->mutex);
  scalar s = c->value;
  pthread_mutex_unlock(&c->mutex);
  return push_scalar(L, s);
}

static int set(lua_State *L) {
  scalar s = check_scalar(L, 2);
  cell *c = check(L, "set");
  if (c == NULL) return 2;
  exchange(c, s);
  lua_settop(L, 1);
  return 1;
}

static int swap(lua_State *L) {
  scalar s = check_scalar(L, 2);
  cell *c = check(L, "swap");
  return c == NULL ? 2 : push_scalar(L, exchange(c, s));
}

/* add(n = 1) -> the sum. Integers wrap, as everywhere in Lua. */
static int add(lua_State *L) {
  cell *c = check(L, "add");
  if (c == NULL) return 2;
  lua_settop(L, 2);
  if (lua_isnil(L, 2)) {
    lua_pushinteger(L, 1);
    lua_replace(L, 2);
  }
  if (lua_type(L, 2) != LUA_TNUMBER) luaL_typeerror(L, 2, "number");
  scalar by = check_scalar(L, 2);
  pthread_mutex_lock(&c->mutex);
  scalar *v = &c->value, sum = *v;
  if (v->type == AN_INTEGER && by.type == AN_INTEGER)
    sum.i = (lua_Integer)((lua_Unsigned)v->i + (lua_Unsigned)by.i);
  else if (v->type != A_BOOLEAN)
    sum = (scalar){A_FLOAT,
                   {.n = (v->type == AN_INTEGER ? (lua_Number)v->i : v->n) +
                         (by.type == AN_INTEGER ? (lua_Number)by.i : by.n)}};
  *v = sum;
  pthread_mutex_unlock(&c->mutex);
  if (sum.type == A_BOOLEAN)
    return luaL_error(L, "this Shared holds a boolean, to which nothing can be added");
  return push_scalar(L, sum);
}

/* compare_exchange(expected, new) -> true; or false and what is there. As == compares. */
static int compare_exchange(lua_State *L) {
  check_scalar(L, 2);
  scalar new = check_scalar(L, 3);
  cell *c = check(L, "compare_exchange");
  if (c == NULL) return 2;
  lua_settop(L, 3);
  for (;;) {
    pthread_mutex_lock(&c->mutex);
    scalar now = c->value;
    pthread_mutex_unlock(&c->mutex);
    push_scalar(L, now);
    if (!lua_rawequal(L, 2, -1)) {
      lua_pushboolean(L, 0);
      lua_insert(L, -2);
      return 2;
    }
    lua_pop(L, 1);
    pthread_mutex_lock(&c->mutex);
    bool same = c->value.type == now.type && c->value.i == now.i;
    if (same) c->value = new;
    pthread_mutex_unlock(&c->mutex);
    if (!same) continue; /* changed meanwhile: it may be equal still */
    lua_pushboolean(L, 1);
    return 1;
  }
}

static int to_string(lua_State *L) {
  const shared_object *o = la_object_check(L, 1, &shared_class);
  if (o->head.closed) {
    lua_pushliteral(L, "Shared (closed)");
    return 1;
  }
  get(L);
  lua_pushfstring(L, "Shared: %s", luaL_tolstring(L, -1, NULL));
  return 1;
}

/* Equal are two that stand for the same; one of them is a Shared. */
static int equal(lua_State *L) {
  const cell *cells[2];
  for (int i = 0; i < 2; i++) {
    const shared_object *o = lua_touserdata(L, i + 1);
    bool is = lua_rawlen(L, i + 1) == sizeof *o && o->head.cls == &shared_class;
    cells[i] = is ? o->cell : NULL;
  }
  lua_pushboolean(L, cells[0] != NULL && cells[0] == cells[1]);
  return 1;
}

/* ---- to other threads ------------------------------------------------------------------*/

static void *give(void *ud, int *error) {
  const shared_object *o = ud;
  *error = o->head.closed ? UV_EBADF : 0;
  return o->head.closed ? NULL : ref(o->cell);
}
static void take(lua_State *L, void *object) {
  shared_object *o = la_object_new(L, &shared_class, sizeof *o, 0);
  o->cell = ref(object);
  la_object_made(L, &shared_class);
}
static void drop(void *object) { unref(object); }

void la_open_shared(lua_State *L) {
  static const la_sendable sendable = {give, NULL, take, drop, NULL};
  static const luaL_Reg meta[] = {{"__tostring", to_string}, {"__eq", equal}, {NULL, NULL}};
  static const luaL_Reg methods[] = {{"get", get},
                                     {"set", set},
                                     {"swap", swap},
                                     {"add", add},
                                     {"compare_exchange", compare_exchange},
                                     {NULL, NULL}};
  la_thread_class_open(L, &shared_class, meta, methods, &sendable);
  lua_pushcfunction(L, shared);
  lua_setfield(L, -2, "shared");
}
