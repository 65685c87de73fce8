// `hms run` and `hms stat` as commands: what they refuse, pass on and report.
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "runtime/support/counters.h"
#include "runtime/support/stats_files.h"

namespace {

namespace fs = std::filesystem;

class CommandTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char dir[] = "/tmp/hms-command-XXXXXX";
    ASSERT_NE(mkdtemp(dir), nullptr);
    dir_ = dir;
    for (const char* name : {"HMS_CONF", "HMS_CONF_FILE", "HMS_TOPOLOGY", "HMS_STATS_DIR"}) {
      unsetenv(name);
    }
    setenv("HOME", dir, 1);
  }
  void TearDown() override { fs::remove_all(dir_); }

  struct Outcome {
    int status = 0;  // of waitpid
    std::string out, err;
    int code() const { return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status); }
  };

  // Runs `hms ARGUMENTS` by a shell that it replaces.
  Outcome hms(const std::string& arguments, const std::string& environment = "") {
    pid_t child = start(arguments, environment);
    Outcome outcome;
    waitpid(child, &outcome.status, 0);
    outcome.out = text("out");
    outcome.err = text("err");
    return outcome;
  }

  pid_t start(const std::string& arguments, const std::string& environment = "") {
    std::string line = "exec env " + environment + " " HMS_COMMAND " " + arguments + " >" + dir_ +
                       "/out 2>" + dir_ + "/err";
    pid_t child = fork();
    if (child == 0) {
      execl("/bin/sh", "sh", "-c", line.c_str(), nullptr);
      _exit(126);
    }
    return child;
  }

  std::string text(const std::string& name) const {
    std::ostringstream text;
    text << std::ifstream(dir_ + "/" + name).rdbuf();
    return text.str();
  }

  // Sanitizer builds have no library to preload.
  static bool have_library() {
    fs::path build = fs::path(HMS_COMMAND).parent_path().parent_path();
    return fs::exists(build / "libhms_malloc.so");
  }

  std::string dir_;
};

#define NEED_LIBRARY() \
  if (!have_library()) GTEST_SKIP() << "libhms_malloc.so is not part of this build"

TEST_F(CommandTest, WrongOptionsNeverStartTheCommand) {
  const struct {
    const char* options;
    const char* message;
  } kCases[] = {
      {"--rule sise=1:local", "unknown condition 'sise'"},
      {"--rule nowhere", "'nowhere' is no target"},
      {"--rule node:1023", "'node:1023' does not exist"},
      {"--quota local", "expected 'quota TARGET=SIZE'"},
      {"--quota 'node:0>local=1G'", "is more than one target"},
      {"--tiers nonsense --rule local", "nonsense"},
      {"--tiers fast=64M --topology live --rule fast", "exclude each other"},
      {"--config /nonexistent", "cannot read the file '/nonexistent'"},
      {"--topology xml:/nonexistent", "/nonexistent"},
      {"--report=/nonexistent/report.json", "cannot write the report"},
      {"--unknown", "--unknown"},
  };
  for (const auto& c : kCases) {
    std::string mark = dir_ + "/started";
    Outcome outcome = hms(std::string("run ") + c.options + " -- touch " + mark);
    if (!have_library() && outcome.err.find("libhms_malloc.so") != std::string::npos) continue;
    EXPECT_EQ(outcome.code(), 2) << c.options << outcome.err;
    EXPECT_NE(outcome.err.find(c.message), std::string::npos) << outcome.err;
    EXPECT_FALSE(fs::exists(mark)) << c.options;
    EXPECT_EQ(outcome.out, "");
  }
  EXPECT_EQ(hms("run").code(), 2);
  Outcome outcome = hms("run -- true", "HMS_CONF='sise=1:x'");
  EXPECT_EQ(outcome.code(), 2);
  EXPECT_NE(outcome.err.find("HMS_CONF, line 1, column 1"), std::string::npos) << outcome.err;
}

TEST_F(CommandTest, CommandsThatCannotStart) {
  Outcome outcome = hms("run -- no-such-command-anywhere");
  EXPECT_EQ(outcome.code(), 127);
  EXPECT_NE(outcome.err.find("'no-such-command-anywhere': command not found"), std::string::npos);
  EXPECT_EQ(hms("run -- /nonexistent/command").code(), 127);
  EXPECT_EQ(hms("run -- " + dir_).code(), 126);
}

