// The counter page: published, inherited, ended; and read by someone who trusts nothing in it.
//
// The page is one per process, so each case runs in a child of its own.
#include "runtime/support/counters.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <random>
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

// ---- The reader
// ----------------------------------------------------------------------------------

struct alignas(StatsPage) RawPage {
  char bytes[sizeof(StatsPage)] = {};
  StatsPage* page() { return reinterpret_cast<StatsPage*>(bytes); }
};

std::unique_ptr<RawPage> valid_page() {
  auto raw = std::make_unique<RawPage>();
  StatsPage* page = raw->page();
  page->magic = kStatsMagic;
  page->version = kStatsVersion;
  page->bytes = sizeof(StatsPage);
  page->pid = getpid();
  strcpy(page->program, "probe");
  strcpy(page->targets[0].key, "node:0");
  page->targets[0].used.store(1);
  page->targets[0].quota.store(UINT64_MAX);
  return raw;
}

TEST(StatsReader, RefusesWhatIsNoPage) {
  auto raw = valid_page();
  EXPECT_TRUE(parse_stats(raw->bytes, sizeof raw->bytes).ok());
  EXPECT_FALSE(parse_stats(raw->bytes, sizeof raw->bytes - 1).ok());
  EXPECT_FALSE(parse_stats(raw->bytes, 0).ok());
  raw->page()->version = kStatsVersion + 1;
  Result<ProcessStats> seen = parse_stats(raw->bytes, sizeof raw->bytes);
  ASSERT_FALSE(seen.ok());
  EXPECT_NE(
      seen.status().message().find("another version (" + std::to_string(kStatsVersion + 1) + ";"),
      std::string::npos);
  raw->page()->magic = 1;
  EXPECT_FALSE(parse_stats(raw->bytes, sizeof raw->bytes).ok());
}

TEST(StatsReader, CleansWhatAHostileProcessWrites) {
  auto raw = valid_page();
  StatsPage* page = raw->page();
  memset(page->program, 'A', sizeof page->program);
  memset(page->targets[0].key, '\033', sizeof page->targets[0].key);
  page->targets[0].node = 1 << 30;
  page->targets[0].allocated.store(10);
  page->targets[0].freed.store(UINT64_MAX);
  page->targets[0].charged.store(static_cast<uint64_t>(-4096));
  page->targets[1].used.store(77);
  page->pid = -5;
  auto window = [page](int i, uint64_t base, uint64_t bytes, uint64_t frontier, uint64_t target) {
    page->windows[i].base.store(base);
    page->windows[i].bytes.store(bytes);
    page->windows[i].frontier.store(frontier);
    page->windows[i].target.store(target);
  };
  window(0, 0x1001, 1 << 20, 1 << 20, 0);             // not a page's start
  window(1, 0x1000, 1 << 20, 1 << 20, 1);             // unused target
  window(2, 0x1000, 1 << 20, 1 << 20, UINT64_MAX);    // no target
  window(3, UINT64_MAX - 4095, 1 << 20, 1 << 20, 0);  // no user address
  window(4, 0x2000, 0x3000, UINT64_MAX, 0);           // frontier behind the end
  window(5, 0x2000, UINT64_MAX, UINT64_MAX, 0);       // wraps around
  page->windows[5].stripe.store(4096);
  page->windows[5].stripe_targets.store(UINT64_MAX);
  Result<ProcessStats> seen = parse_stats(raw->bytes, sizeof raw->bytes);
  ASSERT_TRUE(seen.ok());
  const ProcessStats& stats = seen.value();
  EXPECT_EQ(stats.pid, 0);
  EXPECT_EQ(stats.program, std::string(64, 'A'));
  ASSERT_EQ(stats.targets.size(), 1u);
  EXPECT_EQ(stats.targets[0].key, std::string(48, '?'));
  EXPECT_EQ(stats.targets[0].node, -1);
  EXPECT_EQ(stats.targets[0].freed, 0u);
  EXPECT_EQ(stats.targets[0].charged, 0u);
  EXPECT_EQ(stats.targets[0].live, 10u);
  ASSERT_EQ(stats.windows.size(), 2u);
  EXPECT_EQ(stats.windows[0].bytes, 0x3000u);
  EXPECT_LE(stats.windows[1].base + stats.windows[1].bytes, uint64_t{1} << 57);
  EXPECT_EQ(stats.windows[1].stripes, 1u);
}

TEST(StatsReader, TellsWhatAProcessSaysOfItsTiering) {
  auto raw = valid_page();
  TieringCounters& t = raw->page()->tiering;
  EXPECT_FALSE(parse_stats(raw->bytes, sizeof raw->bytes).value().tiering.on);
  t.on.store(1);
  strcpy(t.sampler, "accessed-bits");
  strcpy(t.near_key, "node:0");
  t.hit_ratio.store(750000);
  t.promoted.store(4096);
  strcpy(t.contexts[0].object, "libx.so");
  t.contexts[0].offset.store(0x1234);
  t.contexts[0].share.store(500000);
  t.woven[0].store(49);
  Result<ProcessStats> seen = parse_stats(raw->bytes, sizeof raw->bytes);
  ASSERT_TRUE(seen.ok());
  const TieringStats& tiering = seen.value().tiering;
  EXPECT_TRUE(tiering.on);
  EXPECT_FALSE(tiering.ended);
  EXPECT_EQ(tiering.sampler, "accessed-bits");
  EXPECT_EQ(tiering.near, "node:0");
  EXPECT_EQ(tiering.why, "");
  EXPECT_DOUBLE_EQ(tiering.hit_ratio, 0.75);
  EXPECT_EQ(tiering.promoted, 4096u);
  ASSERT_EQ(tiering.contexts.size(), 1u);
  EXPECT_EQ(tiering.contexts[0].object, "libx.so");
  EXPECT_EQ(tiering.contexts[0].offset, 0x1234u);
  EXPECT_DOUBLE_EQ(tiering.contexts[0].share, 0.5);
  EXPECT_DOUBLE_EQ(tiering.contexts[0].near_share, 0.75);
}

