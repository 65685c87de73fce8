// `hms run --report` at a terminal: a shell with job control in a pseudo-terminal, keys typed into
// it, and a program that tells which signals it got.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace {

namespace fs = std::filesystem;

constexpr int kPatience = 15'000;  // ms until a test gives up

// A perl program: says each signal that it gets, and ends at TERM with status 7. Perl and its POSIX
// module are part of every Debian.
constexpr char kTalker[] = R"(use POSIX;
$| = 1;
$n = 0;
for my $s (qw(INT CONT USR1 WINCH)) { $SIG{$s} = sub { print "<$s " . ++$n . ">\n" }; }
$SIG{TERM} = sub { print "<end>\n"; exit 7 };
POSIX::setsid() if @ARGV && $ARGV[0] eq "session";
print "<ready $$>\n";
select(undef, undef, undef, 0.02) while 1;
)";

class JobControlTest : public ::testing::Test {
 protected:
  void SetUp() override {
    fs::path build = fs::path(HMS_COMMAND).parent_path().parent_path();
    if (!fs::exists(build / "libhms_malloc.so")) {
      GTEST_SKIP() << "libhms_malloc.so is not part of this build";
    }
    char dir[] = "/tmp/hms-terminal-XXXXXX";
    ASSERT_NE(mkdtemp(dir), nullptr);
    dir_ = dir;
    std::ofstream(dir_ + "/talk") << kTalker;
    start_shell();
  }
  void TearDown() override {
    if (shell_ > 0) {
      if (talker_ > 0) kill(talker_, SIGKILL);
      kill(shell_, SIGKILL);
      waitpid(shell_, nullptr, 0);
      close(terminal_);
    }
    if (!dir_.empty()) fs::remove_all(dir_);
  }

  void start_shell() {
    shell_ = forkpty(&terminal_, nullptr, nullptr, nullptr);
    if (shell_ < 0) GTEST_SKIP() << "no pseudo-terminal here: " << strerror(errno);
    if (shell_ > 0) return type("PS1=; PS2=; stty -echo; echo shell-$((1 + 1))\n", "shell-2");
    for (const char* name : {"HMS_CONF", "HMS_CONF_FILE", "HMS_TOPOLOGY", "ENV"}) unsetenv(name);
    execl("/bin/sh", "sh", "-i", nullptr);
    _exit(126);
  }

  // Types keys, then reads what the terminal shows until `expected` is in it.
  void type(const std::string& keys, const std::string& expected) {
    ASSERT_EQ(write(terminal_, keys.data(), keys.size()), static_cast<ssize_t>(keys.size()));
    wait_for(expected);
  }

  void wait_for(const std::string& expected) {
    size_t at = 0;
    while ((at = shown_.find(expected)) == std::string::npos) {
      pollfd ready = {terminal_, POLLIN, 0};
      char text[4096];
      ssize_t bytes = -1;
      if (poll(&ready, 1, kPatience) == 1) bytes = read(terminal_, text, sizeof text);
      ASSERT_GT(bytes, 0) << "no '" << expected << "' in:\n" << shown_;
      shown_.append(text, static_cast<size_t>(bytes));
    }
    passed_ += shown_.substr(0, at + expected.size());
    shown_.erase(0, at + expected.size());
  }

  // Starts the talker under `hms run`; learns its process number.
  void start_talker(const std::string& argument = "", const std::string& after = "") {
    type(HMS_COMMAND " run --report=" + dir_ + "/report -- perl " + dir_ + "/talk " + argument +
             after + "\n",
         "<ready ");
    wait_for(">");
    talker_ = atoi(passed_.c_str() + passed_.rfind("<ready ") + 7);
    ASSERT_GT(talker_, 0);
    passed_.clear();
  }

