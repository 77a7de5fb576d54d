#include "thread/port.h"

#include <stdlib.h>

/* What there is of something, and who waits for it. `free` != 0: nobody is in line. */
typedef struct gate {
  uint32_t free; /* nobody was granted it */
  uint32_t held; /* granted, and not used or given back */
  la_list line;
} gate;

/* free and held of both gates sum up to the capacity; those of `mail` to the letters. */
struct la_port {
  pthread_mutex_t mutex;
  gate room, mail;
  la_letter *first, **last; /* all letters, also those that were granted */
  uint32_t senders, receivers, capacity;
  atomic_uint refs;
};

la_port *la_port_new(uint32_t capacity) {
  la_port *p = malloc(sizeof *p);
  if (p == NULL) return NULL;
  *p = (la_port){.room = {.free = capacity}, .senders = 1, .receivers = 1, .capacity = capacity};
  la_list_init(&p->room.line);
  la_list_init(&p->mail.line);
  p->last = &p->first;
  atomic_init(&p->refs, 1);
  if (la_seat_mutex_init(&p->mutex)) return p;
  free(p);
  return NULL;
}

la_port *la_port_ref(la_port *p) {
  atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
  return p;
}

static void drop_letters(la_letter *l) {
  while (l != NULL) {
    la_letter *next = l->next;
    la_letter_unref(l);
    l = next;
  }
}

void la_port_unref(la_port *p) {
  if (atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) != 1) return;
  la_letter *left = p->first;
  pthread_mutex_destroy(&p->mutex);
  free(p);
  drop_letters(left);
}

/* ---- under the mutex ------------------------------------------------------------*/

static void lock(la_port *p) { pthread_mutex_lock(&p->mutex); }
static void unlock(la_port *p) { pthread_mutex_unlock(&p->mutex); }

/* One more is there: the first in line has it, and its waker is to be called. */
static void pass(gate *g, la_waker *waker) {
  if (la_list_empty(&g->line)) {
    g->free++;
    return;
  }
  la_seat *s = la_seat_at(g->line.head.next);
  la_seat_turn(s, LA_SEAT_GRANTED);
  g->held++;
  la_seat_take(s, waker);
}

static void append(la_port *p, la_letter *l) {
  l->next = NULL;
  *p->last = l;
  p->last = &l->next;
}

static la_letter *take_first(la_port *p) {
  la_letter *l = p->first;
  p->first = l->next;
  if (p->first == NULL) p->last = &p->first;
  l->next = NULL;
  return l;
}

/* Nothing is there, nothing will come, and nothing can be given back. */
static bool ended(const la_port *p) {
  return p->senders == 0 && p->room.held == 0 && p->mail.free == 0 && p->mail.held == 0;
}

/* Nobody can put a letter any more. */
static bool unsent(const la_port *p) { return p->senders == 0 && p->room.held == 0; }

/* Takes those that wait for more out of the line, into `out`. */
static void take_more(la_list *line, la_list *out) {
  la_list_init(out);
  la_list all;
  la_list_take(&all, line);
  for (la_node *n; (n = la_list_pop(&all)) != NULL;)
    la_list_push(la_seat_at(n)->more ? out : line, n);
}

/* Unlocks. Who waits for a letter is refused, when this was the end. */
static void unlock_ended(la_port *p) {
  if (ended(p)) {
    la_seat_wake_all(&p->mail.line, LA_SEAT_REFUSED, &p->mutex);
  } else if (unsent(p) && !la_list_empty(&p->mail.line)) {
    la_list more;
    take_more(&p->mail.line, &more);
    la_seat_wake_all(&more, LA_SEAT_REFUSED, &p->mutex);
  } else {
    unlock(p);
  }
}

/* ---- ends -------------------------------------------------------------------------*/

void la_port_open_sender(la_port *p) {
  lock(p);
  p->senders++;
  unlock(p);
}

void la_port_open_receiver(la_port *p) {
  lock(p);
  p->receivers++;
  unlock(p);
}