TEST_F(CommandTest, ASecondAllocatorIsRefused) {
  NEED_LIBRARY();
  for (const char* other : {"/usr/lib/libjemalloc.so.2", "libtcmalloc.so.4", "libasan.so.8"}) {
    Outcome outcome = hms("run -- true");
    EXPECT_EQ(outcome.code(), 0) << outcome.err;
    setenv("OTHER", other, 1);
    outcome = hms("run -- true", "LD_PRELOAD=$OTHER");
    EXPECT_EQ(outcome.code(), 2) << other;
    EXPECT_NE(outcome.err.find(std::string("LD_PRELOAD already has '") + other), std::string::npos);
  }
}

TEST_F(CommandTest, ExitCodesAndArgumentsPassThrough) {
  NEED_LIBRARY();
  for (const char* report : {"", "--report "}) {
    EXPECT_EQ(hms(std::string("run ") + report + "-- sh -c 'exit 37'").code(), 37);
    Outcome outcome = hms(std::string("run ") + report + "echo -- --report -x");
    EXPECT_EQ(outcome.code(), 0);
    EXPECT_EQ(outcome.out, "-- --report -x\n");
    EXPECT_EQ(hms(std::string("run ") + report + "-- sh -c 'kill -TERM $$'").code(), -SIGTERM);
    EXPECT_EQ(hms(std::string("run ") + report + "-- sh -c 'kill -KILL $$'").code(), -SIGKILL);
  }
}

TEST_F(CommandTest, SignalsReachTheCommand) {
  NEED_LIBRARY();
  pid_t child = start("run --report -- sh -c 'trap \"echo caught; exit 5\" USR1; touch " + dir_ +
                      "/ready; while :; do sleep 0.05; done'");
  while (!fs::exists(dir_ + "/ready")) usleep(10000);
  kill(child, SIGUSR1);
  int status = 0;
  waitpid(child, &status, 0);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 5);
  EXPECT_EQ(text("out"), "caught\n");
}

TEST_F(CommandTest, TheReportAddsUp) {
  NEED_LIBRARY();
  std::string file = dir_ + "/report.json";
  Outcome outcome =
      hms("run --tiers fast=64M,slow=1G --rule 'size>=4096:slow' --rule 'fast>slow' "
          "--report=" +
          file + " -- perl -e '@a = map { \"x\" x 10000 } 1..3000; exit 3'");
  EXPECT_EQ(outcome.code(), 3) << outcome.err;
  EXPECT_NE(outcome.err.find("Emulated: verified means"), std::string::npos) << outcome.err;
  auto report = nlohmann::json::parse(text("report.json"));
  EXPECT_EQ(report["schema"], 1);
  EXPECT_EQ(report["emulated"], true);
  EXPECT_EQ(report["exit"], 3);
  ASSERT_EQ(report["processes"].size(), 1u);
  EXPECT_EQ(report["processes"][0]["state"], "exited");
  EXPECT_EQ(report["processes"][0]["verified"], "exit");
  bool seen = false;
  for (const auto& target : report["targets"]) {
    EXPECT_EQ(target["misplaced_pages"], 0) << target;
    if (target["key"] != "tier:slow") continue;
    seen = true;
    EXPECT_GE(target["allocated_bytes"], 30000000u);
    EXPECT_EQ(target["resident_bytes"].get<uint64_t>(),
              target["verified_pages"].get<uint64_t>() * 4096);
    EXPECT_GT(target["verified_pages"], 7000u);
  }
  EXPECT_TRUE(seen);
}

TEST_F(CommandTest, AKilledProgramIsReportedFromOutside) {
  NEED_LIBRARY();
  std::string file = dir_ + "/report.json";
  Outcome outcome = hms("run --rule local --report=" + file +
                        " -- perl -e '@a = map { \"x\" x 10000 } 1..1000; sleep 2; kill KILL, $$'");
  EXPECT_EQ(outcome.code(), -SIGKILL) << outcome.err;
  auto report = nlohmann::json::parse(text("report.json"));
  EXPECT_EQ(report["signal"], SIGKILL);
  EXPECT_EQ(report["exit"], 128 + SIGKILL);
  ASSERT_EQ(report["processes"].size(), 1u);
  EXPECT_EQ(report["processes"][0]["state"], "killed");
  EXPECT_EQ(report["processes"][0]["verified"], "snapshot");
}

