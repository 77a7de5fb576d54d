/* echo PORT: an echo server on 127.0.0.1 in plain C over epoll, the limit for TCP. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static char buffer[65536];

static void serve(int fd) {
  ssize_t n = read(fd, buffer, sizeof buffer), sent = 0;
  while (n > 0 && sent < n) {
    ssize_t w = send(fd, buffer + sent, (size_t)(n - sent), MSG_NOSIGNAL);
    if (w < 0) break;
    sent += w;
  }
  if (n <= 0 || sent < n) close(fd);
}

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  struct rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  struct sockaddr_in at = {.sin_family = AF_INET,
                           .sin_port = htons((unsigned short)atoi(argv[1])),
                           .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1, poll = epoll_create1(0);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(listener, (struct sockaddr *)&at, sizeof at) != 0 || listen(listener, 4096) != 0)
    return 1;
  struct epoll_event e = {EPOLLIN, {.fd = listener}}, ready[1024];
  epoll_ctl(poll, EPOLL_CTL_ADD, listener, &e);
  for (;;) {
    int n = epoll_wait(poll, ready, 1024, -1);
    for (int i = 0; i < n; i++) {
      if (ready[i].data.fd != listener) {
        serve(ready[i].data.fd);
        continue;
      }
      int fd = accept(listener, NULL, NULL);
      if (fd < 0) continue;
      setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      e = (struct epoll_event){EPOLLIN, {.fd = fd}};
      epoll_ctl(poll, EPOLL_CTL_ADD, fd, &e);
    }
  }
}