void la_port_close_sender(la_port *p) {
  lock(p);
  p->senders--;
  unlock_ended(p);
}

/* The letters that nobody was granted. */
static la_letter *cut(la_port *p) {
  la_letter **end = &p->first;
  for (uint32_t i = 0; i < p->mail.held; i++) end = &(*end)->next;
  la_letter *rest = *end;
  *end = NULL;
  p->last = end;
  p->room.free += p->mail.free;
  p->mail.free = 0;
  return rest;
}

void la_port_close_receiver(la_port *p) {
  lock(p);
  if (--p->receivers != 0) {
    unlock(p);
    return;
  }
  la_letter *rest = cut(p);
  la_seat_wake_all(&p->room.line, LA_SEAT_REFUSED, &p->mutex);
  lock(p);
  la_seat_wake_all(&p->mail.line, LA_SEAT_REFUSED, &p->mutex);
  drop_letters(rest);
}

void la_port_refuse(la_port *p, la_list *own) { la_seat_refuse(own, &p->mutex); }

/* ---- without waiting --------------------------------------------------------------*/

uint32_t la_port_capacity(la_port *p) { return p->capacity; }

size_t la_port_count(la_port *p) {
  lock(p);
  size_t n = p->mail.free;
  unlock(p);
  return n;
}

static la_port_result reserve(la_port *p) {
  if (p->receivers == 0) return LA_PORT_CLOSED;
  if (p->room.free == 0) return LA_PORT_BUSY;
  p->room.free--;
  p->room.held++;
  return LA_PORT_DONE;
}

/* Room is held for it. */
static void put(la_port *p, la_letter *letter, la_waker *waker) {
  p->room.held--;
  append(p, letter);
  pass(&p->mail, waker);
}

la_port_result la_port_try_reserve(la_port *p) {
  lock(p);
  la_port_result r = reserve(p);
  unlock(p);
  return r;
}

void la_port_give_back_room(la_port *p) {
  la_waker waker = {0};
  lock(p);
  p->room.held--;
  pass(&p->room, &waker);
  unlock_ended(p);
  la_seat_wake(waker);
}

bool la_port_put(la_port *p, la_letter *letter) {
  la_waker waker = {0};
  lock(p);
  bool open = p->receivers != 0;
  if (open) {
    put(p, letter, &waker);
  } else {
    p->room.held--;
    p->room.free++;
  }
  unlock_ended(p);
  la_seat_wake(waker);
  return open;
}

la_port_result la_port_try_send(la_port *p, la_letter *letter) {
  la_waker waker = {0};
  lock(p);
  la_port_result r = reserve(p);
  if (r == LA_PORT_DONE) put(p, letter, &waker);
  unlock(p);
  la_seat_wake(waker);
  return r;
}

la_port_result la_port_try_recv(la_port *p, la_letter **out) {
  la_waker waker = {0};
  la_port_result r = LA_PORT_DONE;
  lock(p);
  if (p->mail.free != 0) {
    p->mail.free--;
    *out = take_first(p);
    pass(&p->room, &waker);
  } else {
    r = p->receivers == 0 || ended(p) ? LA_PORT_CLOSED : LA_PORT_BUSY;
  }
  unlock(p);
  la_seat_wake(waker);
  return r;
}

/* ---- futures ------------------------------------------------------------------------*/

/* What is free is granted; what is not will not come if `closed`. */
static void look(la_seat *s, gate *g, bool closed) {
  if (s->state > LA_SEAT_WAITING) return;
  if (g->free != 0 && !closed) {
    g->free--;
    g->held++;
    la_seat_turn(s, LA_SEAT_GRANTED);
  } else if (closed) {
    la_seat_turn(s, LA_SEAT_REFUSED);
  }
}

static la_port_room *room_of(la_seat *s) { return la_container(s, la_port_room, seat); }
static la_port_recv *recv_of(la_seat *s) { return la_container(s, la_port_recv, seat); }

