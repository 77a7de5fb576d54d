/*
** met.h - which objects a packer has met: pointer -> number, a hash table with open addressing.
**
** The first LA_MET_OWN need no allocation.
*/
#ifndef LA_THREAD_MET_H
#define LA_THREAD_MET_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

enum { LA_MET_OWN = 32 };

typedef struct la_met_entry {
  const void *object; /* NULL: free */
  uint32_t number;
  uint32_t upvalue; /* of the function `number`; 0: the object itself */
} la_met_entry;

typedef struct la_met {
  la_met_entry *entries;
  uint32_t size, count; /* size: a power of two */
  la_met_entry own[LA_MET_OWN];
} la_met;

/* It stays where it is. */
static inline void la_met_init(la_met *m) {
  m->entries = m->own;
  m->size = LA_MET_OWN;
  m->count = 0;
  for (int i = 0; i < LA_MET_OWN; i++) m->own[i].object = NULL;
}
static inline void la_met_end(la_met *m) {
  if (m->entries != m->own) free(m->entries);
}

static inline la_met_entry *la_met_find(const la_met *m, const void *object) {
  uint64_t h = (uint64_t)(uintptr_t)object * UINT64_C(0x9E3779B97F4A7C15); /* Fibonacci hashing */
  for (uint32_t i = (uint32_t)(h >> 32);; i++) {
    la_met_entry *e = &m->entries[i & (m->size - 1)];
    if (e->object == object || e->object == NULL) return e;
  }
}

static inline bool la_met_grow(la_met *m) {
  la_met bigger = {.size = m->size * 2};
  bigger.entries = calloc(bigger.size, sizeof *bigger.entries);
  if (bigger.entries == NULL) return false;
  for (uint32_t i = 0; i < m->size; i++)
    if (m->entries[i].object != NULL) *la_met_find(&bigger, m->entries[i].object) = m->entries[i];
  la_met_end(m);
  m->entries = bigger.entries;
  m->size = bigger.size;
  return true;
}

/* Its entry, valid until the next call; that of a new one has no object, and is to be filled in by
** la_met_set. NULL: no memory. */
static inline la_met_entry *la_met_enter(la_met *m, const void *object) {
  if (m->count * 2 >= m->size && !la_met_grow(m)) return NULL;
  return la_met_find(m, object);
}

static inline void la_met_set(la_met *m, la_met_entry *e, const void *object, uint32_t number,
                              uint32_t upvalue) {
  *e = (la_met_entry){object, number, upvalue};
  m->count++;
}

#endif
