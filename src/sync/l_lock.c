/*
** async.sync.semaphore, mutex and rwlock: one lock (la_lock), three faces.
**
** What is held is a guard (a permit, of a semaphore): a userdata with the lock as its user
** value. One whose `<close>` variable has gone is used again for the next hold, since making
** a userdata with a finaliser costs more than all the rest. The lock finds it in a weak table.
*/
#include "sync/l_lock.h"

#include <string.h>

#include "task/l_future.h"

enum { UV_LOCK = 1 };

static const char weak_key;

typedef struct guard {
  la_object head;
  la_hold hold;
  bool spare; /* its <close> variable has gone: it can be used again */
} guard;

static void lock_close(void *object) { la_semaphore_close(&((la_lock_object *)object)->lock.s); }
static void lock_end(void *object) { la_semaphore_end(&((la_lock_object *)object)->lock.s); }
static void guard_close(void *object) { la_hold_end(&((guard *)object)->hold); }

static const la_object_class semaphore_class = {"lua_async.Semaphore", lock_close, lock_end};
static const la_object_class mutex_class = {"lua_async.Mutex", lock_close, lock_end};
static const la_object_class rwlock_class = {"lua_async.RwLock", lock_close, lock_end};
static const la_object_class permit_class = {"lua_async.Permit", guard_close, NULL};
static const la_object_class guard_class = {"lua_async.Guard", guard_close, NULL};

/* ---- locks ---------------------------------------------------------------------------*/

la_lock_object *la_lock_new(lua_State *L, const la_object_class *cls, uint32_t permits, size_t size,
                            int uservalues) {
  la_lock_object *o = la_object_new(L, cls, size, uservalues);
  la_lock_init(&o->lock, permits);
  la_object_made(L, cls);
  return o;
}

/* Pushes the table of the lock at index 1 where the guard is that can be used again. It does
** not keep it: a guard that is lost while it holds has to be collected. */
static void push_spares(lua_State *L) {
  if (lua_getiuservalue(L, 1, LA_LOCK_UV_SPARE) == LUA_TTABLE) return;
  lua_pop(L, 1);
  lua_createtable(L, 1, 0);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &weak_key);
  lua_setmetatable(L, -2);
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, 1, LA_LOCK_UV_SPARE);
}

static guard *new_guard(lua_State *L, const la_lock_object *o) {
  const la_object_class *cls = o->head.cls == &semaphore_class ? &permit_class : &guard_class;
  push_spares(L);
  guard *g = la_object_new(L, cls, sizeof *g, 1);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, UV_LOCK);
  la_object_made(L, cls);
  lua_pushvalue(L, -1);
  lua_rawseti(L, -3, 1);
  return g;
}

/* Pushes a guard that holds nothing, for the lock at index 1. */
static inline guard *push_guard(lua_State *L, const la_lock_object *o) {
  if (lua_getiuservalue(L, 1, LA_LOCK_UV_SPARE) == LUA_TTABLE &&
      lua_rawgeti(L, -1, 1) == LUA_TUSERDATA) {
    guard *g = lua_touserdata(L, -1);
    if (g->spare) {
      g->spare = g->head.closed = false;
      return g;
    }
  }
  return new_guard(L, o);
}

static bool try_hold(lua_State *L, la_lock_object *o, uint32_t permits) {
  if (!la_semaphore_can(&o->lock.s, permits)) return false;
  guard *g = push_guard(L, o); /* a finaliser may have run */
  if (!la_semaphore_try(&o->lock.s, permits)) return false;
  la_hold_begin(&g->hold, &o->lock, permits, la_sync_holder());
  return true;
}

/* The guard of a lock that is free, for a task that can go on at once. */
static inline bool lock_now(lua_State *L, la_lock_object *o, uint32_t permits) {
  return la_rt->ex->budget != 0 && try_hold(L, o, permits) && la_operation_proceed();
}

static const char *op_of(const la_future_vtable *wait) { return strchr(wait->name, '.') + 1; }

int la_lock_begin(lua_State *L, la_lock_object *o, uint32_t permits, const la_future_vtable *wait,
                  void *room, la_future **f) {
  if (o->head.closed) return la_fail_closed(L, op_of(wait));
  if (lock_now(L, o, permits)) return 1;
  if (o->head.cls != &semaphore_class && !la_semaphore_can(&o->lock.s, permits) &&
      la_lock_held_by(&o->lock, la_sync_holder()))
    return luaL_error(
        L,
        "deadlock: the task waits for a lock that it holds itself: unlock it first (the task that locked it is its holder, wherever the guard is now)");
  la_acquire *a = room;
  la_acquire_init(a, &o->lock.s, permits, NULL);
  a->q.base.vt = wait;
  *f = &a->q.base;
  return 0;
}

