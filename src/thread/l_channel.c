/*
** async.thread.channel and oneshot: Senders and Receivers of a la_port, in any thread.
**
** Sent to another thread, an end is there once more. A value is packed before anything waits, so
** that one which cannot be sent raises; what it takes away from here is taken when there is room.
*/
#include <math.h>
#include <stdlib.h>

#include "sync/batch.h"
#include "sync/l_sync.h"
#include "thread/l_parcel.h"
#include "thread/l_thread.h"
#include "thread/port.h"

typedef struct end_object { /* a sender or a receiver */
  la_object head;
  la_port *port;
  la_list waiting; /* the futures that were made for it */
  la_letter *kept; /* received, but there was no memory for the value: the next one that is */
  bool sent;       /* a oneshot's */
} end_object;

static void sender_close(void *object) {
  end_object *e = object;
  la_port_refuse(e->port, &e->waiting);
  la_port_close_sender(e->port);
}

static void receiver_close(void *object) {
  end_object *e = object;
  la_port_refuse(e->port, &e->waiting);
  la_port_close_receiver(e->port);
  if (e->kept != NULL) la_letter_unref(e->kept);
  e->kept = NULL;
}

/* What was moved of a letter that was kept: see la_thread_push_kept. */
static void receiver_closed(lua_State *L) {
  lua_pushnil(L);
  lua_setiuservalue(L, 1, 1);
}

static void end_object_end(void *object) { la_port_unref(((end_object *)object)->port); }

static const la_object_class sender_class = {"lua_async.ThreadSender", sender_close, end_object_end,
                                             NULL};
static const la_object_class receiver_class = {"lua_async.ThreadReceiver", receiver_close,
                                               end_object_end, receiver_closed};
static const la_object_class oneshot_sender_class = {"lua_async.ThreadOneshotSender", sender_close,
                                                     end_object_end, NULL};

/* Pushes an end, which counts as one more. */
static int push_end(lua_State *L, const la_object_class *cls, la_port *port,
                    void (*open)(la_port *)) {
  end_object *e = la_object_new(L, cls, sizeof *e, cls == &receiver_class ? 1 : 0);
  open(port);
  e->port = la_port_ref(port);
  la_list_init(&e->waiting);
  la_object_made(L, cls);
  return 1;
}

/* ---- send ----------------------------------------------------------------------------*/

typedef struct send_future { /* one that waits for room */
  la_future base;
  la_port_room room;
  la_parcel *parcel;
} send_future;

static send_future *send_of(la_future *f) { return la_container(f, send_future, base); }

static la_poll send_poll(la_future *f, la_context *cx) {
  return la_future_poll(&send_of(f)->room.seat.base, cx);
}

static void send_drop(la_future *f) {
  send_future *s = send_of(f);
  la_future_drop(&s->room.seat.base);
  la_parcel_drop(s->parcel);
  free(s);
}

static const la_future_vtable send_vtable = {send_poll, send_drop, "thread.channel.send", NULL};

/* Puts it, for which there is room; in any case the parcel is gone. */
static int put(lua_State *L, la_port *port, la_parcel *p) {
  int error = la_parcel_seal(p);
  if (error == 0 && la_port_put(port, &p->letter)) {
    lua_pushboolean(L, 1);
    return 1;
  }
  la_parcel_drop(p);
  if (error == 0) return la_sync_fail_pipe(L, "send");
  la_port_give_back_room(port);
  return la_fail(L, error, "send");
}

/* Sends it if there is room: how many results; 0, and the parcel is the caller's still, if not. */
static int send_now(lua_State *L, la_port *port, la_parcel *p) {
  bool moves = p->moves; /* it is the receiver's once it is sent */
  int error = moves ? 0 : la_parcel_seal(p);
  if (error != 0) {
    la_parcel_drop(p);
    return la_fail(L, error, "send");
  }
  la_port_result r = moves ? la_port_try_reserve(port) : la_port_try_send(port, &p->letter);
  if (r == LA_PORT_BUSY) return 0;
  if (r == LA_PORT_DONE && moves) return put(L, port, p);
  if (r == LA_PORT_CLOSED) la_parcel_drop(p);
  if (r == LA_PORT_CLOSED) return la_sync_fail_pipe(L, "send");
  lua_pushboolean(L, 1);
  return 1;
}

