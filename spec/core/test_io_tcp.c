/* Streams over real sockets: readiness, cancellation, back pressure, close; accept and
** connect. */
#include "test_io.h"

#include <fcntl.h>
#include <sys/resource.h>

#include "io/connect.h"
#include "io/dns.h"
#include "io/listener.h"

/* ---- pairs ------------------------------------------------------------------------*/

/* A stream of ours, and its peer as a plain blocking socket. */
static la_stream *pair(int *peer) {
  int fd[2];
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
  la_stream *s = la_tcp_new(R);
  assert_int_equal(la_tcp_open(s, fd[0]), 0);
  *peer = fd[1];
  return s;
}

static la_reader *line_reader(la_stream *s) {
  la_reader_line(&s->reader, SIZE_MAX);
  return &s->reader;
}

static void expect_span(la_reader *rd, const char *text) {
  size_t len;
  const char *p = la_reader_span(rd, &len);
  assert_int_equal(rd->status, 0);
  assert_int_equal(len, strlen(text));
  assert_memory_equal(p, text, len);
  la_reader_take(rd);
}

static void read_line(la_stream *s, const char *text) {
  run(R, &line_reader(s)->base);
  expect_span(&s->reader, text);
  la_future_drop(&s->reader.base);
}

static void idle_connection_is_small(void **state) {
  (void)state;
  print_message("la_stream %zu, uv_tcp_t %zu, la_reader %zu\n", sizeof(la_stream),
                sizeof(uv_tcp_t), sizeof(la_reader));
  assert_true(sizeof(la_stream) <= 200);
}

static void lines_come_whole_and_bytewise(void **state) {
  (void)state;
  int peer;
  la_stream *s = pair(&peer);
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
  la_stream_unref(s);
}

static void a_cancelled_read_loses_nothing(void **state) {
  (void)state;
  int peer;
  la_stream *s = pair(&peer);
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
  la_stream_unref(s);
}

static void unread_bytes_do_not_spin(void **state) {
  (void)state;
  int peer;
  la_stream *s = pair(&peer);
  stop(R, go_once(R, &line_reader(s)->base));
  la_future_drop(&s->reader.base);
  assert_int_equal(write(peer, "x", 1), 1);
  nap(R, 20);
  assert_false(uv_is_active((uv_handle_t *)la_stream_uv(s)));
  assert_int_equal(write(peer, "y\n", 2), 2);
  read_line(s, "xy\n");
  close(peer);
  la_stream_unref(s);
}

static void exact_until_some_all_number(void **state) {
  (void)state;
  int peer;
  la_stream *s = pair(&peer);
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
  la_stream_unref(s);
}

static void numbers_as_liolib(void **state) {
  (void)state;
  static const char *const cases[][3] = {
      {"  -12.5e3x", "-12.5e3", "x"}, {"+.5 ", "+.5", " "},      {"0x", "0x", ""},
      {"1e+", "1e+", ""},             {"nan", "", "nan"},        {"--1", "-", "-1"},
      {"0X.8p1z", "0X.8p1", "z"},     {"\n\t 42\n", "42", "\n"}, {"00012", "00012", ""},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    int peer;
    la_stream *s = pair(&peer);
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
    la_stream_unref(s);
  }
}

