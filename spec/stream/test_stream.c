/* Streams over real sockets: readiness, cancellation, back pressure, close. */
#include "pair.h"

#include <fcntl.h>
#include <sys/resource.h>

static void idle_connection_is_small(void **state) {
  (void)state;
  print_message("la_uv_stream %zu, uv_tcp_t %zu, la_reader %zu\n", sizeof(la_uv_stream),
                sizeof(uv_tcp_t), sizeof(la_reader));
  assert_true(sizeof(la_uv_stream) <= 216);
}

static void lines_come_whole_and_bytewise(void **state) {
  (void)state;
  int peer;
  la_uv_stream *s = pair(&peer);
  assert_int_equal(write(peer, "one\ntwo\nthr", 11), 11);
  read_line(s, "one\n");
  read_line(s, "two\n");
  la_task *t = go_once(R, &line_reader(s)->base);
  nap(R, 5);
  assert_true(s->reader.buf.cap < LA_BUFFER_SIZE); /* half a line holds no large buffer */
  assert_int_equal(write(peer, "e", 1), 1);
  nap(R, 5);
  assert_int_equal(write(peer, "e\nrest", 6), 6);
  finish(R, t);
  expect_span(&s->reader, "three\n");
  close(peer);
  read_line(s, "rest");
  run(R, &line_reader(s)->base);
  assert_int_equal(s->reader.status, UV_EOF);
  assert_null(s->reader.buf.data);
  la_uv_stream_unref(s);
}

static void a_cancelled_read_loses_nothing(void **state) {
  (void)state;
  int peer;
  la_uv_stream *s = pair(&peer);
  for (int i = 0; i < 3; i++) {
    la_task *t = go_once(R, &line_reader(s)->base);
    assert_int_equal(write(peer, "ab", 2), 2);
    if (i > 0) nap(R, 3);
    stop(R, t);
    la_future_drop(&s->reader.base);
  }
  assert_int_equal(write(peer, "\n", 1), 1);
  read_line(s, "ababab\n");
  close(peer);
  la_uv_stream_unref(s);
}

static void unread_bytes_do_not_spin(void **state) {
  (void)state;
  int peer;
  la_uv_stream *s = pair(&peer);
  stop(R, go_once(R, &line_reader(s)->base));
  la_future_drop(&s->reader.base);
  assert_int_equal(write(peer, "x", 1), 1);
  nap(R, 20);
  assert_false(uv_is_active((uv_handle_t *)la_uv_stream_uv(s)));
  assert_int_equal(write(peer, "y\n", 2), 2);
  read_line(s, "xy\n");
  close(peer);
  la_uv_stream_unref(s);
}

static void exact_until_some_all_number(void **state) {
  (void)state;
  int peer;
  la_uv_stream *s = pair(&peer);
  la_reader *rd = &s->reader;
  const char *sent = "12345 END--rest 0x1Fp+2, 7abc";
  assert_int_equal(write(peer, sent, strlen(sent)), (ssize_t)strlen(sent));
  la_reader_exact(rd, 5);
  run(R, &rd->base);
  expect_span(rd, "12345");
  la_reader_until(rd, "--", 2, 100);
  run(R, &rd->base);
  expect_span(rd, " END--");
  la_reader_some(rd, 4);
  run(R, &rd->base);
  expect_span(rd, "rest");
  la_reader_number(rd);
  run(R, &rd->base);
  expect_span(rd, "0x1Fp+2");
  la_reader_until(rd, "#", 1, 3);
  run(R, &rd->base);
  assert_int_equal(rd->status, UV_ENOBUFS);
  la_reader_some(rd, 1);
  run(R, &rd->base);
  expect_span(rd, ",");
  la_reader_number(rd);
  run(R, &rd->base);
  expect_span(rd, "7");
  la_reader_exact(rd, 10);
  la_task *t = go_once(R, &rd->base);
  close(peer);
  finish(R, t);
  assert_int_equal(rd->status, UV_EOF);
  la_reader_all(rd, SIZE_MAX);
  run(R, &rd->base);
  expect_span(rd, "abc");
  la_reader_all(rd, SIZE_MAX);
  run(R, &rd->base);
  expect_span(rd, "");
  la_uv_stream_unref(s);
}

