#include "io/dns.h"

#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#include "driver/guard.h"

static la_resolve *from_op(la_op *op) { return la_container(op, la_resolve, op); }

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

static void on_resolved(uv_getaddrinfo_t *req, int status, struct addrinfo *list) {
  la_resolve *re = la_container(req, la_resolve, req);
  if (status == 0 && re->op.state != LA_OP_ORPHANED) status = take_list(re, list);
  uv_freeaddrinfo(list);
  re->op.reactor->pool--;
  la_op_complete(&re->op, status);
}

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
  struct addrinfo hints = {.ai_family = re->family, .ai_socktype = SOCK_STREAM};
  int err = op->reactor->closed ? UV_ECANCELED : la_guard_pool(op->reactor);
  if (err == 0)
    err = uv_getaddrinfo(op->reactor->uv, &re->req, on_resolved, re->host, NULL, &hints);
  if (err == 0) op->reactor->pool++;
  return err;
}

static void release(la_op *op) {
  la_resolve *re = from_op(op);
  free(re->list);
  free(re);
}

static uv_req_t *request(la_op *op) { return (uv_req_t *)&from_op(op)->req; }

static const la_op_class resolve_class = {LA_OP_VTABLE("resolve"), submit, release, request};

la_resolve *la_resolve_new(la_reactor *r, const char *host, int port, int family) {
  size_t len = strlen(host) + 1;
  la_resolve *re = malloc(sizeof *re + len);
  if (re == NULL) return NULL;
  la_op_init(&re->op, &resolve_class, r);
  re->count = 0;
  re->list = NULL;
  re->port = port;
  re->family = family;
  memcpy(re->host, host, len);
  return re;
}
