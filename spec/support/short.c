/*
** short.c - preloaded: reads and writes that do less than they were asked for, and every
** third call is interrupted first. All of it is what a system may do.
*/
#include <dlfcn.h>
#include <errno.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { MOST = 1000 };

static int interrupted(void) {
  static _Atomic unsigned calls;
  if (++calls % 3 != 0) return 0;
  errno = EINTR;
  return 1;
}

#define REAL(NAME) ((__typeof__(&NAME))dlsym(RTLD_NEXT, #NAME))
#define SHORT(LEN) ((LEN) < MOST ? (LEN) : MOST)

ssize_t read(int fd, void *buf, size_t len) {
  if (len <= 8) return REAL(read)(fd, buf, len); /* libuv's own pipes and counters */
  return interrupted() ? -1 : REAL(read)(fd, buf, SHORT(len));
}

ssize_t write(int fd, const void *buf, size_t len) {
  if (len <= 8) return REAL(write)(fd, buf, len);
  return interrupted() ? -1 : REAL(write)(fd, buf, SHORT(len));
}

ssize_t pread(int fd, void *buf, size_t len, off_t at) {
  return interrupted() ? -1 : REAL(pread)(fd, buf, SHORT(len), at);
}
ssize_t pread64(int fd, void *buf, size_t len, off_t at) { return pread(fd, buf, len, at); }

ssize_t pwrite(int fd, const void *buf, size_t len, off_t at) {
  return interrupted() ? -1 : REAL(pwrite)(fd, buf, SHORT(len), at);
}
ssize_t pwrite64(int fd, const void *buf, size_t len, off_t at) { return pwrite(fd, buf, len, at); }

ssize_t recv(int fd, void *buf, size_t len, int flags) {
  return interrupted() ? -1 : REAL(recv)(fd, buf, SHORT(len), flags);
}

ssize_t send(int fd, const void *buf, size_t len, int flags) {
  return interrupted() ? -1 : REAL(send)(fd, buf, SHORT(len), flags);
}

ssize_t preadv2(int fd, const struct iovec *iov, int n, off_t at, int flags) {
  (void)n;
  struct iovec one = {iov->iov_base, SHORT(iov->iov_len)};
  return interrupted() ? -1 : REAL(preadv2)(fd, &one, 1, at, flags);
}
ssize_t preadv64v2(int fd, const struct iovec *iov, int n, off_t at, int flags) {
  return preadv2(fd, iov, n, at, flags);
}
