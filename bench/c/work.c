/* Floors for bench/threads.lua: work N: libuv work requests, one after another; work64 N: 64 at
** once; memcpy N: copies of 1 MiB, into memory that is there. Prints CPU nanoseconds for each. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uv.h>

static long left;

static void nothing(uv_work_t *w) { (void)w; }
static void again(uv_work_t *w, int status) {
  (void)status;
  if (--left > 0) uv_queue_work(w->loop, w, nothing, again);
}

static void work(long n, int at_once) {
  static uv_work_t requests[64];
  uv_loop_t *loop = uv_default_loop();
  left = n;
  for (int i = 0; i < at_once; i++) uv_queue_work(loop, &requests[i], nothing, again);
  uv_run(loop, UV_RUN_DEFAULT);
}

static void copy(long n) {
  enum { SIZE = 1 << 20 };
  char *a = malloc(SIZE), *b = malloc(SIZE);
  memset(a, 1, SIZE);
  memset(b, 2, SIZE);
  for (long i = 0; i < n; i++) {
    memcpy(i % 2 ? a : b, i % 2 ? b : a, SIZE);
    __asm__ volatile("" ::: "memory");
  }
  free(a);
  free(b);
}

int main(int argc, char **argv) {
  if (argc != 3) return 1;
  long n = atol(argv[2]);
  clock_t begin = clock();
  if (strcmp(argv[1], "memcpy") == 0)
    copy(n);
  else
    work(n, strcmp(argv[1], "work64") == 0 ? 64 : 1);
  printf("%.1f\n", (double)(clock() - begin) / CLOCKS_PER_SEC / (double)n * 1e9);
  return 0;
}