int la_lock_finish(lua_State *L, la_future *f) {
  la_acquire *a = la_acquire_of(f);
  la_lock_object *o = lua_touserdata(L, 1);
  if (a->q.state != LA_QUEUED_HELD || o->head.closed) return la_fail_meanwhile(L, op_of(f->vt));
  guard *g = push_guard(L, o);
  la_acquire_take(a);
  la_hold_begin(&g->hold, &o->lock, a->q.count, la_sync_holder());
  return 1;
}

static int try_lock(lua_State *L, la_lock_object *o, uint32_t permits, const char *op) {
  if (o->head.closed) return la_fail_closed(L, op);
  return try_hold(L, o, permits) ? 1 : la_fail_again(L, op);
}

/* ---- guards and permits --------------------------------------------------------------*/

/* Lets go, and is at hand for the next. */
static int close_variable(lua_State *L) {
  guard *g = lua_touserdata(L, 1);
  bool is = g != NULL && lua_rawlen(L, 1) == sizeof *g;
  if (!is || (g->head.cls != &guard_class && g->head.cls != &permit_class))
    return luaL_typeerror(L, 1, "guard");
  la_hold_end(&g->hold);
  g->head.closed = g->spare = true;
  return 0;
}

static int unlock(lua_State *L) {
  la_object_check(L, 1, &guard_class);
  return la_object_close(L);
}

static int release(lua_State *L) {
  la_object_check(L, 1, &permit_class);
  return la_object_close(L);
}

static int forget(lua_State *L) {
  guard *g = la_object_check(L, 1, &permit_class);
  la_hold_forget(&g->hold);
  return la_object_close(L);
}

/* ---- semaphore -----------------------------------------------------------------------*/

static la_lock_object *check_semaphore(lua_State *L) {
  return la_object_check(L, 1, &semaphore_class);
}

static uint32_t count_or_one(lua_State *L) {
  return lua_isnoneornil(L, 2) ? 1 : la_sync_check_count(L, 2, 1);
}

static int semaphore(lua_State *L) {
  la_lock_new(L, &semaphore_class, la_sync_check_count(L, 1, 0), sizeof(la_lock_object), 1);
  return 1;
}

static const la_future_vtable acquire_wait = LA_LOCK_WAIT("semaphore.acquire");

static int acquire_begin(lua_State *L, void *room, la_future **f) {
  la_lock_object *o = check_semaphore(L);
  return la_lock_begin(L, o, count_or_one(L), &acquire_wait, room, f);
}

static const la_operation acquire_operation = {"semaphore.acquire", acquire_begin, la_lock_finish};

static int acquire(lua_State *L) {
  if (la_operation_direct(L)) {
    la_lock_object *o = check_semaphore(L);
    if (!o->head.closed && lock_now(L, o, count_or_one(L))) return 1;
  }
  return la_operate(L, &acquire_operation);
}

static int try_acquire(lua_State *L) {
  la_lock_object *o = check_semaphore(L);
  return try_lock(L, o, count_or_one(L), "try_acquire");
}

/* All that there ever are have to stay countable, those that are held included. */
static int add_permits(lua_State *L) {
  la_lock_object *o = check_semaphore(L);
  uint32_t n = la_sync_check_count(L, 2, 0);
  luaL_argcheck(L, la_lock_add(&o->lock, n), 2, "too many permits");
  lua_settop(L, 1);
  return 1;
}

/* How many could be had at once. */
static int available(lua_State *L) {
  const la_semaphore *s = &check_semaphore(L)->lock.s;
  lua_pushinteger(L, la_list_empty(&s->line) ? s->permits : 0);
  return 1;
}

/* ---- mutex ---------------------------------------------------------------------------*/

static la_lock_object *check_mutex(lua_State *L) { return la_object_check(L, 1, &mutex_class); }

static int mutex(lua_State *L) {
  la_lock_new(L, &mutex_class, 1, sizeof(la_lock_object), 1);
  return 1;
}

static const la_future_vtable lock_wait = LA_LOCK_WAIT("mutex.lock");

static int lock_begin(lua_State *L, void *room, la_future **f) {
  return la_lock_begin(L, check_mutex(L), 1, &lock_wait, room, f);
}

static const la_operation lock_operation = {"mutex.lock", lock_begin, la_lock_finish};

