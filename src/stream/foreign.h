/*
** foreign.h - a stream of another module (lua_async.h) as one of ours: with a reader, and with an
** end of its own, whatever the module makes of `close`.
*/
#ifndef LA_STREAM_FOREIGN_H
#define LA_STREAM_FOREIGN_H

#include "stream/stream.h"

typedef struct la_foreign la_foreign;

/* Owns `s` from here on; NULL: no memory, `s` is still the caller's. It is closed with the loop
** of `r`, of which it holds a reference. */
la_foreign *la_foreign_new(la_reactor *r, la_stream s);

const char *la_foreign_name(const la_foreign *f);

/* `self` is a la_foreign; `drop` of its vtable frees it. */
extern const la_stream_class la_foreign_class;

#endif
