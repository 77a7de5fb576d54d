/* Operations on paths, and open files. */
#include "spec/driver/reactor_rig.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "fs/file_stream.h"
#include "fs/fs.h"

static char dir[64];

static char *at(const char *name) {
  static char paths[8][160];
  static int n;
  char *p = paths[n++ % 8];
  snprintf(p, sizeof *paths, "%s/%s", dir, name);
  return p;
}

static int make_dir(void **state) {
  (void)state;
  strcpy(dir, "/tmp/la_fs_XXXXXX");
  return mkdtemp(dir) != NULL ? 0 : -1;
}

static int remove_dir(void **state) {
  (void)state;
  char cmd[100];
  snprintf(cmd, sizeof cmd, "rm -rf %s", dir);
  return system(cmd);
}

static void put(const char *path, const char *data, size_t len) {
  FILE *f = fopen(path, "wb");
  fwrite(data, 1, len, f);
  fclose(f);
}

static void expect_content(const char *path, const char *data, size_t len) {
  char *buf = malloc(len + 2);
  FILE *f = fopen(path, "rb");
  assert_non_null(f);
  assert_int_equal(fread(buf, 1, len + 2, f), len);
  assert_memory_equal(buf, data, len);
  fclose(f);
  free(buf);
}

static int done(la_work *w) {
  run(R, &w->op.base);
  int result = (int)w->op.result;
  la_future_drop(&w->op.base);
  return result;
}

/* ---- paths ------------------------------------------------------------------------*/

static int write_whole(const char *path, const char *data, size_t len, la_fs_how how) {
  return done(&la_fs_write_file_new(R, path, data, len, 0666, how)->work);
}

static void expect_read(const char *path, const char *data, size_t len) {
  la_fs_read_file *op = la_fs_read_file_new(R, path, SIZE_MAX);
  run(R, &op->work.op.base);
  assert_int_equal(op->work.op.result, 0);
  assert_int_equal(op->len, len);
  if (len > 0) assert_memory_equal(op->data, data, len);
  la_future_drop(&op->work.op.base);
}

static void whole_files(void **state) {
  (void)state;
  size_t sizes[] = {0, 1, 4095, 4096, 4097, 300000};
  char *data = malloc(300000);
  for (size_t i = 0; i < 300000; i++) data[i] = (char)(i * 7 + i / 251);
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    for (la_fs_how how = LA_FS_REPLACE; how <= LA_FS_ATOMIC; how++) {
      const char *p = at("whole");
      assert_int_equal(write_whole(p, data, sizes[i], how), 0);
      if (how == LA_FS_APPEND) {
        struct stat st;
        stat(p, &st);
        assert_int_equal(st.st_size, 2 * sizes[i]);
      } else {
        expect_content(p, data, sizes[i]);
        expect_read(p, data, sizes[i]);
      }
    }
  }
  free(data);
  assert_int_equal(done(&la_fs_read_file_new(R, dir, SIZE_MAX)->work), UV_EISDIR);
  assert_int_equal(done(&la_fs_read_file_new(R, at("none"), SIZE_MAX)->work), UV_ENOENT);
  assert_int_equal(done(&la_fs_read_file_new(R, at("whole"), 1000)->work), UV_EFBIG);
  assert_int_equal(done(&la_fs_read_file_new(R, "/dev/zero", 100000)->work), UV_EFBIG);
  assert_int_equal(write_whole(dir, "", 0, LA_FS_REPLACE), UV_EISDIR);
  assert_int_equal(write_whole(dir, "", 0, LA_FS_ATOMIC), UV_EISDIR);
  assert_int_equal(write_whole("/dev/full", "x", 1, LA_FS_REPLACE), UV_ENOSPC);
}

static void files_of_unknown_size(void **state) {
  (void)state;
  la_fs_read_file *op = la_fs_read_file_new(R, "/proc/self/maps", SIZE_MAX);
  run(R, &op->work.op.base);
  assert_int_equal(op->work.op.result, 0);
  assert_true(op->len > 1000);
  la_future_drop(&op->work.op.base);
}

