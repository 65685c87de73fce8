// Start, signals and end of the command: see supervise.h.
#include "cli/supervise.h"

#include <errno.h>
#include <fcntl.h>
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

// The first looks at a process come early, so that short ones are seen too.
constexpr long kFirstTick = 100'000'000L, kTick = 1'000'000'000L;  // ns
constexpr int kWakeChecks = 10;
constexpr long kWakePause = 2'000'000L;  // ns

timespec as_timespec(long nanoseconds) {
  return {nanoseconds / 1'000'000'000L, nanoseconds % 1'000'000'000L};
}

Ending ending_of(int status) {
  if (WIFEXITED(status)) return {WEXITSTATUS(status), 0};
  return {128 + WTERMSIG(status), WTERMSIG(status)};
}

// All that somebody may send to this process, and SIGCHLD. Not those that a fault of its own
// raises.
sigset_t awaited_signals() {
  sigset_t set;
  sigfillset(&set);
  for (int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGPIPE}) {
    sigdelset(&set, fault);
  }
  return set;
}

sigset_t set_of(int number) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, number);
  return set;
}

bool is_job_control(int number) {
  return number == SIGTSTP || number == SIGTTIN || number == SIGTTOU;
}

// True while a shell waits for this process's group and would take the terminal back if it stopped.
bool in_foreground() {
  int terminal = open("/dev/tty", O_RDONLY | O_CLOEXEC | O_NOCTTY);
  if (terminal < 0) return false;
  bool ours = tcgetpgrp(terminal) == getpgrp();
  close(terminal);
  return ours;
}

// The command while it runs: what happens to it happens to this process, and the other way round.
class Command {
 public:
  explicit Command(pid_t pid) : pid_(pid) {}

  // False once it has ended.
  bool follow() {
    int status = 0;
    while (waitpid(pid_, &status, WNOHANG | WUNTRACED | WCONTINUED) == pid_) {
      stop_signal_ = WIFSTOPPED(status) ? WSTOPSIG(status) : 0;
      if (!WIFSTOPPED(status) && !WIFCONTINUED(status)) {
        ending_ = ending_of(status);
        return false;
      }
    }
    // Without a terminal, who stops the command (SIGSTOP) will wake it, and nobody this process.
    bool shared = is_job_control(stop_signal_) || (stop_signal_ != 0 && in_foreground());
    if (shared) stop_like_it();
    return true;
  }

  void pass_on(const siginfo_t& info) const {
    // The terminal sends its signals to the whole foreground group, the command among it; only if
    // that has left for a group of its own they have not reached it.
    if (info.si_code > 0 && getpgid(pid_) == getpgrp()) return;
    if (info.si_code == SI_QUEUE) {
      sigqueue(pid_, info.si_signo, info.si_value);
    } else {
      kill(pid_, info.si_signo);
    }
  }

  const Ending& ending() const { return ending_; }

 private:
  // Returns when this process is continued, and the command is, too; at once where nobody could do
  // that (an orphaned process group) and where the signal is ignored.
  void stop_like_it() {
    const int number = stop_signal_;
    stop_signal_ = 0;
    const sigset_t stop = set_of(number), wake = set_of(SIGCONT);
    const timespec now = {0, 0};
    raise(number);
    sigprocmask(SIG_UNBLOCK, &stop, nullptr);
    sigprocmask(SIG_BLOCK, &stop, nullptr);
    if (sigtimedwait(&wake, nullptr, &now) != SIGCONT) return;
    // A shell wakes the whole group, one process after the other; who woke only this process means
    // the command, too.
    for (int i = 0; i < kWakeChecks && !has_news(); ++i) {
      const timespec moment = as_timespec(kWakePause);
      nanosleep(&moment, nullptr);
    }
    if (!has_news()) kill(pid_, SIGCONT);
  }

  // True if the command has gone on since it was stopped, if only to stop again or to end. The news
  // is left for follow().
  bool has_news() const {
    siginfo_t news = {};
    const int any = WCONTINUED | WSTOPPED | WEXITED | WNOHANG | WNOWAIT;
    return waitid(P_PID, static_cast<id_t>(pid_), &news, any) == 0 && news.si_pid == pid_;
  }

  pid_t pid_;
  int stop_signal_ = 0;  // of a stop that this process has not reacted to
  Ending ending_;
};

// Waits for a signal and deals with it; when none came in time, looks, and says how long to wait
// for the next one.
long wait_once(const sigset_t& awaited, long wait, Command* command,
               const std::function<void()>& tick) {
  siginfo_t info = {};
  timespec timeout = as_timespec(wait);
  int number = sigtimedwait(&awaited, &info, &timeout);
  if (number > 0 && number != SIGCHLD) command->pass_on(info);
  if (number >= 0 || errno != EAGAIN) return wait;
  timespec from, to;
  clock_gettime(CLOCK_MONOTONIC, &from);
  tick();
  clock_gettime(CLOCK_MONOTONIC, &to);
  // A large process takes long to check: never more than a tenth of the time.
  long took = (to.tv_sec - from.tv_sec) * 1'000'000'000L + to.tv_nsec - from.tv_nsec;
  return std::max(std::min(2 * wait, kTick), 10 * took);
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
  const sigset_t awaited = awaited_signals();
  sigset_t before;
  struct sigaction children_before;
  struct sigaction by_default = {};
  by_default.sa_handler = SIG_DFL;
  // Blocked before the fork: no signal can fall between. A caller that ignores SIGCHLD would have
  // the kernel forget how the command ended.
  sigprocmask(SIG_BLOCK, &awaited, &before);
  sigaction(SIGCHLD, &by_default, &children_before);
  pid_t child = fork();
  if (child == 0) {
    sigaction(SIGCHLD, &children_before, nullptr);
    sigprocmask(SIG_SETMASK, &before, nullptr);
    _exit(exec_command(path, command));
  }
  Ending ending = {126, 0};
  if (child < 0) {
    fprintf(stderr, "hms run: cannot start a process: %s\n", strerrordesc_np(errno));
  } else {
    Command running(child);
    for (long wait = kFirstTick; running.follow();) {
      wait = wait_once(awaited, wait, &running, tick);
    }
    ending = running.ending();
    // What this process was told meanwhile, such as a second Ctrl-C, was meant for the command.
    const timespec now = {0, 0};
    while (sigtimedwait(&awaited, nullptr, &now) > 0) {
    }
  }
  sigprocmask(SIG_SETMASK, &before, nullptr);
  return ending;
}

int end_like(const Ending& ending) {
  if (ending.signal == 0) return ending.exit_code;
  // The command's core is the one that counts.
  rlimit none = {0, 0};
  setrlimit(RLIMIT_CORE, &none);
  const sigset_t only = set_of(ending.signal);
  signal(ending.signal, SIG_DFL);
  sigprocmask(SIG_UNBLOCK, &only, nullptr);
  fflush(nullptr);
  raise(ending.signal);
  return ending.exit_code;
}

}  // namespace hms::cli