static int send_begin(lua_State *L, void *room, la_future **f) {
  (void)room;
  end_object *tx = la_object_check(L, 1, &sender_class);
  la_sync_check_value(L, 2);
  if (tx->head.closed) return la_fail_closed(L, "send");
  la_parcel *p = la_parcel_pack(L, 2, 1, "the value");
  int n = la_operation_proceed() ? send_now(L, tx->port, p) : 0;
  if (n != 0) return n;
  p = la_parcel_pack_held(L, 2, 1, "the value", p);
  send_future *s = malloc(sizeof *s);
  if (s == NULL) {
    la_parcel_drop(p);
    return la_no_memory(L);
  }
  s->base.vt = &send_vtable;
  s->parcel = p;
  la_port_room_init(&s->room, tx->port);
  la_list_push(&tx->waiting, &s->room.seat.mine);
  *f = &s->base;
  return 0;
}

static int send_finish(lua_State *L, la_future *f) {
  send_future *s = send_of(f);
  const end_object *tx = lua_touserdata(L, 1);
  if (s->room.seat.state == LA_SEAT_REFUSED)
    return tx->head.closed ? la_fail_meanwhile(L, "send") : la_sync_fail_pipe(L, "send");
  la_parcel *p = s->parcel;
  s->parcel = NULL;
  la_port_room_taken(&s->room);
  return put(L, tx->port, p);
}

static const la_operation send_operation = {"thread.channel.send", send_begin, send_finish};

static int l_send(lua_State *L) { return la_operate(L, &send_operation); }

static int try_send(lua_State *L) {
  end_object *tx = la_object_check(L, 1, &sender_class);
  la_sync_check_value(L, 2);
  if (tx->head.closed) return la_fail_closed(L, "try_send");
  la_parcel *p = la_parcel_pack(L, 2, 1, "the value");
  int n = send_now(L, tx->port, p);
  if (n != 0) return n;
  la_parcel_drop(p);
  return la_fail_again(L, "try_send");
}

/* Never waits: there is room for its one value. */
static int oneshot_send(lua_State *L) {
  end_object *tx = la_object_check(L, 1, &oneshot_sender_class);
  la_sync_check_value(L, 2);
  if (tx->sent)
    return luaL_error(L, "this oneshot was sent already: for more than one value make a channel");
  if (tx->head.closed) return la_fail_closed(L, "send");
  la_parcel *p = la_parcel_pack(L, 2, 1, "the value");
  int n = send_now(L, tx->port, p);
  if (n == 0) { /* another thread's clone of it was quicker */
    la_parcel_drop(p);
    return luaL_error(L, "this oneshot was sent already, by another thread");
  }
  if (n > 1) return n;
  tx->sent = true;
  return la_object_close(L);
}

/* ---- recv ----------------------------------------------------------------------------*/

/* Receives what is there: how many results; 0 if it had to wait. */
static int recv_now(lua_State *L, end_object *rx) {
  la_letter *letter;
  if (rx->kept != NULL) return la_thread_push_kept(L, rx->kept, &rx->kept);
  switch (la_port_try_recv(rx->port, &letter)) {
  case LA_PORT_DONE: return la_thread_push_kept(L, letter, &rx->kept);
  case LA_PORT_CLOSED: lua_pushnil(L); return 1;
  default: return 0;
  }
}

static int recv_begin(lua_State *L, void *room, la_future **f) {
  end_object *rx = la_object_check(L, 1, &receiver_class);
  if (rx->head.closed) return la_fail_closed(L, "recv");
  int n = la_operation_proceed() || rx->kept != NULL ? recv_now(L, rx) : 0;
  if (n != 0) return n;
  la_port_recv *r = room;
  la_port_recv_init(r, rx->port);
  la_list_push(&rx->waiting, &r->seat.mine);
  *f = &r->seat.base;
  return 0;
}

/* What was kept comes first, and what it was given goes back. */
static int recv_finish(lua_State *L, la_future *f) {
  la_port_recv *r = la_container(f, la_port_recv, seat.base);
  end_object *rx = lua_touserdata(L, 1);
  if (rx->kept != NULL) return la_thread_push_kept(L, rx->kept, &rx->kept);
  if (r->seat.state != LA_SEAT_REFUSED)
    return la_thread_push_kept(L, la_port_recv_taken(r), &rx->kept);
  if (rx->head.closed) return la_fail_meanwhile(L, "recv");
  lua_pushnil(L);
  return 1;
}

