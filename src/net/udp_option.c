#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "net/udp_option.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>

static int set(int fd, int level, int name, const void *value, socklen_t len) {
  return setsockopt(fd, level, name, value, len) == 0 ? 0 : uv_translate_sys_error(errno);
}

static int set_int(int fd, int level, int name, int value) {
  return set(fd, level, name, &value, sizeof value);
}

/* An IPv6 socket that also speaks IPv4 has the options of both; where it has not those of
** IPv4, it needs none. */
static int set_both(int fd, int family, int name4, int name6, int value) {
  int err = set_int(fd, IPPROTO_IP, name4, value);
  return family == AF_INET6 ? set_int(fd, IPPROTO_IPV6, name6, value) : err;
}

int la_udp_set_ttl(int fd, int family, int n) {
  return set_both(fd, family, IP_TTL, IPV6_UNICAST_HOPS, n);
}

int la_udp_set(la_udp *u, la_udp_option option, int value) {
  if (!la_udp_is_open(u)) return UV_EBADF;
  int family = u->bound.any.sa_family;
  switch (option) {
  case LA_UDP_TTL: return la_udp_set_ttl(u->fd, family, value);
  case LA_UDP_BROADCAST: return set_int(u->fd, SOL_SOCKET, SO_BROADCAST, value);
  case LA_UDP_MULTICAST_TTL:
    return set_both(u->fd, family, IP_MULTICAST_TTL, IPV6_MULTICAST_HOPS, value);
  case LA_UDP_MULTICAST_LOOP:
    return set_both(u->fd, family, IP_MULTICAST_LOOP, IPV6_MULTICAST_LOOP, value);
  }
  return UV_EINVAL;
}

/* ---- interfaces -------------------------------------------------------------------*/

/* Not by libuv's uv_interface_addresses, which crashes when memory runs out. */
static int find_by_address(const la_address *wanted, la_interface *out) {
  struct ifaddrs *all;
  if (getifaddrs(&all) != 0) return uv_translate_sys_error(errno);
  for (struct ifaddrs *i = all; i != NULL && out->index == 0; i = i->ifa_next) {
    la_address a;
    if (i->ifa_addr == NULL || !la_address_from(&a, i->ifa_addr)) continue;
    if (a.any.sa_family == AF_INET6 && wanted->any.sa_family == AF_INET6 &&
        wanted->in6.sin6_scope_id == 0)
      a.in6.sin6_scope_id = 0;
    if (la_address_same_host(wanted, &a)) out->index = if_nametoindex(i->ifa_name);
  }
  freeifaddrs(all);
  return out->index != 0 ? 0 : UV_ENODEV;
}

int la_interface_find(const char *text, la_interface *out) {
  la_address a;
  *out = (la_interface){0};
  if (text == NULL) return 0;
  if (la_address_parse(&a, text, 0)) {
    if (a.any.sa_family == AF_INET) out->in4 = a.in4.sin_addr;
    return find_by_address(&a, out);
  }
  out->index = if_nametoindex(text);
  return out->index != 0 ? 0 : UV_ENODEV;
}

/* ---- multicast --------------------------------------------------------------------*/

static struct ip_mreqn request4(struct in_addr group, const la_interface *on) {
  return (struct ip_mreqn){.imr_multiaddr = group,
                           .imr_address = on->in4,
                           .imr_ifindex = (int)on->index};
}

int la_udp_membership(la_udp *u, const la_address *group, const la_interface *on, bool join) {
  if (!la_udp_is_open(u)) return UV_EBADF;
  if (group->any.sa_family == AF_INET) {
    struct ip_mreqn m = request4(group->in4.sin_addr, on);
    return set(u->fd, IPPROTO_IP, join ? IP_ADD_MEMBERSHIP : IP_DROP_MEMBERSHIP, &m, sizeof m);
  }
  struct ipv6_mreq m = {group->in6.sin6_addr, on->index};
  if (m.ipv6mr_interface == 0) m.ipv6mr_interface = group->in6.sin6_scope_id;
  return set(u->fd, IPPROTO_IPV6, join ? IPV6_JOIN_GROUP : IPV6_LEAVE_GROUP, &m, sizeof m);
}

int la_udp_multicast_interface(la_udp *u, const la_interface *on) {
  if (!la_udp_is_open(u)) return UV_EBADF;
  struct ip_mreqn m = request4((struct in_addr){0}, on);
  m.imr_address = on->in4;
  int err = set(u->fd, IPPROTO_IP, IP_MULTICAST_IF, &m, sizeof m);
  if (u->bound.any.sa_family != AF_INET6) return err;
  int index = (int)on->index;
  return set(u->fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, &index, sizeof index);
}
