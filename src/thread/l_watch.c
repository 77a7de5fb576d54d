/*
** async.thread.watch: a value, and those in any thread who want to know when it changes.
**
** The value is packed once; each look at it is a copy of its own.
*/
#include <stdlib.h>

#include "sync/l_sync.h"
#include "thread/cell.h"
#include "thread/l_thread.h"

typedef struct sender {
  la_object head;
  la_cell *cell;
} sender;

typedef struct receiver {
  la_object head;
  la_cell *cell;
  uint64_t seen;
  la_list waiting; /* the futures that were made for it */
} receiver;

static void sender_close(void *object) { la_cell_close_sender(((sender *)object)->cell); }
static void sender_end(void *object) { la_cell_unref(((sender *)object)->cell); }
static void receiver_close(void *object) {
  receiver *r = object;
  la_cell_refuse(r->cell, &r->waiting);
  la_cell_close_receiver(r->cell);
}
static void receiver_end(void *object) { la_cell_unref(((receiver *)object)->cell); }

static const la_object_class sender_class = {"lua_async.ThreadWatchSender", sender_close,
                                             sender_end};
static const la_object_class receiver_class = {"lua_async.ThreadWatchReceiver", receiver_close,
                                               receiver_end};

static sender *check_sender(lua_State *L) { return la_object_check(L, 1, &sender_class); }
static receiver *check_receiver(lua_State *L) { return la_object_check(L, 1, &receiver_class); }

static int push_sender(lua_State *L, la_cell *cell) {
  sender *tx = la_object_new(L, &sender_class, sizeof *tx, 0);
  la_cell_open_sender(cell);
  tx->cell = la_cell_ref(cell);
  la_object_made(L, &sender_class);
  return 1;
}

static int push_receiver(lua_State *L, la_cell *cell, uint64_t seen) {
  receiver *rx = la_object_new(L, &receiver_class, sizeof *rx, 0);
  la_cell_open_receiver(cell);
  rx->cell = la_cell_ref(cell);
  rx->seen = seen;
  la_list_init(&rx->waiting);
  la_object_made(L, &receiver_class);
  return 1;
}

/* Pushes the newest value; *version is as it was when that raises. */
static int push_value(lua_State *L, la_cell *cell, uint64_t *version) {
  uint64_t newest;
  int n = la_thread_push_letter(L, la_cell_get(cell, &newest));
  *version = newest;
  return n;
}

static uint64_t version_of(la_cell *cell) {
  uint64_t version;
  la_letter_unref(la_cell_get(cell, &version));
  return version;
}

/* watch(value) -> tx, rx */
static int watch(lua_State *L) {
  la_parcel *p;
  la_sync_check_value(L, 1);
  sender *tx = la_object_new(L, &sender_class, sizeof *tx, 0);
  receiver *rx = la_object_new(L, &receiver_class, sizeof *rx, 0);
  int n = la_thread_pack_shared(L, 1, "thread.watch", &p);
  if (n != 0) return n;
  la_cell *cell = la_cell_new(&p->letter);
  if (cell == NULL) {
    la_parcel_drop(p);
    return la_no_memory(L);
  }
  tx->cell = cell;
  rx->cell = la_cell_ref(cell);
  rx->seen = 1;
  la_list_init(&rx->waiting);
  la_object_made(L, &receiver_class);
  lua_insert(L, -2);
  la_object_made(L, &sender_class);
  lua_insert(L, -2);
  return 2;
}

/* ---- the sender ----------------------------------------------------------------------*/

static int sender_send(lua_State *L) {
  la_parcel *p;
  sender *tx = check_sender(L);
  la_sync_check_value(L, 2);
  if (tx->head.closed) return la_fail_closed(L, "send");
  int n = la_thread_pack_shared(L, 2, "send", &p);
  if (n != 0) return n;
  la_cell_send(tx->cell, &p->letter);
  lua_pushboolean(L, 1);
  return 1;
}

static int sender_get(lua_State *L) {
  uint64_t version;
  const sender *tx = check_sender(L);
  if (tx->head.closed) return la_fail_closed(L, "get");
  return push_value(L, tx->cell, &version);
}

static int sender_receivers(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)la_cell_receivers(check_sender(L)->cell));
  return 1;
}

static int sender_clone(lua_State *L) {
  sender *tx = check_sender(L);
  if (tx->head.closed) return la_fail_closed(L, "clone");
  return push_sender(L, tx->cell);
}

/* A receiver that has seen the value of now. */
static int sender_subscribe(lua_State *L) {
  sender *tx = check_sender(L);
  if (tx->head.closed) return la_fail_closed(L, "subscribe");
  return push_receiver(L, tx->cell, version_of(tx->cell));
}

/* ---- receivers -----------------------------------------------------------------------*/

static int receiver_get(lua_State *L) {
  receiver *r = check_receiver(L);
  if (r->head.closed) return la_fail_closed(L, "get");
  return push_value(L, r->cell, &r->seen);
}

static int receiver_has_changed(lua_State *L) {
  const receiver *r = check_receiver(L);
  lua_pushboolean(L, !r->head.closed && la_cell_has_changed(r->cell, r->seen) == LA_PORT_DONE);
  return 1;
}

static int receiver_clone(lua_State *L) {
  receiver *r = check_receiver(L);
  if (r->head.closed) return la_fail_closed(L, "clone");
  return push_receiver(L, r->cell, r->seen);
}

