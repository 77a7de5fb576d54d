/*
** async.sync.channel and oneshot.
**
** A channel is a userdata of its own, seen by nobody; senders and receivers have it as a user
** value, and beside it the table that is the ring of values, which is thus one step away. A
** oneshot is a channel for one value, whose sender closes with it.
*/
#include <math.h>
#include <stdlib.h>

#include "sync/batch.h"
#include "sync/channel.h"
#include "sync/l_sync.h"

typedef struct channel_object {
  la_object head;
  la_channel c;
} channel_object;

typedef struct end_object { /* a sender or a receiver */
  la_object head;
  la_channel *c;
  bool sent; /* a oneshot's */
} end_object;

enum { UV_RING = 1, UV_CHANNEL, RING_FIRST = 4 };

static void no_close(void *object) { (void)object; }
static void channel_end(void *object) { la_channel_end(&((channel_object *)object)->c); }

static void sender_close(void *object) {
  la_channel_close_sender(((end_object *)object)->c, object);
}

static void receiver_close(void *object) {
  la_channel_close_receiver(((end_object *)object)->c, object);
}

static void let_go(lua_State *L);

static const la_object_class channel_class = {"lua_async.Channel", no_close, channel_end};
static const la_object_class sender_class = {"lua_async.Sender", sender_close, NULL};
static const la_object_class receiver_class = {"lua_async.Receiver", receiver_close, NULL, let_go};
static const la_object_class oneshot_sender_class = {"lua_async.OneshotSender", sender_close, NULL};

/* ---- the ring ------------------------------------------------------------------------*/

static inline void push_ring(lua_State *L) { lua_getiuservalue(L, 1, UV_RING); }

/* Twice the slots. They are filled with `false` in order, so that the table has them in its
** array; then the part of the ring up to the old end goes to the new end. Raises for want of
** memory, at the first of them if at all, with everything as it was. */
static void grow(lua_State *L, la_channel *c) {
  uint32_t size = c->size == 0 ? RING_FIRST : c->size * 2;
  if (c->capacity != 0 && size > c->capacity) size = c->capacity;
  push_ring(L);
  for (uint32_t i = c->size; i < size; i++) {
    lua_pushboolean(L, 0);
    lua_rawseti(L, -2, i + 1);
  }
  uint32_t by = size - c->size;
  for (uint32_t i = c->size; c->head != 0 && i > c->head; i--) {
    lua_rawgeti(L, -1, i);
    lua_rawseti(L, -2, i + by);
    lua_pushboolean(L, 0);
    lua_rawseti(L, -2, i);
  }
  if (c->head != 0) c->head += by;
  c->size = size;
  lua_pop(L, 1);
}

/* Puts the value at index 2, for which space has been acquired and a slot is free. */
static inline int put(lua_State *L, la_channel *c) {
  push_ring(L);
  lua_pushvalue(L, 2);
  lua_rawseti(L, -2, la_channel_slot(c) + 1);
  la_channel_put(c);
  lua_pushboolean(L, 1);
  return 1;
}

/* Pushes the oldest value, and forgets it if that frees anything. */
static inline int take(lua_State *L, la_channel *c) {
  push_ring(L);
  uint32_t slot = la_channel_take(c) + 1;
  if (lua_rawgeti(L, -1, slot) >= LUA_TSTRING) {
    lua_pushboolean(L, 0);
    lua_rawseti(L, -3, slot);
  }
  return 1;
}

/* Once the last receiver has closed: the values that nobody can receive any more. */
static void let_go(lua_State *L) {
  la_channel *c = ((end_object *)lua_touserdata(L, 1))->c;
  if (c->receivers != 0) return;
  push_ring(L);
  for (; c->count > 0; c->count--) {
    lua_pushboolean(L, 0);
    lua_rawseti(L, -2, c->head + 1);
    c->head = c->head + 1 == c->size ? 0 : c->head + 1;
  }
  lua_pop(L, 1);
}

