/*
** async.thread.broadcast: every receiver, in any thread, gets every message; the slow ones are
** told. Each message is packed once, and each receiver has a copy of its own.
*/
#include <stdlib.h>

#include "sync/l_sync.h"
#include "thread/bus.h"
#include "thread/l_thread.h"

typedef struct sender {
  la_object head;
  la_bus *bus;
} sender;

typedef struct receiver {
  la_object head;
  la_bus_receiver *rx; /* NULL: closed */
  la_letter *kept;     /* received, but there was no memory for the value */
} receiver;

static void sender_close(void *object) { la_bus_close_sender(((sender *)object)->bus); }
static void sender_end(void *object) { la_bus_unref(((sender *)object)->bus); }
static void receiver_close(void *object) {
  receiver *r = object;
  la_bus_receiver_close(r->rx);
  r->rx = NULL;
}
static void receiver_end(void *object) {
  receiver *r = object;
  if (r->kept != NULL) la_letter_unref(r->kept);
}

static const la_object_class sender_class = {"lua_async.ThreadBroadcastSender", sender_close,
                                             sender_end};
static const la_object_class receiver_class = {"lua_async.ThreadBroadcastReceiver", receiver_close,
                                               receiver_end};

static sender *check_sender(lua_State *L) { return la_object_check(L, 1, &sender_class); }
static receiver *check_receiver(lua_State *L) { return la_object_check(L, 1, &receiver_class); }

static int push_sender(lua_State *L, la_bus *bus) {
  sender *tx = la_object_new(L, &sender_class, sizeof *tx, 0);
  la_bus_open_sender(bus);
  tx->bus = la_bus_ref(bus);
  la_object_made(L, &sender_class);
  return 1;
}

/* Gives the receiver on top of L what it receives from; NULL: there was no memory for it. */
static int made_receiver(lua_State *L, receiver *r, la_bus_receiver *rx) {
  if (rx == NULL) return la_no_memory(L);
  r->rx = rx;
  la_object_made(L, &receiver_class);
  return 1;
}

/* broadcast(n) -> tx */
static int broadcast(lua_State *L) {
  uint32_t n = la_sync_check_count(L, 1, 1);
  sender *tx = la_object_new(L, &sender_class, sizeof *tx, 0);
  tx->bus = la_bus_new(n);
  if (tx->bus == NULL) return la_no_memory(L);
  la_object_made(L, &sender_class);
  return 1;
}

/* ---- the sender ----------------------------------------------------------------------*/

/* Returns how many there are to get it. */
static int sender_send(lua_State *L) {
  la_parcel *p;
  sender *tx = check_sender(L);
  la_sync_check_value(L, 2);
  if (tx->head.closed) return la_fail_closed(L, "send");
  int n = la_thread_pack_shared(L, 2, "send", &p);
  if (n != 0) return n;
  size_t receivers = la_bus_receivers(tx->bus);
  if (la_bus_send(tx->bus, &p->letter) == LA_PORT_CLOSED) {
    la_parcel_drop(p);
    return la_sync_fail_pipe(L, "send");
  }
  lua_pushinteger(L, receivers > 0 ? (lua_Integer)receivers : 1);
  return 1;
}

static int sender_receivers(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)la_bus_receivers(check_sender(L)->bus));
  return 1;
}

static int sender_clone(lua_State *L) {
  sender *tx = check_sender(L);
  if (tx->head.closed) return la_fail_closed(L, "clone");
  return push_sender(L, tx->bus);
}

static int sender_subscribe(lua_State *L) {
  sender *tx = check_sender(L);
  if (tx->head.closed) return la_fail_closed(L, "subscribe");
  receiver *r = la_object_new(L, &receiver_class, sizeof *r, 0);
  return made_receiver(L, r, la_bus_subscribe(tx->bus));
}

/* ---- receivers -----------------------------------------------------------------------*/

/* Pushes the value, or how many were missed. */
static int push_received(lua_State *L, receiver *r, la_letter *letter, uint64_t missed) {
  return letter != NULL ? la_thread_push_kept(L, letter, &r->kept) : la_sync_fail_lost(L, missed);
}

/* How many results; 0 if it had to wait. */
static int recv_now(lua_State *L, receiver *r) {
  la_letter *letter;
  uint64_t missed;
  if (r->kept != NULL) return la_thread_push_kept(L, r->kept, &r->kept);
  switch (la_bus_try_recv(r->rx, &letter, &missed)) {
  case LA_PORT_DONE: return push_received(L, r, letter, missed);
  case LA_PORT_CLOSED: lua_pushnil(L); return 1;
  default: return 0;
  }
}

