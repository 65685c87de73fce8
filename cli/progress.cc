// See progress.h. A thread draws, because what takes long has better things to do: it waits for the
// kernel, or measures.
#include "cli/progress.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <chrono>

#include "cli/format.h"
#include "cli/screen.h"

namespace hms::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kQuiet{2};
constexpr std::chrono::milliseconds kPause{500};
constexpr char kErase[] = "\r\033[K";
constexpr int kEchoed = 3;  // columns for "^C", which must not wrap the line, and one to spare
// What a person at a terminal sends. Only where nobody else has an opinion about them.
constexpr int kSignals[] = {SIGINT, SIGTERM, SIGQUIT, SIGHUP, SIGTSTP};

void write_stderr(const char* text, size_t bytes) {
  // A line that cannot be shown is nobody's loss.
  if (write(STDERR_FILENO, text, bytes) < 0) return;
}

void on_signal(int number);

void catch_signals(bool on) {
  struct sigaction ours = {}, now = {};
  for (int number : kSignals) {
    ours.sa_handler = on ? on_signal : SIG_DFL;
    ours.sa_flags = SA_RESTART;
    sigaction(number, nullptr, &now);
    if (now.sa_handler == (on ? SIG_DFL : on_signal)) sigaction(number, &ours, nullptr);
  }
}

// Clears the line, then lets happen what would have happened.
void on_signal(int number) {
  const int error = errno;
  write_stderr(kErase, sizeof kErase - 1);
  catch_signals(false);
  sigset_t only;
  sigemptyset(&only);
  sigaddset(&only, number);
  raise(number);
  pthread_sigmask(SIG_UNBLOCK, &only, nullptr);  // ends or stops here
  catch_signals(true);
  errno = error;
}

// Not for a command in the background, which the terminal would stop or whose line would come
// between.
bool can_show() {
  if (!can_erase(STDERR_FILENO)) return false;
  const pid_t foreground = tcgetpgrp(STDERR_FILENO);
  return foreground < 0 || foreground == getpgrp();
}

// The first `columns` characters, as the bytes of UTF-8 count.
std::string cut(const std::string& text, size_t columns) {
  size_t at = 0;
  for (; at < text.size(); ++at) {
    const bool begins = (static_cast<unsigned char>(text[at]) & 0xC0) != 0x80;
    if (begins && columns-- == 0) break;
  }
  return text.substr(0, at);
}

}  // namespace

Progress::Progress(std::string who, std::string what, bool wanted)
    : who_(std::move(who)), what_(std::move(what)) {
  if (!wanted || !can_erase(STDERR_FILENO)) return;
  // Signals are for the others: some of them wait for some.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { run(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

Progress::~Progress() {
  if (!thread_.joinable()) return;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    ending_ = true;
  }
  over_.notify_one();
  thread_.join();
  if (!drawn_) return;
  write_stderr(kErase, sizeof kErase - 1);
  catch_signals(false);
}

void Progress::set(std::string what) {
  std::lock_guard<std::mutex> lock(mutex_);
  what_ = std::move(what);
}

bool Progress::shown() {
  std::lock_guard<std::mutex> lock(mutex_);
  return drawn_;
}

void Progress::run() {
  const Clock::time_point start = Clock::now();
  std::unique_lock<std::mutex> lock(mutex_);
  over_.wait_for(lock, kQuiet, [this] { return ending_; });
  while (!ending_) {
    draw(std::chrono::duration<double>(Clock::now() - start).count());
    over_.wait_for(lock, kPause, [this] { return ending_; });
  }
}

void Progress::draw(double seconds) {
  winsize window = {};
  if (!can_show()) return;
  const bool told = ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 0;
  const int columns = (told ? window.ws_col : 80) - kEchoed;
  if (columns <= 0) return;
  const std::string line =
      kErase + cut(who_ + printed(": %.0f s, ", seconds) + what_, static_cast<size_t>(columns));
  if (!drawn_) catch_signals(true);
  drawn_ = true;
  write_stderr(line.data(), line.size());
}

}  // namespace hms::cli
