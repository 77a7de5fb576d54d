/*
** udp_option.h - what can be set on a UDP socket. All: 0 or a negative errno.
**
** On a socket for both families an option is set for both, if it can be.
*/
#ifndef LA_NET_UDP_OPTION_H
#define LA_NET_UDP_OPTION_H

#include "net/udp.h"

int la_udp_set_ttl(int fd, int family, int n);

typedef enum la_udp_option {
  LA_UDP_TTL,
  LA_UDP_BROADCAST,
  LA_UDP_MULTICAST_TTL,
  LA_UDP_MULTICAST_LOOP
} la_udp_option;

int la_udp_set(la_udp *u, la_udp_option option, int value);

/* A network interface, by name, number or one of its addresses. */
typedef struct la_interface {
  unsigned index;     /* 0: the system chooses, or `address` says it */
  struct in_addr in4; /* when `index` is 0 */
} la_interface;

/* `text` NULL: the system's choice. UV_ENODEV: there is none of that name or address. */
int la_interface_find(const char *text, la_interface *out);

int la_udp_membership(la_udp *u, const la_address *group, const la_interface *on, bool join);
int la_udp_multicast_interface(la_udp *u, const la_interface *on);

#endif
