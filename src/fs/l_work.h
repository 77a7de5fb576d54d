/* l_work.h - what the operations of async.fs share: their arguments, beginning and results. */
#ifndef LA_FS_L_WORK_H
#define LA_FS_L_WORK_H

#include "bridge/lib.h"
#include "driver/work.h"

/* Pushes the table that stat gives. */
void la_push_stat(lua_State *L, const uv_stat_t *st);

/* Pushes what an entry's letter (fs/fs.h) stands for. */
void la_push_entry_type(lua_State *L, char c);

/* The template of a temporary name at `arg`, or one in $TMPDIR for none: pushed, ending with
** XXXXXX. */
const char *la_check_template(lua_State *L, int arg);

/* For the `begin` of an operation that is one piece of work: NULL raises, for want of memory. */
static inline int la_begin_work(lua_State *L, la_work *work, la_future **f) {
  if (work == NULL) return la_no_memory(L);
  *f = &work->op.base;
  return 0;
}

static inline ssize_t la_work_result(la_future *f) { return ((la_op *)(void *)f)->result; }

/* For its `finish`: the failure of what was done to the path at index 1. */
static inline int la_fail_work(lua_State *L, la_future *f, const char *op) {
  return la_fail_path(L, la_work_result(f), op, lua_tostring(L, 1));
}

/* True, or the failure of what was done with the paths at indices 1 and 2. */
static inline int la_finish_paths(lua_State *L, la_future *f, const char *op) {
  if (la_work_result(f) < 0)
    return la_fail_paths(L, la_work_result(f), op, lua_tostring(L, 1), lua_tostring(L, 2));
  lua_pushboolean(L, 1);
  return 1;
}

/* True, or the failure. */
static inline int la_finish_change(lua_State *L, la_future *f, const char *op) {
  if (la_work_result(f) < 0) return la_fail_work(L, f, op);
  lua_pushboolean(L, 1);
  return 1;
}

#endif
