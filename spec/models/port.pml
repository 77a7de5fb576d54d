/*
** The port: room granted, then put; letters granted, then taken; dropped in any state; both ends.
**
**   atomic        what port.c does under its mutex
**   poll_room, poll_letter   la_seat_poll (seat.c) with room_look, recv_look
**   pass_room, pass_mail     pass, whose waker is called after the mutex
**   leave_room, leave_mail   room_drop, recv_drop
**   put, take     la_port_put, la_port_recv_taken
**   refuse        la_seat_wake_all: a list of its own, and between two batches (here of one seat)
**                 the mutex is free, so that seats leave that list, too
**   woken         the wakers of seats: their tasks poll again
**
** (By hand: two of each, LETTERS 1, ODD 2, is 28 million states, and three quarters of a minute.)
**
** SENDERS tasks send LETTERS each through a port of CAPACITY, RECEIVERS receive until refused.
** Each may drop any future and make a new one; receivers may close before the end. A letter that
** was put is received once, or dropped once because all receivers have closed.
** shape: -DSENDERS=1 -DRECEIVERS=2 -DLETTERS=2 -DODD=2
** shape: -DSENDERS=2 -DRECEIVERS=1 -DLETTERS=1 -DODD=2
*/
#ifndef CAPACITY
#define CAPACITY 1
#endif
#ifndef SENDERS
#define SENDERS 2
#endif
#ifndef RECEIVERS
#define RECEIVERS 2
#endif
#ifndef LETTERS
#define LETTERS 1
#endif
#ifndef ODD
#define ODD 2
#endif
#define SEATS (SENDERS + RECEIVERS)
#define NONE 255

mtype = { NEW, WAITING, GRANTED, REFUSED, OVER };

byte room_free = CAPACITY, room_held, mail_free, mail_held;
chan room_line = [SENDERS] of { byte };
chan mail_line = [RECEIVERS] of { byte };
chan letters = [CAPACITY] of { byte };
chan chosen[SEATS] = [SEATS] of { byte };
byte senders = SENDERS, receivers = RECEIVERS;

mtype state[SEATS];
bool has_waker[SEATS], woken[SEATS];

byte next_put[SENDERS], next_got[SENDERS]; /* letters of each, so far: they are taken in order */
byte dropped;
bool left_early; /* a receiver */

byte odd = ODD; /* so often somebody gives something up, or closes before it is done */

hidden byte x, k; /* of one atomic step */
hidden byte granted;

#ifdef BROKEN_THE_END_IGNORES_ROOM
#define ENDED (senders == 0 && mail_free == 0 && mail_held == 0)
#else
#define ENDED (senders == 0 && room_held == 0 && mail_free == 0 && mail_held == 0)
#endif
#define SETTLED(s) (state[s] != NEW && state[s] != WAITING)

#define INVARIANTS                                                                                 \
  assert(room_free + room_held + mail_free + mail_held == CAPACITY);                               \
  assert(mail_free + mail_held == len(letters));                                                   \
  assert(mail_free == 0 || empty(mail_line));                                                      \
  assert(receivers == 0 || room_free == 0 || empty(room_line))

inline waker_out(s, w) {
  if :: has_waker[s] -> has_waker[s] = false; w = s :: else fi
}

inline wake(w) {
  if :: w != NONE -> woken[w] = true; w = NONE :: else fi
}

inline turn(line, s, to) {
  if
  :: line??[eval(s)] -> line??eval(s)
  :: else
  fi;
#ifndef BROKEN_A_DROP_LEAVES_ITS_SEAT_IN_THE_BATCH
  for (k : 0 .. SEATS - 1) {
    if :: chosen[k]??[eval(s)] -> chosen[k]??eval(s) :: else fi
  }
#endif
  state[s] = to
}

inline pass_room(w) {
  if
  :: room_line?x -> state[x] = GRANTED; room_held++; waker_out(x, w)
  :: empty(room_line) -> room_free++
  fi
}

inline pass_mail(w) {
  if
  :: mail_line?x -> state[x] = GRANTED; mail_held++; waker_out(x, w)
  :: empty(mail_line) -> mail_free++
  fi
}

inline choose(line) {
  do :: line?x -> chosen[me]!x :: empty(line) -> break od
}
inline choose_ended() {
  if :: ENDED -> choose(mail_line) :: else fi
}

inline refuse() {
  do
  :: atomic {
      chosen[me]?x ->
      assert(state[x] == WAITING);
      state[x] = REFUSED;
      waker_out(x, w)
    };
    wake(w)
  :: atomic { empty(chosen[me]) -> break }
  od
}

inline sit(line) {
  if
  :: SETTLED(me) -> has_waker[me] = false
  :: else ->
    has_waker[me] = true;
    if :: state[me] == NEW -> state[me] = WAITING; line!me :: else fi
  fi
}

inline poll_room() {
  atomic {
    woken[me] = false;
    if
    :: !SETTLED(me) && receivers == 0 -> turn(room_line, me, REFUSED)
    :: !SETTLED(me) && receivers != 0 && room_free != 0 ->
      room_free--;
      room_held++;
      turn(room_line, me, GRANTED)
    :: state[me] == GRANTED && receivers == 0 ->
      state[me] = REFUSED;
      room_held--;
      room_free++
    :: else
    fi;
    sit(room_line);
    INVARIANTS
  }
}