static void atomic_keeps_mode_and_link_and_leaves_nothing(void **state) {
  (void)state;
  put(at("real"), "old", 3);
  chmod(at("real"), 0640);
  assert_int_equal(symlink("real", at("link")), 0);
  assert_int_equal(write_whole(at("link"), "new", 3, LA_FS_ATOMIC), 0);
  expect_content(at("real"), "new", 3);
  struct stat st;
  lstat(at("link"), &st);
  assert_true(S_ISLNK(st.st_mode));
  stat(at("real"), &st);
  assert_int_equal(st.st_mode & 0777, 0640);
  struct rlimit old, tight;
  getrlimit(RLIMIT_FSIZE, &old);
  tight = old;
  tight.rlim_cur = 1000;
  signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &tight);
  char big[5000] = {0};
  int err = write_whole(at("link"), big, sizeof big, LA_FS_ATOMIC);
  setrlimit(RLIMIT_FSIZE, &old);
  assert_int_equal(err, UV_EFBIG);
  expect_content(at("real"), "new", 3);
  la_fs_dir *d = la_fs_dir_new(R, dir);
  run(R, &d->work.op.base);
  assert_int_equal(d->work.op.result, 0);
  size_t pos = 0, n = 0;
  char type;
  for (const char *name; (name = la_fs_dir_next(d->entries, d->bytes, &pos, &type)) != NULL; n++) {
    assert_true(name[0] != '.');
    if (strcmp(name, "link") == 0) assert_int_equal(type, 'l');
    if (strcmp(name, "real") == 0) assert_int_equal(type, 'f');
  }
  assert_int_equal(n, d->count);
  la_future_drop(&d->work.op.base);
}

static void folders_and_names(void **state) {
  (void)state;
  assert_int_equal(done(&la_fs_mkdir_new(R, at("a/b/c"), 0777, false)->work), UV_ENOENT);
  assert_int_equal(done(&la_fs_mkdir_new(R, at("a/b/c"), 0777, true)->work), 0);
  assert_int_equal(done(&la_fs_mkdir_new(R, at("a/b/c"), 0777, true)->work), 0);
  assert_int_equal(done(&la_fs_mkdir_new(R, at("a/b/c"), 0777, false)->work), UV_EEXIST);
  put(at("a/f"), "x", 1);
  assert_int_equal(done(&la_fs_mkdir_new(R, at("a/f/g"), 0777, true)->work), UV_ENOTDIR);
  assert_int_equal(done(&la_fs_mkdir_new(R, at("a/f"), 0777, true)->work), UV_EEXIST);
  assert_int_equal(done(&la_fs_remove_new(R, at("a/b"), false)->work), UV_ENOTEMPTY);
  assert_int_equal(done(&la_fs_remove_new(R, at("a/b/c"), false)->work), 0);
  assert_int_equal(done(&la_fs_rename_new(R, at("a/f"), at("a/g"))->work), 0);
  la_fs_stat *op = la_fs_stat_new(R, at("a/g"), true);
  run(R, &op->work.op.base);
  assert_int_equal(op->work.op.result, 0);
  assert_int_equal(op->st.st_size, 1);
  la_future_drop(&op->work.op.base);
  assert_int_equal(done(&la_fs_remove_new(R, at("a/g"), false)->work), 0);
  assert_int_equal(done(&la_fs_stat_new(R, at("a/g"), false)->work), UV_ENOENT);
}

/* ---- open files -------------------------------------------------------------------*/

static la_file *open_file(const char *path, const char *mode, int *err) {
  la_file_open *op = la_file_open_new(R, path, la_file_mode(mode), 0666);
  run(R, &op->work.op.base);
  *err = (int)op->work.op.result;
  la_file *f = NULL;
  if (*err == 0) f = la_file_open_take(op);
  la_future_drop(&op->work.op.base);
  return f;
}

static la_file *opened(const char *path, const char *mode) {
  int err;
  la_file *f = open_file(path, mode, &err);
  assert_int_equal(err, 0);
  return f;
}

static int write_text(la_file *f, const char *data, size_t len) {
  la_writer w;
  la_writer_init(&w, la_file_class.vt, f, data, len);
  run(R, &w.base);
  la_future_drop(&w.base);
  return w.status;
}

static int64_t op_at(la_file *f, la_file_kind kind, int whence, int64_t pos) {
  la_file_op op;
  la_file_op_init(&op, f, kind);
  op.whence = whence;
  op.at = pos;
  run(R, &op.base);
  la_future_drop(&op.base);
  return op.status != 0 ? op.status : op.at;
}

static int op_plain(la_file *f, la_file_kind kind) { return (int)op_at(f, kind, SEEK_SET, 0); }
static int64_t seek(la_file *f, int whence, int64_t pos) {
  return op_at(f, LA_FILE_SEEK, whence, pos);
}

static void expect_line(la_file *f, const char *text) {
  la_reader *rd = la_file_reader(f);
  la_reader_line(rd, SIZE_MAX);
  run(R, &rd->base);
  la_future_drop(&rd->base);
  size_t len;
  const char *p = la_reader_span(rd, &len);
  assert_int_equal(rd->status, text == NULL ? UV_EOF : 0);
  if (text == NULL) return;
  assert_int_equal(len, strlen(text));
  assert_memory_equal(p, text, len);
  la_reader_take(rd);
}

