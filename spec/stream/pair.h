/* pair.h - what the tests of connected streams share: a pair, and reads that must be ready. */
#ifndef LA_TEST_PAIR_H
#define LA_TEST_PAIR_H

#include "spec/driver/reactor_rig.h"

#include "net/tcp.h"
#include "stream/stream.h"

/* ---- pairs ------------------------------------------------------------------------*/

/* A stream of ours, and its peer as a plain blocking socket. */
static inline la_uv_stream *pair(int *peer) {
  int fd[2];
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
  la_uv_stream *s = la_tcp_kind.make(R);
  assert_int_equal(la_tcp_kind.open(s, fd[0]), 0);
  *peer = fd[1];
  return s;
}

static inline la_reader *line_reader(la_uv_stream *s) {
  la_reader_line(&s->reader, SIZE_MAX);
  return &s->reader;
}

static inline void expect_span(la_reader *rd, const char *text) {
  size_t len;
  const char *p = la_reader_span(rd, &len);
  assert_int_equal(rd->status, 0);
  assert_int_equal(len, strlen(text));
  assert_memory_equal(p, text, len);
  la_reader_take(rd);
}

static inline void read_line(la_uv_stream *s, const char *text) {
  run(R, &line_reader(s)->base);
  expect_span(&s->reader, text);
  la_future_drop(&s->reader.base);
}

#endif
