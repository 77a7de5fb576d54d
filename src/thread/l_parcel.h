/*
** parcel.h - Lua values on their way to another state: copied into plain memory.
**
** What is copied: nil, booleans, numbers, strings, light userdata; tables with all that is in
** them, their metatable included, shared references and cycles kept; Lua functions with their
** upvalues, those that functions share still shared. What the state found by `require` (a
** module, and what stands in it, to the second level) goes by its name, and is required where it
** arrives; so do the functions of the standard library. The globals are the globals of whoever
** receives. Objects of this module that can be sent say so with la_sendable. Coroutines, other
** userdata, C functions that no module has, and tables with a finaliser cannot be sent. Large
** strings stay where they are, lent (lend.h), and are copied once, where they arrive.
**
** A parcel is a letter: it belongs to one thread at a time.
*/
#ifndef LA_THREAD_L_PARCEL_H
#define LA_THREAD_L_PARCEL_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#include "thread/letter.h"
#include "thread/loan.h"

/* How the userdata of a class cross. The object is what stands between them: plain memory that
** any thread may hold. */
typedef struct la_sendable {
  /* A new object of the userdata at `ud`; NULL, with *error a negative errno. */
  void *(*give)(void *ud, int *error);
  /* It has been sent, and is over here. NULL: it is not moved, and may be received many times. */
  void (*gone)(void *ud);
  /* Pushes a userdata: with the object itself when it is moved, otherwise with one more like it.
  ** Raises before that. */
  void (*take)(lua_State *L, void *object);
  void (*drop)(void *object); /* any thread */
  /* What `take` is, when it needs a runtime: "receiving a connection". */
  const char *needs_runtime;
} la_sendable;

/* The metatable on top of L is that of such userdata. */
void la_sendable_set(lua_State *L, const la_sendable *cls);

typedef struct la_parcel_handle {
  const la_sendable *cls;
  void *ud;     /* at the sender; until it is sent */
  void *object; /* NULL: not given yet, or taken */
} la_parcel_handle;

typedef struct la_parcel {
  la_letter letter;
  uint32_t values; /* at the top */
  uint32_t objects;
  uint32_t handles;
  bool shared; /* some object is met more than once */
  bool moves;  /* it takes something away from its sender, and can be received once */
  la_parcel_handle *handle;
  la_loan *loans;
  size_t len, size;
  char data[];
} la_parcel;

/* Packs the `n` values from index `first` on, which stay where they are. Raises, naming the
** place of what cannot be sent: `what` is what they are ("argument"), counted when `n` is not 1. */
la_parcel *la_parcel_pack(lua_State *L, int first, int n, const char *what);

/* The same for a state that ends then, or rests: it lends nothing. */
la_parcel *la_parcel_pack_whole(lua_State *L, int first, int n, const char *what);

/* The same values once more, when their parcel is not to be sealed at once: pushes a table that
** keeps what it refers to until then. What is plain, or sealed, needs none. Takes over
** `unsealed`. */
la_parcel *la_parcel_pack_held(lua_State *L, int first, int n, const char *what,
                               la_parcel *unsealed);

/* Makes the handles in it the parcel's; those that are moved are over for the sender from here
** on. The values are still where they were packed from. 0, or a negative errno; then nothing
** has changed. Nothing to do for a parcel of plain values, or one that was sealed before. */
int la_parcel_seal(la_parcel *p);

/* Pushes the values and returns how many. What is moved is taken out of it; all else
** stays, so that it may be unpacked again. Raises for want of memory, and when a module cannot be
** required here; the caller still has the parcel. */
int la_parcel_unpack(lua_State *L, la_parcel *p);

/* The same; a table at index `taken` has what was moved, so that one whose unpacking failed after
** that may be unpacked again, with the same table. It has room for p->handles in its list. */
int la_parcel_unpack_again(lua_State *L, la_parcel *p, int taken);

/* Pushes the first `n` values. */
int la_parcel_unpack_some(lua_State *L, la_parcel *p, uint32_t n);

/* What in it needs a runtime to be unpacked: see la_sendable. NULL: nothing. */
const char *la_parcel_needs_runtime(const la_parcel *p);

static inline la_parcel *la_parcel_of(la_letter *l) { return (la_parcel *)(void *)l; }

/* Gives up a reference. NULL: nothing. */
static inline void la_parcel_drop(la_parcel *p) {
  if (p != NULL) la_letter_unref(&p->letter);
}

#define LA_MODULE "lua_async"

/* Pushes the module of that name, required if it is not there. */
void la_require(lua_State *L, const char *name, size_t len);

/* In this state it is by the `require` of now, whatever becomes of the globals. */
void la_require_keep(lua_State *L);

/* ---- for the files of parcel ----------------------------------------*/

/* Each value is a tag and what follows it. */
typedef enum la_parcel_tag {
  LA_TAG_NIL,
  LA_TAG_FALSE,
  LA_TAG_TRUE,
  LA_TAG_BYTE, /* an integer from 0 to 255, a byte */
  LA_TAG_INTEGER,
  LA_TAG_NUMBER,
  LA_TAG_POINTER, /* light userdata */
  LA_TAG_SHORT,   /* a string: its length in a byte, the string */
  LA_TAG_STRING,  /* its length as a size_t */
  LA_TAG_LENT,    /* a string: the la_loan, a pointer */
  LA_TAG_TABLE,   /* how many in the list and how many else, uint32_t; the list's values; keys and
                     values; LA_TAG_END, or LA_TAG_META and the metatable */
  LA_TAG_END,
  LA_TAG_META,
  LA_TAG_FUNCTION, /* length and bytes of its dump, number of upvalues in a byte; each a value,
                      or LA_TAG_JOIN */
  LA_TAG_JOIN,     /* the upvalue of another function: its number as an object, that of the upvalue
                      in a byte */
  LA_TAG_AGAIN,    /* an object met before: its number, in the order of first meeting from 1 */
  LA_TAG_GLOBALS,
  LA_TAG_NAMED, /* a string as above follows: module, then NUL and a key, up to twice */
  LA_TAG_HANDLE /* its index in `handle`, uint32_t */
} la_parcel_tag;

/* An empty one; NULL: no memory. */
la_parcel *la_parcel_new(void);

/* That of the userdata on top of L; NULL for one that cannot be sent. */
const la_sendable *la_sendable_of(lua_State *L);

/* Pushes the table of what goes by its name, to be asked by la_parcel_push_name. May raise. It is
** kept until a module is loaded, unless `again`, since to make it takes its time; false: it was
** made just now. */
bool la_parcel_push_names(lua_State *L, bool again);

/* Pushes the name of the value at the top, a string as LA_TAG_NAMED has it; false if it had none
** or that stands for another value now; and nil if it has not been looked for: what came into a
** module since the names were made is among those. */
void la_parcel_push_name(lua_State *L, int names);

/* The value at the top was looked for, just now, and has none. */
void la_parcel_set_nameless(lua_State *L, int names);

/* Pushes what has that name here. Raises when there is none. */
void la_parcel_push_named(lua_State *L, const char *name, size_t len);

#endif
