/*
** async.sync.broadcast: every receiver gets every message, and the slow ones are told.
**
** The state is a userdata of its own, seen by nobody, with the ring of messages as its user
** value; the sender and the receivers have it as theirs.
*/
#include "sync/broadcast.h"
#include "sync/l_sync.h"

typedef struct broadcast_object {
  la_object head;
  la_broadcast b;
} broadcast_object;

typedef struct sender {
  la_object head;
  la_broadcast *b;
} sender;

typedef struct receiver {
  la_object head;
  la_broadcast_rx rx;
} receiver;

enum { UV_RING = 1, UV_BROADCAST = 1 };

static void broadcast_close(void *object) { la_broadcast_close(&((broadcast_object *)object)->b); }
static void sender_close(void *object) { la_broadcast_close(((sender *)object)->b); }
static void receiver_close(void *object) { la_broadcast_unsubscribe(&((receiver *)object)->rx); }

static const la_object_class broadcast_class = {"lua_async.Broadcast", broadcast_close, NULL};
static const la_object_class sender_class = {"lua_async.BroadcastSender", sender_close, NULL};
static const la_object_class receiver_class = {"lua_async.BroadcastReceiver", receiver_close, NULL};

static sender *check_sender(lua_State *L) { return la_object_check(L, 1, &sender_class); }
static receiver *check_receiver(lua_State *L) { return la_object_check(L, 1, &receiver_class); }

/* Pushes the ring of the end at index 1. */
static void push_ring(lua_State *L) {
  lua_getiuservalue(L, 1, UV_BROADCAST);
  lua_getiuservalue(L, -1, UV_RING);
}

static lua_Integer slot(const la_broadcast *b, uint64_t message) {
  return (lua_Integer)(message % b->capacity) + 1;
}

static void *push_end(lua_State *L, int state, const la_object_class *cls, size_t size) {
  void *o = la_object_new(L, cls, size, 1);
  lua_pushvalue(L, state);
  lua_setiuservalue(L, -2, UV_BROADCAST);
  return o;
}

/* broadcast(n) -> tx */
static int broadcast(lua_State *L) {
  uint32_t n = la_sync_check_count(L, 1, 1);
  broadcast_object *o = la_object_new(L, &broadcast_class, sizeof *o, 1);
  la_broadcast_init(&o->b, n);
  la_object_made(L, &broadcast_class);
  int state = lua_gettop(L);
  lua_newtable(L);
  lua_setiuservalue(L, state, UV_RING);
  sender *tx = push_end(L, state, &sender_class, sizeof *tx);
  tx->b = &o->b;
  la_object_made(L, &sender_class);
  return 1;
}

/* ---- the sender ----------------------------------------------------------------------*/

/* Returns how many will get it. */
static int sender_send(lua_State *L) {
  sender *tx = check_sender(L);
  la_sync_check_value(L, 2);
  if (tx->head.closed) return la_fail_closed(L, "send");
  if (tx->b->receivers == 0) return la_sync_fail_pipe(L, "send");
  push_ring(L);
  lua_pushvalue(L, 2);
  lua_rawseti(L, -2, slot(tx->b, tx->b->sent));
  la_broadcast_send(tx->b);
  lua_pushinteger(L, tx->b->receivers);
  return 1;
}

static int sender_receivers(lua_State *L) {
  lua_pushinteger(L, check_sender(L)->b->receivers);
  return 1;
}

static int sender_subscribe(lua_State *L) {
  sender *tx = check_sender(L);
  if (tx->head.closed) return la_fail_closed(L, "subscribe");
  lua_getiuservalue(L, 1, UV_BROADCAST);
  receiver *r = push_end(L, lua_gettop(L), &receiver_class, sizeof *r);
  la_broadcast_subscribe(tx->b, &r->rx);
  la_object_made(L, &receiver_class);
  return 1;
}

/* ---- receivers -----------------------------------------------------------------------*/

/* Pushes message `at`, or that it is lost, with those after it that are. */
static int push_message(lua_State *L, la_broadcast_rx *rx, uint64_t at) {
  uint64_t lost = la_broadcast_lost(rx->b, at);
  if (lost != 0) {
    int n = la_sync_fail_lost(L, lost);
    if (rx->next < at + lost) rx->next = at + lost;
    return n;
  }
  if (rx->skipped != 0 && rx->next == at) {
    int n = la_sync_fail_lost(L, rx->skipped);
    rx->skipped = 0;
    return n;
  }
  push_ring(L);
  lua_rawgeti(L, -1, slot(rx->b, at));
  if (rx->next == at) rx->next++;
  return 1;
}

static int recv_begin(lua_State *L, void *room, la_future **f) {
  receiver *r = check_receiver(L);
  if (r->head.closed) return la_fail_closed(L, "recv");
  if (r->rx.next != r->rx.b->sent && la_operation_proceed())
    return push_message(L, &r->rx, r->rx.next);
  la_received_init(room, &r->rx);
  *f = &((la_received *)room)->q.base;
  return 0;
}

static int recv_finish(lua_State *L, la_future *f) {
  receiver *r = lua_touserdata(L, 1);
  la_received *received = la_container(la_queued_of(f), la_received, q);
  if (r->head.closed) return la_fail_meanwhile(L, "recv");
  if (la_received_take(received)) {
    if (r->rx.next == received->at + 1) r->rx.next--; /* until it is pushed */
    return push_message(L, &r->rx, received->at);
  }
  lua_pushnil(L);
  return 1;
}

static const la_operation recv_operation = {"broadcast.recv", recv_begin, recv_finish};
static int l_recv(lua_State *L) { return la_operate(L, &recv_operation); }

static int try_recv(lua_State *L) {
  receiver *r = check_receiver(L);
  if (r->head.closed) return la_fail_closed(L, "try_recv");
  if (r->rx.next != r->rx.b->sent) return push_message(L, &r->rx, r->rx.next);
  if (!r->rx.b->closed) return la_fail_again(L, "try_recv");
  lua_pushnil(L);
  return 1;
}

/* ---- the module ----------------------------------------------------------------------*/

void la_open_broadcast(lua_State *L) {
  static const luaL_Reg none[] = {{NULL, NULL}};
  static const luaL_Reg sender_methods[] = {{"send", sender_send},
                                            {"subscribe", sender_subscribe},
                                            {"receivers", sender_receivers},
                                            {NULL, NULL}};
  static const luaL_Reg receiver_methods[] = {{"recv", l_recv},
                                              {"try_recv", try_recv},
                                              {NULL, NULL}};
  static const luaL_Reg receiver_meta[] = {{"__call", l_recv}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"broadcast", broadcast}, {NULL, NULL}};
  static const la_operation_entry operations[] = {{l_recv, &recv_operation}, {NULL, NULL}};
  _Static_assert(sizeof(la_received) <= LA_SLOT_SIZE, "waiting needs no memory");
  la_object_class_open(L, &broadcast_class, NULL, none);
  la_object_class_open(L, &sender_class, NULL, sender_methods);
  la_object_class_open(L, &receiver_class, receiver_meta, receiver_methods);
  la_operations_add(L, operations);
  luaL_setfuncs(L, functions, 0);
}
