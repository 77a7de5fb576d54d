/*
** port.h - a bounded queue of letters between any threads.
**
** One mutex; the letters in a list, so that nothing is allocated after la_port_new. Who finds
** no room, or no letter, waits in line, first come, first served, and is granted room, or a
** letter, before it is woken: nobody who comes in between takes it. A send or receive that is
** dropped passes on what it was granted: its room to the next sender, its letter to the next
** receiver. So one that was dropped has sent, or received, nothing.
**
** Granted is a letter, not this one: which it is, is settled when it is taken. So letters are
** taken in the order in which they were put, whoever gives up or is slow.
**
** A sender is granted room first and puts its letter afterwards (la_port_put), on its own
** thread: what a letter takes away from its sender is taken when nothing can fail any more.
**
** Ends: each port starts with one sender and one receiver. When the last sender is closed,
** receivers get what is there, and are refused then (who waits while room is granted to
** a sender, or the last letters to other receivers, waits on: they may come, or come back). When
** the last receiver is closed, senders are refused, also who was granted room and has not put,
** and receivers that wait; letters that nobody was granted are dropped. Who was granted one may
** still take it. None opens again after the last. An end is closed by whoever opened it;
** la_port_refuse ends what waits for one handle of several.
**
** A port is counted: la_port_ref and la_port_unref from any thread, the last one frees it.
** Futures hold a reference. All functions may be called on any thread; a future stays on its
** own. No function blocks but for the mutex; no waker is called, and no letter dropped,
** under it.
*/
#ifndef LA_THREAD_PORT_H
#define LA_THREAD_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "thread/letter.h"
#include "thread/seat.h"

/* As capacity: no limit but this number. */
#define LA_PORT_UNBOUNDED UINT32_MAX

typedef struct la_port la_port;

typedef enum la_port_result {
  LA_PORT_DONE,
  LA_PORT_BUSY,  /* full, or empty: it would have to wait */
  LA_PORT_CLOSED /* no receiver is left, or no letter and no sender */
} la_port_result;

/* `capacity` >= 1. NULL: no memory. */
la_port *la_port_new(uint32_t capacity);
la_port *la_port_ref(la_port *p);
void la_port_unref(la_port *p);

/* One more sender or receiver, while there is one, and one less. */
void la_port_open_sender(la_port *p);
void la_port_open_receiver(la_port *p);
void la_port_close_sender(la_port *p);
void la_port_close_receiver(la_port *p);

/* The futures that wait and are in this list (seat.mine), a handle's own, are refused; those that
** were granted something keep it. For the close of a handle, before the close of its end. */
void la_port_refuse(la_port *p, la_list *own);

/* As given to la_port_new. */
uint32_t la_port_capacity(la_port *p);

/* Letters that are there and nobody was granted. */
size_t la_port_count(la_port *p);

/* Room for one letter, to be put or given back. Refused while senders are in line. */
la_port_result la_port_try_reserve(la_port *p);
void la_port_give_back_room(la_port *p);

/* The letter is the port's; room for it was granted. False: the last receiver has gone since,
** and the letter is the caller's still (the room is given back). */
bool la_port_put(la_port *p, la_letter *letter);

/* la_port_try_reserve and la_port_put in one. */
la_port_result la_port_try_send(la_port *p, la_letter *letter);

/* Not while receivers are in line. */
la_port_result la_port_try_recv(la_port *p, la_letter **out);

/* ---- futures ------------------------------------------------------------------*/

/* Ready: seat.state is GRANTED, and la_port_room_taken makes the room the caller's, to be put
** into or given back; or REFUSED. */
typedef struct la_port_room {
  la_seat seat;
  la_port *port;
} la_port_room;

void la_port_room_init(la_port_room *f, la_port *p);
void la_port_room_taken(la_port_room *f);

/* Ready: seat.state is GRANTED, and la_port_recv_taken makes the letter the caller's; or REFUSED.
 */
typedef struct la_port_recv {
  la_seat seat;
  la_port *port;
} la_port_recv;

void la_port_recv_init(la_port_recv *f, la_port *p);

/* The same for one of a batch, others of which were granted letters: it is refused once no sender
** is left, though a letter might be given back. */
void la_port_recv_more_init(la_port_recv *f, la_port *p);
la_letter *la_port_recv_taken(la_port_recv *f);

#endif
