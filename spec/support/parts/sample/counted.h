/* counted.h - a stream over another one that counts the bytes which pass; a file without Lua. */
#ifndef SAMPLE_COUNTED_H
#define SAMPLE_COUNTED_H

#include "stream/stream.h"

typedef struct counted counted;

/* NULL: no memory; otherwise it owns `inner`. One reference, given up by `drop` of its class. */
counted *counted_new(la_reactor *r, la_stream inner);

uint64_t counted_read(const counted *c);
uint64_t counted_written(const counted *c);

extern const la_stream_class counted_class; /* `self` is a counted */

#endif