// What a process counted before an exec belongs to the run as well.
TEST_F(CommandTest, AReplacedProgramIsInTheReport) {
  NEED_LIBRARY();
  const std::string big = "@a = map { \"x\" x 10000 } 1..2000; ";
  std::string second = dir_ + "/second";
  std::ofstream(second) << big + "exec \"true\"";
  // The first look of `hms run` comes after a tenth of a second: the first program is there then.
  Outcome outcome = hms("run --rule local --report=" + dir_ + "/report.json -- perl -e '" + big +
                        "sleep 1; exec \"perl\", \"" + second + "\"'");
  EXPECT_EQ(outcome.code(), 0) << outcome.err;
  auto report = nlohmann::json::parse(text("report.json"));
  auto& processes = report["processes"];
  ASSERT_EQ(processes.size(), 3u) << report;
  EXPECT_EQ(processes[0]["program"], "perl");
  EXPECT_EQ(processes[0]["state"], "replaced");
  EXPECT_EQ(processes[0]["verified"], "snapshot");
  EXPECT_EQ(processes[1]["state"], "replaced");
  EXPECT_EQ(processes[2]["program"], "true");
  EXPECT_EQ(processes[2]["state"], "exited");
  EXPECT_EQ(processes[2]["verified"], "exit");
  for (const auto& process : processes) EXPECT_EQ(process["pid"], processes[0]["pid"]);
  uint64_t allocated = 0;
  for (const auto& target : report["targets"]) {
    if (target["key"] == "local") allocated = target["allocated_bytes"];
  }
  EXPECT_GE(allocated, 40000000u) << report;
}

// A program without libhms has no page: the one before it must not be mistaken for it.
TEST_F(CommandTest, AProgramWithoutLibhmsMayComeAfter) {
  NEED_LIBRARY();
  if (!fs::exists("/bin/busybox")) GTEST_SKIP() << "busybox-static is not installed";
  pid_t child = start("run --rule local --report=" + dir_ +
                      "/report.json -- perl -e '@a = map { \"x\" x 10000 } 1..1000; sleep 1; "
                      "open F, \">" +
                      dir_ + "/ready\"; print F $$; close F; exec \"/bin/busybox\", \"sleep\", 2'");
  while (text("ready").empty()) usleep(10000);
  usleep(500000);
  Outcome outcome = hms("stat " + text("ready"));
  EXPECT_EQ(outcome.code(), 1);
  EXPECT_NE(outcome.err.find("is another program now"), std::string::npos) << outcome.err;
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  auto report = nlohmann::json::parse(text("report.json"));
  ASSERT_EQ(report["processes"].size(), 1u);
  EXPECT_EQ(report["processes"][0]["state"], "replaced");
  EXPECT_EQ(report["processes"][0]["verified"], "snapshot");
  EXPECT_GT(report["targets"][0]["verified_pages"].get<uint64_t>() +
                report["targets"].back()["verified_pages"].get<uint64_t>(),
            2000u)
      << report;
}

TEST_F(CommandTest, StaticProgramsAreRunAllTheSame) {
  NEED_LIBRARY();
  if (!fs::exists("/bin/busybox")) GTEST_SKIP() << "busybox-static is not installed";
  Outcome outcome = hms("run --report -- /bin/busybox echo here");
  EXPECT_EQ(outcome.code(), 0);
  EXPECT_EQ(outcome.out, "here\n");
  EXPECT_NE(outcome.err.find("is statically linked"), std::string::npos) << outcome.err;
}