static void numbers_as_liolib(void **state) {
  (void)state;
  static const char *const cases[][3] = {
      {"  -12.5e3x", "-12.5e3", "x"},
      {"+.5 ", "+.5", " "},
      {"0x", "0x", ""},
      {"1e+", "1e+", ""},
      {"nan", "", "nan"},
      {"--1", "-", "-1"},
      {"0X.8p1z", "0X.8p1", "z"},
      {"\n\t 42\n", "42", "\n"},
      {"00012", "00012", ""},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    int peer;
    la_uv_stream *s = pair(&peer);
    la_reader_number(&s->reader);
    la_task *t = go_once(R, &s->reader.base);
    for (const char *p = cases[i][0]; *p != '\0'; p++) {
      assert_int_equal(write(peer, p, 1), 1);
      nap(R, 1);
    }
    close(peer);
    finish(R, t);
    expect_span(&s->reader, cases[i][1]);
    la_reader_all(&s->reader, SIZE_MAX);
    run(R, &s->reader.base);
    expect_span(&s->reader, cases[i][2]);
    la_uv_stream_unref(s);
  }
}

static void close_ends_a_pending_read(void **state) {
  (void)state;
  int peer;
  la_uv_stream *s = pair(&peer);
  la_task *t = go_once(R, &line_reader(s)->base);
  la_uv_stream_close(s);
  la_uv_stream_close(s);
  finish(R, t);
  assert_int_equal(s->reader.status, UV_ECANCELED);
  run(R, &line_reader(s)->base);
  assert_int_equal(s->reader.status, UV_EBADF);
  char c;
  assert_int_equal(read(peer, &c, 1), 0);
  close(peer);
  la_uv_stream_unref(s);
}

/* ---- writing ----------------------------------------------------------------------*/

enum { BIG = 4 << 20 };

static char *pattern(void) {
  char *data = malloc(BIG);
  for (size_t i = 0; i < BIG; i++) data[i] = (char)(i * 2654435761u >> 13);
  return data;
}

/* What the peer has read, byte for byte. */
static void drain(int peer, const char *data, size_t *at, size_t upto) {
  static char buf[65536];
  while (*at < upto) {
    look(R);
    ssize_t n = recv(peer, buf, sizeof buf, MSG_DONTWAIT);
    if (n < 0) continue;
    assert_true(n > 0);
    assert_memory_equal(buf, data + *at, (size_t)n);
    *at += (size_t)n;
  }
}

static void a_blocked_write_cancelled_and_continued_is_exact(void **state) {
  (void)state;
  int peer;
  la_uv_stream *s = pair(&peer);
  char *data = pattern();
  size_t sent = 0, seen = 0;
  for (int round = 0; sent < BIG; round++) {
    la_writer w;
    la_writer_init(&w, la_uv_stream_class.vt, s, data + sent, BIG - sent);
    la_task *t = go_once(R, &w.base);
    nap(R, 1);
    if (round % 3 == 1) drain(peer, data, &seen, sent + w.done);
    nap(R, round % 2);
    stop(R, t);
    la_future_drop(&w.base);
    assert_int_equal(w.status, 0);
    sent += w.done;
    if (round % 4 == 0) drain(peer, data, &seen, sent);
  }
  drain(peer, data, &seen, BIG);
  char c;
  assert_int_equal(recv(peer, &c, 1, MSG_DONTWAIT), -1);
  free(data);
  close(peer);
  la_uv_stream_unref(s);
}

