/* crc.h - the CRC-32 of bytes, as work for libuv's pool; a file without Lua. */
#ifndef SAMPLE_CRC_H
#define SAMPLE_CRC_H

#include "driver/work.h"

typedef struct crc_work {
  la_work work; /* op.result: 0 */
  unsigned long crc;
  size_t len;
  char data[];
} crc_work;

/* NULL: no memory. The data is copied; the future owns itself. */
crc_work *crc_work_new(la_reactor *r, const char *data, size_t len);

#endif
