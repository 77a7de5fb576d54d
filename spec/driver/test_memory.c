/* Every allocation, libuv's and libc's among them, failing in turn: an error each time, and
** what comes after works. It brings its own malloc, so it is empty under a sanitizer that
** does too. */
#include "reactor_rig.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define FOREIGN_MALLOC
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__GLIBC__)
#define FOREIGN_MALLOC
#endif

#ifdef FOREIGN_MALLOC
int main(void) { return 0; }
#else

#include <errno.h>
#include <stdatomic.h>

#include "fs/file_stream.h"
#include "fs/fs.h"
#include "net/connect.h"
#include "net/dns.h"
#include "net/listener.h"
#include "stream/stream.h"

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t size);

static _Atomic long countdown = -1; /* the allocation that fails; below 0: none */
static _Atomic bool failed;

static _Atomic bool only_loop; /* the pool's threads have all they want */
static _Thread_local bool is_loop;

static bool fails(void) {
  if (only_loop && !is_loop) return false;
  if (countdown < 0 || countdown-- != 0) return false;
  failed = true;
  errno = ENOMEM;
  return true;
}

void *malloc(size_t size) { return fails() ? NULL : __libc_malloc(size); }
void *calloc(size_t n, size_t size) { return fails() ? NULL : __libc_calloc(n, size); }
void *realloc(void *p, size_t size) { return fails() ? NULL : __libc_realloc(p, size); }

/* Without a task, which would need memory. False: not ready after two seconds. */
static bool await(la_reactor *r, la_future *f) {
  for (int i = 0; i < 2000; i++) {
    unsigned budget = 100;
    la_context cx = {&la_waker_noop, &budget};
    if (la_future_poll(f, &cx) == LA_READY) return true;
    r->ex->parker.vt->park(r->ex->parker.self, uv_hrtime() + 1000000);
    la_executor_turn(r->ex);
  }
  return false;
}

static bool allowed(int err) {
  return err == 0 || err == UV_ENOMEM || err == UV_EAGAIN || err == UV_EAI_MEMORY;
}

/* ---- what is done under want of memory --------------------------------------------*/

static void do_read_file(la_reactor *r) {
  la_fs_read_file *op = la_fs_read_file_new(r, "/proc/self/maps", SIZE_MAX);
  if (op == NULL) return;
  assert_true(await(r, &op->work.op.base));
  assert_true(allowed((int)op->work.op.result));
  la_future_drop(&op->work.op.base);
}

static void do_file(la_reactor *r) {
  la_file_open *op = la_file_open_new(r, "/dev/shm/la_memory", la_file_mode("w+"), 0600);
  if (op == NULL) return;
  assert_true(await(r, &op->work.op.base));
  assert_true(allowed((int)op->work.op.result));
  if (op->work.op.result == 0) {
    la_file *f = la_file_open_take(op);
    static char big[100000];
    la_writer w;
    la_writer_init(&w, la_file_class.vt, f, big, sizeof big);
    assert_true(await(r, &w.base));
    assert_true(allowed(w.status));
    la_future_drop(&w.base);
    la_file_op seek;
    la_file_op_init(&seek, f, LA_FILE_SEEK);
    assert_true(await(r, &seek.base));
    assert_true(allowed(seek.status));
    la_future_drop(&seek.base);
    la_reader *rd = la_file_reader(f);
    la_reader_all(rd, SIZE_MAX);
    assert_true(await(r, &rd->base));
    assert_true(allowed(rd->status));
    la_future_drop(&rd->base);
    la_reader_take(rd);
    la_file_unref(f);
  }
  la_future_drop(&op->work.op.base);
}

static void talk(la_reactor *r, la_uv_stream *a, la_uv_stream *b) {
  la_writer w;
  la_writer_init(&w, la_uv_stream_class.vt, a, "hello\n", 6);
  assert_true(await(r, &w.base));
  assert_true(allowed(w.status));
  la_future_drop(&w.base);
  while (w.status == 0) {
    la_reader_line(&b->reader, SIZE_MAX);
    assert_true(await(r, &b->reader.base));
    if (b->reader.status == 0) break;
    assert_int_equal(b->reader.status, UV_ENOMEM); /* and no byte is lost */
  }
  la_future_drop(&b->reader.base);
}

static void do_tcp(la_reactor *r) {
  la_address at;
  la_listener *l;
  la_address_parse(&at, "127.0.0.1", 0);
  if (la_listener_new(r, &at, &(la_listen_options){0}, &l) != 0) return;
  la_listener_local(l, &at);
  la_connect *c = la_connect_new(r, &at, 1, NULL);
  if (c != NULL) {
    assert_true(await(r, &c->base));
    assert_true(allowed(c->status));
    if (c->status == 0) {
      la_accept a;
      la_accept_init(&a, l);
      assert_true(await(r, &a.base)); /* backs off, and gets it */
      assert_int_equal(a.status, 0);
      talk(r, c->stream, a.stream);
      la_future_drop(&a.base);
    }
    la_future_drop(&c->base);
  }
  la_listener_unref(l);
}

static void do_resolve(la_reactor *r) {
  la_resolve *re = la_resolve_new(r, "localhost", 80, AF_UNSPEC);
  if (re == NULL) return;
  assert_true(await(r, &re->op.base));
  la_future_drop(&re->op.base);
}

/* ---- each allocation in turn ------------------------------------------------------*/

static void in_turn(void (*what)(la_reactor *)) {
  int before = count_fds();
  for (long n = 0;; n++) {
    la_reactor *r;
    failed = false;
    countdown = n;
    int err = la_reactor_new(&r);
    if (err == 0) {
      if (what != NULL) what(r);
      la_reactor_free(r);
    } else {
      assert_int_equal(err, UV_ENOMEM);
    }
    countdown = -1;
    assert_int_equal(count_fds(), before);
    if (!failed) break;
    assert_true(n < 10000);
  }
}

/* First, as the pool is made once in a process. */
static void reading_a_file(void **state) {
  (void)state;
  in_turn(do_read_file);
}
static void the_reactor_itself(void **state) {
  (void)state;
  in_turn(NULL);
}
static void open_files(void **state) {
  (void)state;
  in_turn(do_file);
  unlink("/dev/shm/la_memory");
}
static void tcp(void **state) {
  (void)state;
  in_turn(do_tcp);
}
/* On the loop's thread alone: glibc 2.36's getaddrinfo itself dereferences a null pointer
** (nss_database_check_reload_and_get) when its first allocations fail. */
static void names(void **state) {
  (void)state;
  is_loop = only_loop = true;
  in_turn(do_resolve);
  only_loop = false;
}

static int warm(void **state) {
  (void)state;
  la_reactor *r;
  if (la_reactor_new(&r) != 0) return -1;
  la_reactor_free(r);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reading_a_file), cmocka_unit_test(the_reactor_itself),
      cmocka_unit_test(open_files),     cmocka_unit_test(tcp),
      cmocka_unit_test(names),
  };
  return cmocka_run_group_tests(tests, warm, NULL);
}
#endif
