/* port_rig.h - what the tests of the port do all the time. */
#ifndef LA_TEST_PORT_RIG_H
#define LA_TEST_PORT_RIG_H

#include "letters.h"
#include "thread/port.h"

static inline la_letter *take(la_port *p) {
  la_letter *l = NULL;
  assert_int_equal(la_port_try_recv(p, &l), LA_PORT_DONE);
  return l;
}

static inline void send(la_port *p, int number) {
  assert_int_equal(la_port_try_send(p, note_new(0, number)), LA_PORT_DONE);
}

static inline la_port_result recv_result(la_port *p) {
  la_letter *l;
  return la_port_try_recv(p, &l);
}

static inline la_port *port(uint32_t capacity) {
  la_port *p = la_port_new(capacity);
  if (p == NULL) abort();
  return p;
}

static inline la_port *full(uint32_t capacity) {
  la_port *p = port(capacity);
  for (uint32_t i = 0; i < capacity; i++) send(p, (int)i + 1);
  return p;
}

static inline void drop(la_seat *s) { la_future_drop(&s->base); }

#endif
