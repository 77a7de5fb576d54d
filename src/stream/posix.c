#include "stream/posix.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

/* Linux transfers at most this many bytes in a call, others fail above INT_MAX. */
enum { CALL_MAX = 0x7ffff000 };

static size_t clamp(size_t len) { return len < CALL_MAX ? len : CALL_MAX; }

int la_posix_errno(void) { return uv_translate_sys_error(errno); }

int la_posix_open(const char *path, int flags, int mode) {
  int fd;
  do fd = open(path, flags | O_CLOEXEC, mode);
  while (fd < 0 && errno == EINTR);
  return fd >= 0 ? fd : la_posix_errno();
}

static bool is_fifo(const char *path) {
  struct stat st;
  return stat(path, &st) == 0 && S_ISFIFO(st.st_mode);
}

static int make_blocking(int fd) {
  int flags = fcntl(fd, F_GETFL);
  if (flags >= 0 && fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) == 0) return fd;
  int err = la_posix_errno();
  close(fd);
  return err;
}

int la_posix_open_patiently(const char *path, int flags, int mode, const la_work *work) {
  for (int nap = 1;; nap = nap * 2 < LA_POSIX_LOOK_MS ? nap * 2 : LA_POSIX_LOOK_MS) {
    int fd = la_posix_open(path, flags | O_NONBLOCK, mode);
    if (fd >= 0) return make_blocking(fd);
    if (fd == UV_EAGAIN) return la_posix_open(path, flags, mode); /* a lease is being broken */
    if (fd != UV_ENXIO || !is_fifo(path)) return fd;
    poll(NULL, 0, nap);
    if (la_work_is_unwanted(work)) return UV_ECANCELED; /* a reader that came too late */
  }
}

/* What is the matter with fd the call tells that comes after. */
static int wait_for(int fd, short events, const la_work *work) {
  struct pollfd p = {.fd = fd, .events = events};
  for (;;) {
    int n = poll(&p, 1, LA_POSIX_LOOK_MS);
    if (n > 0 || (n < 0 && errno != EINTR)) return 0;
    if (la_work_is_unwanted(work)) return UV_ECANCELED;
  }
}

int la_posix_wait_readable(int fd, const la_work *work) { return wait_for(fd, POLLIN, work); }

/* EINTR: on Linux the descriptor is closed none the less. */
int la_posix_close(int fd) { return close(fd) == 0 || errno == EINTR ? 0 : la_posix_errno(); }

int la_posix_sync(int fd) {
  int n;
  do n = fsync(fd);
  while (n != 0 && errno == EINTR);
  return n == 0 ? 0 : la_posix_errno();
}

int la_posix_datasync(int fd) {
  int n;
  do n = fdatasync(fd);
  while (n != 0 && errno == EINTR);
  return n == 0 ? 0 : la_posix_errno();
}

int la_posix_truncate(int fd, int64_t size) {
  int n;
  do n = ftruncate(fd, (off_t)size);
  while (n != 0 && errno == EINTR);
  return n == 0 ? 0 : la_posix_errno();
}

ssize_t la_posix_read(int fd, char *buf, size_t len) {
  ssize_t n;
  do n = read(fd, buf, clamp(len));
  while (n < 0 && errno == EINTR);
  return n >= 0 ? n : la_posix_errno();
}

/* A FIFO that is writable takes PIPE_BUF bytes without waiting (pipe(7)). */
int la_posix_write_all(int fd, const char *data, size_t len, size_t *done, const la_work *work) {
  struct stat st;
  bool fifo = fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode);
  size_t most = fifo ? PIPE_BUF : CALL_MAX;
  while (*done < len) {
    int err = fifo ? wait_for(fd, POLLOUT, work) : 0;
    if (err != 0) return err;
    ssize_t n = write(fd, data + *done, len - *done < most ? len - *done : most);
    if (n >= 0)
      *done += (size_t)n;
    else if (errno != EINTR)
      return la_posix_errno();
  }
  return 0;
}

ssize_t la_posix_pread_all(int fd, char *buf, size_t len, int64_t at) {
  size_t done = 0;
  while (done < len) {
    ssize_t n = pread(fd, buf + done, clamp(len - done), (off_t)(at + (int64_t)done));
    if (n > 0)
      done += (size_t)n;
    else if (n == 0)
      break;
    else if (errno != EINTR)
      return la_posix_errno();
  }
  return (ssize_t)done;
}

int la_posix_pwrite_all(int fd, const char *data, size_t len, int64_t at, size_t *done) {
  while (*done < len) {
    ssize_t n = pwrite(fd, data + *done, clamp(len - *done), (off_t)(at + (int64_t)*done));
    if (n >= 0)
      *done += (size_t)n;
    else if (errno != EINTR)
      return la_posix_errno();
  }
  return 0;
}
