// The router from its environment to its answers. Its state is one per process, so each case runs
// in a child of its own, and what it logs is read back from a file.
#include "allocator/routing/router.h"

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <thread>

#include "runtime/support/control.h"
#include "runtime/support/counters.h"
#include "runtime/support/stats_files.h"

namespace hms::routing {
namespace {

namespace fs = std::filesystem;

class RouterTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char dir[] = "/tmp/hms-router-XXXXXX";
    ASSERT_NE(mkdtemp(dir), nullptr);
    dir_ = dir;
    for (const char* name : {"HMS_CONF", "HMS_CONF_FILE", "HMS_TOPOLOGY", "XDG_CONFIG_HOME"}) {
      unsetenv(name);
    }
    setenv("HOME", dir, 1);
    setenv("HMS_LOG", (dir_ + "/log").c_str(), 1);
  }
  void TearDown() override {
    unsetenv("HMS_LOG");
    fs::remove_all(dir_);
  }

  void write(const std::string& name, const std::string& text) {
    fs::create_directories(fs::path(dir_ + "/" + name).parent_path());
    std::ofstream(dir_ + "/" + name) << text;
  }
  std::string log_text() const {
    std::ostringstream text;
    text << std::ifstream(dir_ + "/log").rdbuf();
    return text.str();
  }

  // Result of `body` after init() in a child: 0, or the number of the check that failed.
  int after_init(const std::function<int()>& body) {
    pid_t child = fork();
    if (child == 0) {
      init();
      _exit(body());
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
  }

  std::string dir_;
};

std::string spec_of(alloc::PlacementId id) {
  const Placement* placement = alloc::placement_info(id);
  return placement != nullptr ? placement->spec : "?";
}

std::string routed(size_t size, const void* site = nullptr) { return spec_of(route(size, site)); }

TEST_F(RouterTest, NothingConfiguredIsInactive) {
  EXPECT_EQ(after_init([] { return active.load() || route(8, nullptr) != 0; }), 0);
  setenv("HMS_CONF", "default;size>=4096:default", 1);
  EXPECT_EQ(after_init([] { return active.load() ? 1 : 0; }), 0);
  EXPECT_EQ(log_text(), "");
}

TEST_F(RouterTest, SizesGoToTheirTiers) {
  setenv("HMS_CONF", "tiers fast=64M,slow=1G; size>=4000:slow; size<100:fast>slow", 1);
  EXPECT_EQ(after_init([] {
              if (!active.load()) return 1;
              if (routed(3999) != "default") return 2;
              if (routed(4000) != "slow" || routed(1 << 30) != "slow") return 3;
              if (routed(99) != "fast>slow" || routed(0) != "fast>slow") return 4;
              return routed(100) == "default" ? 0 : 5;
            }),
            0);
  EXPECT_EQ(log_text(), "");
}

TEST_F(RouterTest, BadRulesAreReportedAndLeftOut) {
  setenv("HMS_CONF", "tiers fast=64M;size>=10:nowhere;sise=1:fast;size>=20:fast", 1);
  EXPECT_EQ(after_init([] { return routed(15) == "default" && routed(25) == "fast" ? 0 : 1; }), 0);
  std::string log = log_text();
  EXPECT_NE(log.find("HMS_CONF, line 1, column 16: rule left out: placement 'nowhere'"),
            std::string::npos)
      << log;
  EXPECT_NE(log.find("unknown condition 'sise'"), std::string::npos) << log;
}

TEST_F(RouterTest, ATopologyThatCannotBeReadLeavesNamesOut) {
  setenv("HMS_TOPOLOGY", "xml:/nonexistent.xml", 1);
  setenv("HMS_CONF", "size>=10:fast;size>=10:local", 1);
  EXPECT_EQ(after_init([] { return routed(15) == "local" ? 0 : 1; }), 0);
  EXPECT_NE(log_text().find("no topology"), std::string::npos) << log_text();
}

TEST_F(RouterTest, OtherProgramsRulesDoNotCount) {
  setenv("HMS_CONF", "program=redis-server:local;program=*routing*,size<8:local", 1);
  EXPECT_EQ(after_init([] { return routed(7) == "local" && routed(8) == "default" ? 0 : 1; }), 0);
}

TEST_F(RouterTest, ThreadsAreKnownByTheirNameEvenWhenItChanges) {
  setenv("HMS_CONF", "thread=worker*:local", 1);
  EXPECT_EQ(after_init([] {
              if (routed(8) != "default") return 1;
              int failed = 0;
              std::thread([&failed] {
                if (routed(8) != "default") failed = 2;
                pthread_setname_np(pthread_self(), "worker7");
                // Noticed within 256 requests.
                for (int i = 0; i < 256; ++i) route(8, nullptr);
                if (routed(8) != "local") failed = 3;
                pthread_setname_np(pthread_self(), "idle");
                for (int i = 0; i < 256; ++i) route(8, nullptr);
                if (routed(8) != "default") failed = 4;
              }).join();
              return failed != 0 ? failed : routed(8) == "default" ? 0 : 5;
            }),
            0);
}

TEST_F(RouterTest, ManyKindsOfThreadsShareTheTables) {
  std::string conf;
  for (int i = 0; i < 40; ++i) conf += "thread=t" + std::to_string(i) + ":local;";
  setenv("HMS_CONF", conf.c_str(), 1);
  EXPECT_EQ(after_init([] {
              int failed = 0;
              for (int i = 0; i < 42; ++i) {
                std::thread([i, &failed] {
                  pthread_setname_np(pthread_self(), ("t" + std::to_string(i)).c_str());
                  if (routed(8) != (i < 40 ? "local" : "default")) failed = 1 + i;
                }).join();
              }
              return failed;
            }),
            0);
}

TEST_F(RouterTest, CallSitesAreAskedOnceAndRemembered) {
  setenv("HMS_CONF", "object=libc.so.*,symbol=lfind:local", 1);
  EXPECT_EQ(after_init([] {
              void* libc = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);
              const void* site = static_cast<const char*>(dlsym(libc, "lfind")) + 5;
              const void* other = static_cast<const char*>(dlsym(libc, "insque")) + 5;
              for (int i = 0; i < 3; ++i) {
                if (routed(8, site) != "local" || routed(8, other) != "default") return 1;
              }
              return 0;
            }),
            0);
}

