#include "io/terminal.h"

#include <errno.h>
#include <fcntl.h>
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

int la_terminal_size(int fd, int *columns, int *rows) {
  struct winsize size;
  if (ioctl(fd, TIOCGWINSZ, &size) != 0) return uv_translate_sys_error(errno);
  *columns = size.ws_col;
  *rows = size.ws_row;
  return 0;
}

int la_terminal_restore(void) {
  if (!terminal.raw) return 0;
  int err = set_mode(terminal.fd, &terminal.found);
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

static int make_raw(void) {
  struct termios mode = terminal.found;
  mode.c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
  mode.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
  mode.c_cflag = (mode.c_cflag & ~(tcflag_t)(CSIZE | PARENB)) | CS8;
  mode.c_cc[VMIN] = 1;
  mode.c_cc[VTIME] = 0;
  return set_mode(terminal.fd, &mode);
}

static bool same_terminal(int a, int b) {
  char name[256];
  const char *other = ttyname(b);
  return ttyname_r(a, name, sizeof name) == 0 && other != NULL && strcmp(name, other) == 0;
}

int la_terminal_raw(la_reactor *r, int fd) {
  if (terminal.raw) return same_terminal(fd, terminal.fd) ? 0 : UV_EBUSY;
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
