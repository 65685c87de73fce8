// The reader of counter pages, which trusts nothing in them.
#include "runtime/support/stats_reader.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <random>

#include "runtime/support/counters.h"
#include "runtime/support/stats_files.h"

namespace hms {
namespace {

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