TEST_F(RouterTest, FilesAreFoundInOrder) {
  write(".config/hms/hms.conf", "# mine\nsize<10:local\n");
  write("xdg/hms/hms.conf", "size<20:local\n");
  write("named.conf", "size<30:local\n");
  auto limit = [] {
    int size = 0;
    while (size < 100 && routed(static_cast<size_t>(size)) == "local") ++size;
    return size;
  };
  EXPECT_EQ(after_init(limit), 10);
  setenv("XDG_CONFIG_HOME", (dir_ + "/xdg").c_str(), 1);
  EXPECT_EQ(after_init(limit), 20);
  setenv("HMS_CONF_FILE", (dir_ + "/named.conf").c_str(), 1);
  EXPECT_EQ(after_init(limit), 30);
  setenv("HMS_CONF", "size<5:local;default", 1);  // comes first
  EXPECT_EQ(after_init(limit), 5);
  unsetenv("HMS_CONF_FILE");
  setenv("HMS_CONF", "", 1);  // and alone, it keeps the user's file out
  EXPECT_EQ(after_init(limit), 0);
  EXPECT_EQ(log_text(), "");
  setenv("HMS_CONF_FILE", "/nonexistent/hms.conf", 1);
  EXPECT_EQ(after_init(limit), 0);
  EXPECT_NE(log_text().find("HMS_CONF_FILE names /nonexistent/hms.conf"), std::string::npos);
}

