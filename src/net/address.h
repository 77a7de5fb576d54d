/* address.h - an IP address with its port. */
#ifndef LA_NET_ADDRESS_H
#define LA_NET_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

typedef union la_address {
  struct sockaddr any;
  struct sockaddr_in in4;
  struct sockaddr_in6 in6;
} la_address;

enum { LA_ADDRESS_TEXT = 64 };

socklen_t la_address_len(const la_address *a);
/* "127.0.0.1", "::1", "fe80::1%eth0"; an empty host is the IPv6 wildcard. False: not
** numeric, or its scope is that of no interface. */
bool la_address_parse(la_address *a, const char *host, int port);
/* It is not numeric for its scope alone. */
bool la_address_lacks_scope(const char *host);
int la_address_port(const la_address *a);
void la_address_set_port(la_address *a, int port);
/* The host part into `text`, of LA_ADDRESS_TEXT bytes; returns the port. */
int la_address_text(const la_address *a, char *text);
/* Host and zone are the same; and the port, too. */
bool la_address_same_host(const la_address *a, const la_address *b);
bool la_address_equal(const la_address *a, const la_address *b);
/* From the system's: false when it is neither IPv4 nor IPv6. */
bool la_address_from(la_address *a, const struct sockaddr *sa);

#endif
