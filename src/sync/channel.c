#include "sync/channel.h"

void la_channel_init(la_channel *c, uint32_t capacity) {
  *c = (la_channel){.capacity = capacity, .senders = 1, .receivers = 1};
  la_semaphore_init(&c->space, capacity);
  la_semaphore_init(&c->items, 0);
}

void la_channel_end(la_channel *c) {
  la_semaphore_end(&c->space);
  la_semaphore_end(&c->items);
}

/* ---- loans --------------------------------------------------------------------*/

void la_channel_settle(la_channel *c) {
  while (c->debt != 0) {
    if (c->space.permits != 0)
      c->space.permits--;
    else if (!la_semaphore_revoke(&c->space))
      return;
    c->debt--;
  }
}

static void lend(la_channel *c) {
  if (c->debt != 0)
    c->debt--;
  else
    la_semaphore_release(&c->space, 1);
}

static void take_back(la_channel *c, uint32_t n) {
  c->debt += n;
  la_channel_settle(c);
}

/* ---- futures ------------------------------------------------------------------*/

static la_channel *channel_of_send(la_acquire *a) { return la_container(a->s, la_channel, space); }
static la_channel *channel_of_recv(la_acquire *a) { return la_container(a->s, la_channel, items); }

static void send_drop(la_future *f) {
  la_acquire *a = la_acquire_of(f);
  bool concerned = a->s != NULL && a->q.state != LA_QUEUED_REFUSED; /* else it may be gone */
  la_channel *c = concerned ? channel_of_send(a) : NULL;
  la_acquire_drop(f);
  if (c != NULL && c->debt != 0) la_channel_settle(c);
}

static const la_future_vtable send_vtable = {la_acquire_poll, send_drop, "channel.send", NULL};

void la_channel_send_init(la_acquire *a, la_channel *c, const void *sender) {
  la_acquire_init(a, &c->space, 1, sender);
  a->q.base.vt = &send_vtable;
}

static la_poll recv_poll(la_future *f, la_context *cx) {
  la_acquire *a = la_acquire_of(f);
  bool first = a->q.state == LA_QUEUED_NEW;
  la_poll r = la_acquire_poll(f, cx);
  if (first && a->q.state == LA_QUEUED_WAITING && channel_of_recv(a)->capacity == 0)
    lend(channel_of_recv(a));
  return r;
}

/* With one receiver fewer in line, whether it was this one or the one who gets its value
** instead, there is one loan too many. */
static void recv_drop(la_future *f) {
  la_acquire *a = la_acquire_of(f);
  unsigned state = a->q.state;
  la_channel *c = a->s != NULL && state != LA_QUEUED_REFUSED ? channel_of_recv(a) : NULL;
  bool fewer = state == LA_QUEUED_WAITING;
  if (c != NULL && (state == LA_QUEUED_GRANTED || state == LA_QUEUED_HELD))
    fewer = !la_list_empty(&c->items.line);
  la_acquire_drop(f);
  if (c != NULL && fewer && c->capacity == 0) take_back(c, 1);
}

static const la_future_vtable recv_vtable = {recv_poll, recv_drop, "channel.recv", NULL};

void la_channel_recv_init(la_acquire *a, la_channel *c, const void *receiver) {
  la_acquire_init(a, &c->items, 1, receiver);
  a->q.base.vt = &recv_vtable;
}

static la_poll more_poll(la_future *f, la_context *cx) {
  la_acquire *a = la_acquire_of(f);
  la_channel *c = channel_of_recv(a);
  if (a->q.state == LA_QUEUED_NEW && c->senders == 0 && !la_semaphore_can(&c->items, 1)) {
    a->q.state = LA_QUEUED_REFUSED;
    return LA_READY;
  }
  return recv_poll(f, cx);
}

static const la_future_vtable more_vtable = {more_poll, recv_drop, "channel.recv_many", NULL};

void la_channel_recv_more_init(la_acquire *a, la_channel *c, const void *receiver) {
  la_acquire_init(a, &c->items, 1, receiver);
  a->q.base.vt = &more_vtable;
}

/* ---- ends ---------------------------------------------------------------------*/

void la_channel_close_sender(la_channel *c, const void *sender) {
  la_semaphore_refuse(&c->space, sender);
  if (--c->senders != 0) return;
  if (c->count == 0)
    la_semaphore_close(&c->items);
  else
    la_semaphore_refuse_kind(&c->items, &more_vtable);
}

void la_channel_close_receiver(la_channel *c, const void *receiver) {
  unsigned refused = la_semaphore_refuse(&c->items, receiver);
  if (c->capacity == 0) take_back(c, refused);
  if (--c->receivers == 0) la_semaphore_close(&c->space);
}
