/* Accept and connect, and names. */
#include "spec/stream/pair.h"

#include <fcntl.h>
#include <sys/resource.h>

#include "net/connect.h"
#include "net/dns.h"
#include "net/listener.h"

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

static la_uv_stream *taken(la_uv_stream **from) {
  la_uv_stream *s = *from;
  *from = NULL;
  assert_non_null(s);
  return s;
}

static la_uv_stream *accept_one(la_listener *l) {
  la_accept a;
  la_accept_init(&a, l);
  run(R, &a.base);
  assert_int_equal(a.status, 0);
  la_uv_stream *s = taken(&a.stream);
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
    la_uv_stream_unref(taken(&x->stream)); /* left in the accept it would be the next one's */
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
  for (int i = 1; i < 3; i++) la_uv_stream_unref(accept_one(l));
  for (int i = 0; i < 3; i++) close(client[i]);
  la_listener_unref(l);
}

static la_uv_stream *connect_to(const la_address *list, size_t n, int *status) {
  la_connect *c = la_connect_new(R, list, n, NULL);
  run(R, &c->base);
  *status = c->status;
  la_uv_stream *s = c->stream;
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
    la_uv_stream *c = connect_to(&at, 1, &status);
    assert_int_equal(status, 0);
    la_uv_stream *s = accept_one(l);
    la_writer w;
    la_writer_init(&w, la_uv_stream_class.vt, c, "hello\n", 6);
    run(R, &w.base);
    la_future_drop(&w.base);
    read_line(s, "hello\n");
    la_uv_stream_unref(c);
    la_uv_stream_unref(s);
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
  la_uv_stream *c = connect_to(list, 3, &status);
  assert_int_equal(status, 0);
  la_uv_stream_unref(c);
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
  assert_true(ms >= 249);
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
}

static void a_lookup_dropped_in_flight_is_nobodys(void **state) {
  (void)state;
  la_resolve *re = la_resolve_new(R, "no.such.name.invalid", 80, AF_UNSPEC);
  stop(R, go_once(R, &re->op.base));
  la_future_drop(&re->op.base);
}

/* Its thread closes its socket when the name server has answered, or not. */
static int teardown_of_it(void **state) {
  (void)state;
  if (R->waiting != 0) return -1;
  la_reactor_free(R);
  for (int i = 0; count_fds() != fds_before && i < 6000; i++) usleep(10000);
  return count_fds() == fds_before ? 0 : -1;
}

static void what_outlives_the_loop_is_harmless(void **state) {
  (void)state;
  int peer;
  la_uv_stream *s = pair(&peer);
  assert_int_equal(write(peer, "x\ny", 3), 3);
  read_line(s, "x\n");
  la_address at;
  la_listener *l = listen_on("127.0.0.1", &at);
  la_reactor_free(R);
  R = NULL;
  assert_false(la_handle_is_open(&s->handle));
  la_uv_stream_close(s);
  la_uv_stream_unref(s);
  la_listener_unref(l);
  close(peer);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(accepts_are_served_in_order),
      TEST(close_ends_waiting_accepts),
      TEST(no_descriptors_backs_off_and_recovers),
      TEST(connects_v4_and_v6),
      TEST(refused_is_an_error_and_the_next_address_serves),
      TEST(a_silent_address_is_overtaken),
      TEST(names_are_resolved),
      cmocka_unit_test_setup_teardown(a_lookup_dropped_in_flight_is_nobodys, setup, teardown_of_it),
      TEST(what_outlives_the_loop_is_harmless),
  };
  /* Its limit of descriptors lets the system accept, and closes the connection afterwards. */
  if (getenv("LA_UNDER_VALGRIND") != NULL) cmocka_set_skip_filter("no_descriptors*");
  return cmocka_run_group_tests(tests, NULL, NULL);
}
