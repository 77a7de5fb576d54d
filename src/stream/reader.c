#include "stream/reader.h"

#include <locale.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
  NUMERAL_MAX = 200, /* as liolib's L_MAXLENNUM */
  SPACES_MAX = 4096  /* more white space than that before a numeral is taken for good */
};

void la_reader_init(la_reader *rd, la_reactor *r, const la_source *source) {
  *rd = (la_reader){.base = {source->future}, .source = source, .reactor = r};
}

static void forget_passed(la_reader *rd) {
  free(rd->passed);
  rd->passed = NULL;
}

void la_reader_clear(la_reader *rd) {
  la_rbuf_clear(&rd->buf, rd->reactor);
  rd->kept = rd->start = rd->scanned = rd->span = 0;
  rd->held = rd->stale = false;
  forget_passed(rd);
}

size_t la_reader_rewind(la_reader *rd) {
  size_t n = la_reader_unread(rd);
  rd->stale = rd->held;
  forget_passed(rd);
  if (rd->held)
    la_rbuf_cut(&rd->buf, rd->start + rd->span);
  else
    la_reader_clear(rd);
  return n;
}

/* ---- what was scanned -------------------------------------------------------------*/

size_t la_reader_passed(const la_reader *rd, size_t start, const char *delimiter, unsigned len) {
  const la_passed *p = rd->passed;
  if (p == NULL || start < p->from || start >= p->to || len != p->len) return 0;
  return memcmp(delimiter, p->delimiter, len) == 0 ? p->to - start : 0;
}

void la_reader_passed_taken(la_reader *rd, size_t n) {
  la_passed *p = rd->passed;
  if (p->to <= n) {
    forget_passed(rd);
    return;
  }
  p->to -= n;
  p->from = p->from > n ? p->from - n : 0;
}

/* None begins in n bytes from `start` on. For want of memory that is forgotten. */
static void pass(la_reader *rd, size_t start, const char *delimiter, unsigned len, size_t n) {
  if (la_reader_passed(rd, start, delimiter, len) > 0) {
    if (start + n > rd->passed->to) rd->passed->to = start + n;
    return;
  }
  forget_passed(rd);
  if (n == 0 || (rd->passed = malloc(sizeof *rd->passed + len)) == NULL) return;
  *rd->passed = (la_passed){.from = start, .to = start + n, .len = len};
  memcpy(rd->passed->delimiter, delimiter, len);
}

/* For a read that ends without its result. */
static void remember(la_reader *rd) {
  if (rd->kind == LA_READ_NUMBER)
    pass(rd, rd->kept, "", 0, rd->start - rd->kept);
  else if (rd->kind == LA_READ_UNTIL || rd->kind == LA_READ_LINE)
    pass(rd, rd->start, rd->delimiter, rd->delimiter_len, rd->scanned);
}

/* ---- what is wanted ---------------------------------------------------------------*/

static void begin(la_reader *rd, la_read_kind kind, size_t limit) {
  rd->kind = (unsigned char)kind;
  rd->limit = limit;
  rd->start = rd->kept;
  rd->scanned = rd->span = 0;
  rd->status = 0;
  rd->under_way = true;
  rd->gathers = false;
}

void la_reader_some(la_reader *rd, size_t max) { begin(rd, LA_READ_SOME, max); }
void la_reader_exact(la_reader *rd, size_t n) { begin(rd, LA_READ_EXACT, n); }
void la_reader_all(la_reader *rd, size_t max) { begin(rd, LA_READ_ALL, max); }

void la_reader_number(la_reader *rd) {
  begin(rd, LA_READ_NUMBER, 0);
  rd->start += la_reader_passed(rd, rd->start, "", 0);
}

void la_reader_until(la_reader *rd, const char *delimiter, size_t len, size_t max) {
  begin(rd, LA_READ_UNTIL, max);
  rd->delimiter = delimiter;
  rd->delimiter_len = (unsigned)len;
  rd->scanned = la_reader_passed(rd, rd->start, delimiter, rd->delimiter_len);
}

