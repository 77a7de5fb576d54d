/*
** buffer.h - la_rbuf: what was read from a stream and not yet taken.
**
** Empty most of the time, and then without memory. While reading it holds a buffer of
** the reactor's (LA_BUFFER_SIZE), given back as soon as it is empty; what little stays
** behind moves to memory of its own, so that ten thousand connections with half
** a line each do not hold ten thousand buffers; only a block, of which there are few, it
** keeps until that is empty. Bytes are only ever added at the end
** and taken at the start; a failed allocation loses none.
*/
#ifndef LA_STREAM_BUFFER_H
#define LA_STREAM_BUFFER_H

#include "core/export.h"
#include "driver/reactor.h"

typedef struct la_rbuf {
  char *data;             /* NULL: no memory */
  size_t start, end, cap; /* bytes are data[start, end) */
} la_rbuf;

static inline size_t la_rbuf_len(const la_rbuf *b) { return b->end - b->start; }
static inline char *la_rbuf_bytes(const la_rbuf *b) { return b->data + b->start; }
static inline size_t la_rbuf_room(const la_rbuf *b) { return b->cap - b->end; }

/* Makes room for more bytes at data[end, cap): at least one, and when it has to move
** or grow, as many again as it holds, `want` at most. An empty one takes a buffer of
** the reactor's whatever `want` is. UV_ENOMEM: as it was. Moves the bytes, not their
** offsets from la_rbuf_bytes. */
LA_PART int la_rbuf_grow(la_rbuf *b, la_reactor *r, size_t want);

/* n bytes have been written at data[end]. */
static inline void la_rbuf_added(la_rbuf *b, size_t n) { b->end += n; }

/* Adds these. UV_ENOMEM: some of them, from the first on, are there. */
LA_PART int la_rbuf_append(la_rbuf *b, la_reactor *r, const char *bytes, size_t n);

/* Takes n bytes off the start; memory is kept until la_rbuf_settle. */
static inline void la_rbuf_taken(la_rbuf *b, size_t n) { b->start += n; }

/* Keeps the first n bytes alone. */
static inline void la_rbuf_cut(la_rbuf *b, size_t n) { b->end = b->start + n; }

/* Gives memory up that the bytes do not need. Cannot fail. */
LA_PART void la_rbuf_settle(la_rbuf *b, la_reactor *r);

/* Adopts a buffer or block of the reactor's (`cap` says which) with n bytes at `start`: what it
** had goes before them, and has to have room there. */
LA_PART void la_rbuf_adopt(la_rbuf *b, la_reactor *r, char *buffer, size_t cap, size_t start,
                           size_t n);

/* Drops all bytes and the memory. */
LA_PART void la_rbuf_clear(la_rbuf *b, la_reactor *r);

#endif
