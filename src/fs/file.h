/*
** file.h - open files, buffered in both directions, like C's FILE.
**
** One piece of work at a time is on the pool for a file, and the file owns it, not the
** future that asked for it. A future that is dropped merely stops waiting: the next
** operation first waits for what is under way and goes on from its result, so that no
** byte is lost or written twice. Hence operations on one file go one after the other, in
** the order in which they are first polled. Only the first of those that wait is woken, and
** those behind it wait until it has been polled again, or is dropped.
**
** Buffers have LA_BUFFER_SIZE; those of a file that goes on being read or written in sequence
** LA_BLOCK_SIZE, while there are any (la_block_take), and the next block is then read while
** the last one is being consumed.
**
** A regular file keeps its position itself (pread, pwrite): reading and writing may follow
** each other freely. Others (terminals, FIFOs, devices) are read and written as they come,
** and a read that waits there occupies a thread of the pool, until the file is closed. A
** FIFO is open to be read at once, and to be written when somebody reads it.
**
** Bytes that were accepted and could not be written are kept. The next operation that has to
** write first (write, flush, close and all others but those that only read what is in the reader)
** tries again, fails with the error when that fails too, and does nothing else then. So at most
** the block that failed and the one that was being filled are kept, and nothing is accepted
** behind them until they are written. A close tries a last time. A file that is dropped without
** being closed is flushed and closed in the background; one that is not dropped, by
** la_reactor_free.
*/
#ifndef LA_FS_FILE_H
#define LA_FS_FILE_H

#include "driver/waiter.h"
#include "driver/work.h"
#include "stream/reader.h"
#include "stream/writer.h"

typedef struct la_file la_file;
typedef struct la_file_op la_file_op;

/* ---- open -------------------------------------------------------------------------*/

typedef struct la_file_open {
  la_work work;  /* op.result: 0 or a negative errno */
  la_file *file; /* becomes the descriptor's as it is taken, which the drop does at the latest */
  int flags, mode;
  bool temporary;     /* a file that is not taken is removed, too */
  int fd, file_flags; /* the thread's until the op has ended; fd < 0: not opened, or taken */
  int64_t position;
  char path[];
} la_file_open;

/* The flags of open(2) for "r", "w", "a", each with "+", "b" (ignored), and for "w" "x"
** (must not exist yet), or -1: not a mode. */
int la_file_mode(const char *mode);

/* NULL: no memory. The future owns itself. UV_EISDIR for a directory. */
la_file_open *la_file_open_new(la_reactor *r, const char *path, int flags, int mode);

/* What was opened, when the result was 0: once. The reference is the caller's. */
la_file *la_file_open_take(la_file_open *op);

/* A new file for its owner alone, to be read and written; `path` ends with XXXXXX, and the
** future's says then what came of it. */
la_file_open *la_file_mkstemp_new(la_reactor *r, const char *path);

/* ---- the file ---------------------------------------------------------------------*/

void la_file_ref(la_file *f);
void la_file_unref(la_file *f);
bool la_file_is_open(const la_file *f);
/* An operation has failed because of the bytes that are still not written, or, once it is closed,
** never were. */
bool la_file_told(const la_file *f);

/* Its descriptor, whose own position in a regular file is where it was opened. UV_EBADF: closed;
** UV_EBUSY: a piece of work is under way, or what was written is still in the buffer. */
int la_file_fd(const la_file *f);

/* For one that is read at its descriptor's own position: puts that, of `fd` (the same open file),
** back to where its reader is, and forgets what was read ahead. It may be closed. UV_EBUSY: a read
** is under way; or why the position cannot be moved back. */
int la_file_give_back(la_file *f, int fd);

/* Its reader; see reader.h. UV_EBADF when it was not opened for reading. */
la_reader *la_file_reader(la_file *f);

/* poll_write and forget_write of a stream (lua_async.h); `self` is the la_file. Accepts into a
** buffer, and waits while that is full and the one before is still being written; bytes accepted
** are written by flush, close, or when the buffer is full. */
la_poll la_file_poll_write(void *self, la_context *cx, const char *data, size_t len, ssize_t *n);
size_t la_file_forget_write(void *self);

/* Where up to *size bytes may be put at once, as if they had been written, if there is room
** without waiting; NULL: use la_file_poll_write. la_file_wrote says how many were put there. */
char *la_file_room(void *self, size_t *size);
void la_file_wrote(void *self, size_t n);

/* A place among those that wait for what is under way, and the waker of who has it. */
typedef struct la_file_turn {
  la_node node;
  la_waiter waiter;
  bool tried; /* it has started a write of what was accepted before, and not told yet how that
                 ended; of a read or write that was dropped, for the next one */
} la_file_turn;

typedef enum la_file_kind {
  LA_FILE_FLUSH,
  LA_FILE_SEEK,     /* whence, at -> at; flushes, and drops what was read ahead */
  LA_FILE_SYNC,     /* flush and fsync; after data was lost on its way to the disk all fail */
  LA_FILE_DATASYNC, /* flush and fdatasync */
  LA_FILE_TRUNCATE, /* to `at` bytes */
  LA_FILE_STAT,
  LA_FILE_READ_AT,  /* len bytes at `at` or fewer at the end of the file -> data, done */
  LA_FILE_WRITE_AT, /* len bytes of `from` at `at`; done */
  LA_FILE_COPY,     /* up to len bytes from `source`, from its position to ours; done */
  LA_FILE_CLOSE     /* flushes, closes; both are done even if the first fails */
} la_file_kind;

/* Everything else one does with a file, as a future. It may be anywhere that does not
** move; a drop frees nothing but `data` of LA_FILE_READ_AT. A close that is dropped goes
** on. After a close has begun other operations are UV_EBADF, those that were waiting
** UV_ECANCELED, and closing again is 0. */
struct la_file_op {
  la_future base;
  la_file *file;      /* a reference, until the drop */
  unsigned char kind; /* la_file_kind */
  bool begun;         /* while it was open: a close is UV_ECANCELED for it */
  bool finished;      /* its own work has ended: status is there */
  int status;         /* once ready: 0 or a negative errno */
  int whence;         /* SEEK_SET, SEEK_CUR, SEEK_END */
  int64_t at;
  const char *from; /* WRITE_AT: the caller's, copied when it begins */
  char *data;       /* READ_AT: malloced, freed by the drop */
  size_t len, done;
  la_file *source; /* COPY: the caller's; both files are busy meanwhile. UV_EAGAIN: it is busy with
                      something else; UV_ENOTSUP: these two cannot, and nothing was done */
  uv_stat_t *st;   /* STAT: where to store it; the caller's */
  la_file_turn turn;
};

void la_file_op_init(la_file_op *op, la_file *f, la_file_kind kind);

#endif
