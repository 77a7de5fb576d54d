/* Loans: read where they are, given back, and copied when their lender closes. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "thread/loan.h"

enum { LEN = 5000 };

/* Memory of a lender's, as long as it is lent. */
static char *bytes_new(char c) {
  char *b = malloc(LEN);
  assert_non_null(b);
  memset(b, c, LEN);
  return b;
}

static int count_and_free(la_loan *back) {
  int n = 0;
  for (la_loan *next; back != NULL; back = next, n++) {
    next = back->next;
    free((char *)back->bytes);
    free(back);
  }
  return n;
}

static void one_that_came_back_is_fetched_once(void **state) {
  (void)state;
  la_lender *l = la_lender_new();
  assert_false(la_lender_waits(l));
  la_loan *a = la_lender_lend(l, bytes_new('a'), LEN), *b = la_lender_lend(l, bytes_new('b'), LEN);
  la_loan *c = la_lender_lend(l, bytes_new('c'), LEN);
  assert_null(la_lender_fetch(l));
  assert_ptr_equal(la_loan_begin(a), a->bytes);
  la_loan_end(a);
  la_loan_return(a);
  assert_true(la_lender_waits(l));
  assert_int_equal(count_and_free(la_lender_fetch(l)), 1);
  assert_true(la_lender_waits(l));
  la_loan_return(b);
  la_loan_return(c);
  assert_int_equal(count_and_free(la_lender_fetch(l)), 2);
  assert_false(la_lender_waits(l));
  la_lender_close(l);
}

static void what_is_out_outlives_its_lender(void **state) {
  (void)state;
  la_lender *l = la_lender_new();
  char *bytes = bytes_new('x');
  la_loan *first = la_lender_lend(l, bytes, LEN), *second = la_lender_lend(l, bytes, LEN);
  la_loan *back = la_lender_lend(l, bytes, LEN);
  la_loan_return(back);
  la_lender_close(l);
  memset(bytes, 'y', LEN);
  free(bytes);
  const char *read = la_loan_begin(first);
  for (int i = 0; i < LEN; i++) assert_int_equal(read[i], 'x');
  la_loan_end(first);
  la_loan_return(first);
  la_loan_return(second);
}

/* ---- threads ----------------------------------------------------------------------*/

enum { ROUNDS = 300, READERS = 3, LOANS = 8 };

/* One lender's loans, on their way to the readers; each is taken once from `way`. */
static struct {
  pthread_mutex_t mutex;
  la_loan *way[LOANS];
  atomic_int left;
  atomic_bool over;
} post = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static la_loan *exchange(int i, la_loan *loan) {
  pthread_mutex_lock(&post.mutex);
  la_loan *was = post.way[i];
  post.way[i] = loan;
  pthread_mutex_unlock(&post.mutex);
  return was;
}

static void read_one(la_loan *loan) {
  const char *b = la_loan_begin(loan);
  for (int i = 1; i < LEN; i++)
    if (b[i] != b[0]) abort();
  la_loan_end(loan);
  la_loan_return(loan);
  atomic_fetch_sub(&post.left, 1);
}

static void *reader(void *arg) {
  (void)arg;
  while (!atomic_load(&post.over)) {
    for (int i = 0; i < LOANS; i++) {
      la_loan *loan = exchange(i, NULL);
      if (loan != NULL) read_one(loan);
    }
  }
  return NULL;
}

/* The bytes are overwritten as soon as they are let go of: whoever reads them later sees it. */
static void round_of(int round) {
  char bytes[LOANS][LEN];
  la_lender *l = la_lender_new();
  assert_non_null(l);
  atomic_store(&post.left, LOANS);
  for (int i = 0; i < LOANS; i++) {
    memset(bytes[i], 'a' + i, LEN);
    la_loan *loan = la_lender_lend(l, bytes[i], LEN);
    assert_non_null(loan);
    exchange(i, loan);
    for (la_loan *back = round % 2 ? la_lender_fetch(l) : NULL, *next; back != NULL; back = next) {
      next = back->next;
      memset((char *)back->bytes, 0, LEN / 2);
      free(back);
    }
  }
  la_lender_close(l);
  for (int i = 0; i < LOANS; i++) memset(bytes[i], 1 + i, LEN / 2);
  while (atomic_load(&post.left) > 0) sched_yield();
}

static void readers_see_what_was_lent_whenever_the_lender_closes(void **state) {
  pthread_t t[READERS];
  (void)state;
  for (int i = 0; i < READERS; i++) pthread_create(&t[i], NULL, reader, NULL);
  for (int i = 0; i < ROUNDS; i++) round_of(i);
  atomic_store(&post.over, true);
  for (int i = 0; i < READERS; i++) pthread_join(t[i], NULL);
}

/* Several at once, of one loan that went to all. */
static void *same_reader(void *arg) {
  la_loan *loan = arg;
  for (int n = 0; n < ROUNDS; n++) {
    const char *b = la_loan_begin(loan);
    for (int i = 0; i < LEN; i++)
      if (b[i] != 's') abort();
    la_loan_end(loan);
  }
  return NULL;
}

static void one_loan_is_read_by_many(void **state) {
  pthread_t t[READERS];
  (void)state;
  la_lender *l = la_lender_new();
  char *bytes = bytes_new('s');
  la_loan *loan = la_lender_lend(l, bytes, LEN);
  for (int i = 0; i < READERS; i++) pthread_create(&t[i], NULL, same_reader, loan);
  la_lender_close(l);
  memset(bytes, 0, LEN);
  for (int i = 0; i < READERS; i++) pthread_join(t[i], NULL);
  la_loan_return(loan);
  free(bytes);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(one_that_came_back_is_fetched_once),
      cmocka_unit_test(what_is_out_outlives_its_lender),
      cmocka_unit_test(readers_see_what_was_lent_whenever_the_lender_closes),
      cmocka_unit_test(one_loan_is_read_by_many),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
