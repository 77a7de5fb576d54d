/*
** unix.h - Unix domain sockets: addresses, connections, listeners, and what they pass along
** beside bytes: credentials and descriptors.
**
** Reads of a Unix stream are recvmsg: descriptors that come with the bytes are kept, in
** their order, until la_unix_take. At most LA_UNIX_KEPT; while there are as many a read
** fails with -ETOOMANYREFS and takes nothing. Those that are left are closed with the
** stream.
*/
#ifndef LA_NET_UNIX_H
#define LA_NET_UNIX_H

#include <sys/un.h>

#include "net/listener.h"

enum { LA_UNIX_KEPT = 256 };

typedef struct la_unix_address {
  struct sockaddr_un sun;
  socklen_t len;
} la_unix_address;

/* A path, or a name of Linux's abstract kind, which begins with a zero byte. UV_ENAMETOOLONG;
** UV_EINVAL: empty, or a zero byte elsewhere. */
int la_unix_address_set(la_unix_address *a, const char *path, size_t len);
/* The path or name of an address from the system; length 0 when it has none. */
const char *la_unix_address_path(const la_unix_address *a, size_t *len);

/* For people: an abstract name as "@name". */
enum { LA_UNIX_TEXT = sizeof(((struct sockaddr_un *)0)->sun_path) + 1 };
void la_unix_address_text(const la_unix_address *a, char text[LA_UNIX_TEXT]);

/* Descriptors: connected sockets, CLOEXEC. */
extern const la_uv_stream_kind la_unix_kind;

/* Negative errnos: UV_EBADF when it is closed. */
int la_unix_peer(const la_uv_stream *s, la_unix_address *out);
int la_unix_local(const la_uv_stream *s, la_unix_address *out);
int la_unix_listener_local(const la_listener *l, la_unix_address *out);

/* Who made the peer's end (or listens): as when it connected. pid -1 where the system does not
** tell. */
typedef struct la_unix_credentials {
  long pid, uid, gid;
} la_unix_credentials;
int la_unix_peer_credentials(const la_uv_stream *s, la_unix_credentials *out);

/* ---- descriptors ------------------------------------------------------------------*/

/* The descriptor that arrived first, now the caller's; -1: there is none. */
int la_unix_take(la_uv_stream *s);
unsigned la_unix_arrived(const la_uv_stream *s);
/* Why a descriptor that the peer sent could not be kept, a negative errno (-EMFILE), and 0
** from then on; its bytes have arrived. */
int la_unix_lost(la_uv_stream *s);
/* Puts it back to the front: a la_unix_take that could not be used. */
void la_unix_put_back(la_uv_stream *s, int fd);

/* Sends one zero byte with the descriptor `fd`, as a future: a write of the stream (one at a
** time). It owns `fd`, which is closed by the drop, here; the peer has its own. */
typedef struct la_unix_send {
  la_future base;
  la_uv_stream *stream; /* the caller keeps it alive */
  la_future *room;      /* waits until the socket takes more */
  int fd;
  int status; /* once ready: 0 or a negative errno */
} la_unix_send;

void la_unix_send_init(la_unix_send *f, la_uv_stream *s, int fd);

/* ---- the file of a listener -------------------------------------------------------*/

/* The path that the last listener of a queue removes as it closes. */
typedef struct la_unix_file la_unix_file;

/* A reference to that of `l`; NULL: it has none. */
la_unix_file *la_unix_file_of(const la_listener *l);
/* `l` is one more listener of that queue. */
void la_unix_file_share(la_listener *l, la_unix_file *file);
/* Gives up a reference. Any thread. */
void la_unix_file_drop(la_unix_file *file);

/* ---- connecting and listening -----------------------------------------------------*/

/* Connects; while the backlog is full it tries again, after 1 ms and then twice as long up to
** 64 ms. The future owns itself: its drop frees it, and closes a stream nobody took. */
typedef struct la_unix_connect {
  la_future base;
  la_reactor *reactor;
  la_uv_stream *stream; /* status 0: one reference; taken by setting it to NULL */
  la_timer retry;
  uint64_t retry_ns;
  la_unix_address address;
  int fd;
  int status; /* once ready: 0 or a negative errno */
} la_unix_connect;

la_unix_connect *la_unix_connect_new(la_reactor *r, const la_unix_address *a);

typedef struct la_unix_listen_options {
  int backlog; /* 0: 4096; the system clamps it */
  int mode;    /* permissions of the socket file; -1: as the umask has it */
} la_unix_listen_options;

/* One reference. A socket file that nobody listens to any more is replaced; UV_EADDRINUSE when
** somebody does, or it is no socket. The file is removed at the close, if it is still the one
** that was made. */
int la_unix_listener_new(la_reactor *r, const la_unix_address *a, const la_unix_listen_options *o,
                         la_listener **out);

#endif
