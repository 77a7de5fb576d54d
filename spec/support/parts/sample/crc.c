#include "crc.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

static ssize_t run(la_work *work) {
  crc_work *w = la_container(work, crc_work, work);
  w->crc = crc32_z(0, (const unsigned char *)w->data, w->len);
  return 0;
}

static void release(la_op *op) { free(la_container(op, crc_work, work.op)); }

static const la_work_class cls = {LA_WORK_OP("sample.crc32", release), run};

crc_work *crc_work_new(la_reactor *r, const char *data, size_t len) {
  crc_work *w = malloc(sizeof *w + len);
  if (w == NULL) return NULL;
  la_work_init(&w->work, &cls, r);
  w->len = len;
  memcpy(w->data, data, len);
  return w;
}
