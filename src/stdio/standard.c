#include "stdio/standard.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/file_job.h"
#include "net/tcp.h"
#include "stream/pipe.h"
#include "stream/posix.h"
#include "stream/socket.h"

/* The descriptor's own open file once more, or a negative errno. */
static int open_again(int fd) {
  char path[32];
  int flags = fcntl(fd, F_GETFL);
  if (flags < 0) return la_posix_errno();
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  return la_posix_open(path, (flags & O_ACCMODE) | O_NONBLOCK | O_NOCTTY, 0);
}

static int duplicate(int fd) {
  int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  return copy >= 0 ? copy : la_posix_errno();
}

static int open_stream(la_standard *s, la_reactor *r, int fd, const la_uv_stream_kind *kind) {
  la_uv_stream *stream = kind->make(r);
  int err = stream == NULL ? UV_ENOMEM : kind->open(stream, fd);
  if (err == 0) {
    s->stream = stream;
    return 0;
  }
  if (stream != NULL) la_uv_stream_unref(stream);
  close(fd);
  return err;
}

/* The sequence of operations on it is the only order there is: its position is not ours alone. */
static int open_file(la_standard *s, la_reactor *r, int fd) {
  int access = fcntl(fd, F_GETFL), copy = duplicate(fd);
  if (copy < 0) return copy;
  la_file *f = la_file_new(r);
  if (f == NULL) {
    close(copy);
    return UV_ENOMEM;
  }
  if ((access & O_ACCMODE) != O_WRONLY) f->flags |= LA_FILE_READS;
  if ((access & O_ACCMODE) != O_RDONLY) f->flags |= LA_FILE_WRITES;
  f->flags |= LA_FILE_DIRECT;
  f->name = fd == STDOUT_FILENO ? "stdout" : fd == STDERR_FILENO ? "stderr" : "stdin";
  f->fd = copy;
  s->file = f;
  return 0;
}

/* libuv makes what it opens non-blocking, for all who have the open file: so it gets a socket that
** is nobody's, in whose place the duplicate is put then. */
static int open_socket(la_standard *s, la_reactor *r, int fd) {
  int own = la_tcp_socket(AF_UNIX);
  int err = own < 0 ? own : open_stream(s, r, own, &la_tcp_kind);
  s->shared = true;
  if (err != 0) return err;
  err = la_socket_replace(own, fd);
  if (err == 0) return 0;
  la_uv_stream_close(s->stream);
  la_standard_unref(s);
  return err;
}

int la_standard_open(la_standard *s, la_reactor *r, int fd) {
  struct stat st;
  *s = (la_standard){0};
  if (fstat(fd, &st) != 0) return errno == EBADF ? 0 : la_posix_errno();
  if (S_ISSOCK(st.st_mode)) return open_socket(s, r, fd);
  if (S_ISFIFO(st.st_mode) || isatty(fd)) {
    int again = open_again(fd);
    if (again >= 0) return open_stream(s, r, again, &la_pipe_kind);
  }
  return open_file(s, r, fd);
}

static la_reader *reader_of(const la_standard *s) {
  if (s->stream != NULL) return &s->stream->reader;
  return s->file != NULL ? la_file_reader(s->file) : NULL;
}

static void add(la_reader *rd, const char *bytes, size_t len) {
  la_rbuf_append(&rd->buf, rd->reactor, bytes, len);
}

void la_standard_inherit(la_standard *s, const la_standard *old) {
  la_reader *to = reader_of(s), *from = reader_of(old);
  if (to == NULL || from == NULL) return;
  add(to, la_rbuf_len(&from->buf) > 0 ? la_rbuf_bytes(&from->buf) : "", la_rbuf_len(&from->buf));
  if (old->file != NULL && old->file->ahead_len > 0)
    add(to, old->file->ahead + old->file->ahead_at, old->file->ahead_len);
}

void la_standard_close(la_standard *s) {
  if (s->stream != NULL) la_uv_stream_close(s->stream);
  if (s->file != NULL) la_file_begin_close(s->file);
}

void la_standard_unref(la_standard *s) {
  if (s->stream != NULL) la_uv_stream_unref(s->stream);
  if (s->file != NULL) la_file_unref(s->file);
  *s = (la_standard){0};
}
