/* random.h - splitmix64 (S. Vigna, after G. L. Steele et al., "Fast splittable pseudorandom
** number generators", OOPSLA 2014): for choices that shall favour nobody, not for secrets. */
#ifndef LA_CORE_RANDOM_H
#define LA_CORE_RANDOM_H

#include <stdint.h>

typedef struct la_random {
  uint64_t state; /* the seed, to begin with */
} la_random;

static inline uint64_t la_random_next(la_random *r) {
  uint64_t z = (r->state += UINT64_C(0x9e3779b97f4a7c15));
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}

/* Below n > 0; n is small beside 2^64, so the bias of the remainder is none to speak of. */
static inline uint64_t la_random_below(la_random *r, uint64_t n) { return la_random_next(r) % n; }

#endif