/* Room that was granted is of no use once the last receiver has gone. */
static void room_look(la_seat *s) {
  la_port *p = room_of(s)->port;
  bool closed = p->receivers == 0;
  look(s, &p->room, closed);
  if (s->state != LA_SEAT_GRANTED || !closed) return;
  s->state = LA_SEAT_REFUSED;
  p->room.held--;
  p->room.free++;
}

static la_poll room_poll(la_future *f, la_context *cx) {
  la_port *p = room_of(la_seat_of(f))->port;
  return la_seat_poll(la_seat_of(f), &p->mutex, &p->room.line, room_look, cx);
}

static void room_leave(la_seat *s, la_port *p) {
  la_waker kept, waker = {0};
  lock(p);
  bool granted = s->state == LA_SEAT_GRANTED;
  la_seat_turn(s, LA_SEAT_OVER);
  la_seat_take(s, &kept);
  if (granted) {
    p->room.held--;
    pass(&p->room, &waker);
  }
  unlock_ended(p);
  la_seat_wake(waker);
  la_seat_forget(kept);
}

static void room_drop(la_future *f) {
  la_seat *s = la_seat_of(f);
  la_port *p = room_of(s)->port;
  la_seat_disown(s);
  if (s->known) room_leave(s, p);
  la_port_unref(p);
}

static const la_future_vtable room_vtable = {room_poll, room_drop, "thread.channel.send", NULL};

void la_port_room_init(la_port_room *f, la_port *p) {
  la_seat_init(&f->seat, &room_vtable);
  f->port = la_port_ref(p);
}

/* It is in no list since it was granted, and the room stays held until the put. */
void la_port_room_taken(la_port_room *f) {
  f->seat.state = LA_SEAT_OVER;
  f->seat.known = false;
}

static void recv_look(la_seat *s) {
  la_port *p = recv_of(s)->port;
  bool none = s->more && unsent(p) && p->mail.free == 0;
  look(s, &p->mail, p->receivers == 0 || none || ended(p));
}

static la_poll recv_poll(la_future *f, la_context *cx) {
  la_port *p = recv_of(la_seat_of(f))->port;
  return la_seat_poll(la_seat_of(f), &p->mutex, &p->mail.line, recv_look, cx);
}

/* A letter that was held is another's now; nobody's, once the last receiver has gone. */
static la_letter *give_back_letter(la_port *p, la_waker *waker) {
  p->mail.held--;
  if (p->receivers != 0) {
    pass(&p->mail, waker);
    return NULL;
  }
  p->room.free++;
  return take_first(p);
}

static void recv_leave(la_seat *s, la_port *p) {
  la_waker kept, waker = {0};
  lock(p);
  la_letter *nobodys = s->state == LA_SEAT_GRANTED ? give_back_letter(p, &waker) : NULL;
  la_seat_turn(s, LA_SEAT_OVER);
  la_seat_take(s, &kept);
  unlock(p);
  la_seat_wake(waker);
  la_seat_forget(kept);
  drop_letters(nobodys);
}

static void recv_drop(la_future *f) {
  la_seat *s = la_seat_of(f);
  la_port *p = recv_of(s)->port;
  la_seat_disown(s);
  if (s->known) recv_leave(s, p);
  la_port_unref(p);
}

static const la_future_vtable recv_vtable = {recv_poll, recv_drop, "thread.channel.recv", NULL};

void la_port_recv_init(la_port_recv *f, la_port *p) {
  la_seat_init(&f->seat, &recv_vtable);
  f->port = la_port_ref(p);
}

void la_port_recv_more_init(la_port_recv *f, la_port *p) {
  la_port_recv_init(f, p);
  f->seat.more = true;
}

la_letter *la_port_recv_taken(la_port_recv *f) {
  la_port *p = f->port;
  la_waker waker = {0};
  lock(p);
  p->mail.held--;
  la_letter *letter = take_first(p);
  pass(&p->room, &waker);
  f->seat.state = LA_SEAT_OVER;
  f->seat.known = false;
  unlock_ended(p);
  la_seat_wake(waker);
  return letter;
}