// What `hms ctl` does, from a second thread; this one looks at the doorbell, as a miss would.
Status change_rules(const std::string& text) {
  std::vector<StatsFile> files = list_stats(getenv("HMS_STATS_DIR"), geteuid());
  for (const StatsFile& file : files) {
    if (file.pid != getpid()) continue;
    Status sent;
    std::atomic<bool> over{false};
    std::thread other([&] {
      sent = send_control(file, geteuid(), text, 30);
      over = true;
    });
    while (!over) {
      if (control_rung()) reload();
      std::this_thread::yield();
    }
    other.join();
    return sent;
  }
  return {HMS_EIO, "no page"};
}

class ReloadTest : public RouterTest {
 protected:
  void SetUp() override {
    RouterTest::SetUp();
    fs::create_directory(dir_ + "/pages");
    fs::permissions(dir_ + "/pages", fs::perms::owner_all);
    setenv("HMS_STATS_DIR", (dir_ + "/pages").c_str(), 1);
  }
  void TearDown() override {
    unsetenv("HMS_STATS_DIR");
    RouterTest::TearDown();
  }

  int after_publishing(const std::function<int()>& body) {
    return after_init([&] {
      stats_take_rules();
      stats_publish();
      return body();
    });
  }
};

TEST_F(ReloadTest, NewRulesAreInForceForEverySize) {
  setenv("HMS_CONF", "tiers fast=64M,slow=1G; fast", 1);
  EXPECT_EQ(after_publishing([] {
              if (routed(100) != "fast" || routed(1000000) != "fast") return 1;
              const uint32_t before = epoch.load();
              if (!change_rules("size>=4096:slow; fast>slow").ok()) return 2;
              if (epoch.load() == before) return 3;
              if (routed(100) != "fast>slow" || routed(1000000) != "slow") return 4;
              if (!change_rules("").ok()) return 5;
              if (active.load() || routed(100) != "default") return 6;
              if (!change_rules("size>=4096:slow; fast>slow").ok()) return 7;
              return routed(1000000) == "slow" ? 0 : 8;
            }),
            0);
}

TEST_F(ReloadTest, ARefusedTextChangesNothing) {
  setenv("HMS_CONF", "tiers fast=64M,slow=1G; fast", 1);
  const struct {
    const char* text;
    const char* message;
  } kCases[] = {
      {"size>=4096:slow; slwo", "'slwo' is no target"},
      {"quota slow=1M; sise>=4096:slow", "unknown condition 'sise'"},
      {"tiers other=1G; other", "tiers cannot change while a program runs"},
      {"quota fast>slow=1M; slow", "more than one target"},
  };
  for (const auto& c : kCases) {
    EXPECT_EQ(after_publishing([&] {
                Status sent = change_rules(c.text);
                if (sent.code() != HMS_EINVAL) return 1;
                if (sent.message().find(c.message) == std::string::npos) return 2;
                if (stats_target("tier:slow", 0, true)->quota.load() != UINT64_MAX) return 3;
                return routed(100) == "fast" && routed(1000000) == "fast" ? 0 : 4;
              }),
              0)
        << c.text;
  }
}

TEST_F(ReloadTest, QuotasComeAndGoWithTheirRules) {
  setenv("HMS_CONF", "tiers fast=64M,slow=1G; quota fast=8M; fast>slow", 1);
  EXPECT_EQ(after_publishing([] {
              TargetCounters* fast = stats_target("tier:fast", 0, true);
              TargetCounters* slow = stats_target("tier:slow", 0, true);
              if (fast->quota.load() != 8 << 20) return 1;
              if (!change_rules("quota slow=16M; slow").ok()) return 2;
              if (fast->quota.load() != UINT64_MAX || slow->quota.load() != 16 << 20) return 3;
              return 0;
            }),
            0);
}

