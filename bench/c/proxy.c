// A TCP proxy by splice(2) and epoll, and nothing else: proxy PORT UPSTREAM-PORT.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct half half;
struct half {
  int fd, in, out; // the socket; the pipe from it to its peer
  size_t held;
  half *peer;
  int ended, closed, writing; // writing: its peer's pipe waits for this socket
};

static int epfd;

static void watch(half *h) {
  struct epoll_event e = {.events = (h->held == 0 && !h->ended ? EPOLLIN : 0u) |
                                    (h->peer->held > 0 ? EPOLLOUT : 0u),
                          .data.ptr = h};
  epoll_ctl(epfd, EPOLL_CTL_MOD, h->fd, &e);
}

static void end(half *h) {
  if (h->closed) return;
  h->closed = h->peer->closed = 1;
  close(h->fd), close(h->peer->fd);
  close(h->in), close(h->out), close(h->peer->in), close(h->peer->out);
}

// Moves what there is from h to its peer; what waits is watched for.
static void pump(half *h) {
  int was = h->held > 0;
  for (;;) {
    if (h->held == 0) {
      ssize_t n = splice(h->fd, NULL, h->in, NULL, 65536, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
      if (n < 0 && errno == EAGAIN) break;
      if (n <= 0) {
        h->ended = 1;
        shutdown(h->peer->fd, SHUT_WR);
        if (n < 0 || h->peer->ended) {
          end(h);
          return;
        }
        break;
      }
      h->held = (size_t)n;
    }
    ssize_t n = splice(h->out, NULL, h->peer->fd, NULL, h->held, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (n < 0 && errno == EAGAIN) break;
    if (n < 0) {
      end(h);
      return;
    }
    h->held -= (size_t)n;
  }
  if (was != (h->held > 0) || h->ended) watch(h), watch(h->peer);
}

static half *make(int fd) {
  half *h = calloc(1, sizeof *h);
  int p[2], on = 1;
  if (h == NULL || pipe2(p, O_NONBLOCK) != 0) abort();
  h->fd = fd, h->in = p[1], h->out = p[0];
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return h;
}

int main(int argc, char **argv) {
  if (argc < 3) return 1;
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(argv[1]))};
  struct sockaddr_in up = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(argv[2]))};
  at.sin_addr.s_addr = up.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int on = 1, l = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(l, (struct sockaddr *)&at, sizeof at) != 0 || listen(l, 1024) != 0) return 1;
  epfd = epoll_create1(0);
  struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL}, list[256];
  epoll_ctl(epfd, EPOLL_CTL_ADD, l, &e);
  for (;;) {
    int n = epoll_wait(epfd, list, 256, -1);
    for (int i = 0; i < n; i++) {
      half *h = list[i].data.ptr;
      if (h != NULL) {
        if (!h->closed && (list[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))) pump(h);
        if (!h->closed && (list[i].events & EPOLLOUT)) pump(h->peer);
        continue;
      }
      int c = accept4(l, NULL, NULL, SOCK_NONBLOCK);
      if (c < 0) continue;
      int u = socket(AF_INET, SOCK_STREAM, 0);
      if (connect(u, (struct sockaddr *)&up, sizeof up) != 0) return 1;
      fcntl(u, F_SETFL, O_NONBLOCK);
      half *a = make(c), *b = make(u);
      a->peer = b, b->peer = a;
      e = (struct epoll_event){.events = EPOLLIN, .data.ptr = a};
      epoll_ctl(epfd, EPOLL_CTL_ADD, c, &e);
      e.data.ptr = b;
      epoll_ctl(epfd, EPOLL_CTL_ADD, u, &e);
    }
  }
}
