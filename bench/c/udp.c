#define _GNU_SOURCE
/* udp PORT: a UDP echo server on 127.0.0.1 in plain C, recvmmsg and sendmmsg: the limit for UDP. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { BATCH = 64 };
static char buffer[BATCH][2048];

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  struct sockaddr_in at = {.sin_family = AF_INET,
                           .sin_port = htons((unsigned short)atoi(argv[1])),
                           .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  struct sockaddr_in from[BATCH];
  struct mmsghdr m[BATCH];
  struct iovec v[BATCH];
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), poll = epoll_create1(0);
  if (bind(fd, (struct sockaddr *)&at, sizeof at) != 0) return 1;
  struct epoll_event e = {EPOLLIN, {.fd = fd}};
  epoll_ctl(poll, EPOLL_CTL_ADD, fd, &e);
  for (;;) {
    epoll_wait(poll, &e, 1, -1);
    for (int i = 0; i < BATCH; i++) {
      v[i] = (struct iovec){buffer[i], sizeof buffer[i]};
      m[i].msg_hdr = (struct msghdr){.msg_name = &from[i],
                                     .msg_namelen = sizeof from[i],
                                     .msg_iov = &v[i],
                                     .msg_iovlen = 1};
    }
    int n = recvmmsg(fd, m, BATCH, MSG_DONTWAIT, NULL);
    for (int i = 0; i < n; i++) v[i].iov_len = m[i].msg_len;
    for (int sent = 0; sent < n;) {
      int k = sendmmsg(fd, m + sent, (unsigned)(n - sent), MSG_DONTWAIT);
      if (k <= 0) break;
      sent += k;
    }
  }
}
