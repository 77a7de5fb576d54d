#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "stream/pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static la_uv_stream *make(la_reactor *r) { return la_uv_stream_new(r, sizeof(uv_pipe_t)); }

static void init(uv_loop_t *loop, uv_stream_t *uv) { uv_pipe_init(loop, (uv_pipe_t *)uv, 0); }
static int open_uv(uv_stream_t *uv, int fd) { return uv_pipe_open((uv_pipe_t *)uv, fd); }

static int open_stream(la_uv_stream *s, int fd) {
  return la_uv_stream_open(s, fd, LA_STREAM_PLAIN, init, open_uv);
}

const la_uv_stream_kind la_pipe_kind = {make, open_stream};

int la_pipe_make(int fd[2]) {
#ifdef __linux__
  return pipe2(fd, O_CLOEXEC) == 0 ? 0 : uv_translate_sys_error(errno);
#else
  if (pipe(fd) != 0) return uv_translate_sys_error(errno);
  if (fcntl(fd[0], F_SETFD, FD_CLOEXEC) == 0 && fcntl(fd[1], F_SETFD, FD_CLOEXEC) == 0) return 0;
  int err = uv_translate_sys_error(errno);
  close(fd[0]);
  close(fd[1]);
  return err;
#endif
}
