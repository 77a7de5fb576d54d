/* mmsg.h - many datagrams in one system call, where there is one; a loop elsewhere. */
#ifndef LA_NET_MMSG_H
#define LA_NET_MMSG_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#if defined(__linux__) || defined(__FreeBSD__) || defined(__NetBSD__)

typedef struct mmsghdr la_mmsg;

static inline int la_recvmmsg(int fd, la_mmsg *m, unsigned n, int flags) {
  return (int)recvmmsg(fd, m, n, flags, NULL);
}

static inline int la_sendmmsg(int fd, la_mmsg *m, unsigned n, int flags) {
  return (int)sendmmsg(fd, m, n, flags);
}

#else

typedef struct la_mmsg {
  struct msghdr msg_hdr;
  unsigned msg_len;
} la_mmsg;

/* As the system calls do: how many, and an error only when it is the first that failed. */
static inline int la_recvmmsg(int fd, la_mmsg *m, unsigned n, int flags) {
  unsigned i = 0;
  for (ssize_t len; i < n && (len = recvmsg(fd, &m[i].msg_hdr, flags)) >= 0; i++)
    m[i].msg_len = (unsigned)len;
  return i > 0 ? (int)i : -1;
}

static inline int la_sendmmsg(int fd, la_mmsg *m, unsigned n, int flags) {
  unsigned i = 0;
  while (i < n && sendmsg(fd, &m[i].msg_hdr, flags) >= 0) i++;
  return i > 0 ? (int)i : -1;
}

#endif

#endif