TEST(StatsReader, CleansWhatAHostileProcessSaysOfItsTiering) {
  auto raw = valid_page();
  TieringCounters& t = raw->page()->tiering;
  memset(reinterpret_cast<char*>(&t), 0xff, sizeof t);
  t.on.store(2);
  memset(t.sampler, '\033', sizeof t.sampler);
  Result<ProcessStats> seen = parse_stats(raw->bytes, sizeof raw->bytes);
  ASSERT_TRUE(seen.ok());
  const TieringStats& tiering = seen.value().tiering;
  EXPECT_TRUE(tiering.ended);
  EXPECT_EQ(tiering.sampler, std::string(sizeof t.sampler, '?'));
  EXPECT_EQ(tiering.steps, 0u);
  EXPECT_LE(tiering.hit_ratio, 1);
  EXPECT_LE(tiering.effort, 1);
  ASSERT_EQ(tiering.contexts.size(), kStatsContexts);
  for (const ContextStats& context : tiering.contexts) {
    EXPECT_EQ(context.object, std::string(sizeof t.contexts[0].object, '?'));
    EXPECT_EQ(context.allocated, 0u);
    EXPECT_LE(context.class_id, 255u);
    EXPECT_LE(context.near_share, 1);
  }
  t.on.store(3);
  EXPECT_FALSE(parse_stats(raw->bytes, sizeof raw->bytes).value().tiering.on);
}

TEST(StatsReader, SurvivesNoise) {
  std::mt19937_64 random(7);
  auto raw = valid_page();
  for (int round = 0; round < 300; ++round) {
    for (size_t i = 64; i + 8 <= sizeof raw->bytes; i += 8) {
      uint64_t word = random() >> (random() % 64);
      memcpy(raw->bytes + i, &word, 8);
    }
    Result<ProcessStats> seen = parse_stats(raw->bytes, sizeof raw->bytes);
    ASSERT_TRUE(seen.ok());
    for (const WindowStats& window : seen.value().windows) {
      ASSERT_LT(window.target, seen.value().targets.size());
    }
    ProcessStats stats = seen.value();
    stats.pid = getpid();
    Status checked = verify_pages(&stats, 0.001);
    ASSERT_TRUE(checked.ok() || !checked.message().empty());
  }
}

// One window of this process, half of it touched.
TEST(StatsReader, VerifiesPagesByTheKernel) {
  constexpr size_t kPages = 64;
  void* memory =
      mmap(nullptr, kPages * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  madvise(memory, kPages * 4096, MADV_NOHUGEPAGE);
  memset(memory, 1, kPages / 2 * 4096);
  ProcessStats stats;
  stats.pid = getpid();
  stats.targets.resize(1);
  stats.targets[0].key = "default";
  stats.windows.push_back({reinterpret_cast<uint64_t>(memory), kPages * 4096, 0, 0});
  Status checked = verify_pages(&stats, 10);
  ASSERT_TRUE(checked.ok()) << checked.message();
  EXPECT_EQ(stats.targets[0].verified_pages, kPages / 2);
  EXPECT_EQ(stats.targets[0].resident, kPages / 2 * 4096);
  EXPECT_EQ(stats.targets[0].misplaced_pages, 0u);
  // A node where the pages cannot be: all of them are misplaced.
  stats.targets[0].node = 1023;
  ASSERT_TRUE(verify_pages(&stats, 10).ok());
  EXPECT_EQ(stats.targets[0].verified_pages, 0u);
  EXPECT_EQ(stats.targets[0].misplaced_pages, kPages / 2);
  munmap(memory, kPages * 4096);
}

// Two emulated targets share the node: pages are divided as their memory is charged.
TEST(StatsReader, DividesStripesOverOneNode) {
  constexpr size_t kPages = 64;
  void* memory =
      mmap(nullptr, kPages * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  memset(memory, 1, kPages * 4096);
  ProcessStats stats;
  stats.pid = getpid();
  stats.targets.resize(3);
  stats.targets[0].charged = 3 << 20;
  stats.targets[1].charged = 1 << 20;
  stats.targets[2].charged = 9 << 20;  // not of this window
  stats.windows.push_back({reinterpret_cast<uint64_t>(memory), kPages * 4096, 0, 3});
  ASSERT_TRUE(verify_pages(&stats, 10).ok());
  EXPECT_EQ(stats.targets[0].verified_pages, kPages * 3 / 4);
  EXPECT_EQ(stats.targets[1].verified_pages, kPages / 4);
  EXPECT_EQ(stats.targets[2].verified_pages, 0u);
  munmap(memory, kPages * 4096);
}

TEST(StatsReader, AnEndedProcessIsSaidToHaveEnded) {
  pid_t child = fork();
  if (child == 0) _exit(0);
  waitpid(child, nullptr, 0);
  ProcessStats stats;
  stats.pid = child;
  stats.targets.resize(1);
  stats.windows.push_back({0x10000, 4096, 0, 0});
  Status checked = verify_pages(&stats, 1);
  EXPECT_EQ(checked.code(), HMS_ENODEV);
  EXPECT_NE(checked.message().find("has ended"), std::string::npos) << checked.message();
}

}  // namespace
}  // namespace hms
