/*
** posix.h - blocking system calls as the pool's threads make them: EINTR retried, negative
** errnos returned, descriptors CLOEXEC. Any thread.
*/
#ifndef LA_STREAM_POSIX_H
#define LA_STREAM_POSIX_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "driver/work.h"

int la_posix_errno(void); /* errno, as libuv gives it */
int la_posix_open(const char *path, int flags, int mode);

/* The same, without waiting in the system for the other end of a FIFO: to read, it is open at
** once, and la_posix_wait_readable waits for the first writer; to write, a reader is waited
** for here. Nor is a terminal line waited for that is not connected. The descriptor is a
** blocking one. UV_ECANCELED, at most LA_POSIX_LOOK_MS after `work` has become unwanted. */
int la_posix_open_patiently(const char *path, int flags, int mode, const la_work *work);
enum { LA_POSIX_LOOK_MS = 50 };

/* Until fd has something to read, or has ended; UV_ECANCELED as above. */
int la_posix_wait_readable(int fd, const la_work *work);

int la_posix_close(int fd); /* the descriptor is gone, whatever is returned */

int la_posix_sync(int fd);     /* fsync(2) */
int la_posix_datasync(int fd); /* fdatasync(2) */
int la_posix_truncate(int fd, int64_t size);

/* The position is the descriptor's own. A write that waits for the reader of a FIFO ends with
** UV_ECANCELED as above. */
ssize_t la_posix_read(int fd, char *buf, size_t len);
int la_posix_write_all(int fd, const char *data, size_t len, size_t *done, const la_work *work);

/* The position is `at`. Reads stop short only at the end of the file. */
ssize_t la_posix_pread_all(int fd, char *buf, size_t len, int64_t at);
int la_posix_pwrite_all(int fd, const char *data, size_t len, int64_t at, size_t *done);

#endif
