/*
** clock.c - preloaded: a wall clock that jumps by a year, forth or back, at every look.
** The monotonic clock is the real one.
*/
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { YEAR = 31556952 };

static time_t jump(void) {
  static _Atomic unsigned looks;
  unsigned n = looks++;
  return (time_t)YEAR * (n % 2 == 0 ? 1 + n % 7 : -(time_t)(n % 5));
}

int clock_gettime(clockid_t id, struct timespec *t) {
  int r =
      (int)syscall(SYS_clock_gettime, id, t); /* dlsym allocates, and allocators look at clocks */
  if (r == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) t->tv_sec += jump();
  return r;
}

int gettimeofday(struct timeval *t, void *zone) {
  struct timespec now;
  (void)zone;
  clock_gettime(CLOCK_REALTIME, &now);
  t->tv_sec = now.tv_sec;
  t->tv_usec = now.tv_nsec / 1000;
  return 0;
}

time_t time(time_t *out) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (out != NULL) *out = now.tv_sec;
  return now.tv_sec;
}
