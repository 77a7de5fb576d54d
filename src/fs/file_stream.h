/* file_stream.h - a la_file as a stream: see stream/stream.h. */
#ifndef LA_FS_FILE_STREAM_H
#define LA_FS_FILE_STREAM_H

#include "fs/file.h"
#include "stream/stream.h"

/* Of a file that was opened by its name. */
extern const la_stream_class la_file_class;

/* Of a standard stream, which others have a part in: each write is on its way at once, and bytes
** are not moved behind its back. */
extern const la_stream_class la_file_standard_class;

extern const la_range_kind la_file_range;

/* Closes it without waiting: what was accepted is written first, in the background. */
void la_file_close_behind(la_file *f);

#endif
