#include "thread/letter.h"

#include <stdbool.h>

#include "core/tls.h"

static LA_THREAD_LOCAL la_letter *doomed;
static LA_THREAD_LOCAL bool dropping;

void la_letter_end(la_letter *l) {
  l->next = doomed;
  doomed = l;
  if (dropping) return;
  dropping = true;
  while ((l = doomed) != NULL) {
    doomed = l->next;
    l->drop(l);
  }
  dropping = false;
}
