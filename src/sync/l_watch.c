/*
** async.sync.watch: a value, and those who want to know when it changes.
**
** The state is a userdata of its own, seen by nobody, with the value as its user value; the
** sender and the receivers have it as theirs.
*/
#include "sync/l_sync.h"
#include "sync/watch.h"

typedef struct watch_object {
  la_object head;
  la_watch w;
} watch_object;

typedef struct sender {
  la_object head;
  la_watch *w;
} sender;

typedef struct receiver {
  la_object head;
  la_watch_rx rx;
} receiver;

enum { UV_VALUE = 1, UV_WATCH = 1 };

static void watch_close(void *object) { la_watch_close(&((watch_object *)object)->w); }
static void sender_close(void *object) { la_watch_close(((sender *)object)->w); }
static void receiver_close(void *object) { la_watch_unsubscribe(&((receiver *)object)->rx); }

static const la_object_class watch_class = {"lua_async.Watch", watch_close, NULL};
static const la_object_class sender_class = {"lua_async.WatchSender", sender_close, NULL};
static const la_object_class receiver_class = {"lua_async.WatchReceiver", receiver_close, NULL};

static sender *check_sender(lua_State *L) { return la_object_check(L, 1, &sender_class); }
static receiver *check_receiver(lua_State *L) { return la_object_check(L, 1, &receiver_class); }

/* Pushes the value of the end at index 1. */
static int push_value(lua_State *L) {
  lua_getiuservalue(L, 1, UV_WATCH);
  lua_getiuservalue(L, -1, UV_VALUE);
  return 1;
}

/* Pushes an end of the watch at index `watch`. */
static void *push_end(lua_State *L, int watch, const la_object_class *cls, size_t size) {
  void *o = la_object_new(L, cls, size, 1);
  lua_pushvalue(L, watch);
  lua_setiuservalue(L, -2, UV_WATCH);
  return o;
}

static void push_receiver(lua_State *L, int watch, uint64_t seen) {
  watch_object *o = lua_touserdata(L, watch);
  receiver *r = push_end(L, watch, &receiver_class, sizeof *r);
  la_watch_subscribe(&o->w, &r->rx, seen);
  la_object_made(L, &receiver_class);
}

/* watch(value) -> tx, rx */
static int watch(lua_State *L) {
  la_sync_check_value(L, 1);
  watch_object *o = la_object_new(L, &watch_class, sizeof *o, 1);
  la_watch_init(&o->w);
  la_object_made(L, &watch_class);
  int at = lua_gettop(L);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, at, UV_VALUE);
  sender *tx = push_end(L, at, &sender_class, sizeof *tx);
  tx->w = &o->w;
  la_object_made(L, &sender_class);
  push_receiver(L, at, o->w.version);
  return 2;
}

/* ---- the sender ----------------------------------------------------------------------*/

static int sender_send(lua_State *L) {
  sender *tx = check_sender(L);
  la_sync_check_value(L, 2);
  if (tx->head.closed) return la_fail_closed(L, "send");
  lua_getiuservalue(L, 1, UV_WATCH);
  lua_pushvalue(L, 2);
  lua_setiuservalue(L, -2, UV_VALUE);
  la_watch_publish(tx->w);
  lua_pushboolean(L, 1);
  return 1;
}

static int sender_get(lua_State *L) {
  check_sender(L);
  return push_value(L);
}

static int sender_receivers(lua_State *L) {
  lua_pushinteger(L, check_sender(L)->w->receivers);
  return 1;
}

/* A receiver that has seen the value of now. */
static int sender_subscribe(lua_State *L) {
  sender *tx = check_sender(L);
  if (tx->head.closed) return la_fail_closed(L, "subscribe");
  lua_getiuservalue(L, 1, UV_WATCH);
  push_receiver(L, lua_gettop(L), tx->w->version);
  return 1;
}

/* ---- receivers -----------------------------------------------------------------------*/

static int receiver_get(lua_State *L) {
  receiver *r = check_receiver(L);
  if (r->head.closed) return la_fail_closed(L, "get");
  r->rx.seen = r->rx.watch->version;
  return push_value(L);
}

