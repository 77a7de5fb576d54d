#include "stdio/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static struct {
  la_resource resource; /* in the list of the reactor that made it raw */
  struct termios found;
  int fd; /* a duplicate of ours */
  bool raw, at_exit;
} terminal;

static int set_mode(int fd, const struct termios *mode) {
  int r;
  do r = tcsetattr(fd, TCSADRAIN, mode);
  while (r != 0 && errno == EINTR);
  return r == 0 ? 0 : uv_translate_sys_error(errno);
}

static struct termios raw_mode(void) {
  struct termios mode = terminal.found;
  mode.c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
  mode.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
  mode.c_cflag = (mode.c_cflag & ~(tcflag_t)(CSIZE | PARENB)) | CS8;
  mode.c_cc[VMIN] = 1;
  mode.c_cc[VTIME] = 0;
  return mode;
}

static int make_raw(void) {
  struct termios mode = raw_mode();
  return set_mode(terminal.fd, &mode);
}

static bool is_raw(const struct termios *now) {
  struct termios mode = raw_mode();
  return now->c_iflag == mode.c_iflag && now->c_lflag == mode.c_lflag &&
         now->c_cflag == mode.c_cflag && now->c_oflag == mode.c_oflag;
}

int la_terminal_size(int fd, int *columns, int *rows) {
  struct winsize size;
  if (ioctl(fd, TIOCGWINSZ, &size) != 0) return uv_translate_sys_error(errno);
  *columns = size.ws_col;
  *rows = size.ws_row;
  return 0;
}

/* Whoever is in the foreground has the terminal, and may have given it a mode of its own: one that
** is not ours any more is left to it. The stop by which a process in the background that changes
** the mode is held up (SIGTTOU) is kept off. */
static int restore(void) {
  struct termios now;
  bool background = tcgetpgrp(terminal.fd) != getpgrp();
  if (background && tcgetattr(terminal.fd, &now) == 0 && !is_raw(&now)) return 0;
  sigset_t stop, before;
  sigemptyset(&stop);
  sigaddset(&stop, SIGTTOU);
  pthread_sigmask(SIG_BLOCK, &stop, &before);
  int err = set_mode(terminal.fd, &terminal.found);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return err;
}

int la_terminal_restore(void) {
  if (!terminal.raw) return 0;
  int err = restore();
  if (la_node_linked(&terminal.resource.node)) la_node_unlink(&terminal.resource.node);
  close(terminal.fd);
  terminal.raw = false;
  return err;
}

static void end_with_loop(la_resource *r) {
  (void)r;
  la_terminal_restore();
}

static void at_exit(void) { la_terminal_restore(); }

static bool same_terminal(int a, int b) {
  char name[256];
  const char *other = ttyname(b);
  return ttyname_r(a, name, sizeof name) == 0 && other != NULL && strcmp(name, other) == 0;
}

int la_terminal_raw(la_reactor *r, int fd) {
  if (terminal.raw) return same_terminal(fd, terminal.fd) ? make_raw() : UV_EBUSY;
  if (tcgetattr(fd, &terminal.found) != 0) return uv_translate_sys_error(errno);
  terminal.fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (terminal.fd < 0) return uv_translate_sys_error(errno);
  if (!terminal.at_exit) terminal.at_exit = atexit(at_exit) == 0;
  int err = make_raw();
  if (err != 0) {
    close(terminal.fd);
    return err;
  }
  terminal.raw = true;
  terminal.resource.end = end_with_loop;
  la_list_push(&r->resources, &terminal.resource.node);
  return 0;
}