static const la_operation recv_operation = {"thread.channel.recv", recv_begin, recv_finish};

static int l_recv(lua_State *L) {
  if (la_operation_direct(L)) {
    end_object *rx = la_object_check(L, 1, &receiver_class);
    int n = !rx->head.closed && la_operation_proceed() ? recv_now(L, rx) : 0;
    if (n != 0) return n;
  }
  return la_operate(L, &recv_operation);
}

static int try_recv(lua_State *L) {
  end_object *rx = la_object_check(L, 1, &receiver_class);
  if (rx->head.closed) return la_fail_closed(L, "try_recv");
  int n = recv_now(L, rx);
  return n != 0 ? n : la_fail_again(L, "try_recv");
}

/* ---- recv_many -----------------------------------------------------------------------*/

static la_future *make_recv(void *end, bool more) {
  end_object *rx = end;
  la_port_recv *r = malloc(sizeof *r);
  if (r == NULL) return NULL;
  _Static_assert(offsetof(la_port_recv, seat.base) == 0, "free() takes the future");
  (more ? la_port_recv_more_init : la_port_recv_init)(r, rx->port);
  la_list_push(&rx->waiting, &r->seat.mine);
  return &r->seat.base;
}

static bool recv_granted(const la_future *f) {
  return ((const la_port_recv *)(const void *)f)->seat.state == LA_SEAT_GRANTED;
}

static const la_batch_kind recv_kind = {make_recv, recv_granted};

/* No more than the channel holds: those who send wait for room. */
static int recv_many_begin(lua_State *L, void *room, la_future **f) {
  (void)room;
  end_object *rx = la_object_check(L, 1, &receiver_class);
  uint64_t wait;
  uint32_t max = la_sync_check_many(L, &wait), capacity = la_port_capacity(rx->port);
  if (rx->head.closed) return la_fail_closed(L, "recv_many");
  la_batch *b = la_batch_new(&recv_kind, rx, max < capacity ? max : capacity, wait, la_rt->ex);
  if (b == NULL) return la_no_memory(L);
  *f = &b->base;
  return 0;
}

/* What was kept comes first. Behind a value that cannot be had now the list ends, and the
** next reception tells why. */
static int recv_many_finish(lua_State *L, la_future *f) {
  la_batch *b = la_batch_of(f);
  end_object *rx = lua_touserdata(L, 1);
  if (rx->kept != NULL || b->held != 0) {
    lua_createtable(L, (int)b->held, 0);
    la_letter *first = rx->kept != NULL ? rx->kept : NULL;
    size_t i = 0;
    if (first == NULL) first = la_port_recv_taken((la_port_recv *)(void *)b->futures[i++]);
    la_thread_push_kept(L, first, &rx->kept);
    lua_rawseti(L, -2, 1);
    for (lua_Integer n = 2; i < b->held; n++) {
      la_letter *letter = la_port_recv_taken((la_port_recv *)(void *)b->futures[i++]);
      if (!la_thread_push_or_keep(L, letter, &rx->kept)) break;
      lua_rawseti(L, -2, n);
    }
    return 1;
  }
  if (rx->head.closed) return la_fail_meanwhile(L, "recv_many");
  if (b->made == 0) return la_no_memory(L);
  lua_pushnil(L);
  return 1;
}

static const la_operation recv_many_operation = {"thread.channel.recv_many", recv_many_begin,
                                                 recv_many_finish};

static int recv_many(lua_State *L) { return la_operate(L, &recv_many_operation); }

static int receiver_len(lua_State *L) {
  end_object *rx = la_object_check(L, 1, &receiver_class);
  lua_pushinteger(L, (lua_Integer)la_port_count(rx->port));
  return 1;
}

/* ---- more of them ----------------------------------------------------------------------*/

static int clone_sender(lua_State *L) {
  end_object *tx = la_object_check(L, 1, &sender_class);
  if (tx->head.closed) return la_fail_closed(L, "clone");
  return push_end(L, &sender_class, tx->port, la_port_open_sender);
}

static int clone_receiver(lua_State *L) {
  end_object *rx = la_object_check(L, 1, &receiver_class);
  if (rx->head.closed) return la_fail_closed(L, "clone");
  return push_end(L, &receiver_class, rx->port, la_port_open_receiver);
}