  // The state letter of /proc/PID/stat.
  static char state_of(pid_t pid) {
    std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
    std::string text((std::istreambuf_iterator<char>(stat)), {});
    size_t at = text.rfind(')');
    return at == std::string::npos ? '?' : text[at + 2];
  }
  static bool becomes(pid_t pid, const std::string& states) {
    for (int ms = 0; ms < kPatience; ms += 10, usleep(10'000)) {
      if (states.find(state_of(pid)) != std::string::npos) return true;
    }
    return false;
  }
  pid_t launcher() const {
    std::ifstream stat("/proc/" + std::to_string(talker_) + "/stat");
    std::string text((std::istreambuf_iterator<char>(stat)), {});
    return atoi(text.c_str() + text.rfind(')') + 4);
  }

  void end_talker() {
    kill(talker_, SIGTERM);
    wait_for("<end>");
    talker_ = 0;
    type("echo status-$?-\n", "status-7-");
    EXPECT_GT(fs::file_size(dir_ + "/report"), 0u);
  }

  std::string dir_, shown_, passed_;
  int terminal_ = -1;
  pid_t shell_ = 0, talker_ = 0;
};

TEST_F(JobControlTest, KeysReachTheProgramOnce) {
  start_talker();
  type("\x03", "<INT 1>");
  type("\x03", "<INT 2>");
  kill(launcher(), SIGUSR1);
  wait_for("<USR1 3>");
  // A second copy of either would have been counted by now.
  EXPECT_EQ(passed_.find("<INT 3>"), std::string::npos) << passed_;
  end_talker();
}

TEST_F(JobControlTest, AProgramWithASessionOfItsOwnStillGetsKeys) {
  start_talker("session");
  type("\x03", "<INT 1>");
  end_talker();
}

TEST_F(JobControlTest, StopAndForeground) {
  start_talker();
  pid_t hms = launcher();
  for (int round = 1; round <= 3; ++round) {
    type("\x1a", "Stopped");
    EXPECT_TRUE(becomes(talker_, "T"));
    EXPECT_TRUE(becomes(hms, "T"));
    type("fg\n", "<CONT " + std::to_string(round) + ">");
    EXPECT_TRUE(becomes(talker_, "SR"));
  }
  end_talker();
}

TEST_F(JobControlTest, AProgramThatStopsItselfGivesTheTerminalBack) {
  start_talker();
  for (int number : {SIGTSTP, SIGSTOP, SIGTTIN}) {
    kill(talker_, number);
    wait_for("Stopped");
    type("fg\n", "<CONT ");
  }
  end_talker();
}

TEST_F(JobControlTest, ContinuingTheLauncherContinuesTheProgram) {
  start_talker();
  type("\x1a", "Stopped");
  pid_t hms = launcher();
  EXPECT_TRUE(becomes(hms, "T"));
  kill(hms, SIGCONT);
  wait_for("<CONT 1>");
  EXPECT_TRUE(becomes(hms, "SR"));
  kill(hms, SIGTSTP);
  EXPECT_TRUE(becomes(talker_, "T"));
  EXPECT_TRUE(becomes(hms, "T"));
  type("fg\n", "<CONT ");
  end_talker();
}

TEST_F(JobControlTest, ReadingInTheBackgroundStopsBoth) {
  type(HMS_COMMAND " run --report -- sh -c 'echo pid $$; read line; echo got $line; exit 3' &\n",
       "pid ");
  wait_for("\n");
  size_t at = passed_.rfind("pid ");
  talker_ = atoi(passed_.c_str() + at + 4);
  EXPECT_TRUE(becomes(talker_, "T"));
  EXPECT_TRUE(becomes(launcher(), "T"));
  type("fg\n", "hms");
  usleep(100'000);  // dash takes the terminal away from what it prints
  type("some words\n", "got some words");
  type("echo status-$?-\n", "status-3-");
  talker_ = 0;
}

TEST_F(JobControlTest, AKilledStoppedProgramEndsTheRun) {
  start_talker();
  type("\x1a", "Stopped");
  EXPECT_TRUE(becomes(launcher(), "T"));
  kill(talker_, SIGKILL);
  talker_ = 0;
  type("fg\n", "Killed");
  type("echo status-$?-\n", "status-137-");
}

}  // namespace
