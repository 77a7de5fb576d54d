/*
** cell.h - the newest of the letters sent, for any thread to look at: watch between threads.
**
** One mutex, one counted letter, and the number of its version; the first is 1. A receiver is the
** version that it has seen. Ends, counts and threads as with port.h; with the last end of all
** the letter goes, so that it is looked at, and sent, by those alone that have an end open.
*/
#ifndef LA_THREAD_CELL_H
#define LA_THREAD_CELL_H

#include <stdbool.h>
#include <stdint.h>

#include "thread/letter.h"
#include "thread/port.h"
#include "thread/seat.h"

typedef struct la_cell la_cell;

/* With one sender, one receiver, and this letter, whose reference it takes. NULL: no memory, and
** the letter is the caller's. */
la_cell *la_cell_new(la_letter *letter);
la_cell *la_cell_ref(la_cell *c);
void la_cell_unref(la_cell *c);
void la_cell_open_sender(la_cell *c);
void la_cell_close_sender(la_cell *c);
void la_cell_open_receiver(la_cell *c);
void la_cell_close_receiver(la_cell *c);
size_t la_cell_receivers(la_cell *c);

/* As la_port_refuse. */
void la_cell_refuse(la_cell *c, la_list *own);

/* The letter, whose reference it takes, is the newest, whoever receives. Nobody writes to it any
** more. */
void la_cell_send(la_cell *c, la_letter *letter);

/* A reference to the newest letter, whose version goes to *version. */
la_letter *la_cell_get(la_cell *c, uint64_t *version);

/* DONE: there is a newer one than `seen`; BUSY: there is not; CLOSED: there will be none. */
la_port_result la_cell_has_changed(la_cell *c, uint64_t seen);

/* Ready: GRANTED when there is a newer version than `seen`, REFUSED when there will be none. */
typedef struct la_cell_changed {
  la_seat seat;
  la_cell *cell;
  uint64_t seen;
} la_cell_changed;

void la_cell_changed_init(la_cell_changed *f, la_cell *c, uint64_t seen);

#endif
