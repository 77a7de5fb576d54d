#include "thread/seat.h"

/* Wakers that leave the mutex at once. */
enum { BATCH = 16 };

la_waker la_seat_keep(const la_waker *w) {
  la_task *t = la_waker_task(w);
  return t != NULL ? la_task_clone_peer(t) : la_waker_clone(w);
}

/* What la_seat_keep has made of `w` is another kind of waker, of the same task. */
static bool wakes(const la_seat *s, const la_waker *w) {
  if (s->waker.vt == NULL) return false;
  la_task *t = la_waker_task(w);
  return t != NULL ? la_waker_task(&s->waker) == t : la_waker_will_wake(&s->waker, w);
}

/* False: it has no waker for that, and `kept` is none either. What it does not need of the two
** is left in `kept`. */
static bool sit(la_seat *s, la_list *line, la_waker *kept, const la_waker *w) {
  bool has = wakes(s, w);
  if (!has && kept->vt == NULL) return false;
  if (!has) {
    la_waker old = s->waker;
    s->waker = *kept;
    *kept = old;
  }
  if (s->state == LA_SEAT_NEW) {
    s->state = LA_SEAT_WAITING;
    la_list_push(line, &s->node);
  }
  return true;
}

static bool settled(const la_seat *s) { return s->state >= LA_SEAT_GRANTED; }

la_poll la_seat_poll(la_seat *s, pthread_mutex_t *mutex, la_list *line, void (*look)(la_seat *s),
                     la_context *cx) {
  la_waker kept = {0}, old = {0};
  s->known = true;
  pthread_mutex_lock(mutex);
  look(s);
  while (!settled(s) && !sit(s, line, &kept, cx->waker)) {
    pthread_mutex_unlock(mutex);
    kept = la_seat_keep(cx->waker);
    pthread_mutex_lock(mutex);
    look(s);
  }
  bool ready = settled(s);
  if (ready) la_seat_take(s, &old);
  pthread_mutex_unlock(mutex);
  la_seat_forget(old);
  la_seat_forget(kept);
  return ready && la_budget_take(cx) ? LA_READY : LA_PENDING;
}

void la_seat_leave(la_seat *s, pthread_mutex_t *mutex) {
  la_waker kept;
  pthread_mutex_lock(mutex);
  if (s->state == LA_SEAT_WAITING) la_seat_turn(s, LA_SEAT_NEW);
  la_seat_take(s, &kept);
  pthread_mutex_unlock(mutex);
  la_seat_forget(kept);
}

static void wake(const la_waker *wakers, unsigned n) {
  for (unsigned i = 0; i < n; i++) la_seat_wake(wakers[i]);
}

/* Who is dropped meanwhile leaves `chosen` under the mutex, as it would the line. */
void la_seat_wake_all(la_list *line, la_seat_state state, pthread_mutex_t *mutex) {
  la_list chosen;
  la_list_take(&chosen, line);
  bool more = !la_list_empty(&chosen);
  while (more) {
    la_waker wakers[BATCH];
    unsigned n = 0;
    for (; n < BATCH && !la_list_empty(&chosen); n++) {
      la_seat *s = la_seat_at(chosen.head.next);
      la_seat_turn(s, state);
      la_seat_take(s, &wakers[n]);
    }
    more = !la_list_empty(&chosen);
    pthread_mutex_unlock(mutex);
    wake(wakers, n);
    if (!more) return;
    pthread_mutex_lock(mutex);
    more = !la_list_empty(&chosen);
  }
  pthread_mutex_unlock(mutex);
}

void la_seat_refuse(la_list *own, pthread_mutex_t *mutex) {
  while (!la_list_empty(own)) {
    la_waker wakers[BATCH];
    unsigned n = 0;
    pthread_mutex_lock(mutex);
    for (la_node *node; n < BATCH && (node = la_list_pop(own)) != NULL;) {
      la_seat *s = la_container(node, la_seat, mine);
      if (s->state != LA_SEAT_WAITING) continue;
      la_seat_turn(s, LA_SEAT_REFUSED);
      la_seat_take(s, &wakers[n++]);
    }
    pthread_mutex_unlock(mutex);
    wake(wakers, n);
  }
}

bool la_seat_mutex_init(pthread_mutex_t *mutex) {
#ifdef PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP
  pthread_mutexattr_t attr;
  if (pthread_mutexattr_init(&attr) != 0) return false;
  pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ADAPTIVE_NP);
  int err = pthread_mutex_init(mutex, &attr);
  pthread_mutexattr_destroy(&attr);
  return err == 0;
#else
  return pthread_mutex_init(mutex, NULL) == 0;
#endif
}
