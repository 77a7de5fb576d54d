#include "driver/loss.h"

#include <stdio.h>
#include <stdlib.h>

static void print(const char *name, int error) {
  char message[128];
  uv_strerror_r(error, message, sizeof message);
  fprintf(stderr, "lua_async: not all that was written to %s is there: %s\n",
          name != NULL ? name : "a file", message);
}

/* Without memory it is told at once, where that needs none. */
void la_loss_add(la_reactor *r, const char *name, int error) {
  la_loss *l = malloc(sizeof *l), **at = &r->losses;
  if (l == NULL) {
    print(name, error);
    return;
  }
  *l = (la_loss){.name = name, .error = error};
  while (*at != NULL) at = &(*at)->next;
  *at = l;
}

la_loss *la_loss_take(la_reactor *r) {
  la_loss *list = r->losses;
  r->losses = NULL;
  return list;
}

void la_loss_free(la_loss *list) {
  while (list != NULL) {
    la_loss *l = list;
    list = l->next;
    free(l);
  }
}

void la_loss_print(la_loss *list) {
  for (const la_loss *l = list; l != NULL; l = l->next) print(l->name, l->error);
  la_loss_free(list);
}