/* ---- send ----------------------------------------------------------------------------*/

/* Why nothing can be sent, pushed; 0 when it can. */
static inline int refuse_send(lua_State *L, const end_object *tx) {
  if (tx->head.closed) return la_fail_closed(L, "send");
  return tx->c->receivers == 0 ? la_sync_fail_pipe(L, "send") : 0;
}

/* Sends what can be sent at once; 0 when it has to wait. */
static inline int send_now(lua_State *L, la_channel *c) {
  if (!la_semaphore_can(&c->space, 1)) return 0;
  if (la_channel_full(c)) grow(L, c);
  if (!la_operation_proceed()) return 0;
  c->space.permits--;
  return put(L, c);
}

static int send_begin(lua_State *L, void *room, la_future **f) {
  end_object *tx = la_object_check(L, 1, &sender_class);
  la_sync_check_value(L, 2);
  int n = refuse_send(L, tx);
  if (n == 0) n = send_now(L, tx->c);
  if (n != 0) return n;
  la_channel_send_init(room, tx->c, tx);
  *f = &((la_acquire *)room)->q.base;
  return 0;
}

static int send_finish(lua_State *L, la_future *f) {
  la_acquire *a = la_acquire_of(f);
  end_object *tx = lua_touserdata(L, 1);
  if (tx->c->receivers == 0) return la_sync_fail_pipe(L, "send");
  if (tx->head.closed) return la_fail_meanwhile(L, "send");
  if (la_channel_full(tx->c)) grow(L, tx->c);
  la_acquire_take(a);
  return put(L, tx->c);
}

static const la_operation send_operation = {"channel.send", send_begin, send_finish};

static int l_send(lua_State *L) {
  if (la_operation_direct(L)) {
    end_object *tx = la_object_check(L, 1, &sender_class);
    la_sync_check_value(L, 2);
    int n = !tx->head.closed && tx->c->receivers != 0 ? send_now(L, tx->c) : 0;
    if (n != 0) return n;
  }
  return la_operate(L, &send_operation);
}

static int try_send(lua_State *L) {
  end_object *tx = la_object_check(L, 1, &sender_class);
  la_sync_check_value(L, 2);
  int n = refuse_send(L, tx);
  if (n != 0) return n;
  if (la_semaphore_can(&tx->c->space, 1) && la_channel_full(tx->c)) grow(L, tx->c);
  if (!la_semaphore_try(&tx->c->space, 1)) return la_fail_again(L, "try_send");
  return put(L, tx->c);
}

/* ---- recv ----------------------------------------------------------------------------*/

/* Receives what is there; 0 when it has to wait. */
static inline int recv_now(lua_State *L, la_channel *c) {
  if (!la_semaphore_can(&c->items, 1) || !la_operation_proceed()) return 0;
  c->items.permits--;
  return take(L, c);
}

static int recv_begin(lua_State *L, void *room, la_future **f) {
  end_object *rx = la_object_check(L, 1, &receiver_class);
  if (rx->head.closed) return la_fail_closed(L, "recv");
  int n = recv_now(L, rx->c);
  if (n != 0) return n;
  la_channel_recv_init(room, rx->c, rx);
  *f = &((la_acquire *)room)->q.base;
  return 0;
}

static int recv_finish(lua_State *L, la_future *f) {
  const end_object *rx = lua_touserdata(L, 1);
  if (rx->head.closed) return la_fail_meanwhile(L, "recv");
  if (la_acquire_take(la_acquire_of(f))) return take(L, rx->c);
  lua_pushnil(L);
  return 1;
}

static const la_operation recv_operation = {"channel.recv", recv_begin, recv_finish};

static int l_recv(lua_State *L) {
  if (la_operation_direct(L)) {
    end_object *rx = la_object_check(L, 1, &receiver_class);
    int n = rx->head.closed ? 0 : recv_now(L, rx->c);
    if (n != 0) return n;
  }
  return la_operate(L, &recv_operation);
}

