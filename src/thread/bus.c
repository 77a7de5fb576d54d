#include "thread/bus.h"

#include <stdlib.h>

/* Letter i, from 0, is in the ring while it is one of the newest `kept`. */
struct la_bus {
  pthread_mutex_t mutex;
  uint64_t sent; /* letters so far */
  uint32_t capacity, kept;
  uint32_t slot; /* of the next letter */
  uint32_t senders, receivers;
  la_list line; /* of all receivers */
  atomic_uint refs;
  la_letter *ring[];
};

/* Of its thread, but for `closed`, which is under the mutex. */
struct la_bus_receiver {
  la_bus *bus;
  uint64_t next;    /* the letter that it gets next */
  uint64_t skipped; /* letters given back behind one that was taken: missed, and to be told */
  la_list own;      /* la_bus_recv, all that are left until it is closed */
  la_list held;     /* la_bus_recv, GRANTED and not taken, in the order of their letters */
  bool closed;
  atomic_uint refs;
};

la_bus *la_bus_new(uint32_t capacity) {
  la_bus *b = calloc(1, sizeof *b + (size_t)capacity * sizeof *b->ring);
  if (b == NULL) return NULL;
  b->capacity = capacity;
  b->senders = 1;
  la_list_init(&b->line);
  atomic_init(&b->refs, 1);
  if (la_seat_mutex_init(&b->mutex)) return b;
  free(b);
  return NULL;
}

la_bus *la_bus_ref(la_bus *b) {
  atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
  return b;
}

static void lock(la_bus *b) { pthread_mutex_lock(&b->mutex); }
static void unlock(la_bus *b) { pthread_mutex_unlock(&b->mutex); }

/* Where letter `sent - back` is. */
static la_letter **slot_back(la_bus *b, uint32_t back) {
  return &b->ring[b->slot >= back ? b->slot - back : b->slot + b->capacity - back];
}

/* Drops the letters, some at a time, while nobody is there who could get them. */
static void clear(la_bus *b) {
  enum { SOME = 16 };
  la_letter *out[SOME];
  unsigned n;
  do {
    lock(b);
    for (n = 0; n < SOME && b->kept != 0 && b->receivers == 0; n++)
      out[n] = *slot_back(b, b->kept--);
    unlock(b);
    for (unsigned i = 0; i < n; i++) la_letter_unref(out[i]);
  } while (n == SOME);
}

void la_bus_unref(la_bus *b) {
  if (atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) != 1) return;
  clear(b);
  pthread_mutex_destroy(&b->mutex);
  free(b);
}

/* ---- ends -------------------------------------------------------------------------*/

void la_bus_open_sender(la_bus *b) {
  lock(b);
  b->senders++;
  unlock(b);
}

/* Whoever is woken looks again. */
void la_bus_close_sender(la_bus *b) {
  lock(b);
  if (--b->senders == 0)
    la_seat_wake_all(&b->line, LA_SEAT_NEW, &b->mutex);
  else
    unlock(b);
}

size_t la_bus_receivers(la_bus *b) {
  lock(b);
  size_t n = b->receivers;
  unlock(b);
  return n;
}

static la_bus_receiver *receiver_new(la_bus *b) {
  la_bus_receiver *r = malloc(sizeof *r);
  if (r == NULL) return NULL;
  *r = (la_bus_receiver){.bus = la_bus_ref(b)};
  la_list_init(&r->own);
  la_list_init(&r->held);
  atomic_init(&r->refs, 1);
  lock(b);
  b->receivers++;
  r->next = b->sent;
  unlock(b);
  return r;
}

static la_bus_recv *recv_of(la_seat *s) { return la_container(s, la_bus_recv, seat); }

la_bus_receiver *la_bus_subscribe(la_bus *b) { return receiver_new(b); }

la_bus_receiver *la_bus_receiver_clone(la_bus_receiver *r) {
  la_bus_receiver *other = receiver_new(r->bus);
  if (other == NULL) return NULL;
  bool none = la_list_empty(&r->held);
  other->next = none ? r->next : recv_of(la_seat_at(r->held.head.next))->from;
  other->skipped = r->skipped;
  return other;
}

static void receiver_unref(la_bus_receiver *r) {
  if (atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) != 1) return;
  la_bus_unref(r->bus);
  free(r);
}

void la_bus_receiver_close(la_bus_receiver *r) {
  la_bus *b = r->bus;
  lock(b);
  r->closed = true;
  bool last = --b->receivers == 0;
  unlock(b);
  la_seat_refuse(&r->own, &b->mutex);
  if (last) clear(b);
  receiver_unref(r);
}

/* ---- letters ----------------------------------------------------------------------*/