TEST_F(CommandTest, StatLooksAtARunningProgram) {
  NEED_LIBRARY();
  pid_t child = start(
      "run --rule local -- perl -e '@a = map { \"x\" x 10000 } 1..1000; "
      "open F, \">" +
      dir_ + "/ready\"; close F; sleep 60'");
  while (!fs::exists(dir_ + "/ready")) usleep(10000);
  // Without a report `hms run` becomes the program: same process number.
  std::string pid = std::to_string(child);
  Outcome outcome = hms("stat " + pid + " --json");
  EXPECT_EQ(outcome.code(), 0) << outcome.err;
  auto report = nlohmann::json::parse(outcome.out, nullptr, false);
  ASSERT_FALSE(report.is_discarded()) << outcome.out << outcome.err;
  EXPECT_EQ(report["processes"][0]["verified"], "now");
  bool seen = false;
  for (const auto& target : report["targets"]) {
    seen = seen || (target["key"] == "local" && target["verified_pages"] > 2000);
  }
  EXPECT_TRUE(seen) << outcome.out;
  EXPECT_EQ(hms("stat " + pid + " --no-verify").code(), 0);
  EXPECT_NE(hms("stat").out.find(pid), std::string::npos);
  pid_t watcher = start("stat " + pid + " --watch 0.1 --json");
  usleep(500000);
  kill(child, SIGTERM);
  int status = 0;
  waitpid(child, &status, 0);
  waitpid(watcher, &status, 0);  // ends with the process
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  outcome = hms("stat " + pid);
  EXPECT_EQ(outcome.code(), 1);
  EXPECT_NE(outcome.err.find("there is no process " + pid), std::string::npos) << outcome.err;
}

TEST_F(CommandTest, StatSaysWhatIsInTheWay) {
  // A program that was killed may have had this process's number, and left its page.
  hms::remove_stale_stats(geteuid());
  Outcome outcome = hms("stat " + std::to_string(getpid()));
  EXPECT_EQ(outcome.code(), 1);
  EXPECT_NE(outcome.err.find("has no counters"), std::string::npos) << outcome.err;
  EXPECT_EQ(hms("stat --watch").code(), 2);
  for (const char* word : {"minus-one", "-1", "0", "99999999999", "1x"}) {
    outcome = hms(std::string("stat -- ") + word);
    EXPECT_EQ(outcome.code(), 2) << word;
    EXPECT_NE(outcome.err.find("is not the number of a process"), std::string::npos) << outcome.err;
  }
  outcome = hms("sat");
  EXPECT_EQ(outcome.code(), 2);
  EXPECT_NE(outcome.err.find("no subcommand 'sat'; there are: check, completion, ctl, doctor"),
            std::string::npos);
  outcome = hms("--nothing");
  EXPECT_EQ(outcome.code(), 2);
  EXPECT_NE(outcome.err.find("--nothing"), std::string::npos) << outcome.err;
}

// A reused process number: a page of this process's number, but of another start.
TEST_F(CommandTest, StatTellsAReusedNumberApart) {
  std::string pid = std::to_string(getpid());
  std::ofstream(dir_ + "/" + pid + "-1") << "not read";
  Outcome outcome = hms("stat " + pid, "HMS_STATS_DIR=" + dir_);
  EXPECT_EQ(outcome.code(), 1);
  EXPECT_NE(outcome.err.find("the number was given away again"), std::string::npos) << outcome.err;
}