static void close_ends_a_pending_read(void **state) {
  (void)state;
  int peer;
  la_stream *s = pair(&peer);
  la_task *t = go_once(R, &line_reader(s)->base);
  la_stream_close(s);
  la_stream_close(s);
  finish(R, t);
  assert_int_equal(s->reader.status, UV_ECANCELED);
  run(R, &line_reader(s)->base);
  assert_int_equal(s->reader.status, UV_EBADF);
  char c;
  assert_int_equal(read(peer, &c, 1), 0);
  close(peer);
  la_stream_unref(s);
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
  la_stream *s = pair(&peer);
  char *data = pattern();
  size_t sent = 0, seen = 0;
  for (int round = 0; sent < BIG; round++) {
    la_writer w;
    la_writer_init(&w, &la_stream_sink, s, data + sent, BIG - sent);
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
  la_stream_unref(s);
}

static void close_ends_a_blocked_write(void **state) {
  (void)state;
  int peer;
  la_stream *s = pair(&peer);
  char *data = pattern();
  la_writer w;
  la_writer_init(&w, &la_stream_sink, s, data, BIG);
  la_task *t = go_once(R, &w.base);
  nap(R, 2);
  assert_true(w.done < BIG);
  la_stream_close(s);
  finish(R, t);
  assert_int_equal(w.status, UV_ECANCELED);
  la_future_drop(&w.base);
  la_writer_init(&w, &la_stream_sink, s, data, BIG);
  run(R, &w.base);
  assert_int_equal(w.status, UV_EBADF);
  la_future_drop(&w.base);
  free(data);
  close(peer);
  la_stream_unref(s);
}

static void a_peer_that_goes_is_an_error(void **state) {
  (void)state;
  int peer;
  la_stream *s = pair(&peer);
  char *data = pattern();
  la_writer w;
  la_writer_init(&w, &la_stream_sink, s, data, BIG);
  la_task *t = go_once(R, &w.base);
  nap(R, 2);
  close(peer);
  finish(R, t);
  assert_true(w.status == UV_EPIPE || w.status == UV_ECONNRESET);
  la_future_drop(&w.base);
  free(data);
  la_stream_unref(s);
}

static void shutdown_waits_for_the_carried_byte(void **state) {
  (void)state;
  int peer;
  la_stream *s = pair(&peer);
  char *data = pattern();
  la_writer w;
  la_writer_init(&w, &la_stream_sink, s, data, BIG);
  stop(R, go_once(R, &w.base));
  la_future_drop(&w.base);
  la_shutdown sd;
  la_shutdown_init(&sd, s);
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
  la_stream_unref(s);
}

static void an_always_full_socket_takes_budget(void **state) {
  (void)state;
  int peer;
  la_stream *s = pair(&peer);
  char block[4096] = {0};
  while (send(peer, block, sizeof block, MSG_DONTWAIT) > 0) {}
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
  la_stream_unref(s);
}

/* ---- accept and connect -----------------------------------------------------------*/

static la_listener *listen_on(const char *host, la_address *a) {
  la_listener *l;
  assert_true(la_address_parse(a, host, 0));
  assert_int_equal(la_listener_new(R, a, &(la_listen_options){0}, &l), 0);
  assert_int_equal(la_listener_local(l, a), 0);
  assert_true(la_address_port(a) > 0);
  return l;
}

static int dial(const la_address *a) {
  int fd = socket(a->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(connect(fd, &a->any, la_address_len(a)), 0);
  return fd;
}

static la_stream *taken(la_stream **from) {
  la_stream *s = *from;
  *from = NULL;
  assert_non_null(s);
  return s;
}

static la_stream *accept_one(la_listener *l) {
  la_accept a;
  la_accept_init(&a, l);
  run(R, &a.base);
  assert_int_equal(a.status, 0);
  la_stream *s = taken(&a.stream);
  la_future_drop(&a.base);
  return s;
}

static void accepts_are_served_in_order(void **state) {
  (void)state;
  la_address at;
  la_listener *l = listen_on("127.0.0.1", &at);
  la_accept a[4];
  la_task *t[4];
  int fd[4];
  for (int i = 0; i < 4; i++) {
    la_accept_init(&a[i], l);
    t[i] = go_once(R, &a[i].base);
  }
  stop(R, t[1]); /* one in the middle gives up */
  la_future_drop(&a[1].base);
  for (int i = 0; i < 3; i++) fd[i] = dial(&at);
  int order[] = {0, 2, 3};
  for (int i = 0; i < 3; i++) {
    la_accept *x = &a[order[i]];
    finish(R, t[order[i]]);
    assert_int_equal(x->status, 0);
    la_address peer, self;
    socklen_t len = sizeof self;
    getsockname(fd[i], &self.any, &len);
    assert_int_equal(la_tcp_peer(x->stream, &peer), 0);
    assert_int_equal(la_address_port(&peer), la_address_port(&self));
    assert_int_equal(la_tcp_nodelay(x->stream, true), 0);
    assert_int_equal(la_tcp_keepalive(x->stream, 10), 0);
    la_future_drop(&x->base);
    close(fd[i]);
  }
  la_listener_unref(l);
}

static void close_ends_waiting_accepts(void **state) {
  (void)state;
  la_address at;
  la_listener *l = listen_on("127.0.0.1", &at), *again;
  la_accept a, b;
  la_accept_init(&a, l);
  la_task *t = go_once(R, &a.base);
  la_listener_close(l);
  finish(R, t);
  assert_int_equal(a.status, UV_ECANCELED);
  la_future_drop(&a.base);
  la_accept_init(&b, l);
  run(R, &b.base);
  assert_int_equal(b.status, UV_EBADF);
  la_future_drop(&b.base);
  assert_int_equal(la_listener_new(R, &at, &(la_listen_options){0}, &again), 0); /* at once */
  la_listener_unref(l);
  assert_int_equal(la_listener_new(R, &at, &(la_listen_options){0}, &l), UV_EADDRINUSE);
  la_listener_unref(again);
}

static void no_descriptors_backs_off_and_recovers(void **state) {
  (void)state;
  la_address at;
  la_listener *l = listen_on("127.0.0.1", &at);
  int client[3], n = 0;
  int filler[1024];
  for (int i = 0; i < 3; i++) client[i] = dial(&at);
  struct rlimit old, tight;
  getrlimit(RLIMIT_NOFILE, &old);
  tight = old;
  tight.rlim_cur = 64;
  setrlimit(RLIMIT_NOFILE, &tight);
  while ((filler[n] = dup(0)) >= 0) n++;
  unsigned polls = 0;
  la_accept a;
  la_accept_init(&a, l);
  la_task *t = go_counted(R, &a.base, &polls);
  nap(R, 100);
  assert_int_equal(a.status, 0);
  assert_null(a.stream);
  assert_true(la_listener_backoffs(l) >= 3);
  assert_true(polls < 20);
  while (n > 0) close(filler[--n]);
  setrlimit(RLIMIT_NOFILE, &old);
  finish(R, t);
  assert_int_equal(a.status, 0);
  la_future_drop(&a.base);
  for (int i = 1; i < 3; i++) la_stream_unref(accept_one(l));
  for (int i = 0; i < 3; i++) close(client[i]);
  la_listener_unref(l);
}

static la_stream *connect_to(const la_address *list, size_t n, int *status) {
  la_connect *c = la_connect_new(R, list, n, NULL);
  run(R, &c->base);
  *status = c->status;
  la_stream *s = c->stream;
  c->stream = NULL;
  la_future_drop(&c->base);
  return s;
}

static void connects_v4_and_v6(void **state) {
  (void)state;
  const char *hosts[] = {"127.0.0.1", "::1"};
  for (int i = 0; i < 2; i++) {
    la_address at;
    la_listener *l = listen_on(hosts[i], &at);
    int status;
    la_stream *c = connect_to(&at, 1, &status);
    assert_int_equal(status, 0);
    la_stream *s = accept_one(l);
    la_writer w;
    la_writer_init(&w, &la_stream_sink, c, "hello\n", 6);
    run(R, &w.base);
    la_future_drop(&w.base);
    read_line(s, "hello\n");
    la_stream_unref(c);
    la_stream_unref(s);
    la_listener_unref(l);
  }
}

static void refused_is_an_error_and_the_next_address_serves(void **state) {
  (void)state;
  la_address list[3];
  la_listener *l = listen_on("127.0.0.1", &list[1]);
  la_address_parse(&list[0], "127.0.0.1", 1);
  la_address_parse(&list[2], "::1", 1);
  int status;
  assert_null(connect_to(list, 1, &status));
  assert_int_equal(status, UV_ECONNREFUSED);
  la_stream *c = connect_to(list, 3, &status);
  assert_int_equal(status, 0);
  la_stream_unref(c);
  la_listener_unref(l);
}

/* A listener whose backlog is full does not answer: the next address overtakes it. */
static void a_silent_address_is_overtaken(void **state) {
  (void)state;
  la_address list[2];
  la_listener *silent;
  assert_true(la_address_parse(&list[0], "127.0.0.1", 0));
  assert_int_equal(la_listener_new(R, &list[0], &(la_listen_options){.backlog = 1}, &silent), 0);
  la_listener_local(silent, &list[0]);
  int fill[8];
  for (int i = 0; i < 8; i++) {
    fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    connect(fill[i], &list[0].any, la_address_len(&list[0]));
  }
  nap(R, 10);
  la_listener *l = listen_on("127.0.0.1", &list[1]);
  uint64_t start = uv_hrtime();
  la_connect *c = la_connect_new(R, list, 2, NULL);
  run(R, &c->base);
  uint64_t ms = (uv_hrtime() - start) / 1000000;
  assert_int_equal(c->status, 0);
  assert_int_equal(la_address_port(&c->winner), la_address_port(&list[1]));
  assert_true(ms >= 249 && ms < 400);
  la_future_drop(&c->base);
  c = la_connect_new(R, list, 1, NULL); /* and one that is dropped in flight */
  la_task *t = go_once(R, &c->base);
  stop(R, t);
  la_future_drop(&c->base);
  for (int i = 0; i < 8; i++) close(fill[i]);
  la_listener_unref(silent);
  la_listener_unref(l);
}

static void names_are_resolved(void **state) {
  (void)state;
  la_resolve *re = la_resolve_new(R, "localhost", 80, AF_UNSPEC);
  run(R, &re->op.base);
  assert_int_equal(re->op.result, 0);
  assert_true(re->count >= 1);
  assert_int_equal(la_address_port(&re->list[0]), 80);
  la_future_drop(&re->op.base);
  re = la_resolve_new(R, "::1", 80, AF_UNSPEC);
  unsigned budget = 1;
  la_context cx = {&la_waker_noop, &budget};
  assert_int_equal(la_future_poll(&re->op.base, &cx), LA_READY);
  char text[LA_ADDRESS_TEXT];
  la_address_text(&re->list[0], text);
  assert_string_equal(text, "::1");
  la_future_drop(&re->op.base);
  re = la_resolve_new(R, "no.such.name.invalid", 80, AF_UNSPEC);
  run(R, &re->op.base);
  assert_true(re->op.result < 0);
  la_future_drop(&re->op.base);
  re = la_resolve_new(R, "no.such.name.invalid", 80, AF_UNSPEC); /* dropped in flight */
  stop(R, go_once(R, &re->op.base));
  la_future_drop(&re->op.base);
}

static void what_outlives_the_loop_is_harmless(void **state) {
  (void)state;
  int peer;
  la_stream *s = pair(&peer);
  assert_int_equal(write(peer, "x\ny", 3), 3);
  read_line(s, "x\n");
  la_address at;
  la_listener *l = listen_on("127.0.0.1", &at);
  la_reactor_free(R);
  R = NULL;
  assert_false(la_handle_is_open(&s->handle));
  la_stream_close(s);
  la_stream_unref(s);
  la_listener_unref(l);
  close(peer);
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
      TEST(accepts_are_served_in_order),
      TEST(close_ends_waiting_accepts),
      TEST(no_descriptors_backs_off_and_recovers),
      TEST(connects_v4_and_v6),
      TEST(refused_is_an_error_and_the_next_address_serves),
      TEST(a_silent_address_is_overtaken),
      TEST(names_are_resolved),
      TEST(what_outlives_the_loop_is_harmless),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