la_port_result la_bus_send(la_bus *b, la_letter *letter) {
  lock(b);
  if (b->receivers == 0) {
    unlock(b);
    return LA_PORT_CLOSED;
  }
  bool full = b->kept == b->capacity;
  la_letter *old = full ? b->ring[b->slot] : NULL;
  b->ring[b->slot] = letter;
  b->slot = b->slot + 1 == b->capacity ? 0 : b->slot + 1;
  b->sent++;
  if (!full) b->kept++;
  la_seat_wake_all(&b->line, LA_SEAT_NEW, &b->mutex);
  if (old != NULL) la_letter_unref(old);
  return LA_PORT_DONE;
}

/* Under the mutex. DONE: the receiver goes on by what is in `f` now. */
static la_port_result receive(la_bus_receiver *r, la_bus_recv *f) {
  la_bus *b = r->bus;
  if (r->closed) return LA_PORT_CLOSED;
  uint64_t behind = b->sent - r->next;
  if (behind == 0 && r->skipped == 0) return b->senders == 0 ? LA_PORT_CLOSED : LA_PORT_BUSY;
  f->from = r->next;
  f->missed = behind > b->kept ? behind - b->kept : 0;
  r->next += f->missed;
  f->missed += r->skipped;
  r->skipped = 0;
  f->letter = NULL;
  if (f->missed == 0) f->letter = la_letter_ref(*slot_back(b, (uint32_t)(b->sent - r->next++)));
  f->to = r->next;
  return LA_PORT_DONE;
}

la_port_result la_bus_try_recv(la_bus_receiver *r, la_letter **out, uint64_t *missed) {
  la_bus_recv got;
  lock(r->bus);
  la_port_result result = receive(r, &got);
  unlock(r->bus);
  if (result != LA_PORT_DONE) return result;
  *out = got.letter;
  *missed = got.missed;
  return LA_PORT_DONE;
}

/* ---- the future ---------------------------------------------------------------------*/

static void recv_look(la_seat *s) {
  if (s->state > LA_SEAT_WAITING) return;
  la_bus_receiver *r = recv_of(s)->receiver;
  la_port_result result = receive(r, recv_of(s));
  if (result == LA_PORT_BUSY) return;
  la_seat_turn(s, result == LA_PORT_DONE ? LA_SEAT_GRANTED : LA_SEAT_REFUSED);
  if (result == LA_PORT_DONE) la_list_push(&r->held, &s->node);
}

static la_poll recv_poll(la_future *f, la_context *cx) {
  la_seat *s = la_seat_of(f);
  la_bus *b = recv_of(s)->receiver->bus;
  return la_seat_poll(s, &b->mutex, &b->line, recv_look, cx);
}

/* `to` has what `from` had. */
static void hand_on(la_bus_recv *to, const la_bus_recv *from) {
  to->letter = from->letter;
  to->missed = from->missed;
  to->from = from->from;
  to->to = from->to;
}

/* Each later one has what was before it, so that the one which nobody has is the last. */
static void give_back(la_bus_recv *f) {
  la_bus_receiver *r = f->receiver;
  la_bus_recv free = *f;
  for (la_node *n = f->seat.node.next; n != &r->held.head; n = n->next) {
    la_bus_recv *later = recv_of(la_seat_at(n));
    la_bus_recv own = *later;
    hand_on(later, &free);
    hand_on(&free, &own);
  }
  if (free.letter != NULL) la_letter_unref(free.letter);
  uint64_t span = free.to - free.from;
  if (free.missed != 0) r->skipped += free.missed - span;
  if (r->next == free.to)
    r->next = free.from;
  else
    r->skipped += span;
}

/* What was granted is in a list of this thread, and not under the mutex. */
static void recv_drop(la_future *f) {
  la_seat *s = la_seat_of(f);
  la_bus_receiver *r = recv_of(s)->receiver;
  la_seat_disown(s);
  if (s->known) la_seat_leave(s, &r->bus->mutex);
  if (s->state == LA_SEAT_GRANTED) {
    give_back(recv_of(s));
    la_node_unlink(&s->node);
  }
  receiver_unref(r);
}

static const la_future_vtable recv_vtable = {recv_poll, recv_drop, "thread.broadcast.recv", NULL};

void la_bus_recv_init(la_bus_recv *f, la_bus_receiver *r) {
  la_seat_init(&f->seat, &recv_vtable);
  la_list_push(&r->own, &f->seat.mine);
  f->receiver = r;
  f->letter = NULL;
  f->missed = f->from = f->to = 0;
  atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
}

la_letter *la_bus_recv_taken(la_bus_recv *f) {
  la_node_unlink(&f->seat.node);
  f->seat.state = LA_SEAT_OVER;
  f->seat.known = false;
  return f->letter;
}
