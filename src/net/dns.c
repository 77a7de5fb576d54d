#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* NI_MAXHOST */
#endif
#include "net/dns.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "stream/posix.h"

static la_resolve *from_op(la_op *op) { return la_container(op, la_resolve, op); }

/* ---- on a thread ------------------------------------------------------------------*/

/* libuv's uv_getaddrinfo and uv_getnameinfo, which know about international names and the
** codes of all systems, run at once when they get no callback. Of their loop they use one
** field then, to count the request in and out again, so any memory will do; the real one is
** another thread's. */
typedef struct nowhere {
  uv_loop_t loop;
  union {
    uv_getaddrinfo_t info;
    uv_getnameinfo_t name;
  };
} nowhere;

static bool known(const la_resolve *re, const la_address *a) {
  for (size_t i = 0; i < re->count; i++)
    if (la_address_equal(&re->list[i], a)) return true;
  return false;
}

static int take_list(la_resolve *re, const struct addrinfo *list) {
  size_t n = 0;
  for (const struct addrinfo *i = list; i != NULL; i = i->ai_next) n++;
  if (n == 0) return UV_EAI_NONAME;
  re->list = malloc(n * sizeof *re->list);
  if (re->list == NULL) return UV_ENOMEM;
  for (const struct addrinfo *i = list; i != NULL; i = i->ai_next) {
    la_address a;
    if (!la_address_from(&a, i->ai_addr)) continue;
    la_address_set_port(&a, re->port);
    if (!known(re, &a)) re->list[re->count++] = a;
  }
  return re->count > 0 ? 0 : UV_EAI_NODATA;
}

/* Without a descriptor for its files and servers the system says that there is no such name. */
static int doubt(int err) {
  if (err != UV_EAI_NONAME && err != UV_EAI_AGAIN && err != UV_EAI_FAIL) return err;
  int fd = la_posix_open("/dev/null", O_RDONLY, 0);
  if (fd >= 0) close(fd);
  return fd == UV_EMFILE || fd == UV_ENFILE ? fd : err;
}

static ssize_t resolve_run(la_job *job) {
  la_resolve *re = la_container(job, la_resolve, job);
  struct addrinfo hints = {.ai_family = re->family, .ai_socktype = SOCK_STREAM};
  nowhere at;
  memset(&at, 0, sizeof at);
  int err = uv_getaddrinfo(&at.loop, &at.info, NULL, re->host, NULL, &hints);
  if (err != 0) return doubt(err);
  err = take_list(re, at.info.addrinfo);
  uv_freeaddrinfo(at.info.addrinfo);
  return err;
}

static ssize_t reverse_run(la_job *job) {
  la_reverse *re = la_container(job, la_reverse, job);
  nowhere at;
  memset(&at, 0, sizeof at);
  int err = uv_getnameinfo(&at.loop, &at.name, NULL, &re->address.any, NI_NAMEREQD);
  if (err == 0) memcpy(re->name, at.name.host, sizeof re->name);
  return doubt(err);
}

/* ---- on the loop's ----------------------------------------------------------------*/

static int take_numeric(la_resolve *re, const la_address *a) {
  if (re->family != AF_UNSPEC && re->family != a->any.sa_family) return UV_EAI_ADDRFAMILY;
  re->list = malloc(sizeof *re->list);
  if (re->list == NULL) return UV_ENOMEM;
  re->list[0] = *a;
  re->count = 1;
  la_op_complete(&re->op, 0);
  return 0;
}

static int submit(la_op *op) {
  la_resolve *re = from_op(op);
  la_address a;
  if (la_address_parse(&a, re->host, re->port)) return take_numeric(re, &a);
  return la_job_op_submit(op);
}

static void resolve_release(la_op *op) {
  la_resolve *re = from_op(op);
  free(re->list);
  free(re);
}

static const la_job_class resolve_class =
    {{{la_op_poll, la_job_drop, "resolve", NULL}, submit, resolve_release, NULL}, resolve_run};

la_resolve *la_resolve_new(la_reactor *r, const char *host, int port, int family) {
  size_t len = strlen(host) + 1;
  la_resolve *re = malloc(sizeof *re + len);
  if (re == NULL) return NULL;
  la_job_init(&re->job, &resolve_class, r);
  re->count = 0;
  re->list = NULL;
  re->port = port;
  re->family = family;
  memcpy(re->host, host, len);
  return re;
}

static void reverse_release(la_op *op) { free(la_container(op, la_reverse, op)); }

static const la_job_class reverse_class = {LA_JOB_OP("reverse", reverse_release), reverse_run};

la_reverse *la_reverse_new(la_reactor *r, const la_address *a) {
  la_reverse *re = malloc(sizeof *re);
  if (re == NULL) return NULL;
  la_job_init(&re->job, &reverse_class, r);
  re->address = *a;
  re->name[0] = '\0';
  return re;
}