void la_reader_line(la_reader *rd, size_t max) {
  la_reader_until(rd, "\n", 1, max);
  rd->kind = LA_READ_LINE;
}

/* What is there for this read. */
static size_t there(const la_reader *rd) { return la_rbuf_len(&rd->buf) - rd->start; }
static const char *bytes(la_reader *rd) {
  return rd->buf.data == NULL ? "" : la_rbuf_bytes(&rd->buf) + rd->start;
}

static void take_front(la_reader *rd, size_t n) {
  la_rbuf_taken(&rd->buf, n);
  if (rd->passed != NULL) la_reader_passed_taken(rd, n);
}

/* ---- is it there? -----------------------------------------------------------------*/

/* Each `find` sets the span and returns true when the result is in the buffer. */

static bool find_delimiter(la_reader *rd) {
  const char *p = bytes(rd);
  size_t len = there(rd), d = rd->delimiter_len;
  size_t at = rd->scanned < len ? rd->scanned : len;
  const char *hit = memmem(p + at, len - at, rd->delimiter, d);
  if (hit != NULL)
    rd->span = (size_t)(hit - p) + d;
  else
    rd->scanned = len < d ? 0 : len - d + 1;
  return hit != NULL;
}

/* liolib's read_number over the bytes that are there. It stops as `more` when they end
** before the numeral is known to. */
typedef struct scan {
  const char *p;
  size_t len, at;
  bool more; /* wants a byte that is not there yet */
  bool over; /* there are too many: the rest is left, and there is no numeral */
} scan;

static int peek(scan *s) {
  if (s->at < s->len) return (unsigned char)s->p[s->at];
  s->more = true;
  return -1;
}

/* liolib's nextc. */
static bool advance(scan *s) {
  if (s->at < NUMERAL_MAX) {
    s->at++;
    return true;
  }
  s->over = true;
  return false;
}

static bool accept2(scan *s, const char *set) {
  int c = peek(s);
  return (c == set[0] || c == set[1]) && advance(s);
}

static bool is_digit(int c, bool hex) {
  if (c >= '0' && c <= '9') return true;
  return hex && ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'));
}

static unsigned digits(scan *s, bool hex) {
  unsigned n = 0;
  while (is_digit(peek(s), hex) && advance(s)) n++;
  return n;
}

static void scan_numeral(scan *s) {
  const char point[2] = {localeconv()->decimal_point[0], '.'};
  unsigned n = 0;
  bool hex = false;
  accept2(s, "-+");
  if (accept2(s, "00")) {
    if (accept2(s, "xX"))
      hex = true;
    else
      n = 1;
  }
  n += digits(s, hex);
  if (accept2(s, point)) n += digits(s, hex);
  if (n > 0 && accept2(s, hex ? "pP" : "eE")) {
    accept2(s, "-+");
    digits(s, false);
  }
  peek(s); /* the byte that ends it, so that "12" is not taken for all of "123" */
}

static bool find_number(la_reader *rd, bool at_end) {
  while (there(rd) > 0) {
    char c = *bytes(rd);
    if (c != ' ' && (c < '\t' || c > '\r')) break;
    rd->start++;
  }
  if (rd->start > SPACES_MAX && !rd->gathers) { /* whoever sends no end of them fills no memory */
    take_front(rd, rd->start);
    rd->start = 0;
  }
  scan s = {.p = bytes(rd), .len = there(rd)};
  if (s.len == 0) return false;
  scan_numeral(&s);
  if (s.more && !at_end) return false;
  rd->span = s.at;
  if (s.over) rd->status = UV_ENOBUFS;
  return true;
}