static int try_recv(lua_State *L) {
  end_object *rx = la_object_check(L, 1, &receiver_class);
  if (rx->head.closed) return la_fail_closed(L, "try_recv");
  if (la_semaphore_try(&rx->c->items, 1)) return take(L, rx->c);
  if (rx->c->senders != 0 || rx->c->count != 0) return la_fail_again(L, "try_recv");
  lua_pushnil(L);
  return 1;
}

/* ---- recv_many -----------------------------------------------------------------------*/

static la_future *make_recv(void *end, bool more) {
  end_object *rx = end;
  la_acquire *a = malloc(sizeof *a);
  if (a == NULL) return NULL;
  _Static_assert(offsetof(la_acquire, q.base) == 0, "free() takes the future");
  (more ? la_channel_recv_more_init : la_channel_recv_init)(a, rx->c, rx);
  return (la_future *)(void *)a;
}

static bool recv_granted(const la_future *f) {
  return ((const la_acquire *)(const void *)f)->q.state == LA_QUEUED_HELD;
}

static const la_batch_kind recv_kind = {make_recv, recv_granted};

/* Takes the oldest value to the end of the list on top. */
static void take_to_list(lua_State *L, la_channel *c, lua_Integer i) {
  int list = lua_gettop(L);
  take(L, c);
  lua_rawseti(L, list, i);
  lua_settop(L, list);
}

/* What is there, if that is enough; 0: it has to wait. */
static int recv_many_now(lua_State *L, la_channel *c, uint32_t max, uint64_t wait) {
  if (!la_semaphore_can(&c->items, 1)) return 0;
  uint32_t n = c->items.permits < max ? c->items.permits : max;
  if ((n < max && wait != 0 && !la_rt->ex->trying) || !la_operation_may_take()) return 0;
  lua_createtable(L, (int)n, 0);
  for (uint32_t i = 1; i <= n && (la_operation_proceed() || i == 1); i++) {
    c->items.permits--;
    take_to_list(L, c, i);
  }
  return 1;
}

/* No more than the channel holds: those who send wait for room. */
static int recv_many_begin(lua_State *L, void *room, la_future **f) {
  (void)room;
  end_object *rx = la_object_check(L, 1, &receiver_class);
  uint64_t wait;
  uint32_t max = la_sync_check_many(L, &wait);
  if (rx->head.closed) return la_fail_closed(L, "recv_many");
  if (rx->c->capacity != 0 && max > rx->c->capacity) max = rx->c->capacity;
  int n = recv_many_now(L, rx->c, max, wait);
  if (n != 0) return n;
  la_batch *b = la_batch_new(&recv_kind, rx, max, wait, la_rt->ex);
  if (b == NULL) return la_no_memory(L);
  *f = &b->base;
  return 0;
}

static int recv_many_finish(lua_State *L, la_future *f) {
  la_batch *b = la_batch_of(f);
  end_object *rx = lua_touserdata(L, 1);
  bool gone = rx->head.closed && (b->held == 0 || rx->c->receivers == 0); /* and its values */
  if (gone) return la_fail_meanwhile(L, "recv_many");
  if (b->made == 0) return la_no_memory(L);
  if (b->held == 0) {
    lua_pushnil(L);
    return 1;
  }
  lua_createtable(L, (int)b->held, 0);
  for (size_t i = 0; i < b->held; i++) {
    la_acquire_take(la_acquire_of(b->futures[i]));
    take_to_list(L, rx->c, (lua_Integer)i + 1);
  }
  return 1;
}

static const la_operation recv_many_operation = {"channel.recv_many", recv_many_begin,
                                                 recv_many_finish};

static int recv_many(lua_State *L) { return la_operate(L, &recv_many_operation); }

/* ---- making --------------------------------------------------------------------------*/

