/*
** bus.h - each letter to every receiver that was there when it was sent: broadcast between
** threads.
**
** One mutex; the newest `capacity` letters in a ring, each counted once for the ring. A receiver
** is a position in it. One that is so slow that its next letter was overwritten is told how many
** it has missed, and goes on with the oldest that there is. Senders never wait. When the last
** sender is closed, receivers get what is there and are refused then.
**
** Counted as a port is, and for all threads as a port is. A la_bus_receiver belongs to one
** thread at a time (who sends it on stops using it); closing it ends its waiting futures, refused.
*/
#ifndef LA_SHARE_BUS_H
#define LA_SHARE_BUS_H

#include <stdbool.h>

#include "share/letter.h"
#include "share/port.h"
#include "share/seat.h"

typedef struct la_bus la_bus;
typedef struct la_bus_receiver la_bus_receiver;

/* With one sender and no receiver. `capacity` >= 1. NULL: no memory. */
la_bus *la_bus_new(uint32_t capacity);
la_bus *la_bus_ref(la_bus *b);
void la_bus_unref(la_bus *b);
void la_bus_open_sender(la_bus *b);
void la_bus_close_sender(la_bus *b);
size_t la_bus_receivers(la_bus *b);

/* It holds a reference to the bus, and gets what is sent from here on. NULL: no memory. */
la_bus_receiver *la_bus_subscribe(la_bus *b);
/* Another at the same position. NULL: no memory. */
la_bus_receiver *la_bus_receiver_clone(la_bus_receiver *r);
/* Closes and frees it, once its futures are gone: each holds it as well. */
void la_bus_receiver_close(la_bus_receiver *r);

/* The reference is the bus's. LA_PORT_CLOSED: there is no receiver, and the letter stays the
** caller's. */
la_port_result la_bus_send(la_bus *b, la_letter *letter);

/* A reference to the next letter; or NULL, with LA_PORT_DONE, and how many were missed in
** *missed, which counts from the next one on. */
la_port_result la_bus_try_recv(la_bus_receiver *r, la_letter **out, uint64_t *missed);

/* Ready: state is GRANTED, and `letter`, a reference that the future owns until
** la_bus_recv_taken, or `missed`, is there; or REFUSED. Dropped before it was taken, it has
** received nothing: the receiver stands where it stood. */
typedef struct la_bus_recv {
  la_seat seat;
  la_bus_receiver *receiver;
  la_letter *letter;
  uint64_t missed;
} la_bus_recv;

void la_bus_recv_init(la_bus_recv *f, la_bus_receiver *r);
la_letter *la_bus_recv_taken(la_bus_recv *f);

#endif
