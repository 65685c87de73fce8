// Start, signals and end of the command: see supervise.h.
#include "cli/supervise.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>

namespace hms::cli {
namespace {

constexpr int kPassedOn[] = {SIGINT,  SIGTERM, SIGHUP,   SIGQUIT, SIGUSR1,
                             SIGUSR2, SIGALRM, SIGWINCH, SIGCONT};
// The first looks at a process come early, so that short ones are seen too.
constexpr long kFirstTick = 100'000'000L, kTick = 1'000'000'000L;  // ns

timespec as_timespec(long nanoseconds) {
  return {nanoseconds / 1'000'000'000L, nanoseconds % 1'000'000'000L};
}

Ending ending_of(int status) {
  if (WIFEXITED(status)) return {WEXITSTATUS(status), 0};
  return {128 + WTERMSIG(status), WTERMSIG(status)};
}

// The terminal sends its signals to the whole foreground group, the command among it: only those
// that somebody sent to this process alone are passed on.
void pass_on(const siginfo_t& info, pid_t child) {
  if (info.si_code <= 0) kill(child, info.si_signo);
}

}  // namespace

int exec_command(const std::string& path, const std::vector<std::string>& command) {
  std::vector<char*> arguments;
  arguments.reserve(command.size() + 1);
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  // As execvp does, which also runs scripts without "#!", but on the path that was judged.
  execv(path.c_str(), arguments.data());
  int error = errno;
  if (error == ENOEXEC) execvp(path.c_str(), arguments.data());
  fprintf(stderr, "hms run: cannot execute '%s': %s\n", path.c_str(), strerrordesc_np(error));
  return error == ENOENT ? 127 : 126;
}

Ending supervise(const std::string& path, const std::vector<std::string>& command,
                 const std::function<void()>& tick) {
  sigset_t waited, before;
  sigemptyset(&waited);
  sigaddset(&waited, SIGCHLD);
  for (int number : kPassedOn) sigaddset(&waited, number);
  // Blocked before the fork: no signal can fall between.
  sigprocmask(SIG_BLOCK, &waited, &before);
  pid_t child = fork();
  if (child == 0) {
    sigprocmask(SIG_SETMASK, &before, nullptr);
    _exit(exec_command(path, command));
  }
  if (child < 0) {
    fprintf(stderr, "hms run: cannot start a process: %s\n", strerrordesc_np(errno));
    sigprocmask(SIG_SETMASK, &before, nullptr);
    return {126, 0};
  }
  long wait = kFirstTick;
  int status = 0;
  for (;;) {
    siginfo_t info = {};
    timespec timeout = as_timespec(wait);
    int number = sigtimedwait(&waited, &info, &timeout);
    if (number < 0 && errno == EAGAIN) {
      timespec from, to;
      clock_gettime(CLOCK_MONOTONIC, &from);
      tick();
      clock_gettime(CLOCK_MONOTONIC, &to);
      // A large process takes long to check: never more than a tenth of the time.
      long took = (to.tv_sec - from.tv_sec) * 1'000'000'000L + to.tv_nsec - from.tv_nsec;
      wait = std::max(std::min(2 * wait, kTick), 10 * took);
    } else if (number > 0 && number != SIGCHLD) {
      pass_on(info, child);
    }
    if (waitpid(child, &status, WNOHANG) == child) break;
  }
  sigprocmask(SIG_SETMASK, &before, nullptr);
  return ending_of(status);
}

int end_like(const Ending& ending) {
  if (ending.signal == 0) return ending.exit_code;
  // The command's core is the one that counts.
  rlimit none = {0, 0};
  setrlimit(RLIMIT_CORE, &none);
  sigset_t only;
  sigemptyset(&only);
  sigaddset(&only, ending.signal);
  signal(ending.signal, SIG_DFL);
  sigprocmask(SIG_UNBLOCK, &only, nullptr);
  fflush(nullptr);
  raise(ending.signal);
  return ending.exit_code;
}

}  // namespace hms::cli
