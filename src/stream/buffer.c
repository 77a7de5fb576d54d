#include "stream/buffer.h"

#include <stdlib.h>
#include <string.h>

/* Below this, what stays behind is not worth moving. */
enum { SMALL = 4096 };

/* Memory of our own never has just these sizes. */
static bool pooled(size_t cap) { return cap == LA_BUFFER_SIZE || cap == LA_BLOCK_SIZE; }

static void release(la_rbuf *b, la_reactor *r) {
  if (b->data == NULL) return;
  if (b->cap == LA_BUFFER_SIZE)
    la_buffer_give(r, b->data);
  else if (b->cap == LA_BLOCK_SIZE)
    la_block_give(r, b->data);
  else
    free(b->data);
  *b = (la_rbuf){0};
}

/* The bytes move to a block of `cap`; false: no memory. */
static bool move(la_rbuf *b, la_reactor *r, size_t cap) {
  size_t len = la_rbuf_len(b);
  char *data = cap == LA_BUFFER_SIZE ? la_buffer_take(r) : malloc(cap);
  if (data == NULL) return false;
  if (len > 0) memcpy(data, la_rbuf_bytes(b), len);
  release(b, r);
  *b = (la_rbuf){.data = data, .end = len, .cap = cap};
  return true;
}

int la_rbuf_grow(la_rbuf *b, la_reactor *r, size_t want) {
  size_t len = la_rbuf_len(b);
  size_t need = want < len ? want : len;
  if (need < 1) need = 1;
  if (b->data != NULL && la_rbuf_room(b) >= need) return 0;
  if (b->data != NULL && b->cap - len >= need &&
      b->start > 0) { /* sliding pays: it moves no more than it gains */
    memmove(b->data, la_rbuf_bytes(b), len);
    b->start = 0;
    b->end = len;
    return 0;
  }
  if (len > SIZE_MAX / 4) return UV_ENOMEM;
  size_t cap = len + need <= LA_BUFFER_SIZE ? LA_BUFFER_SIZE : LA_BUFFER_SIZE * 2;
  while (cap < len + need || cap == LA_BLOCK_SIZE) cap *= 2;
  return move(b, r, cap) ? 0 : UV_ENOMEM;
}

void la_rbuf_settle(la_rbuf *b, la_reactor *r) {
  size_t len = la_rbuf_len(b);
  if (len == 0)
    release(b, r);
  else if (b->cap > SMALL && b->cap != LA_BLOCK_SIZE && len < b->cap / 4 && !pooled(len))
    move(b, r, len);
}

void la_rbuf_adopt(la_rbuf *b, la_reactor *r, char *buffer, size_t cap, size_t start, size_t n) {
  size_t len = la_rbuf_len(b);
  if (len > 0) memcpy(buffer + start - len, la_rbuf_bytes(b), len);
  release(b, r);
  *b = (la_rbuf){.data = buffer, .start = start - len, .end = start + n, .cap = cap};
}

void la_rbuf_clear(la_rbuf *b, la_reactor *r) {
  b->start = b->end = 0;
  release(b, r);
}

int la_rbuf_append(la_rbuf *b, la_reactor *r, const char *bytes, size_t len) {
  while (len > 0) {
    int error = la_rbuf_grow(b, r, len);
    if (error != 0) return error;
    size_t n = la_rbuf_room(b) < len ? la_rbuf_room(b) : len;
    memcpy(b->data + b->end, bytes, n);
    la_rbuf_added(b, n);
    bytes += n;
    len -= n;
  }
  return 0;
}
