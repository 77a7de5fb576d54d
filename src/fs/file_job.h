/*
** file_job.h - the inside of a la_file, for file*.c: the one piece of work that it has on
** the pool, and what that leaves behind.
**
** While `busy`, `job` belongs to the pool's thread but for its `op`; all else belongs to the
** loop's thread. A job that ends leaves:
**   READ    bytes in `ahead`, which come after those in the reader's buffer; or, when
**           there were none, read_result for the reader, unless that has gone
**   WRITE   what could not be written in `kept`, and why in write_error
**   CLOSE   close_status, and fd -1
**   others  what is in `job`, for job.op, unless that has gone
*/
#ifndef LA_FS_FILE_JOB_H
#define LA_FS_FILE_JOB_H

#include "fs/file.h"

typedef enum la_job_kind {
  LA_JOB_READ,  /* up to len bytes -> buf; in a block, behind its head */
  LA_JOB_WRITE, /* len bytes of buf */
  LA_JOB_SYNC,
  LA_JOB_DATASYNC,
  LA_JOB_TRUNCATE,
  LA_JOB_STAT,    /* -> buf, a uv_stat_t */
  LA_JOB_READ_AT, /* up to len bytes -> buf, which it allocates */
  LA_JOB_WRITE_AT,
  LA_JOB_COPY, /* up to len bytes from `source`, which is busy meanwhile */
  LA_JOB_CLOSE /* writes len bytes of buf first */
} la_job_kind;

/* la_file.flags */
enum {
  LA_FILE_READS = 1,
  LA_FILE_WRITES = 2,
  LA_FILE_APPENDS = 4,
  LA_FILE_SEEKS = 8,
  LA_FILE_CLOSING = 16,
  LA_FILE_READ_CUT = 32,      /* closed while a read was pending */
  LA_FILE_WRITE_CUT = 64,     /* closed while a write was pending */
  LA_FILE_READ_ENDED = 128,   /* read_result is there */
  LA_FILE_READ_DROPPED = 256, /* nobody wants the result of the READ that is under way */
  LA_FILE_NO_NOWAIT = 512,    /* this file cannot be read without waiting */
  LA_FILE_DIRECT = 1024,      /* what is accepted is written as soon as nothing else is */
  LA_FILE_MORE = 2048,        /* the last READ was full: there may be more behind it */
  LA_FILE_LAST_TRY = 4096,    /* the close has tried once more to write `kept` */
  LA_FILE_TOLD = 8192         /* an operation has failed with write_error */
};

/* So many buffers in sequence, and the file is worth a block, and reading ahead. */
enum { LA_FILE_SEQUENCE = 4 };

typedef struct la_file_job {
  la_work work;
  la_job_kind kind;
  int fd;
  int flags; /* la_file.flags when it began */
  char *buf;
  bool block; /* READ, WRITE, CLOSE: buf is one, not a buffer */
  size_t len, done;
  int64_t at;        /* position; after a WRITE in append mode, where the file ends */
  la_file *source;   /* COPY: a reference */
  int source_fd;     /* COPY: its */
  int64_t source_at; /* COPY: its position */
  la_file_op *op;    /* whom it is for; NULL: nobody, or the file itself */
} la_file_job;

struct la_file {
  la_reader reader;
  la_reactor *reactor;  /* a reference */
  la_resource resource; /* closes it with the loop */
  unsigned refs;
  unsigned closers; /* closes that somebody waits for */
  const char *name; /* of a standard stream; NULL: of none */
  int flags, fd;
  bool busy;
  /* Of the next byte to be read from the file or of the first in `kept`, or in `out` for want of
  ** that; what is in the reader's buffer and in `ahead` lies before it. */
  int64_t position;
  char *ahead; /* a buffer, or a block */
  size_t ahead_at, ahead_len;
  char *out; /* the same: accepted, not yet being written */
  size_t out_len;
  char *kept; /* the same: what a WRITE could not write, which goes before `out` */
  size_t kept_len;
  bool ahead_block, out_block, kept_block;
  unsigned char reads, writes; /* in sequence, up to LA_FILE_SEQUENCE */
  int read_result, close_status;
  int write_error; /* why there is something in `kept` */
  int sync_error;  /* why what had been written was lost on its way to the disk */
  la_file_turn reading, writing;
  la_file_op *flush; /* that somebody polls through the stream: file_stream.c */
  la_list turns;     /* of reading, writing and la_file_ops, in the order in which they came */
  la_file_job job;
};

/* On the pool's thread, or on the loop's for want of one. */
extern const la_work_class la_file_job_class;

/* Nothing is under way, and nobody was there before. */
bool la_file_may_go(const la_file *f, const la_file_turn *t);
/* Takes a place, if it has none yet, and keeps the waker. */
la_poll la_file_wait(la_file *f, la_file_turn *t, la_context *cx);
/* Gives up the place, if it has one; the next may go. */
void la_file_leave(la_file *f, la_file_turn *t);

/* A block, after a number of buffers in `sequence` and where there is one; or a buffer. NULL: no
** memory. */
char *la_file_buffer_take(la_file *f, unsigned sequence, bool *is_block);
void la_file_buffer_give(la_file *f, char **buffer, bool block);
size_t la_file_buffer_size(bool block);
static inline void la_file_one_more(unsigned char *sequence) {
  if (*sequence < LA_FILE_SEQUENCE) ++*sequence;
}

/* Starts a job: what it needs is in f->job already. A negative errno: it did not start. */
int la_file_start(la_file *f, la_job_kind kind);
/* Does it at once, on this thread, blocking. */
ssize_t la_file_run_here(la_file *f, la_job_kind kind);

/* How many bytes were accepted that no job has written or is writing. */
static inline size_t la_file_unwritten(const la_file *f) { return f->kept_len + f->out_len; }
/* Makes `kept`, or `out` for want of that, the job's. */
void la_file_hand_over(la_file *f);
void la_file_drop_unwritten(la_file *f);
/* Starts writing `kept`, or `out` for want of that. */
int la_file_start_write(la_file *f);
/* For whom has its turn, while something is unwritten, before anything else: starts writing it.
** 1: wait for that; or the negative errno to fail with, after a try has failed. */
int la_file_write_first(la_file *f, la_file_turn *t);
/* Writes all of it on this thread, blocking: 0 or a negative errno. */
int la_file_write_here(la_file *f);
/* What is in job.buf has been written, or is kept. */
void la_file_write_ended(la_file *f, ssize_t status);
/* Read ahead is forgotten, and the position is where the reader was. */
void la_file_unread(la_file *f);
/* Begins the close, unless it has begun; it goes on by itself. */
void la_file_begin_close(la_file *f);
/* The error of an operation on a file that is closing. */
int la_file_closed_error(la_file *f, int cut);

/* Nobody asks how the close has ended: its failure is a loss (driver/loss.h), unless an operation
** has failed with it before. */
void la_file_lose(la_file *f);

/* As the process ends: writes what was accepted, blocking; see exit.h. */
void la_file_at_exit(la_resource *resource);

/* A file that is not open yet, with one reference. NULL: no memory. */
la_file *la_file_new(la_reactor *r);

#endif
