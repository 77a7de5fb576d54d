/*
** loss.h - failures of work that goes on when nobody waits for it any more: the last bytes of a
** file that was left open, or collected, or whose close was given up.
**
** They are kept with the reactor until they are told (bridge/losses.h), which `tell` of the reactor
** does as the process exits. What nobody has told when the reactor ends is told on stderr.
*/
#ifndef LA_DRIVER_LOSS_H
#define LA_DRIVER_LOSS_H

#include "driver/reactor.h"

struct la_loss {
  la_loss *next;
  const char *name; /* "stdout"; NULL: a file */
  int error;        /* a negative errno */
};

void la_loss_add(la_reactor *r, const char *name, int error);

/* Takes all, oldest first, to be freed with la_loss_free. */
la_loss *la_loss_take(la_reactor *r);
void la_loss_free(la_loss *list);

/* On stderr, and frees them. */
void la_loss_print(la_loss *list);

#endif