/* On its way, an end is a reference to the port, and counted there. */
static void *give(void *ud, void (*open)(la_port *), int *error) {
  end_object *e = ud;
  *error = e->head.closed ? UV_EBADF : 0;
  if (*error != 0) return NULL;
  open(e->port);
  return la_port_ref(e->port);
}

static void *give_sender(void *ud, int *error) { return give(ud, la_port_open_sender, error); }
static void *give_receiver(void *ud, int *error) { return give(ud, la_port_open_receiver, error); }
static void take_sender(lua_State *L, void *port) {
  (void)push_end(L, &sender_class, port, la_port_open_sender);
}
static void take_receiver(lua_State *L, void *port) {
  (void)push_end(L, &receiver_class, port, la_port_open_receiver);
}
static void drop_sender(void *port) {
  la_port_close_sender(port);
  la_port_unref(port);
}
static void drop_receiver(void *port) {
  la_port_close_receiver(port);
  la_port_unref(port);
}

/* A oneshot's sender is moved, since there is one value. */
static void gone_oneshot(void *ud) {
  end_object *e = ud;
  e->head.closed = true;
  sender_close(e);
}
static void take_oneshot(lua_State *L, void *port) {
  (void)push_end(L, &oneshot_sender_class, port, la_port_open_sender);
  drop_sender(port);
}

static const la_sendable sendable_sender = {give_sender, NULL, take_sender, drop_sender, NULL};
static const la_sendable sendable_receiver = {give_receiver, NULL, take_receiver, drop_receiver,
                                              NULL};
static const la_sendable sendable_oneshot = {give_sender, gone_oneshot, take_oneshot, drop_sender,
                                             NULL};

/* ---- making ----------------------------------------------------------------------------*/

static int push_channel(lua_State *L, uint32_t capacity, const la_object_class *sender) {
  end_object *tx = la_object_new(L, sender, sizeof *tx, 0);
  end_object *rx = la_object_new(L, &receiver_class, sizeof *rx, 1);
  la_port *port = la_port_new(capacity);
  if (port == NULL) return la_no_memory(L);
  tx->port = port;
  rx->port = la_port_ref(port);
  la_list_init(&tx->waiting);
  la_list_init(&rx->waiting);
  la_object_made(L, &receiver_class);
  lua_insert(L, -2);
  la_object_made(L, sender);
  lua_insert(L, -2);
  return 2;
}

static int channel(lua_State *L) {
  bool unbounded = lua_type(L, 1) == LUA_TNUMBER && lua_tonumber(L, 1) == HUGE_VAL;
  return push_channel(L, unbounded ? LA_PORT_UNBOUNDED : la_sync_check_count(L, 1, 1),
                      &sender_class);
}

static int oneshot(lua_State *L) { return push_channel(L, 1, &oneshot_sender_class); }

void la_open_thread_channel(lua_State *L) {
  static const luaL_Reg sender[] = {{"send", l_send},
                                    {"try_send", try_send},
                                    {"clone", clone_sender},
                                    {NULL, NULL}};
  static const luaL_Reg oneshot_sender[] = {{"send", oneshot_send}, {NULL, NULL}};
  static const luaL_Reg receiver[] = {{"recv", l_recv},
                                      {"try_recv", try_recv},
                                      {"recv_many", recv_many},
                                      {"clone", clone_receiver},
                                      {NULL, NULL}};
  static const luaL_Reg receiver_meta[] = {{"__call", l_recv},
                                           {"__len", receiver_len},
                                           {NULL, NULL}};
  static const luaL_Reg functions[] = {{"channel", channel}, {"oneshot", oneshot}, {NULL, NULL}};
  static const la_operation_entry operations[] = {{l_send, &send_operation},
                                                  {l_recv, &recv_operation},
                                                  {recv_many, &recv_many_operation},
                                                  {NULL, NULL}};
  _Static_assert(sizeof(la_port_recv) <= LA_SLOT_SIZE, "waiting needs no memory");
  la_thread_class_open(L, &sender_class, NULL, sender, &sendable_sender);
  la_thread_class_open(L, &oneshot_sender_class, NULL, oneshot_sender, &sendable_oneshot);
  la_thread_class_open(L, &receiver_class, receiver_meta, receiver, &sendable_receiver);
  la_operations_add(L, operations);
  luaL_setfuncs(L, functions, 0);
}
