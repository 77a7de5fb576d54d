#include "thread/cell.h"

#include <stdlib.h>

struct la_cell {
  pthread_mutex_t mutex;
  la_letter *letter;
  uint64_t version;
  uint32_t senders, receivers;
  la_list line;
  atomic_uint refs;
};

la_cell *la_cell_new(la_letter *letter) {
  la_cell *c = malloc(sizeof *c);
  if (c == NULL) return NULL;
  *c = (la_cell){.letter = letter, .version = 1, .senders = 1, .receivers = 1};
  la_list_init(&c->line);
  atomic_init(&c->refs, 1);
  if (la_seat_mutex_init(&c->mutex)) return c;
  free(c);
  return NULL;
}

la_cell *la_cell_ref(la_cell *c) {
  atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
  return c;
}

void la_cell_unref(la_cell *c) {
  if (atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1) return;
  if (c->letter != NULL) la_letter_unref(c->letter);
  pthread_mutex_destroy(&c->mutex);
  free(c);
}

static void lock(la_cell *c) { pthread_mutex_lock(&c->mutex); }
static void unlock(la_cell *c) { pthread_mutex_unlock(&c->mutex); }

/* ---- ends -------------------------------------------------------------------------*/

static void open_end(la_cell *c, uint32_t *which) {
  lock(c);
  ++*which;
  unlock(c);
}

void la_cell_open_sender(la_cell *c) { open_end(c, &c->senders); }
void la_cell_open_receiver(la_cell *c) { open_end(c, &c->receivers); }

/* The letter, if this was the last end of all: nobody is left to look at it. */
static la_letter *close_end(la_cell *c, uint32_t *which) {
  --*which;
  if (c->senders != 0 || c->receivers != 0) return NULL;
  la_letter *letter = c->letter;
  c->letter = NULL;
  return letter;
}

static void forget(la_letter *letter) {
  if (letter != NULL) la_letter_unref(letter);
}

void la_cell_close_receiver(la_cell *c) {
  lock(c);
  la_letter *letter = close_end(c, &c->receivers);
  unlock(c);
  forget(letter);
}

void la_cell_close_sender(la_cell *c) {
  lock(c);
  la_letter *letter = close_end(c, &c->senders);
  if (c->senders == 0)
    la_seat_wake_all(&c->line, LA_SEAT_NEW, &c->mutex);
  else
    unlock(c);
  forget(letter);
}

size_t la_cell_receivers(la_cell *c) {
  lock(c);
  size_t n = c->receivers;
  unlock(c);
  return n;
}

void la_cell_refuse(la_cell *c, la_list *own) { la_seat_refuse(own, &c->mutex); }

/* ---- the letter ---------------------------------------------------------------------*/

/* Whoever is woken looks again. */
void la_cell_send(la_cell *c, la_letter *letter) {
  lock(c);
  la_letter *old = c->letter;
  c->letter = letter;
  c->version++;
  la_seat_wake_all(&c->line, LA_SEAT_NEW, &c->mutex);
  la_letter_unref(old);
}

la_letter *la_cell_get(la_cell *c, uint64_t *version) {
  lock(c);
  la_letter *letter = la_letter_ref(c->letter);
  *version = c->version;
  unlock(c);
  return letter;
}

static la_port_result changed(const la_cell *c, uint64_t seen) {
  if (c->version != seen) return LA_PORT_DONE;
  return c->senders == 0 ? LA_PORT_CLOSED : LA_PORT_BUSY;
}

la_port_result la_cell_has_changed(la_cell *c, uint64_t seen) {
  lock(c);
  la_port_result r = changed(c, seen);
  unlock(c);
  return r;
}

/* ---- changed --------------------------------------------------------------------------*/

static la_cell_changed *changed_of(la_seat *s) { return la_container(s, la_cell_changed, seat); }

static void changed_look(la_seat *s) {
  if (s->state > LA_SEAT_WAITING) return;
  la_cell_changed *f = changed_of(s);
  la_port_result r = changed(f->cell, f->seen);
  if (r != LA_PORT_BUSY) la_seat_turn(s, r == LA_PORT_DONE ? LA_SEAT_GRANTED : LA_SEAT_REFUSED);
}

static la_poll changed_poll(la_future *f, la_context *cx) {
  la_seat *s = la_seat_of(f);
  la_cell *c = changed_of(s)->cell;
  return la_seat_poll(s, &c->mutex, &c->line, changed_look, cx);
}

static void changed_drop(la_future *f) {
  la_seat *s = la_seat_of(f);
  la_cell *c = changed_of(s)->cell;
  la_seat_disown(s);
  if (s->known) la_seat_leave(s, &c->mutex);
  la_cell_unref(c);
}

static const la_future_vtable changed_vtable = {changed_poll, changed_drop, "thread.watch.changed",
                                                NULL};

void la_cell_changed_init(la_cell_changed *f, la_cell *c, uint64_t seen) {
  la_seat_init(&f->seat, &changed_vtable);
  f->cell = la_cell_ref(c);
  f->seen = seen;
}
