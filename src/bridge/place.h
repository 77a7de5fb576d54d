/*
** place.h - where a task was spawned, in four bytes.
**
** The names of sources are few and tasks are many, so a task keeps an index and a
** line. The names belong to one run; when there are too many, the last ones share a name.
*/
#ifndef LA_BRIDGE_PLACE_H
#define LA_BRIDGE_PLACE_H

#include <lua.h>
#include <stdint.h>

typedef struct la_place {
  uint32_t source : 10, line : 22; /* source 0: not known */
} la_place;

enum { LA_PLACE_BUCKETS = 64 };

typedef struct la_source_name {
  char text[LUA_IDSIZE];
  unsigned next; /* of the same bucket; 0: none */
} la_source_name;

typedef struct la_places {
  la_source_name *names; /* of the sources 1, 2, 3, … */
  unsigned count, size, last;
  unsigned short buckets[LA_PLACE_BUCKETS]; /* the first source of each; 0: none */
} la_places;

/* Where the function at `level` of L's call stack is, or, if that is a C function, the
** next one that is not. No memory: not known. */
la_place la_place_here(lua_State *L, la_places *p, int level);

/* Pushes "file:line", or "?". */
void la_place_push(lua_State *L, const la_places *p, la_place place);

#endif
