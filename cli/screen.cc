// See screen.h. Control sequences are those of ECMA-48 and the few of xterm that every terminal of
// today knows: xterm's control sequences, "Ps = 1049" (a second screen), "Ps = 25" (the cursor),
// "Ps = 7" (wrapping).
#include "cli/screen.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>

namespace hms::cli {
namespace {

constexpr char kEnter[] = "\033[?1049h\033[?25l\033[?7l\033[H\033[2J";
constexpr char kHideCursor[] = "\033[?25l";
constexpr char kLeave[] = "\033[?7h\033[?25h\033[?1049l";
constexpr int kSequenceMs = 50;  // the bytes of one key come together, over slow lines, too

bool write_all(const std::string& text) {
  for (size_t done = 0; done < text.size();) {
    const ssize_t n = write(STDOUT_FILENO, text.data() + done, text.size() - done);
    if (n > 0) done += static_cast<size_t>(n);
    if (n < 0 && errno == EAGAIN) {
      pollfd room = {STDOUT_FILENO, POLLOUT, 0};
      poll(&room, 1, 1000);
    } else if (n < 0 && errno != EINTR) {
      return false;
    }
  }
  return true;
}

sigset_t awaited() {
  sigset_t set;
  sigemptyset(&set);
  for (int s : {SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGWINCH, SIGTSTP}) sigaddset(&set, s);
  return set;
}

bool knows_sequences() {
  const char* terminal = getenv("TERM");
  return terminal != nullptr && *terminal != '\0' && strcmp(terminal, "dumb") != 0;
}

int key_of(const std::string& sequence) {
  if (sequence == "A") return kKeyUp;
  if (sequence == "B") return kKeyDown;
  if (sequence == "5~") return kKeyPageUp;
  if (sequence == "6~") return kKeyPageDown;
  return kKeyNone;
}

}  // namespace

bool Screen::available() {
  return knows_sequences() && isatty(STDIN_FILENO) != 0 && isatty(STDOUT_FILENO) != 0;
}

Status Screen::open() {
  if (tcgetattr(STDIN_FILENO, &before_) != 0) {
    return {HMS_EIO,
            std::string("the terminal does not tell its state: ") + strerrordesc_np(errno)};
  }
  const sigset_t set = awaited();
  signals_ = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  if (signals_ < 0) return {HMS_EIO, std::string("signalfd: ") + strerrordesc_np(errno)};
  sigprocmask(SIG_BLOCK, &set, &mask_before_);
  if (enter()) return {};
  const int error = errno;
  close();
  return {HMS_EIO, std::string("cannot write to the terminal: ") + strerrordesc_np(error)};
}

void Screen::close() {
  if (signals_ < 0) return;
  leave();
  ::close(signals_);
  signals_ = -1;
  sigprocmask(SIG_SETMASK, &mask_before_, nullptr);
}

bool Screen::enter() {
  termios raw = before_;
  // Ctrl-C and Ctrl-Z stay signals.
  raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
  raw.c_cc[VMIN] = 0;
  raw.c_cc[VTIME] = 0;
  entered_ = true;
  return tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw) == 0 && write_all(kEnter);
}

void Screen::leave() {
  if (!entered_) return;
  entered_ = false;
  write_all(kLeave);
  tcsetattr(STDIN_FILENO, TCSADRAIN, &before_);
}

Screen::Size Screen::size() const {
  Size out;
  winsize window = {};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) != 0) return out;
  if (window.ws_col > 0) out.columns = window.ws_col;
  if (window.ws_row > 0) out.rows = window.ws_row;
  return out;
}

bool Screen::draw(const std::vector<std::string>& lines) {
  std::string text = "\033[H";
  for (size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) text += "\r\n";
    // Erased before it is drawn: after a full line the cursor stays on the last character.
    text += i + 1 < lines.size() ? "\033[K" : "\033[J";
    text += lines[i];
  }
  return write_all(text + kHideCursor);
}

ScreenEvent Screen::take_signal() {
  ScreenEvent event;
  signalfd_siginfo info;
  if (read(signals_, &info, sizeof info) != sizeof info) return event;
  const int number = static_cast<int>(info.ssi_signo);
  event.kind = ScreenEvent::kRedraw;
  if (number == SIGTSTP) {
    leave();
    raise(SIGSTOP);
    if (!enter()) event.kind = ScreenEvent::kGone;
  } else if (number != SIGWINCH) {
    event.kind = ScreenEvent::kSignal;
    event.signal = number;
  }
  return event;
}

// False: there was nothing, or the terminal is gone.
bool Screen::read_keys(int wait_ms) {
  pollfd input = {STDIN_FILENO, POLLIN, 0};
  if (poll(&input, 1, wait_ms) <= 0) return false;
  char buffer[256];
  const ssize_t n = read(STDIN_FILENO, buffer, sizeof buffer);
  if (n <= 0) return false;
  typed_.append(buffer, static_cast<size_t>(n));
  return true;
}

int Screen::next_key() {
  const auto first = static_cast<unsigned char>(typed_[0]);
  typed_.erase(0, 1);
  if (first != kKeyEscape) return first;
  if (typed_.empty() && !read_keys(kSequenceMs)) return kKeyEscape;
  if (typed_[0] != '[' && typed_[0] != 'O') return kKeyEscape;
  typed_.erase(0, 1);
  for (size_t i = 0; i < typed_.size() || read_keys(kSequenceMs); ++i) {
    if (typed_[i] < '@') continue;
    const std::string sequence = typed_.substr(0, i + 1);
    typed_.erase(0, i + 1);
    return key_of(sequence);
  }
  typed_.clear();
  return kKeyNone;
}

ScreenEvent Screen::wait(double seconds) {
  ScreenEvent event;
  if (typed_.empty()) {
    pollfd ready[] = {{signals_, POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
    const int n = poll(ready, 2, static_cast<int>(std::max(seconds, 0.0) * 1000));
    if (n <= 0) return event;
    if (ready[0].revents != 0) return take_signal();
    if (!read_keys(0)) {
      event.kind = ScreenEvent::kGone;
      return event;
    }
  }
  event.kind = ScreenEvent::kKey;
  event.key = next_key();
  return event;
}

bool colours_wanted(int fd) {
  const char* no = getenv("NO_COLOR");  // https://no-color.org: set, and not empty
  return (no == nullptr || *no == '\0') && can_erase(fd);
}

bool can_erase(int fd) { return knows_sequences() && isatty(fd) != 0; }

}  // namespace hms::cli