// Over the counters of a program that runs: in order, then with numbers that cannot be, then with
// noise. The command tells, and neither crashes nor is fooled into an answer of 0.
TEST_F(CommandTest, CheckTellsDamagedCounters) {
  NEED_LIBRARY();
  pid_t child = start(
      "run --rule local -- perl -e '@a = map { \"x\" x 10000 } 1..1000; "
      "open F, \">" +
          dir_ + "/ready\"; close F; sleep 60'",
      "HMS_STATS_DIR=" + dir_);
  while (!fs::exists(dir_ + "/ready")) usleep(10000);
  const std::string arguments = "check " + std::to_string(child);
  const std::string environment = "HMS_STATS_DIR=" + dir_;
  Outcome outcome = hms(arguments + " --json", environment);
  EXPECT_EQ(outcome.code(), 0) << outcome.out << outcome.err;
  auto report = nlohmann::json::parse(outcome.out, nullptr, false);
  EXPECT_EQ(report["consistent"], true);
  EXPECT_GT(report["resident_pages"], 2000);

  std::string page;
  for (const auto& entry : fs::directory_iterator(dir_)) {
    if (entry.path().filename().string().find(std::to_string(child) + "-") == 0)
      page = entry.path();
  }
  ASSERT_NE(page, "");
  std::fstream file(page, std::ios::in | std::ios::out | std::ios::binary);
  const size_t window = offsetof(::hms::StatsPage, windows);
  const uint64_t odd = 0x12345;
  file.seekp(static_cast<std::streamoff>(window));
  file.write(reinterpret_cast<const char*>(&odd), sizeof odd);
  file.flush();
  outcome = hms(arguments, environment);
  EXPECT_EQ(outcome.code(), 3) << outcome.out << outcome.err;
  EXPECT_NE(outcome.out.find("window 0 lies nowhere"), std::string::npos) << outcome.out;

  uint32_t seed = 1;
  for (int round = 0; round < 5; ++round) {
    const size_t first = offsetof(::hms::StatsPage, targets);
    std::string noise(sizeof(::hms::StatsPage) - first, 0);
    for (char& c : noise) c = static_cast<char>((seed = seed * 1664525U + 1013904223U) >> 24);
    file.seekp(static_cast<std::streamoff>(first));
    file.write(noise.data(), static_cast<std::streamsize>(noise.size()));
    file.flush();
    EXPECT_EQ(hms(arguments + " --json", environment).code(), 3);
    EXPECT_EQ(hms("stat " + std::to_string(child), environment).code(), 0);
  }
  kill(child, SIGKILL);
  int status = 0;
  waitpid(child, &status, 0);
  outcome = hms(arguments, environment);
  EXPECT_EQ(outcome.code(), 1);
  EXPECT_NE(outcome.err.find("hms check: there is no process"), std::string::npos) << outcome.err;
}

TEST_F(CommandTest, CtlSaysWhatIsInTheWay) {
  const struct {
    const char* arguments;
    int code;
    const char* message;
  } kCases[] = {
      {"ctl", 2, "PID is required"},
      {"ctl 1", 2, "WHAT"},
      {"ctl 1 roles", 2, "roles"},
      {"ctl 1 rules", 2, "no rules: give --rule"},
      {"ctl 1 rules --none --rule local", 2, "--none excludes"},
      {"ctl 1 rules --rule 'sise>=1:local'", 2, "unknown condition 'sise'"},
      {"ctl 1 rules --config /nowhere", 2, "cannot read the file '/nowhere'"},
      {"ctl 9999999 rules --rule local", 1, "there is no process 9999999"},
  };
  for (const auto& c : kCases) {
    Outcome outcome = hms(c.arguments);
    EXPECT_EQ(outcome.code(), c.code) << c.arguments;
    EXPECT_NE(outcome.err.find(c.message), std::string::npos) << c.arguments << outcome.err;
  }
}

// A program that asks for nothing does not look; what was left counts when it does.
TEST_F(CommandTest, CtlLeavesRulesForAnIdleProgram) {
  NEED_LIBRARY();
  pid_t child = start(
      "run --tiers fast=64M,slow=1G --rule fast -- perl -e '@a = map { \"x\" x "
      "10000 } 1..1000; $SIG{USR1} = sub { @b = map { \"y\" x 10000 } 1..1000; "
      "open F, \">" +
          dir_ + "/again\"; close F; sleep 60 }; open F, \">" + dir_ +
          "/ready\"; close F; sleep 60'",
      "HMS_STATS_DIR=" + dir_);
  while (!fs::exists(dir_ + "/ready")) usleep(10000);
  const std::string environment = "HMS_STATS_DIR=" + dir_;
  const std::string pid = std::to_string(child);
  usleep(100000);
  Outcome outcome = hms("ctl " + pid + " rules --wait 0.2 --rule slow", environment);
  EXPECT_EQ(outcome.code(), 1);
  EXPECT_NE(outcome.err.find("has not asked for memory since"), std::string::npos) << outcome.err;
  kill(child, SIGUSR1);
  while (!fs::exists(dir_ + "/again")) usleep(10000);
  outcome = hms("stat " + pid + " --no-verify --json", environment);
  auto report = nlohmann::json::parse(outcome.out, nullptr, false);
  bool moved = false;
  for (const auto& target : report["targets"])
    moved = moved || (target["key"] == "tier:slow" && target["allocated_bytes"] > 8000000);
  EXPECT_TRUE(moved) << outcome.out;
  kill(child, SIGKILL);
  int status = 0;
  waitpid(child, &status, 0);
}

}  // namespace
