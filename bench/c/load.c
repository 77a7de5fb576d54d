/*
** load MODE PORT CONNECTIONS SIZE SECONDS SERVER_PID: asks an echo server and checks every
** answer; prints the CPU microseconds of the server for each request, after a warm-up.
** MODE is echo (ping-pong), conn (connect, one echo, close, again) or udp (ping-pong of
** datagrams).
*/
#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

typedef struct conn {
  int fd;
  size_t sent, got;
} conn;

static size_t size;
static char *payload, *answer;
static struct sockaddr_in at = {.sin_family = AF_INET};
static int poll_fd, type = SOCK_STREAM;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *what) {
  perror(what);
  exit(1);
}

/* The scheduler's own nanoseconds, of all threads. */
static double server_cpu(int pid) {
  char path[300];
  double ns = 0;
  snprintf(path, sizeof path, "/proc/%d/task", pid);
  DIR *d = opendir(path);
  if (d == NULL) die("server");
  for (struct dirent *e; (e = readdir(d)) != NULL;) {
    unsigned long long run = 0;
    snprintf(path, sizeof path, "/proc/%d/task/%.20s/schedstat", pid, e->d_name);
    FILE *f = fopen(path, "r");
    if (f == NULL) continue;
    if (fscanf(f, "%llu", &run) == 1) ns += (double)run;
    fclose(f);
  }
  closedir(d);
  return ns;
}

static void open_conn(conn *c) {
  int on = 1;
  struct linger reset = {1, 0};
  *c = (conn){.fd = socket(AF_INET, type, 0)};
  if (type == SOCK_STREAM) /* no TIME_WAIT here */
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&at, sizeof at) != 0) die("connect");
  if (type == SOCK_STREAM) setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  struct epoll_event e = {EPOLLIN, {.ptr = c}};
  epoll_ctl(poll_fd, EPOLL_CTL_ADD, c->fd, &e);
}

static void ask(conn *c) {
  c->got = 0;
  if (send(c->fd, payload, size, MSG_NOSIGNAL) != (ssize_t)size) die("send");
}

int main(int argc, char **argv) {
  if (argc != 7) return 2;
  int again = strcmp(argv[1], "conn") == 0, n = atoi(argv[3]), pid = atoi(argv[6]);
  if (strcmp(argv[1], "udp") == 0) type = SOCK_DGRAM;
  size = (size_t)atol(argv[4]);
  double seconds = atof(argv[5]), start = now(), from = 0, cpu = 0;
  struct rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  at.sin_port = htons((unsigned short)atoi(argv[2]));
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  payload = malloc(size);
  answer = malloc(65536);
  for (size_t i = 0; i < size; i++) payload[i] = (char)(i * 31 + 7);
  poll_fd = epoll_create1(0);
  conn *conns = calloc((size_t)n, sizeof *conns);
  for (int i = 0; i < n; i++) {
    open_conn(&conns[i]);
    ask(&conns[i]);
  }
  long requests = 0;
  struct epoll_event ready[1024];
  for (;;) {
    int k = epoll_wait(poll_fd, ready, 1024, 1000);
    if (k <= 0) die("no answer");
    for (int i = 0; i < k; i++) {
      conn *c = ready[i].data.ptr;
      ssize_t got = read(c->fd, answer, 65536);
      if (got <= 0) die("read");
      if (memcmp(answer, payload + c->got, (size_t)got) != 0) die("a wrong answer");
      c->got += (size_t)got;
      if (c->got < size) continue;
      requests++;
      if (again) {
        close(c->fd);
        open_conn(c);
      }
      ask(c);
    }
    double t = now();
    if (from == 0 && t - start > 0.4) {
      from = t;
      requests = 0;
      cpu = server_cpu(pid);
    }
    if (from != 0 && t - from > seconds) break;
  }
  printf("%.3f\n", (server_cpu(pid) - cpu) / 1000 / (double)requests);
  return 0;
}
