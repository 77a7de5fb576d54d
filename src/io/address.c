#include "io/address.h"

#include <string.h>
#include <uv.h>

socklen_t la_address_len(const la_address *a) {
  return a->any.sa_family == AF_INET6 ? sizeof a->in6 : sizeof a->in4;
}

bool la_address_parse(la_address *a, const char *host, int port) {
  if (*host == '\0') host = "::";
  memset(a, 0, sizeof *a);
  return uv_ip4_addr(host, port, &a->in4) == 0 || uv_ip6_addr(host, port, &a->in6) == 0;
}

int la_address_port(const la_address *a) {
  return ntohs(a->any.sa_family == AF_INET6 ? a->in6.sin6_port : a->in4.sin_port);
}

void la_address_set_port(la_address *a, int port) {
  if (a->any.sa_family == AF_INET6)
    a->in6.sin6_port = htons((uint16_t)port);
  else
    a->in4.sin_port = htons((uint16_t)port);
}

/* A scope is shown by its interface's name, or number when it has none any more. */
int la_address_text(const la_address *a, char *text) {
  text[0] = '\0';
  if (a->any.sa_family != AF_INET6) {
    uv_ip4_name(&a->in4, text, LA_ADDRESS_TEXT);
    return la_address_port(a);
  }
  uv_ip6_name(&a->in6, text, LA_ADDRESS_TEXT);
  size_t len = strlen(text), room = LA_ADDRESS_TEXT - len - 1;
  if (a->in6.sin6_scope_id != 0) {
    if (uv_if_indextoiid(a->in6.sin6_scope_id, text + len + 1, &room) == 0) text[len] = '%';
  }
  return la_address_port(a);
}

bool la_address_from(la_address *a, const struct sockaddr *sa) {
  if (sa->sa_family != AF_INET && sa->sa_family != AF_INET6) return false;
  memset(a, 0, sizeof *a);
  memcpy(a, sa, sa->sa_family == AF_INET6 ? sizeof a->in6 : sizeof a->in4);
  return true;
}

bool la_address_same_host(const la_address *a, const la_address *b) {
  if (a->any.sa_family != b->any.sa_family) return false;
  if (a->any.sa_family == AF_INET) return a->in4.sin_addr.s_addr == b->in4.sin_addr.s_addr;
  return a->in6.sin6_scope_id == b->in6.sin6_scope_id &&
         memcmp(&a->in6.sin6_addr, &b->in6.sin6_addr, sizeof a->in6.sin6_addr) == 0;
}

bool la_address_equal(const la_address *a, const la_address *b) {
  return la_address_same_host(a, b) && la_address_port(a) == la_address_port(b);
}