static int receiver_has_changed(lua_State *L) {
  lua_pushboolean(L, la_watch_changed(&check_receiver(L)->rx));
  return 1;
}

/* One that has seen what this one has. */
static int receiver_clone(lua_State *L) {
  receiver *r = check_receiver(L);
  if (r->head.closed) return la_fail_closed(L, "clone");
  lua_getiuservalue(L, 1, UV_WATCH);
  push_receiver(L, lua_gettop(L), r->rx.seen);
  return 1;
}

static int changed_begin(lua_State *L, void *room, la_future **f) {
  receiver *r = check_receiver(L);
  if (r->head.closed) return la_fail_closed(L, "changed");
  la_changed_init(room, &r->rx);
  *f = &((la_changed *)room)->q.base;
  return 0;
}

/* Pushes nothing when there is a new version, which counts as seen; or the results. */
static int see(lua_State *L) {
  receiver *r = lua_touserdata(L, 1);
  if (r->head.closed) return la_fail_meanwhile(L, "changed");
  if (!la_watch_changed(&r->rx) && r->rx.watch->closed) {
    lua_pushnil(L);
    return 1;
  }
  r->rx.seen = r->rx.watch->version;
  return 0;
}

static int changed_finish(lua_State *L, la_future *f) {
  (void)f;
  int n = see(L);
  if (n == 0) lua_pushboolean(L, 1);
  return n == 0 ? 1 : n;
}

static int next_finish(lua_State *L, la_future *f) {
  (void)f;
  int n = see(L);
  return n == 0 ? push_value(L) : n;
}

static const la_operation changed_operation = {"watch.changed", changed_begin, changed_finish};
static const la_operation next_operation = {"watch.changed", changed_begin, next_finish};
static int changed(lua_State *L) { return la_operate(L, &changed_operation); }
static int next(lua_State *L) { return la_operate(L, &next_operation); }

/* Pushes why there is no value unseen; or nothing, and that counts as seen. */
static int try_see(lua_State *L, const char *op) {
  const receiver *r = check_receiver(L);
  if (r->head.closed) return la_fail_closed(L, op);
  if (!la_watch_changed(&r->rx) && !r->rx.watch->closed) return la_fail_again(L, op);
  return see(L);
}

static int try_changed(lua_State *L) {
  int n = try_see(L, "try_changed");
  if (n == 0) lua_pushboolean(L, 1);
  return n == 0 ? 1 : n;
}

static int try_next(lua_State *L) {
  int n = try_see(L, "try_recv");
  return n == 0 ? push_value(L) : n;
}

/* ---- the module ----------------------------------------------------------------------*/

void la_open_watch(lua_State *L) {
  static const luaL_Reg none[] = {{NULL, NULL}};
  static const luaL_Reg sender_methods[] = {{"send", sender_send},
                                            {"get", sender_get},
                                            {"subscribe", sender_subscribe},
                                            {"receivers", sender_receivers},
                                            {NULL, NULL}};
  static const luaL_Reg receiver_methods[] = {{"get", receiver_get},
                                              {"changed", changed},
                                              {"has_changed", receiver_has_changed},
                                              {"recv", next},
                                              {"try_changed", try_changed},
                                              {"try_recv", try_next},
                                              {"clone", receiver_clone},
                                              {NULL, NULL}};
  static const luaL_Reg receiver_meta[] = {{"__call", next}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"watch", watch}, {NULL, NULL}};
  static const la_operation_entry operations[] = {{changed, &changed_operation},
                                                  {next, &next_operation},
                                                  {NULL, NULL}};
  _Static_assert(sizeof(la_changed) <= LA_SLOT_SIZE, "waiting needs no memory");
  la_object_class_open(L, &watch_class, NULL, none);
  la_object_class_open(L, &sender_class, NULL, sender_methods);
  la_object_class_open(L, &receiver_class, receiver_meta, receiver_methods);
  la_operations_add(L, operations);
  luaL_setfuncs(L, functions, 0);
}
