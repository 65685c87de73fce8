// The counter page: published, inherited, ended.
//
// The page is one per process, so each case runs in a child of its own.
#include "runtime/support/counters.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <thread>

#include "runtime/support/os_files.h"
#include "runtime/support/stats_files.h"
#include "runtime/support/stats_reader.h"

namespace hms {
namespace {

namespace fs = std::filesystem;

class StatsPageTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char dir[] = "/tmp/hms-counters-XXXXXX";
    ASSERT_NE(mkdtemp(dir), nullptr);
    dir_ = dir;
    setenv("HMS_STATS_DIR", dir, 1);
    unsetenv("HMS_STATS_KEEP");
  }
  void TearDown() override {
    unsetenv("HMS_STATS_DIR");
    unsetenv("HMS_STATS_KEEP");
    fs::remove_all(dir_);
  }

  std::vector<StatsFile> files() const { return list_stats(dir_, geteuid()); }

  std::string dir_;
};

// Runs `body` in a child; its result is the number of the check that failed, 0 for none.
int in_child(const std::function<int()>& body) {
  pid_t child = fork();
  if (child == 0) {
    stats_after_fork();
    _exit(body());
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

size_t open_descriptors() {
  size_t count = 0;
  for (const auto& entry : fs::directory_iterator("/proc/self/fd")) count += !entry.path().empty();
  return count;
}

TEST_F(StatsPageTest, PublishingKeepsAddressesAndNumbers) {
  EXPECT_EQ(in_child([this] {
              TargetCounters* target = stats_target("tier:fast", 0, true);
              target->allocated.store(42);
              StatsPage* page = stats();
              size_t before = open_descriptors();
              stats_publish();
              stats_publish();
              if (open_descriptors() != before) return 1;
              if (stats() != page || target->allocated.load() != 42) return 2;
              target->allocated.fetch_add(1);
              if (files().size() != 1 || files()[0].pid != getpid()) return 3;
              Result<ProcessStats> seen = read_stats(files()[0], geteuid());
              if (!seen.ok() || seen.value().targets.size() != 1) return 4;
              const TargetStats& t = seen.value().targets[0];
              if (t.key != "tier:fast" || !t.emulated || t.node != 0 || t.allocated != 43) return 5;
              if (!is_running(seen.value().pid, seen.value().start_time)) return 6;
              if (is_running(seen.value().pid, seen.value().start_time + 1)) return 7;
              stats_finish();
              return files().empty() ? 0 : 8;
            }),
            0);
}

TEST_F(StatsPageTest, PublishingLosesNothingThatOthersCount) {
  for (int round = 0; round < 20; ++round) {
    EXPECT_EQ(in_child([] {
                constexpr uint64_t kEach = 300'000;
                TargetCounters* target = stats_target("tier:fast", 0, true);
                std::atomic<int> running{0};
                const auto count = [target, &running] {
                  ++running;
                  for (uint64_t i = 0; i < kEach; ++i) {
                    target->allocated.fetch_add(3);
                    target->charged.fetch_add(i % 2 == 0 ? 4096 : -uint64_t{4096});
                  }
                };
                std::thread one(count), two(count);
                while (running < 2) std::this_thread::yield();
                stats_publish();
                one.join();
                two.join();
                if (target->allocated.load() != 2 * 3 * kEach) return 1;
                return target->charged.load() == 0 ? 0 : 2;
              }),
              0);
  }
}

TEST_F(StatsPageTest, FileIsForItsUserOnly) {
  EXPECT_EQ(in_child([this] {
              stats_publish();
              struct stat st;
              std::string path = dir_ + "/" + files().at(0).name;
              if (stat(path.c_str(), &st) != 0) return 1;
              return (st.st_mode & 0777) == 0600 ? 0 : 2;
            }),
            0);
}

TEST_F(StatsPageTest, AKeptFileOutlivesItsProcess) {
  setenv("HMS_STATS_KEEP", "1", 1);
  EXPECT_EQ(in_child([] {
              stats_init();
              stats_target("node:0", 0, false)->allocated.store(7);
              stats_finish();
              return 0;
            }),
            0);
  ASSERT_EQ(files().size(), 1u);
  Result<ProcessStats> seen = read_stats(files()[0], geteuid());
  ASSERT_TRUE(seen.ok()) << seen.status().message();
  EXPECT_TRUE(seen.value().exited);
  EXPECT_EQ(seen.value().targets.at(0).allocated, 7u);
  EXPECT_FALSE(is_running(seen.value().pid, seen.value().start_time));
}

TEST_F(StatsPageTest, ALauncherSeesEveryProcessFromTheStart) {
  setenv("HMS_STATS_KEEP", "1", 1);
  EXPECT_EQ(in_child([this] {
              stats_init();
              return files().size() == 1 ? 0 : 1;
            }),
            0);
}

// An exec leaves a file of this process's name behind: what stats_publish() finds then.
TEST_F(StatsPageTest, AnEarlierImageIsKeptForALauncherOnly) {
  auto publish_over = [this] {
    uint64_t start_time = 0;
    os::process_start_time(0, &start_time);
    std::ofstream(dir_ + "/" + std::to_string(getpid()) + "-" + std::to_string(start_time)) << "x";
    stats_init();
    stats_publish();
    return 0;
  };
  EXPECT_EQ(in_child(publish_over), 0);
  ASSERT_EQ(files().size(), 1u);
  EXPECT_FALSE(files()[0].replaced);
  EXPECT_TRUE(read_stats(files()[0], geteuid()).ok());
  remove_stats(files()[0], geteuid());

  setenv("HMS_STATS_KEEP", "1", 1);
  EXPECT_EQ(in_child(publish_over), 0);
  std::vector<StatsFile> found = files();
  ASSERT_EQ(found.size(), 2u);
  EXPECT_TRUE(found[0].replaced);
  EXPECT_EQ(found[1].name, found[0].name + ".1");
  EXPECT_EQ(found[1].image, 1u);
  EXPECT_FALSE(found[1].replaced);
  EXPECT_TRUE(read_stats(found[1], geteuid()).ok());
}

TEST_F(StatsPageTest, APageOfAnotherProgramIsToldByItsStack) {
  EXPECT_EQ(in_child([this] {
              stats_init();
              stats_publish();
              Result<ProcessStats> seen = read_stats(files().at(0), geteuid());
              if (!seen.ok() || seen.value().stack_start == 0 || is_replaced(seen.value()))
                return 1;
              stats()->stack_start.fetch_add(4096);
              seen = read_stats(files().at(0), geteuid());
              return seen.ok() && is_replaced(seen.value()) ? 0 : 2;
            }),
            0);
}

TEST_F(StatsPageTest, AForkedChildHasAPageOfItsOwn) {
  EXPECT_EQ(in_child([this] {
              TargetCounters* target = stats_target("node:0", 0, false);
              target->allocated.store(100);
              target->freed.store(40);
              target->charged.store(4096);
              target->quota.store(8192);
              target->spilled.store(5);
              stats()->windows[3].base.store(0x10000);
              stats()->policy_calls.store(9);
              stats_publish();
              int child = in_child([this, target] {
                if (stats()->pid != getpid()) return 1;
                if (target->allocated.load() != 0 || target->freed.load() != 0) return 2;
                if (target->inherited.load() != 60 || target->charged.load() != 4096) return 3;
                if (target->quota.load() != 8192 || target->spilled.load() != 0) return 4;
                if (strcmp(target->key, "node:0") != 0 || target->used.load() != 1) return 5;
                if (stats()->windows[3].base.load() != 0x10000) return 6;
                if (stats()->policy_calls.load() != 0) return 7;
                target->allocated.store(1);
                stats_publish();
                if (files().size() != 2) return 8;
                stats_finish();
                return files().size() == 1 ? 0 : 9;
              });
              if (child != 0) return 10 + child;
              return target->allocated.load() == 100 ? 0 : 30;
            }),
            0);
}

TEST_F(StatsPageTest, AVforkChildDoesNotEndItsParent) {
  EXPECT_EQ(in_child([this] {
              stats_publish();
              // What a child of vfork sees: the same memory under another process id. Without
              // stats_after_fork(), a shared mapping shows the same.
              pid_t child = fork();
              if (child == 0) {
                stats_finish();
                _exit(stats_is_owner() ? 1 : 0);
              }
              int status = 0;
              waitpid(child, &status, 0);
              if (WEXITSTATUS(status) != 0) return 1;
              if (files().size() != 1) return 2;
              return stats()->state.load() == static_cast<uint32_t>(StatsState::kRunning) ? 0 : 3;
            }),
            0);
}

TEST_F(StatsPageTest, UnusableDirectoriesAreLeftAlone) {
  const std::string kInside = dir_ + "/inside";
  ASSERT_EQ(mkdir(kInside.c_str(), 0755), 0);  // others may look in: not private
  ASSERT_EQ(chmod(kInside.c_str(), 0755), 0);
  const std::string kLink = dir_ + "/link";
  ASSERT_EQ(symlink("/tmp", kLink.c_str()), 0);
  for (const std::string& dir : {kInside, kLink, dir_ + "/absent", std::string("relative"),
                                 std::string("/dev/null"), std::string(5000, '/')}) {
    setenv("HMS_STATS_DIR", dir.c_str(), 1);
    EXPECT_EQ(in_child([] {
                stats_target("node:0", 0, false)->allocated.store(3);
                stats_publish();
                bool kept = stats_target("node:0", 0, false)->allocated.load() == 3;
                stats_finish();
                return kept ? 0 : 1;
              }),
              0)
        << dir.substr(0, 60);
  }
  EXPECT_TRUE(fs::is_empty(kInside));
}

TEST_F(StatsPageTest, AFullTableHasAnother) {
  EXPECT_EQ(in_child([] {
              TargetCounters* last = nullptr;
              for (int i = 0; i < 100; ++i) {
                last = stats_target(("tier:" + std::to_string(i)).c_str(), 0, true);
              }
              if (strcmp(last->key, "other") != 0 || last != stats_target("tier:99", 0, true))
                return 1;
              return stats_target("tier:7", 0, true) == &stats()->targets[7] ? 0 : 2;
            }),
            0);
}

TEST_F(StatsPageTest, ThreadsAgreeOnOneSlotPerTarget) {
  EXPECT_EQ(in_child([] {
              TargetCounters* got[8] = {};
              std::vector<std::thread> threads;
              for (auto& slot : got) {
                threads.emplace_back([&slot] { slot = stats_target("node:1", 1, false); });
              }
              for (auto& thread : threads) thread.join();
              for (auto* slot : got) {
                if (slot != got[0]) return 1;
              }
              return 0;
            }),
            0);
}

TEST_F(StatsPageTest, StaleAndForeignNamesAreToldApart) {
  for (const char* name :
       {"12", "12-", "-1-2", "a-1", "1-b", "99999999999-1", "1-2-3", "+1-2", " 1-2", "1-2.",
        "1-2.0", "1-2.x", "1-2.3.4", "1-2.1000", "1- 2", "0-1"}) {
    std::ofstream(dir_ + "/" + name) << "x";
  }
  EXPECT_TRUE(files().empty());
  std::ofstream(dir_ + "/12-34") << "short";
  ASSERT_EQ(files().size(), 1u);
  Result<ProcessStats> seen = read_stats(files()[0], geteuid());
  ASSERT_FALSE(seen.ok());
  EXPECT_NE(seen.status().message().find("too short"), std::string::npos);
  EXPECT_FALSE(is_running(12, 34) && is_running(12, 35));
}

}  // namespace
}  // namespace hms
