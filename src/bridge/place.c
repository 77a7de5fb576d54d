#include "bridge/place.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_SOURCES = 1023, MAX_LINE = (1 << 22) - 1 };

static const char many[] = "(one of many sources)";

/* FNV-1a. */
static unsigned short *bucket_of(la_places *p, const char *name) {
  uint32_t h = 2166136261u;
  for (; *name != '\0'; name++) h = (h ^ (unsigned char)*name) * 16777619u;
  return &p->buckets[h % LA_PLACE_BUCKETS];
}

static unsigned add(la_places *p, const char *name) {
  if (p->count == MAX_SOURCES) return MAX_SOURCES;
  if (p->count == MAX_SOURCES - 1) name = many;
  if (p->count == p->size) {
    unsigned size = p->size == 0 ? 8 : p->size * 2;
    void *names = realloc(p->names, size * sizeof *p->names);
    if (names == NULL) return 0;
    p->names = names;
    p->size = size;
  }
  la_source_name *n = &p->names[p->count];
  unsigned short *bucket = bucket_of(p, name);
  size_t len = strnlen(name, LUA_IDSIZE - 1);
  memcpy(n->text, name, len);
  n->text[len] = '\0';
  n->next = *bucket;
  *bucket = (unsigned short)++p->count;
  return p->count;
}

/* Mostly the one that was asked for last. */
static unsigned find(la_places *p, const char *name) {
  if (p->last != 0 && strcmp(p->names[p->last - 1].text, name) == 0) return p->last;
  for (unsigned i = *bucket_of(p, name); i != 0; i = p->names[i - 1].next)
    if (strcmp(p->names[i - 1].text, name) == 0) return p->last = i;
  return p->last = add(p, name);
}

la_place la_place_here(lua_State *L, la_places *p, int level) {
  lua_Debug ar;
  while (lua_getstack(L, level++, &ar) && lua_getinfo(L, "Sl", &ar)) {
    if (ar.currentline < 0) continue;
    unsigned line = ar.currentline > MAX_LINE ? MAX_LINE : (unsigned)ar.currentline;
    return (la_place){.source = find(p, ar.short_src), .line = line};
  }
  return (la_place){0, 0};
}

void la_place_push(lua_State *L, const la_places *p, la_place place) {
  if (place.source == 0)
    lua_pushliteral(L, "?");
  else
    lua_pushfstring(L, "%s:%d", p->names[place.source - 1].text, (int)place.line);
}
