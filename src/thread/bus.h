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
** thread at a time: who sends it on sends a clone, and closes it. Closing it ends its waiting
** futures, refused. When the last receiver is closed, the letters are dropped: nobody can get
** them any more.
*/
#ifndef LA_THREAD_BUS_H
#define LA_THREAD_BUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "thread/letter.h"
#include "thread/port.h"
#include "thread/seat.h"

typedef struct la_bus la_bus;
typedef struct la_bus_receiver la_bus_receiver;

/* With one sender and no receiver. `capacity` >= 1. NULL: no memory. */
la_bus *la_bus_new(uint32_t capacity);
la_bus *la_bus_ref(la_bus *b);
void la_bus_unref(la_bus *b);
void la_bus_open_sender(la_bus *b);
void la_bus_close_sender(la_bus *b);
size_t la_bus_receivers(la_bus *b);

/* Any thread that holds a reference to the bus. It holds one, too, and gets what is sent from here
 * on. NULL: no memory. */
la_bus_receiver *la_bus_subscribe(la_bus *b);
/* Another at the same position: what futures of the first have and was not taken is before it.
** NULL: no memory. */
la_bus_receiver *la_bus_receiver_clone(la_bus_receiver *r);
/* Its futures that wait are refused. Frees it, once they are gone: each holds it as well. */
void la_bus_receiver_close(la_bus_receiver *r);

/* The reference is the bus's; nobody writes to the letter any more. LA_PORT_CLOSED: there is no
** receiver, and the letter stays the caller's. */
la_port_result la_bus_send(la_bus *b, la_letter *letter);

/* DONE: a reference to the next letter, or NULL and in *missed how many were missed. BUSY: there
** is none. CLOSED: there will be none. */
la_port_result la_bus_try_recv(la_bus_receiver *r, la_letter **out, uint64_t *missed);

/* Ready: seat.state is GRANTED, and it has the next letter, or the number of those that were
** missed; or REFUSED. Dropped before it was taken, it has received nothing: what it had goes to the
** receiver's futures that were ready after it, each of which passes its own on, and the receiver
** stands one letter further back. Only when a later one was taken already it is missed. */
typedef struct la_bus_recv {
  la_seat seat; /* GRANTED: `node` is in the receiver's list, the waiting thread's alone */
  la_bus_receiver *receiver;
  la_letter *letter; /* a reference; NULL: `missed` were missed */
  uint64_t missed;
  uint64_t from, to; /* the letters that these are, by number */
} la_bus_recv;

void la_bus_recv_init(la_bus_recv *f, la_bus_receiver *r);

/* After GRANTED: the letter, the caller's now, or NULL: f->missed were missed. */
la_letter *la_bus_recv_taken(la_bus_recv *f);

#endif
