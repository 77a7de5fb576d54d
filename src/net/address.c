#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "net/address.h"

#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

socklen_t la_address_len(const la_address *a) {
  return a->any.sa_family == AF_INET6 ? sizeof a->in6 : sizeof a->in4;
}

/* RFC 4007, section 11.2, as getaddrinfo has it: the name of an interface, where the address is a
** link's own; or a number. */
static bool find_scope(const la_address *a, const char *text, uint32_t *scope) {
  const struct in6_addr *in6 = &a->in6.sin6_addr;
  *scope = 0;
  if (IN6_IS_ADDR_LINKLOCAL(in6) || IN6_IS_ADDR_MC_LINKLOCAL(in6)) *scope = if_nametoindex(text);
  if (*scope != 0) return true;
  uint64_t n = 0;
  const char *p = text;
  for (; *p >= '0' && *p <= '9' && n <= UINT32_MAX; p++) n = n * 10 + (uint64_t)(*p - '0');
  *scope = (uint32_t)n;
  return p != text && *p == '\0' && n <= UINT32_MAX;
}

static bool parse_scoped(la_address *a, const char *host, const char *percent, int port) {
  char bare[LA_ADDRESS_TEXT];
  size_t len = (size_t)(percent - host);
  uint32_t scope;
  if (len >= sizeof bare) return false;
  memcpy(bare, host, len);
  bare[len] = '\0';
  if (uv_ip6_addr(bare, port, &a->in6) != 0 || !find_scope(a, percent + 1, &scope)) return false;
  a->in6.sin6_scope_id = scope;
  return true;
}

bool la_address_lacks_scope(const char *host) {
  la_address a;
  char bare[LA_ADDRESS_TEXT];
  size_t len = strcspn(host, "%");
  if (host[len] == '\0' || len >= sizeof bare || la_address_parse(&a, host, 0)) return false;
  memcpy(bare, host, len);
  bare[len] = '\0';
  return uv_ip6_addr(bare, 0, &a.in6) == 0;
}

bool la_address_parse(la_address *a, const char *host, int port) {
  if (*host == '\0') host = "::";
  memset(a, 0, sizeof *a);
  const char *percent = strchr(host, '%');
  if (percent != NULL) return parse_scoped(a, host, percent, port);
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

/* A scope is shown by its interface's name, or as a number when that has none. */
int la_address_text(const la_address *a, char *text) {
  text[0] = '\0';
  if (a->any.sa_family != AF_INET6) {
    uv_ip4_name(&a->in4, text, LA_ADDRESS_TEXT);
    return la_address_port(a);
  }
  uv_ip6_name(&a->in6, text, LA_ADDRESS_TEXT);
  size_t len = strlen(text), room = LA_ADDRESS_TEXT - len;
  char name[IF_NAMESIZE];
  if (a->in6.sin6_scope_id == 0) return la_address_port(a);
  bool local =
      IN6_IS_ADDR_LINKLOCAL(&a->in6.sin6_addr) || IN6_IS_ADDR_MC_LINKLOCAL(&a->in6.sin6_addr);
  if (local && if_indextoname(a->in6.sin6_scope_id, name) != NULL)
    snprintf(text + len, room, "%%%s", name);
  else
    snprintf(text + len, room, "%%%u", (unsigned)a->in6.sin6_scope_id);
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