TEST_F(ReloadTest, SetsAreRememberedAndLimited) {
  setenv("HMS_CONF", "tiers fast=64M,slow=1G; fast", 1);
  EXPECT_EQ(after_publishing([] {
              for (int round = 0; round < 3; ++round) {
                if (!change_rules("slow").ok() || routed(50) != "slow") return 1;
                if (!change_rules("fast>slow").ok() || routed(50) != "fast>slow") return 2;
              }
              Status sent;
              int sets = 3;
              for (; sets < 200 && sent.ok(); ++sets)
                sent = change_rules("size>" + std::to_string(sets) + ":slow");
              if (sent.message().find("different sets of rules") == std::string::npos) return 3;
              if (sets != 65) return 4;
              return change_rules("slow").ok() && routed(50) == "slow" ? 0 : 5;
            }),
            0);
}

TEST_F(ReloadTest, CallSitesAreJudgedAnew) {
  setenv("HMS_CONF", "tiers fast=64M,slow=1G; object=unit_routing*:fast", 1);
  EXPECT_EQ(after_publishing([] {
              const void* here = __builtin_return_address(0);
              if (routed(100, here) != "fast") return 1;
              if (!change_rules("object=elsewhere*:fast; object=unit_routing*:slow").ok()) return 2;
              return routed(100, here) == "slow" ? 0 : 3;
            }),
            0);
}

// Two threads hear one ring; the second comes when the first has answered. It must not answer
// again: the next ring's text may be there already, and would count as read.
TEST_F(ReloadTest, OneRingIsAnsweredOnce) {
  setenv("HMS_CONF", "tiers fast=64M,slow=1G; fast", 1);
  EXPECT_EQ(after_publishing([] {
              if (!change_rules("slow").ok()) return 1;
              const uint64_t sets = epoch.load();
              reload();
              if (epoch.load() != sets || control_rung() || routed(100) != "slow") return 2;
              return change_rules("fast").ok() && routed(100) == "fast" ? 0 : 3;
            }),
            0);
}

// What is left can be seen before its ring is heard, and a ring can come with nothing left.
TEST_F(ReloadTest, TheTextSaysWhichRingItIsFor) {
  setenv("HMS_CONF", "tiers fast=64M,slow=1G; fast", 1);
  EXPECT_EQ(after_publishing([this] {
              StatsFile file = list_stats(dir_ + "/pages", geteuid()).at(0);
              const auto leave = [&file](const char* text) {
                std::ofstream(file.dir + "/" + file.name + ".rules") << text;
              };
              leave("2\nslow");
              stats()->rules_wanted = 1;
              reload();
              if (routed(100) != "slow" || stats()->rules_done != 2) return 1;
              stats()->rules_wanted = 2;
              if (control_rung()) return 2;
              for (const char* stale : {"2\nfast", "fast", "", "-\nfast"}) {
                leave(stale);
                stats()->rules_wanted.fetch_add(1);
                reload();
                if (control_rung() || routed(100) != "slow") return 3;
              }
              return change_rules("fast").ok() && routed(100) == "fast" ? 0 : 4;
            }),
            0);
}

// Links, other people's files and leftovers beside the page are not followed, read or kept.
TEST_F(ReloadTest, OnlyAPlainFileOfTheUserCounts) {
  setenv("HMS_CONF", "tiers fast=64M,slow=1G; fast", 1);
  EXPECT_EQ(after_publishing([this] {
              write("elsewhere", "slow");
              StatsFile file = list_stats(dir_ + "/pages", geteuid()).at(0);
              fs::create_symlink(dir_ + "/elsewhere", file.dir + "/" + file.name + ".rules");
              stats()->rules_wanted.fetch_add(1);
              reload();
              if (control_rung() || routed(100) != "fast") return 1;
              if (!change_rules("slow").ok() || routed(100) != "slow") return 2;
              stats_finish();
              return fs::is_empty(dir_ + "/pages") ? 0 : 3;
            }),
            0);
}

}  // namespace
}  // namespace hms::routing
