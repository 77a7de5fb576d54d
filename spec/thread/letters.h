/* letters.h - letters that count how many of them there are, and threads with executors. */
#ifndef LA_TEST_LETTERS_H
#define LA_TEST_LETTERS_H

#include <pthread.h>
#include <stdlib.h>

#include "core/circle.h"
#include "core/executor.h"
#include "spec/core/probe.h"
#include "thread/letter.h"

typedef struct note {
  la_letter letter;
  int from, number;
} note;

static _Atomic int notes_made, notes_dropped;

static void note_drop(la_letter *l) {
  notes_dropped++;
  free(l);
}

static inline la_letter *note_new(int from, int number) {
  note *n = malloc(sizeof *n);
  assert_non_null(n);
  la_letter_init(&n->letter, note_drop);
  n->from = from;
  n->number = number;
  notes_made++;
  return &n->letter;
}

static inline const note *note_of(const la_letter *l) { return (const note *)(const void *)l; }

/* Its number; the letter goes. */
static inline int note_read(la_letter *l) {
  int number = note_of(l)->number;
  la_letter_unref(l);
  return number;
}

static inline int notes_begin(void **state) {
  (void)state;
  notes_made = notes_dropped = 0;
  return 0;
}

/* All of them are gone. */
static inline int notes_end(void **state) {
  (void)state;
  return notes_made == notes_dropped ? 0 : -1;
}

#define NOTES(f) cmocka_unit_test_setup_teardown(f, notes_begin, notes_end)

/* ---- threads ------------------------------------------------------------------*/

typedef struct crew_thread {
  pthread_t thread;
  la_executor *ex;
  int turns; /* and then it is closed; 0: it runs to its end */
  void (*spawn)(struct crew_thread *t, void *what);
  void *what;
  uint32_t seed;
} crew_thread;

static inline uint32_t crew_any(crew_thread *t, uint32_t n) {
  t->seed = t->seed * 1664525u + 1013904223u;
  return (t->seed >> 16) % n;
}

static inline void *crew_main(void *arg) {
  crew_thread *t = arg;
  la_parker parker = la_parker_thread_new();
  t->ex = la_executor_new(parker);
  t->spawn(t, t->what);
  la_circle_working(-1);
  if (t->turns == 0 && la_executor_run(t->ex, NULL) != LA_RUN_DONE) abort(); /* a lost wake */
  for (int i = 0; i < t->turns && t->ex->live_count != 0; i++) {
    uint64_t soon = la_executor_real_time(t->ex) + 1000000;
    if (!la_executor_turn(t->ex)) parker.vt->park(parker.self, soon);
  }
  la_executor_close(t->ex);
  la_parker_thread_free(parker);
  return NULL;
}

/* Until crew_join the crew is not all there, or others still send: nothing is a deadlock. */
static bool crew_forming;

static inline void crew_start(crew_thread *t, void (*spawn)(crew_thread *, void *), void *what) {
  static uint32_t seed;
  t->spawn = spawn;
  t->what = what;
  t->seed = ++seed * 7919;
  if (!crew_forming) la_circle_working(1);
  crew_forming = true;
  la_circle_working(1); /* until it has an executor that speaks for it */
  assert_int_equal(pthread_create(&t->thread, NULL, crew_main, t), 0);
}

static inline void crew_join(crew_thread *t, int n) {
  la_circle_working(-1);
  crew_forming = false;
  for (int i = 0; i < n; i++) pthread_join(t[i].thread, NULL);
}

#endif