static void close_ends_a_blocked_write(void **state) {
  (void)state;
  int peer;
  la_uv_stream *s = pair(&peer);
  char *data = pattern();
  la_writer w;
  la_writer_init(&w, la_uv_stream_class.vt, s, data, BIG);
  la_task *t = go_once(R, &w.base);
  nap(R, 2);
  assert_true(w.done < BIG);
  la_uv_stream_close(s);
  finish(R, t);
  assert_int_equal(w.status, UV_ECANCELED);
  la_future_drop(&w.base);
  la_writer_init(&w, la_uv_stream_class.vt, s, data, BIG);
  run(R, &w.base);
  assert_int_equal(w.status, UV_EBADF);
  la_future_drop(&w.base);
  free(data);
  close(peer);
  la_uv_stream_unref(s);
}

static void a_peer_that_goes_is_an_error(void **state) {
  (void)state;
  int peer;
  la_uv_stream *s = pair(&peer);
  char *data = pattern();
  la_writer w;
  la_writer_init(&w, la_uv_stream_class.vt, s, data, BIG);
  la_task *t = go_once(R, &w.base);
  nap(R, 2);
  close(peer);
  finish(R, t);
  assert_true(w.status == UV_EPIPE || w.status == UV_ECONNRESET);
  la_future_drop(&w.base);
  free(data);
  la_uv_stream_unref(s);
}

/* poll_shutdown as a future. */
typedef struct ending {
  la_future base;
  la_stream stream;
  int status;
} ending;

static la_poll ending_poll(la_future *f, la_context *cx) {
  ending *e = (ending *)(void *)f;
  return la_stream_poll_shutdown(e->stream, cx, &e->status);
}

static void ending_drop(la_future *f) { la_stream_forget_write(((ending *)(void *)f)->stream); }

static const la_future_vtable ending_vtable = {ending_poll, ending_drop, "shutdown", NULL};

static void shutdown_waits_for_the_carried_byte(void **state) {
  (void)state;
  int peer;
  la_uv_stream *s = pair(&peer);
  char *data = pattern();
  la_writer w;
  la_writer_init(&w, la_uv_stream_class.vt, s, data, BIG);
  stop(R, go_once(R, &w.base));
  la_future_drop(&w.base);
  ending sd = {{&ending_vtable}, {s, la_uv_stream_class.vt}, -1};
  la_task *t = go_once(R, &sd.base);
  size_t seen = 0;
  drain(peer, data, &seen, w.done);
  finish(R, t);
  assert_int_equal(sd.status, 0);
  la_future_drop(&sd.base);
  char c;
  assert_int_equal(read(peer, &c, 1), 0);
  assert_int_equal(write(peer, "half\n", 5), 5);
  read_line(s, "half\n");
  free(data);
  close(peer);
  la_uv_stream_unref(s);
}

static void an_always_full_socket_takes_budget(void **state) {
  (void)state;
  int peer;
  la_uv_stream *s = pair(&peer);
  char block[4096] = {0};
  while (send(peer, block, sizeof block, MSG_DONTWAIT) > 0) {
  }
  la_reader_some(&s->reader, 10);
  stop(R, go_once(R, &s->reader.base));
  la_future_drop(&s->reader.base);
  nap(R, 2);
  unsigned budget = 2;
  la_context cx = {&la_waker_noop, &budget};
  for (int i = 0; i < 2; i++) {
    la_reader_some(&s->reader, 10);
    assert_int_equal(la_future_poll(&s->reader.base, &cx), LA_READY);
    la_reader_take(&s->reader);
  }
  la_reader_some(&s->reader, 10);
  assert_int_equal(la_future_poll(&s->reader.base, &cx), LA_PENDING);
  close(peer);
  la_uv_stream_unref(s);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(idle_connection_is_small),
      TEST(lines_come_whole_and_bytewise),
      TEST(a_cancelled_read_loses_nothing),
      TEST(unread_bytes_do_not_spin),
      TEST(exact_until_some_all_number),
      TEST(numbers_as_liolib),
      TEST(close_ends_a_pending_read),
      TEST(a_blocked_write_cancelled_and_continued_is_exact),
      TEST(close_ends_a_blocked_write),
      TEST(a_peer_that_goes_is_an_error),
      TEST(shutdown_waits_for_the_carried_byte),
      TEST(an_always_full_socket_takes_budget),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
