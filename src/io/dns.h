/*
** dns.h - names to addresses, by the system's getaddrinfo on the pool.
**
** A failed allocation inside getaddrinfo is its own affair: UV_EAI_MEMORY mostly, but glibc
** 2.36 crashes when those fail that set up its name service.
** A numeric host takes no trip to the pool and is ready at its first poll.
*/
#ifndef LA_IO_DNS_H
#define LA_IO_DNS_H

#include "driver/op.h"
#include "io/address.h"

typedef struct la_resolve {
  la_op op; /* op.result: 0, or a negative errno, UV_EAI_* among them */
  size_t count;
  la_address *list; /* in the system's order, each with the port, no doubles; freed by the drop */
  int port, family;
  uv_getaddrinfo_t req;
  char host[];
} la_resolve;

/* `family` is AF_UNSPEC, AF_INET or AF_INET6. NULL: no memory. Its drop frees it. */
la_resolve *la_resolve_new(la_reactor *r, const char *host, int port, int family);

#endif
