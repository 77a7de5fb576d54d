/*
** reader.h - reading in the ways of Lua's io.read, over any source of bytes.
**
** A la_reader lives inside its stream or file: the bytes read and not yet taken, and
** the one read that may be under way, as a future. So a read allocates nothing, and a
** cancelled one loses nothing: what had arrived is there for the next.
**
** To read: one of la_reader_some … la_reader_number; poll &rd->base until it is ready
** (or drop it: that forgets the read and keeps the bytes); look at `status` and
** la_reader_span; la_reader_take. The span is memory of the reader, valid until the
** take or the next read, whichever comes first; without a take its bytes stay.
**
**   status      span
**   0           the result
**   UV_EOF      the stream ended before there was (all of) it: what there was
**   UV_ENOBUFS  more than `max` bytes: what there is; or a numeral of more than 200
**               characters: these, which io.read would take too
**   other errno the source failed, or UV_ENOMEM: what there was
*/
#ifndef LA_STREAM_READER_H
#define LA_STREAM_READER_H

#include "core/export.h"
#include "stream/buffer.h"

typedef struct la_reader la_reader;

/* Where bytes come from. */
typedef struct la_source {
  /* Adds what there is to rd->buf: *n = how many bytes, at least one; 0 at the end; a
  ** negative errno. `want` is a hint of how many more are needed. LA_PENDING: keeps the
  ** context's waker; nothing was added. Takes budget before LA_READY. */
  la_poll (*fill)(la_reader *rd, la_context *cx, size_t want, ssize_t *n);
  /* Nobody waits any more: drops that waker. */
  void (*forget)(la_reader *rd);
  const la_future_vtable *future; /* LA_READER_VTABLE("tcp read") */
} la_source;

typedef enum la_read_kind {
  LA_READ_SOME,
  LA_READ_LINE,
  LA_READ_EXACT,
  LA_READ_ALL,
  LA_READ_UNTIL,
  LA_READ_NUMBER
} la_read_kind;

/* So that the next read does not scan it again: no delimiter begins in [from, to) of the buffer. */
typedef struct la_passed {
  size_t from, to;
  unsigned len; /* of the delimiter; 0: these bytes are white space */
  char delimiter[];
} la_passed;

struct la_reader {
  la_future base;
  const la_source *source;
  la_reactor *reactor;
  la_rbuf buf;
  size_t limit;   /* the count, or the maximum */
  size_t kept;    /* bytes that belong to reads before; see la_reader_keep */
  size_t start;   /* bytes before the result: those, and spaces before a number */
  size_t scanned; /* bytes known not to end the result */
  size_t span;    /* length of the result, once ready */
  const char *delimiter;
  unsigned delimiter_len;
  int status;
  unsigned char kind; /* la_read_kind */
  bool under_way;     /* begun, and not ready yet */
  bool gathers;       /* it is one of several: see la_reader_keep */
  bool held, stale;   /* see la_reader_hold */
  la_passed *passed;  /* what a read that found nothing has scanned; NULL: nothing is known */
};

/* Empty, with no read under way; it holds no reference of its own to the reactor. */
LA_PART void la_reader_init(la_reader *rd, la_reactor *r, const la_source *source);
/* Drops the bytes. */
LA_PART void la_reader_clear(la_reader *rd);

/* What is there, at least one byte, at most max. max 0: an empty span unless at the end. */
LA_PART void la_reader_some(la_reader *rd, size_t max);
/* Up to and with the next "\n", or the rest of the stream when that is not empty. */
LA_PART void la_reader_line(la_reader *rd, size_t max);
LA_PART void la_reader_exact(la_reader *rd, size_t n);
/* All to the end; never UV_EOF. */
LA_PART void la_reader_all(la_reader *rd, size_t max);
/* Up to and with the delimiter, which is not copied and must live as long as the read. */
LA_PART void la_reader_until(la_reader *rd, const char *delimiter, size_t len, size_t max);
/* The characters that liolib's "n" would read, after white space; maybe none, and maybe no
** numeral: lua_stringtonumber decides. White space is taken with them; of more than 4 KiB
** most is taken before, for good. */
LA_PART void la_reader_number(la_reader *rd);

/* How many bytes from `start` of the buffer on are known not to begin the delimiter. */
LA_PART size_t la_reader_passed(const la_reader *rd, size_t start, const char *delimiter,
                                unsigned len);

static inline const char *la_reader_span(const la_reader *rd, size_t *len) {
  *len = rd->span;
  return rd->span > 0 ? la_rbuf_bytes(&rd->buf) + rd->start : "";
}

/* Takes the span off the buffer, and what is before it. */
LA_PART void la_reader_take(la_reader *rd);

/* Takes the first n bytes of the span, or all of it: it is shorter then. */
LA_PART void la_reader_take_some(la_reader *rd, size_t n);

/* n bytes have been taken off the front of the buffer: what is known of the rest moves along. */
LA_PART void la_reader_passed_taken(la_reader *rd, size_t n);

/* Takes n bytes off the buffer while no read is under way and nothing is kept. */
static inline void la_reader_taken(la_reader *rd, size_t n) {
  la_rbuf_taken(&rd->buf, n);
  if (rd->passed != NULL) la_reader_passed_taken(rd, n);
  la_rbuf_settle(&rd->buf, rd->reactor);
}

/* Several reads as one, which takes the bytes of all or of none: la_reader_gather when each
** begins, la_reader_keep after it, instead of a take, and la_reader_take_kept at the end. When
** it never comes to that, la_reader_release before the next read gives them back. */
static inline void la_reader_gather(la_reader *rd) { rd->gathers = true; }
static inline void la_reader_keep(la_reader *rd) { rd->kept = rd->start + rd->span; }
LA_PART void la_reader_take_kept(la_reader *rd);

/* Who writes the span piece by piece holds it until it is taken or let go: meanwhile
** la_reader_rewind leaves it be. Let go, its bytes are to be read again, but for one that the
** source has moved away from (stale), which is dropped. Only of a read that kept nothing. */
static inline void la_reader_hold(la_reader *rd) { rd->held = true; }
LA_PART void la_reader_let_go(la_reader *rd);

static inline void la_reader_release(la_reader *rd) {
  if (rd->held) la_reader_let_go(rd);
  rd->kept = 0;
}

/* Bytes that nobody has read: what is kept or held counts as read only while that goes on. */
static inline size_t la_reader_unread(const la_reader *rd) {
  return la_rbuf_len(&rd->buf) - (rd->under_way ? rd->kept : 0) - (rd->held ? rd->span : 0);
}

/* The source moves: drops the bytes that nobody has read, and returns how many these were. A read
** that is under way goes on from there. */
LA_PART size_t la_reader_rewind(la_reader *rd);

LA_PART la_poll la_reader_poll(la_future *f, la_context *cx);
LA_PART void la_reader_drop(la_future *f);
#define LA_READER_VTABLE(NAME)                                                                     \
  { la_reader_poll, la_reader_drop, NAME, NULL }

#endif