/* Pushes another end of the channel at index `channel`, whose ring is next to it. */
static void push_end(lua_State *L, int channel, const la_object_class *cls) {
  end_object *e = la_object_new(L, cls, sizeof *e, 2);
  e->c = &((channel_object *)lua_touserdata(L, channel))->c;
  lua_pushvalue(L, channel);
  lua_setiuservalue(L, -2, UV_CHANNEL);
  lua_pushvalue(L, channel + 1);
  lua_setiuservalue(L, -2, UV_RING);
  la_object_made(L, cls);
}

/* Pushes a channel and its two ends. */
static int push_channel(lua_State *L, uint32_t capacity, const la_object_class *sender) {
  channel_object *o = la_object_new(L, &channel_class, sizeof *o, 0);
  la_channel_init(&o->c, capacity);
  la_object_made(L, &channel_class);
  int channel = lua_gettop(L);
  lua_newtable(L);
  push_end(L, channel, sender);
  push_end(L, channel, &receiver_class);
  return 2;
}

static int channel(lua_State *L) {
  bool unbounded = lua_type(L, 1) == LUA_TNUMBER && lua_tonumber(L, 1) == HUGE_VAL;
  uint32_t capacity = unbounded ? LA_CHANNEL_UNBOUNDED : la_sync_check_count(L, 1, 0);
  return push_channel(L, capacity, &sender_class);
}

static int oneshot(lua_State *L) { return push_channel(L, 1, &oneshot_sender_class); }

static int push_clone(lua_State *L, const la_object_class *cls, uint32_t *count, bool closed) {
  if (closed) return la_fail_closed(L, "clone");
  lua_settop(L, 1);
  lua_getiuservalue(L, 1, UV_CHANNEL);
  push_ring(L);
  push_end(L, 2, cls);
  ++*count;
  return 1;
}

static int clone_sender(lua_State *L) {
  end_object *tx = la_object_check(L, 1, &sender_class);
  return push_clone(L, &sender_class, &tx->c->senders, tx->head.closed);
}

static int clone_receiver(lua_State *L) {
  end_object *rx = la_object_check(L, 1, &receiver_class);
  return push_clone(L, &receiver_class, &rx->c->receivers, rx->head.closed);
}

static int receiver_len(lua_State *L) {
  end_object *rx = la_object_check(L, 1, &receiver_class);
  lua_pushinteger(L, rx->c->count);
  return 1;
}

/* Never waits: there is space for its one value. */
static int oneshot_send(lua_State *L) {
  end_object *tx = la_object_check(L, 1, &oneshot_sender_class);
  la_channel *c = tx->c;
  la_sync_check_value(L, 2);
  if (tx->sent)
    return luaL_error(L, "this oneshot was sent already: for more than one value make a channel");
  int n = refuse_send(L, tx);
  if (n != 0) return n;
  if (la_channel_full(c)) grow(L, c);
  la_semaphore_try(&c->space, 1);
  put(L, c);
  tx->sent = true;
  return la_object_close(L);
}

/* ---- the module ----------------------------------------------------------------------*/

void la_open_channel(lua_State *L) {
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
  static const luaL_Reg none[] = {{NULL, NULL}};
  static const luaL_Reg functions[] = {{"channel", channel}, {"oneshot", oneshot}, {NULL, NULL}};
  static const la_operation_entry operations[] = {{l_send, &send_operation},
                                                  {l_recv, &recv_operation},
                                                  {recv_many, &recv_many_operation},
                                                  {NULL, NULL}};
  _Static_assert(sizeof(la_acquire) <= LA_SLOT_SIZE, "waiting needs no memory");
  la_object_class_open(L, &channel_class, NULL, none);
  la_object_class_open(L, &sender_class, NULL, sender);
  la_object_class_open(L, &oneshot_sender_class, NULL, oneshot_sender);
  la_object_class_open(L, &receiver_class, receiver_meta, receiver);
  la_operations_add(L, operations);
  luaL_setfuncs(L, functions, 0);
}
