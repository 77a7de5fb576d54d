/* Parcels as such, and the handles in them: see parcel.h. */
#include <stdlib.h>

#include "thread/l_parcel.h"

static void drop(la_letter *l) {
  la_parcel *p = la_parcel_of(l);
  for (uint32_t i = 0; i < p->handles; i++)
    if (p->handle[i].object != NULL) p->handle[i].cls->drop(p->handle[i].object);
  for (la_loan *loan = p->loans, *next; loan != NULL; loan = next) {
    next = loan->next;
    la_loan_return(loan);
  }
  free(p->handle);
  free(p);
}

la_parcel *la_parcel_new(void) {
  enum { FIRST = 192 };
  la_parcel *p = malloc(sizeof *p + FIRST);
  if (p == NULL) return NULL;
  *p = (la_parcel){.size = FIRST};
  la_letter_init(&p->letter, drop);
  return p;
}

static char sendable_key; /* metatable: light userdata, the la_sendable */

void la_sendable_set(lua_State *L, const la_sendable *cls) {
  lua_pushlightuserdata(L, (void *)cls);
  lua_rawsetp(L, -2, &sendable_key);
}

const la_sendable *la_sendable_of(lua_State *L) {
  if (!lua_getmetatable(L, -1)) return NULL;
  lua_rawgetp(L, -1, &sendable_key);
  const la_sendable *cls = lua_touserdata(L, -1);
  lua_pop(L, 2);
  return cls;
}

const char *la_parcel_needs_runtime(const la_parcel *p) {
  for (uint32_t i = 0; i < p->handles; i++)
    if (p->handle[i].cls->needs_runtime != NULL) return p->handle[i].cls->needs_runtime;
  return NULL;
}

int la_parcel_seal(la_parcel *p) {
  if (p->handles > 0 && p->handle[0].ud == NULL) return 0;
  int error = 0;
  uint32_t n = 0;
  for (; n < p->handles && error == 0; n++) {
    la_parcel_handle *h = &p->handle[n];
    h->object = h->cls->give(h->ud, &error);
  }
  for (uint32_t i = 0; i < p->handles; i++) {
    la_parcel_handle *h = &p->handle[i];
    if (error == 0) {
      if (h->cls->gone != NULL) h->cls->gone(h->ud);
      h->ud = NULL;
    } else if (h->object != NULL) {
      h->cls->drop(h->object);
      h->object = NULL;
    }
  }
  return error;
}