typedef struct changed_future {
  la_future base;
  la_cell_changed changed;
} changed_future;

static changed_future *changed_of(la_future *f) { return la_container(f, changed_future, base); }

static la_poll changed_poll(la_future *f, la_context *cx) {
  return la_future_poll(&changed_of(f)->changed.seat.base, cx);
}

static void changed_drop(la_future *f) {
  la_future_drop(&changed_of(f)->changed.seat.base);
  free(changed_of(f));
}

static const la_future_vtable changed_vtable = {changed_poll, changed_drop, "thread.watch.changed",
                                                NULL};

static int changed_begin(lua_State *L, void *room, la_future **f) {
  (void)room;
  receiver *r = check_receiver(L);
  if (r->head.closed) return la_fail_closed(L, "changed");
  changed_future *c = malloc(sizeof *c);
  if (c == NULL) return la_no_memory(L);
  c->base.vt = &changed_vtable;
  la_cell_changed_init(&c->changed, r->cell, r->seen);
  la_list_push(&r->waiting, &c->changed.seat.mine);
  *f = &c->base;
  return 0;
}

/* Pushes why there is no new value; 0 when there is. */
static int refused(lua_State *L, la_future *f) {
  const receiver *r = lua_touserdata(L, 1);
  if (r->head.closed) return la_fail_meanwhile(L, "changed");
  if (changed_of(f)->changed.seat.state != LA_SEAT_REFUSED) return 0;
  lua_pushnil(L);
  return 1;
}

static int changed_finish(lua_State *L, la_future *f) {
  receiver *r = lua_touserdata(L, 1);
  int n = refused(L, f);
  if (n != 0) return n;
  r->seen = version_of(r->cell);
  lua_pushboolean(L, 1);
  return 1;
}

static int next_finish(lua_State *L, la_future *f) {
  receiver *r = lua_touserdata(L, 1);
  int n = refused(L, f);
  return n != 0 ? n : push_value(L, r->cell, &r->seen);
}

static const la_operation changed_operation = {"thread.watch.changed", changed_begin,
                                               changed_finish};
static const la_operation next_operation = {"thread.watch.changed", changed_begin, next_finish};
static int changed(lua_State *L) { return la_operate(L, &changed_operation); }
static int next(lua_State *L) { return la_operate(L, &next_operation); }

/* Pushes why there is no value unseen; or nothing. */
static int try_see(lua_State *L, const char *op) {
  const receiver *r = check_receiver(L);
  if (r->head.closed) return la_fail_closed(L, op);
  switch (la_cell_has_changed(r->cell, r->seen)) {
  case LA_PORT_DONE: return 0;
  case LA_PORT_BUSY: return la_fail_again(L, op);
  default: lua_pushnil(L); return 1;
  }
}

static int try_changed(lua_State *L) {
  receiver *r = lua_touserdata(L, 1);
  int n = try_see(L, "try_changed");
  if (n != 0) return n;
  r->seen = version_of(r->cell);
  lua_pushboolean(L, 1);
  return 1;
}

static int try_next(lua_State *L) {
  receiver *r = lua_touserdata(L, 1);
  int n = try_see(L, "try_recv");
  return n != 0 ? n : push_value(L, r->cell, &r->seen);
}

/* ---- to other threads ------------------------------------------------------------------*/

static void *give_sender(void *ud, int *error) {
  sender *tx = ud;
  *error = tx->head.closed ? UV_EBADF : 0;
  if (*error != 0) return NULL;
  la_cell_open_sender(tx->cell);
  return la_cell_ref(tx->cell);
}
static void take_sender(lua_State *L, void *cell) { (void)push_sender(L, cell); }
static void drop_sender(void *cell) {
  la_cell_close_sender(cell);
  la_cell_unref(cell);
}

typedef struct travelling { /* a receiver on its way */
  la_cell *cell;
  uint64_t seen;
} travelling;

static void *give_receiver(void *ud, int *error) {
  receiver *r = ud;
  *error = r->head.closed ? UV_EBADF : 0;
  if (*error != 0) return NULL;
  travelling *t = malloc(sizeof *t);
  *error = t == NULL ? UV_ENOMEM : 0;
  if (t == NULL) return NULL;
  la_cell_open_receiver(r->cell);
  *t = (travelling){la_cell_ref(r->cell), r->seen};
  return t;
}
static void take_receiver(lua_State *L, void *object) {
  travelling *t = object;
  (void)push_receiver(L, t->cell, t->seen);
}
static void drop_receiver(void *object) {
  travelling *t = object;
  la_cell_close_receiver(t->cell);
  la_cell_unref(t->cell);
  free(t);
}

void la_open_thread_watch(lua_State *L) {
  static const la_sendable sendable_sender = {give_sender, NULL, take_sender, drop_sender, NULL};
  static const la_sendable sendable_receiver = {give_receiver, NULL, take_receiver, drop_receiver,
                                                NULL};
  static const luaL_Reg sender_methods[] = {{"send", sender_send},
                                            {"get", sender_get},
                                            {"clone", sender_clone},
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
  la_thread_class_open(L, &sender_class, NULL, sender_methods, &sendable_sender);
  la_thread_class_open(L, &receiver_class, receiver_meta, receiver_methods, &sendable_receiver);
  la_operations_add(L, operations);
  luaL_setfuncs(L, functions, 0);
}