typedef struct recv_future {
  la_future base;
  la_bus_recv recv;
} recv_future;

static recv_future *recv_of(la_future *f) { return la_container(f, recv_future, base); }

static la_poll recv_poll(la_future *f, la_context *cx) {
  return la_future_poll(&recv_of(f)->recv.seat.base, cx);
}

static void recv_drop(la_future *f) {
  la_future_drop(&recv_of(f)->recv.seat.base);
  free(recv_of(f));
}

static const la_future_vtable recv_vtable = {recv_poll, recv_drop, "thread.broadcast.recv", NULL};

static int recv_begin(lua_State *L, void *room, la_future **f) {
  (void)room;
  receiver *r = check_receiver(L);
  if (r->head.closed) return la_fail_closed(L, "recv");
  int n = la_operation_proceed() || r->kept != NULL ? recv_now(L, r) : 0;
  if (n != 0) return n;
  recv_future *c = malloc(sizeof *c);
  if (c == NULL) return la_no_memory(L);
  c->base.vt = &recv_vtable;
  la_bus_recv_init(&c->recv, r->rx);
  *f = &c->base;
  return 0;
}

static int recv_finish(lua_State *L, la_future *f) {
  receiver *r = lua_touserdata(L, 1);
  la_bus_recv *recv = &recv_of(f)->recv;
  if (r->kept != NULL) return la_thread_push_kept(L, r->kept, &r->kept); /* what it has goes back */
  if (recv->seat.state != LA_SEAT_REFUSED) {
    la_letter *letter = la_bus_recv_taken(recv);
    return push_received(L, r, letter, recv->missed);
  }
  if (r->head.closed) return la_fail_meanwhile(L, "recv");
  lua_pushnil(L);
  return 1;
}

static const la_operation recv_operation = {"thread.broadcast.recv", recv_begin, recv_finish};
static int l_recv(lua_State *L) { return la_operate(L, &recv_operation); }

static int try_recv(lua_State *L) {
  receiver *r = check_receiver(L);
  if (r->head.closed) return la_fail_closed(L, "try_recv");
  int n = recv_now(L, r);
  return n != 0 ? n : la_fail_again(L, "try_recv");
}

/* ---- to other threads ------------------------------------------------------------------*/

static void *give_sender(void *ud, int *error) {
  sender *tx = ud;
  *error = tx->head.closed ? UV_EBADF : 0;
  if (*error != 0) return NULL;
  la_bus_open_sender(tx->bus);
  return la_bus_ref(tx->bus);
}
static void take_sender(lua_State *L, void *bus) { (void)push_sender(L, bus); }
static void drop_sender(void *bus) {
  la_bus_close_sender(bus);
  la_bus_unref(bus);
}

static void *give_receiver(void *ud, int *error) {
  const receiver *r = ud;
  la_bus_receiver *clone = r->head.closed ? NULL : la_bus_receiver_clone(r->rx);
  *error = r->head.closed ? UV_EBADF : clone == NULL ? UV_ENOMEM : 0;
  return clone;
}
static void take_receiver(lua_State *L, void *rx) {
  receiver *r = la_object_new(L, &receiver_class, sizeof *r, 0);
  (void)made_receiver(L, r, la_bus_receiver_clone(rx));
}
static void drop_receiver(void *rx) { la_bus_receiver_close(rx); }

void la_open_thread_broadcast(lua_State *L) {
  static const la_sendable sendable_sender = {give_sender, NULL, take_sender, drop_sender, NULL};
  static const la_sendable sendable_receiver = {give_receiver, NULL, take_receiver, drop_receiver,
                                                NULL};
  static const luaL_Reg sender_methods[] = {{"send", sender_send},
                                            {"clone", sender_clone},
                                            {"subscribe", sender_subscribe},
                                            {"receivers", sender_receivers},
                                            {NULL, NULL}};
  static const luaL_Reg receiver_methods[] = {{"recv", l_recv},
                                              {"try_recv", try_recv},
                                              {NULL, NULL}};
  static const luaL_Reg receiver_meta[] = {{"__call", l_recv}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"broadcast", broadcast}, {NULL, NULL}};
  static const la_operation_entry operations[] = {{l_recv, &recv_operation}, {NULL, NULL}};
  la_thread_class_open(L, &sender_class, NULL, sender_methods, &sendable_sender);
  la_thread_class_open(L, &receiver_class, receiver_meta, receiver_methods, &sendable_receiver);
  la_operations_add(L, operations);
  luaL_setfuncs(L, functions, 0);
}
