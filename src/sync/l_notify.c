/* async.sync.notify and barrier. */
#include "sync/barrier.h"
#include "sync/l_sync.h"
#include "sync/notify.h"

/* ---- notify --------------------------------------------------------------------------*/

typedef struct notify_object {
  la_object head;
  la_notify n;
} notify_object;

static void notify_close(void *object) { la_notify_close(&((notify_object *)object)->n); }

static const la_object_class notify_class = {"lua_async.Notify", notify_close, NULL};

static notify_object *check_notify(lua_State *L) { return la_object_check(L, 1, &notify_class); }

static int notify(lua_State *L) {
  notify_object *o = la_object_new(L, &notify_class, sizeof *o, 0);
  la_notify_init(&o->n);
  la_object_made(L, &notify_class);
  return 1;
}

static int notify_one(lua_State *L) {
  notify_object *o = check_notify(L);
  if (o->head.closed) return la_fail_closed(L, "notify_one");
  la_notify_one(&o->n);
  lua_pushboolean(L, 1);
  return 1;
}

static int notify_all(lua_State *L) {
  notify_object *o = check_notify(L);
  if (o->head.closed) return la_fail_closed(L, "notify_all");
  la_notify_all(&o->n);
  lua_pushboolean(L, 1);
  return 1;
}

static int notified_begin(lua_State *L, void *room, la_future **f) {
  notify_object *o = check_notify(L);
  if (o->head.closed) return la_fail_closed(L, "wait");
  la_notified_init(room, &o->n);
  *f = &((la_notified *)room)->q.base;
  return 0;
}

static int notified_finish(lua_State *L, la_future *f) {
  la_notified *w = la_container(la_queued_of(f), la_notified, q);
  if (!la_notified_take(w)) return la_fail_meanwhile(L, "wait");
  lua_pushboolean(L, 1);
  return 1;
}

static const la_operation notified_operation = {"notify.wait", notified_begin, notified_finish};
static int notify_wait(lua_State *L) { return la_operate(L, &notified_operation); }

static int notify_try_wait(lua_State *L) {
  notify_object *o = check_notify(L);
  if (o->head.closed) return la_fail_closed(L, "try_wait");
  if (!la_notify_try(&o->n)) return la_fail_again(L, "try_wait");
  lua_pushboolean(L, 1);
  return 1;
}

/* ---- barrier -------------------------------------------------------------------------*/

typedef struct barrier_object {
  la_object head;
  la_barrier b;
} barrier_object;

static void barrier_close(void *object) { la_barrier_close(&((barrier_object *)object)->b); }

static const la_object_class barrier_class = {"lua_async.Barrier", barrier_close, NULL};

static int barrier(lua_State *L) {
  uint32_t n = la_sync_check_count(L, 1, 1);
  barrier_object *o = la_object_new(L, &barrier_class, sizeof *o, 0);
  la_barrier_init(&o->b, n);
  la_object_made(L, &barrier_class);
  return 1;
}

static int arrival_begin(lua_State *L, void *room, la_future **f) {
  barrier_object *o = la_object_check(L, 1, &barrier_class);
  if (o->head.closed) return la_fail_closed(L, "wait");
  la_arrival_init(room, &o->b);
  *f = &((la_arrival *)room)->q.base;
  return 0;
}

static int arrival_finish(lua_State *L, la_future *f) {
  const la_arrival *a = la_container(la_queued_of(f), la_arrival, q);
  if (la_arrival_refused(a)) return la_fail_meanwhile(L, "wait");
  lua_pushboolean(L, la_arrival_leads(a));
  return 1;
}

static const la_operation arrival_operation = {"barrier.wait", arrival_begin, arrival_finish};
static int barrier_wait(lua_State *L) { return la_operate(L, &arrival_operation); }

/* ---- the module ----------------------------------------------------------------------*/

void la_open_signals(lua_State *L) {
  static const luaL_Reg notify_methods[] = {{"wait", notify_wait},
                                            {"try_wait", notify_try_wait},
                                            {"notify_one", notify_one},
                                            {"notify_all", notify_all},
                                            {NULL, NULL}};
  static const luaL_Reg barrier_methods[] = {{"wait", barrier_wait}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"notify", notify}, {"barrier", barrier}, {NULL, NULL}};
  static const la_operation_entry operations[] = {{notify_wait, &notified_operation},
                                                  {barrier_wait, &arrival_operation},
                                                  {NULL, NULL}};
  _Static_assert(sizeof(la_notified) <= LA_SLOT_SIZE, "waiting needs no memory");
  _Static_assert(sizeof(la_arrival) <= LA_SLOT_SIZE, "waiting needs no memory");
  la_object_class_open(L, &notify_class, NULL, notify_methods);
  la_object_class_open(L, &barrier_class, NULL, barrier_methods);
  la_operations_add(L, operations);
  luaL_setfuncs(L, functions, 0);
}