static int lock(lua_State *L) {
  if (la_operation_direct(L)) {
    la_lock_object *o = check_mutex(L);
    if (!o->head.closed && lock_now(L, o, 1)) return 1;
  }
  return la_operate(L, &lock_operation);
}

static int mutex_try_lock(lua_State *L) { return try_lock(L, check_mutex(L), 1, "try_lock"); }

static int with_called(lua_State *L, int status, lua_KContext k) {
  (void)status;
  (void)k;
  return lua_gettop(L) - 2;
}

/* Stack: mutex, f, arguments, guard or nil, error. */
static int with_locked(lua_State *L, int status, lua_KContext k) {
  (void)status;
  (void)k;
  if (lua_isnil(L, -2)) return 2;
  lua_pop(L, 1);
  lua_insert(L, 2);
  lua_toclose(L, 2);
  lua_callk(L, lua_gettop(L) - 3, LUA_MULTRET, 0, with_called);
  return with_called(L, LUA_OK, 0);
}

/* mutex:with(f, ...): f is called while it is locked. */
static int with(lua_State *L) {
  check_mutex(L);
  la_push_callable(L, 2);
  lua_pushcfunction(L, lock);
  lua_pushvalue(L, 1);
  lua_callk(L, 1, 2, 0, with_locked);
  return with_locked(L, LUA_OK, 0);
}

/* ---- rwlock --------------------------------------------------------------------------*/

static la_lock_object *check_rwlock(lua_State *L) { return la_object_check(L, 1, &rwlock_class); }

static int rwlock(lua_State *L) {
  la_lock_new(L, &rwlock_class, LA_LOCK_WRITE, sizeof(la_lock_object), 1);
  return 1;
}

static const la_future_vtable read_wait = LA_LOCK_WAIT("rwlock.read");

static int read_begin(lua_State *L, void *room, la_future **f) {
  return la_lock_begin(L, check_rwlock(L), 1, &read_wait, room, f);
}

static const la_future_vtable write_wait = LA_LOCK_WAIT("rwlock.write");

static int write_begin(lua_State *L, void *room, la_future **f) {
  return la_lock_begin(L, check_rwlock(L), LA_LOCK_WRITE, &write_wait, room, f);
}

static const la_operation read_operation = {"rwlock.read", read_begin, la_lock_finish};
static const la_operation write_operation = {"rwlock.write", write_begin, la_lock_finish};
static int l_read(lua_State *L) { return la_operate(L, &read_operation); }
static int l_write(lua_State *L) { return la_operate(L, &write_operation); }
static int try_read(lua_State *L) { return try_lock(L, check_rwlock(L), 1, "try_read"); }

static int try_write(lua_State *L) {
  return try_lock(L, check_rwlock(L), LA_LOCK_WRITE, "try_write");
}

/* ---- the module ----------------------------------------------------------------------*/

void la_open_locks(lua_State *L) {
  static const luaL_Reg semaphore_methods[] = {{"acquire", acquire},
                                               {"try_acquire", try_acquire},
                                               {"add_permits", add_permits},
                                               {"available", available},
                                               {NULL, NULL}};
  static const luaL_Reg mutex_methods[] = {{"lock", lock},
                                           {"try_lock", mutex_try_lock},
                                           {"with", with},
                                           {NULL, NULL}};
  static const luaL_Reg rwlock_methods[] = {{"read", l_read},
                                            {"write", l_write},
                                            {"try_read", try_read},
                                            {"try_write", try_write},
                                            {NULL, NULL}};
  static const luaL_Reg permit[] = {{"release", release}, {"forget", forget}, {NULL, NULL}};
  static const luaL_Reg guard_methods[] = {{"unlock", unlock}, {NULL, NULL}};
  static const luaL_Reg guard_meta[] = {{"__close", close_variable}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"semaphore", semaphore},
                                       {"mutex", mutex},
                                       {"rwlock", rwlock},
                                       {NULL, NULL}};
  static const la_operation_entry operations[] = {{acquire, &acquire_operation},
                                                  {lock, &lock_operation},
                                                  {l_read, &read_operation},
                                                  {l_write, &write_operation},
                                                  {NULL, NULL}};
  la_object_class_open(L, &semaphore_class, NULL, semaphore_methods);
  la_object_class_open(L, &mutex_class, NULL, mutex_methods);
  la_object_class_open(L, &rwlock_class, NULL, rwlock_methods);
  la_object_class_open(L, &permit_class, guard_meta, permit);
  la_object_class_open(L, &guard_class, guard_meta, guard_methods);
  la_operations_add(L, operations);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "v");
  lua_setfield(L, -2, "__mode");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &weak_key);
  luaL_setfuncs(L, functions, 0);
}