static bool find(la_reader *rd, bool at_end) {
  size_t len = there(rd);
  switch (rd->kind) {
  case LA_READ_SOME: rd->span = len < rd->limit ? len : rd->limit; return len > 0;
  case LA_READ_EXACT: rd->span = len < rd->limit ? len : rd->limit; return len >= rd->limit;
  case LA_READ_ALL: rd->span = len; return at_end;
  case LA_READ_NUMBER: return find_number(rd, at_end);
  default: return find_delimiter(rd);
  }
}

/* Delimiter reads and ALL have a maximum: the result is longer than that. */
static bool over_limit(la_reader *rd) {
  if (rd->kind == LA_READ_SOME || rd->kind == LA_READ_EXACT || rd->kind == LA_READ_NUMBER)
    return false;
  return (rd->span > 0 ? rd->span : there(rd)) > rd->limit;
}

/* ---- the future -------------------------------------------------------------------*/

static void fail(la_reader *rd, int status) {
  rd->status = status;
  remember(rd);
  size_t len = there(rd);
  if (la_rbuf_len(&rd->buf) == 0) la_rbuf_settle(&rd->buf, rd->reactor);
  rd->span = len;
  if ((rd->kind == LA_READ_SOME || rd->kind == LA_READ_EXACT) && len > rd->limit)
    rd->span = rd->limit;
}

/* The stream has ended: the rest is a line, or what liolib would make of it. */
static void end_of_stream(la_reader *rd) {
  if (find(rd, true)) return;
  if (rd->kind == LA_READ_LINE && there(rd) > 0)
    rd->span = there(rd);
  else
    fail(rd, UV_EOF);
}

static size_t wanted(const la_reader *rd) {
  if (rd->kind == LA_READ_EXACT) return rd->limit - there(rd);
  return rd->kind == LA_READ_ALL ? SIZE_MAX : LA_BUFFER_SIZE / 4;
}

/* A result that is in the buffer costs budget here, one that had to be read did so in the
** source: everything costs, and only once. */
static la_poll poll(la_reader *rd, la_context *cx) {
  for (bool paid = false;; paid = true) {
    bool found = find(rd, false);
    if ((found || over_limit(rd)) && !paid && !la_budget_take(cx)) return LA_PENDING;
    if (over_limit(rd)) {
      fail(rd, UV_ENOBUFS);
      return LA_READY;
    }
    if (found) return LA_READY;
    ssize_t n;
    if (rd->source->fill(rd, cx, wanted(rd), &n) == LA_PENDING) {
      la_rbuf_settle(&rd->buf, rd->reactor);
      return LA_PENDING;
    }
    if (n > 0) continue;
    if (n == 0)
      end_of_stream(rd);
    else
      fail(rd, (int)n);
    return LA_READY;
  }
}

la_poll la_reader_poll(la_future *f, la_context *cx) {
  la_reader *rd = la_container(f, la_reader, base);
  la_poll r = poll(rd, cx);
  rd->under_way = r == LA_PENDING;
  return r;
}

void la_reader_drop(la_future *f) {
  la_reader *rd = la_container(f, la_reader, base);
  if (rd->under_way) remember(rd);
  rd->under_way = false;
  rd->source->forget(rd);
}

void la_reader_take(la_reader *rd) {
  la_reader_keep(rd);
  la_reader_take_kept(rd);
}

void la_reader_take_some(la_reader *rd, size_t n) {
  if (n > rd->span) n = rd->span;
  take_front(rd, rd->start + n);
  rd->kept = rd->start = 0;
  rd->span -= n;
  if (rd->span > 0) return;
  rd->held = rd->stale = false;
  la_rbuf_settle(&rd->buf, rd->reactor);
}

void la_reader_let_go(la_reader *rd) {
  if (rd->stale) la_reader_take_some(rd, rd->span);
  rd->held = false;
}

void la_reader_take_kept(la_reader *rd) {
  take_front(rd, rd->kept);
  rd->kept = rd->start = rd->span = 0;
  la_rbuf_settle(&rd->buf, rd->reactor);
}