static void modes(void **state) {
  (void)state;
  assert_int_equal(la_file_mode("r"), O_RDONLY);
  assert_int_equal(la_file_mode("rb"), O_RDONLY);
  assert_int_equal(la_file_mode("r+b"), O_RDWR);
  assert_int_equal(la_file_mode("wx"), O_WRONLY | O_CREAT | O_TRUNC | O_EXCL);
  assert_int_equal(la_file_mode("a+"), O_RDWR | O_CREAT | O_APPEND);
  const char *bad[] = {"", "x", "rw", "r++", "rx", "+r", "w+z"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_int_equal(la_file_mode(bad[i]), -1);
  int err;
  open_file(dir, "r", &err);
  assert_int_equal(err, UV_EISDIR);
  put(at("there"), "", 0);
  open_file(at("there"), "wx", &err);
  assert_int_equal(err, UV_EEXIST);
}

static void read_write_seek_mix(void **state) {
  (void)state;
  la_file *f = opened(at("mix"), "w+");
  assert_int_equal(write_text(f, "one\ntwo\nthree\n", 14), 0);
  assert_int_equal(seek(f, SEEK_CUR, 0), 14);
  assert_int_equal(seek(f, SEEK_SET, 4), 4);
  expect_line(f, "two\n");
  assert_int_equal(seek(f, SEEK_CUR, 0), 8);
  assert_int_equal(write_text(f, "THREE\nfour", 10), 0);
  expect_line(f, NULL);
  assert_int_equal(seek(f, SEEK_END, -4), 14);
  expect_line(f, "four");
  assert_int_equal(seek(f, SEEK_SET, -1), UV_EINVAL);
  assert_int_equal(op_at(f, LA_FILE_TRUNCATE, 0, 8), 8);
  assert_int_equal(seek(f, SEEK_SET, 0), 0);
  expect_line(f, "one\n");
  expect_line(f, "two\n");
  expect_line(f, NULL);
  assert_int_equal(op_plain(f, LA_FILE_SYNC), 0);
  assert_int_equal(op_plain(f, LA_FILE_CLOSE), 0);
  assert_int_equal(op_plain(f, LA_FILE_CLOSE), 0);
  assert_int_equal(op_plain(f, LA_FILE_FLUSH), UV_EBADF);
  assert_int_equal(write_text(f, "x", 1), UV_EBADF);
  la_file_unref(f);
  expect_content(at("mix"), "one\ntwo\n", 8);
}

static void append_goes_to_the_end(void **state) {
  (void)state;
  put(at("app"), "head\n", 5);
  la_file *f = opened(at("app"), "a+");
  expect_line(f, "head\n");
  assert_int_equal(seek(f, SEEK_SET, 0), 0);
  assert_int_equal(write_text(f, "tail\n", 5), 0);
  assert_int_equal(seek(f, SEEK_CUR, 0), 10);
  la_file_unref(f);
  nap(R, 20);
  expect_content(at("app"), "head\ntail\n", 10);
}

static void read_at_and_write_at(void **state) {
  (void)state;
  la_file *f = opened(at("pos"), "w+");
  la_file_op op;
  la_file_op_init(&op, f, LA_FILE_WRITE_AT);
  op.from = "hello";
  op.len = 5;
  op.at = 3;
  run(R, &op.base);
  assert_int_equal(op.status, 0);
  assert_int_equal(op.done, 5);
  la_future_drop(&op.base);
  la_file_op_init(&op, f, LA_FILE_READ_AT);
  op.len = 100;
  op.at = 4;
  run(R, &op.base);
  assert_int_equal(op.status, 0);
  assert_int_equal(op.done, 4);
  assert_memory_equal(op.data, "ello", 4);
  la_future_drop(&op.base);
  la_file_op_init(&op, f, LA_FILE_READ_AT); /* dropped in flight */
  op.len = 100;
  stop(R, go_once(R, &op.base));
  la_future_drop(&op.base);
  uv_stat_t st;
  la_file_op_init(&op, f, LA_FILE_STAT);
  op.st = &st;
  run(R, &op.base);
  assert_int_equal(op.status, 0);
  assert_int_equal(st.st_size, 8);
  la_future_drop(&op.base);
  la_file_unref(f);
}

/* Every third operation is cancelled while it is under way. */
static void cancelled_reads_and_writes_are_exact(void **state) {
  (void)state;
  enum { N = 3000000 };
  char *data = malloc(N);
  for (int i = 0; i < N; i++) data[i] = (char)(i * 2654435761u >> 11);
  la_file *f = opened(at("exact"), "w+");
  size_t sent = 0;
  for (int i = 0; sent < N; i++) {
    la_writer w;
    size_t len = N - sent < 100000 ? N - sent : 100000;
    la_writer_init(&w, la_file_class.vt, f, data + sent, len);
    la_task *t = go_once(R, &w.base);
    if (i % 3 == 0)
      stop(R, t);
    else
      finish(R, t);
    la_future_drop(&w.base);
    assert_int_equal(w.status, 0);
    sent += w.done;
  }
  assert_int_equal(seek(f, SEEK_SET, 0), 0);
  la_reader *rd = la_file_reader(f);
  size_t seen = 0;
  for (int i = 0; seen < N; i++) {
    if (i % 2 == 0)
      la_reader_exact(rd, N - seen < 90001 ? N - seen : 90001);
    else
      la_reader_some(rd, 12345);
    if (i % 3 == 0) {
      unsigned none = 0, budget = 1; /* begins the work and goes */
      la_context cx = {&la_waker_noop, i % 2 ? &none : &budget};
      la_future_poll(&rd->base, &cx);
      la_future_drop(&rd->base);
      continue;
    }
    run(R, &rd->base);
    la_future_drop(&rd->base);
    assert_int_equal(rd->status, 0);
    size_t len;
    const char *p = la_reader_span(rd, &len);
    assert_memory_equal(p, data + seen, len);
    seen += len;
    la_reader_take(rd);
  }
  expect_line(f, NULL);
  la_file_unref(f);
  nap(R, 20);
  expect_content(at("exact"), data, N);
  free(data);
}

static void a_dropped_file_is_flushed_even_at_the_end(void **state) {
  (void)state;
  la_file *f = opened(at("late"), "w"), *g = opened(at("later"), "w");
  write_text(f, "late", 4);
  write_text(g, "later", 5);
  la_file_unref(f);
  la_reactor_free(R);
  R = NULL;
  la_file_unref(g); /* after the loop has gone */
  expect_content(at("late"), "late", 4);
  expect_content(at("later"), "later", 5);
}

static void an_orphaned_open_closes_its_descriptor(void **state) {
  (void)state;
  for (int i = 0; i < 20; i++) {
    la_file_open *op = la_file_open_new(R, at("orphan"), la_file_mode("w"), 0666);
    la_task *t = go_once(R, &op->work.op.base);
    if (i % 2) nap(R, 1);
    stop(R, t);
    la_future_drop(&op->work.op.base);
  }
}

static void a_full_disk_is_reported(void **state) {
  (void)state;
  la_file *f = opened("/dev/full", "w");
  assert_int_equal(write_text(f, "x", 1), 0);
  assert_int_equal(op_plain(f, LA_FILE_FLUSH), UV_ENOSPC);
  assert_int_equal(write_text(f, "x", 1), UV_ENOSPC); /* behind what is not written */
  assert_int_equal(op_plain(f, LA_FILE_CLOSE), UV_ENOSPC);
  la_file_unref(f);
  f = opened(at("ro"), "w");
  la_reader *rd = la_file_reader(f);
  la_reader_all(rd, SIZE_MAX);
  run(R, &rd->base);
  assert_int_equal(rd->status, UV_EBADF);
  la_future_drop(&rd->base);
  la_file_unref(f);
}

static void close_waits_for_what_is_under_way(void **state) {
  (void)state;
  la_file *f = opened(at("closing"), "w+");
  char *data = calloc(1, 200000);
  la_writer w;
  la_writer_init(&w, la_file_class.vt, f, data, 200000);
  la_task *t = go_once(R, &w.base);
  la_file_op op;
  la_file_op_init(&op, f, LA_FILE_CLOSE);
  stop(R, go_once(R, &op.base)); /* a close that is dropped goes on */
  la_future_drop(&op.base);
  finish(R, t);
  assert_true(w.status == UV_ECANCELED || w.status == UV_EBADF);
  la_future_drop(&w.base);
  nap(R, 20);
  expect_content(at("closing"), data, w.done);
  free(data);
  la_file_unref(f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(whole_files),
      TEST(files_of_unknown_size),
      TEST(atomic_keeps_mode_and_link_and_leaves_nothing),
      TEST(folders_and_names),
      TEST(modes),
      TEST(read_write_seek_mix),
      TEST(append_goes_to_the_end),
      TEST(read_at_and_write_at),
      TEST(cancelled_reads_and_writes_are_exact),
      TEST(a_dropped_file_is_flushed_even_at_the_end),
      TEST(an_orphaned_open_closes_its_descriptor),
      TEST(a_full_disk_is_reported),
      TEST(close_waits_for_what_is_under_way),
  };
  return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
