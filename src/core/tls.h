/* tls.h - thread-local variables that cost one instruction where the libc allows it. */
#ifndef LA_CORE_TLS_H
#define LA_CORE_TLS_H

#include <stddef.h> /* __GLIBC__ */

/* glibc keeps room for the few bytes of libraries that are loaded later; others (musl)
** refuse to load a library that wants it. */
#if defined(__GLIBC__) && defined(__GNUC__)
#define LA_THREAD_LOCAL _Thread_local __attribute__((tls_model("initial-exec")))
#else
#define LA_THREAD_LOCAL _Thread_local
#endif

#endif
