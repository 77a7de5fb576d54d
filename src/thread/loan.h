/*
** loan.h - bytes of one thread that others read where they are, so that they are copied once.
**
** A lender belongs to its thread and answers for bytes that it keeps alive: a Lua string that is
** anchored. A loan of some goes to others in a letter. Any thread may read it, many at once, and
** whoever drops the letter gives it back; the lender fetches what came back when it has time, and
** lets go of the bytes. A lender that closes (its Lua state does) while loans are out copies what
** they lent, after which nothing of it is read: it waits for those who read at that moment.
**
** One mutex for each lender, held over no copy but those at its close.
*/
#ifndef LA_THREAD_LOAN_H
#define LA_THREAD_LOAN_H

#include <stdbool.h>
#include <stddef.h>

#include "core/list.h"

typedef struct la_lender la_lender;

typedef struct la_loan {
  struct la_loan *next; /* of whoever has it: its letter; of those that came back */
  la_node node;         /* in the lender's list of what is out; under its mutex */
  la_lender *lender;
  const char *bytes; /* NULL: the lender is gone, and had no memory for a copy */
  size_t len;
  bool copied; /* the bytes are the loan's own */
} la_loan;

/* NULL: no memory. */
la_lender *la_lender_new(void);

/* The bytes stay as they are until the loan was fetched or the lender closed. NULL: no memory,
** or it is closed. Its thread. */
la_loan *la_lender_lend(la_lender *lender, const char *bytes, size_t len);

/* Those that came back since the last time, to be let go of and freed. Its thread. */
la_loan *la_lender_fetch(la_lender *lender);

/* Whether any loan is out, or came back and was not fetched. Its thread. */
bool la_lender_waits(la_lender *lender);

/* From here on none of the bytes is read. The lender goes when its last loan does. */
void la_lender_close(la_lender *lender);

/* The bytes, which stay there until la_loan_end; NULL: they are lost, see above. The lender's own
** thread, which could wait for itself, needs neither. */
const char *la_loan_begin(la_loan *loan);
void la_loan_end(la_loan *loan);

/* It is the lender's again. Any thread, once. */
void la_loan_return(la_loan *loan);

#endif
