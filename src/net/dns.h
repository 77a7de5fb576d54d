/*
** dns.h - names to addresses and back, by the system's getaddrinfo and getnameinfo.
**
** So /etc/hosts, nsswitch.conf and what else the system knows of have their say. They block,
** which they do on threads of their own (driver/threads.h): a lookup that is dropped is
** nobody's any more at once, however long its name server is silent.
** A failed allocation inside getaddrinfo is its own affair: UV_EAI_MEMORY mostly, but glibc
** 2.36 crashes when those fail that set up its name service.
** A numeric host takes no thread and is ready at its first poll.
*/
#ifndef LA_NET_DNS_H
#define LA_NET_DNS_H

#include <netdb.h>

#include "core/export.h"
#include "driver/threads.h"
#include "net/address.h"

typedef struct la_resolve {
  union {
    la_op op; /* op.result: 0, or a negative errno, UV_EAI_* among them */
    la_job job;
  };
  size_t count;
  la_address *list; /* in the system's order, each with the port, no doubles; freed by the drop */
  int port, family;
  char host[];
} la_resolve;

/* `family` is AF_UNSPEC, AF_INET or AF_INET6. NULL: no memory. Its drop frees it. */
LA_PART la_resolve *la_resolve_new(la_reactor *r, const char *host, int port, int family);

typedef struct la_reverse {
  union {
    la_op op; /* op.result: 0, or a negative errno: UV_EAI_NONAME when it has no name */
    la_job job;
  };
  la_address address;
  char name[NI_MAXHOST];
} la_reverse;

LA_PART la_reverse *la_reverse_new(la_reactor *r, const la_address *a);

#endif