inline poll_letter() {
  atomic {
    woken[me] = false;
    if
    :: !SETTLED(me) && (receivers == 0 || ENDED) -> turn(mail_line, me, REFUSED)
    :: !SETTLED(me) && !(receivers == 0 || ENDED) && mail_free != 0 ->
      mail_free--;
      mail_held++;
      turn(mail_line, me, GRANTED)
    :: else
    fi;
    sit(mail_line);
    INVARIANTS
  }
}

inline give_back_room() {
  room_held--;
  pass_room(w);
}

inline leave_room() {
  atomic {
    granted = state[me] == GRANTED;
    turn(room_line, me, OVER);
    has_waker[me] = false;
    if
#ifndef BROKEN_A_DROP_KEEPS_ITS_ROOM
    :: granted -> give_back_room()
#endif
    :: else
    fi;
    v = w;
    w = NONE;
    choose_ended()
  }
  refuse();
  wake(v)
}

inline leave_mail() {
  atomic {
    if
    :: state[me] == GRANTED && receivers != 0 ->
#ifndef BROKEN_A_DROP_KEEPS_ITS_LETTER
      mail_held--;
      pass_mail(w)
#endif
    :: state[me] == GRANTED && receivers == 0 ->
      mail_held--;
      room_free++;
      letters?x;
      dropped++
    :: else
    fi;
    turn(mail_line, me, OVER);
    has_waker[me] = false
  }
  wake(w)
}

inline put() {
  atomic {
    room_held--;
    if
    :: receivers != 0 ->
      letters!me;
      next_put[me]++;
      pass_mail(w)
    :: else -> room_free++
    fi;
    INVARIANTS
  }
  wake(w)
}

inline take() {
  atomic {
    mail_held--;
    letters?x;
    next_got[x]++;
    assert(next_got[x] <= next_put[x]);
    pass_room(w);
    state[me] = OVER;
    v = w;
    w = NONE;
#ifndef BROKEN_THE_LAST_LETTER_ENDS_NOBODY
    choose_ended();
#endif
    INVARIANTS
  }
  refuse();
  wake(v)
}

inline close_sender() {
  atomic { senders--; choose_ended() }
  refuse()
}

inline close_receiver() {
  atomic {
    receivers--;
    if
    :: receivers == 0 ->
      for (k : 1 .. mail_held) { letters?x; letters!x } /* those to the back ... */
      for (k : 1 .. mail_free) { letters?x; dropped++ }
      room_free = room_free + mail_free;
      mail_free = 0;
      choose(room_line)
    :: else
    fi;
    last = receivers == 0
  }
  if
  :: last ->
    refuse();
    atomic { choose(mail_line) }
    refuse()
  :: else
  fi
}

proctype sender(byte me) {
  byte w = NONE, v = NONE, n;
  bool closed;
  do
  :: n < LETTERS && !closed ->
  again:
    poll_room();
    if
    :: state[me] == GRANTED ->
      if
      :: state[me] = OVER; n++; put(); state[me] = NEW
      :: atomic { odd > 0 -> odd-- } leave_room(); state[me] = NEW
      :: atomic { odd > 0 -> odd-- } state[me] = OVER;
        atomic { give_back_room(); v = w; w = NONE; choose_ended() }
        refuse();
        wake(v);
        state[me] = NEW
      fi
    :: state[me] == REFUSED -> break
    :: else ->
      if
      :: skip; woken[me]; goto again
      :: atomic { odd > 0 -> odd-- } leave_room(); state[me] = NEW
      :: atomic { odd > 0 && !closed -> odd--; closed = true } close_sender(); goto again
      fi
    fi
  :: n == LETTERS -> break
  :: closed -> break
  od;
  if :: !closed -> close_sender() :: else fi
}

proctype receiver(byte me) {
  byte w = NONE, v = NONE;
  bool closed, last;
  do
  :: skip ->
  again:
    poll_letter();
    if
    :: state[me] == GRANTED ->
      if
      :: take(); state[me] = NEW
      :: atomic { odd > 0 -> odd-- } leave_mail(); state[me] = NEW
      :: atomic { odd > 0 && !closed -> odd--; closed = true } left_early = true;
        close_receiver();
        if :: take() :: leave_mail() fi;
        break
      fi
    :: state[me] == REFUSED -> break
    :: else ->
      if
      :: skip; woken[me]; goto again
      :: atomic { odd > 0 -> odd-- } leave_mail(); state[me] = NEW
      :: atomic { odd > 0 && !closed -> odd--; closed = true } left_early = true;
        close_receiver();
        goto again
      fi
    fi
  :: atomic { odd > 0 -> odd-- } left_early = true; break
  od;
  if :: !closed -> close_receiver() :: else fi
}

init {
  byte i;
  atomic {
    for (i : 0 .. SEATS - 1) { state[i] = NEW }
    for (i : 0 .. SENDERS - 1) { run sender(i) }
    for (i : SENDERS .. SEATS - 1) { run receiver(i) }
  }
  _nr_pr == 1;
  INVARIANTS;
  assert(left_early || dropped == 0);
  assert(room_held == 0 && mail_held == 0 && mail_free == 0);
  for (i : 0 .. SENDERS - 1) { dropped = dropped + next_got[i] - next_put[i] }
  assert(dropped == 0)
}
