// Quotas are exact: no thread can take a target past its limit, not by a page and not for a moment.
#include <atomic>
#include <thread>

#include "tests/unit/allocator/allocator_test_support.h"

namespace hms::alloc::test {
namespace {

constexpr int kThreads = 8;

// Allocates and frees random sizes until the watcher has seen enough.
void hammer(PlacementId id, unsigned seed, int rounds) {
  std::vector<void*> held;
  unsigned state = seed;
  for (int i = 0; i < rounds; ++i) {
    state = state * 1664525 + 1013904223;
    size_t size = (state >> 8) % 3 == 0 ? 16 + (state >> 10) % 1000 : 4096 + (state >> 10) % 200000;
    void* block = allocate(size, id);
    if (block != nullptr) {
      static_cast<volatile char*>(block)[0] = 1;
      held.push_back(block);
    }
    if (block == nullptr || held.size() > 200) {
      for (void* b : held) deallocate(b);
      held.clear();
    }
  }
  for (void* b : held) deallocate(b);
}

TEST(Quota, EightThreadsNeverExceedIt) {
  constexpr uint64_t kQuota = 10 * kMiB + 12 * kKiB;
  set_quota("q:hard", kQuota);
  PlacementId id = registered(make({emulated("q:hard", UINT64_MAX)}, Spread::kOrdered, true));
  TargetCounters* c = counters("q:hard");
  std::vector<std::thread> threads;
  std::atomic<bool> done{false};
  std::atomic<uint64_t> worst{0};
  std::thread watcher([&] {
    while (!done) {
      uint64_t now = c->charged.load();
      if (now > worst) worst = now;
    }
  });
  for (unsigned t = 0; t < kThreads; ++t) threads.emplace_back(hammer, id, t * 77 + 1, 20000);
  for (std::thread& t : threads) t.join();
  done = true;
  watcher.join();
  EXPECT_LE(worst.load(), kQuota);
  EXPECT_LE(c->charged_peak.load(), kQuota);
  // It was really reached: the last page counts.
  EXPECT_GT(c->charged_peak.load(), kQuota - 256 * kKiB);
  EXPECT_GT(c->refused_quota.load(), 0U);
  trim();
  EXPECT_EQ(c->charged.load(), 0U);
}

TEST(Quota, IsMetToThePage) {
  set_quota("q:page", 5 * 4096);
  PlacementId id = registered(make({emulated("q:page", UINT64_MAX)}, Spread::kOrdered, true));
  Blocks blocks;
  while (blocks.add(allocate(4096, id)) != nullptr) {
  }
  EXPECT_EQ(blocks.all().size(), 5U);
  EXPECT_EQ(counters("q:page")->charged.load(), 5U * 4096);
}

TEST(Quota, LoweringRefusesGrowthAndTakesNothingAway) {
  PlacementId id = registered(make({emulated("q:low", UINT64_MAX)}, Spread::kOrdered, true));
  Blocks blocks;
  ASSERT_NE(blocks.add(allocate(8 * kMiB, id)), nullptr);
  set_quota("q:low", kMiB);
  EXPECT_EQ(allocate(kMiB, id), nullptr);
  static_cast<char*>(blocks.all()[0])[8 * kMiB - 1] = 1;
  set_quota("q:low", UINT64_MAX);
  EXPECT_NE(blocks.add(allocate(kMiB, id)), nullptr);
}

TEST(Quota, IsSharedByAllPlacementsOfATarget) {
  set_quota("q:shared", 4 * kMiB);
  PlacementId a = registered(make({emulated("q:shared", UINT64_MAX)}, Spread::kOrdered, true));
  PlacementId b = registered(make({emulated("q:shared", UINT64_MAX), emulated("q:rest", 64 * kMiB)},
                                  Spread::kOrdered, true));
  Blocks blocks;
  ASSERT_NE(blocks.add(allocate(3 * kMiB, a)), nullptr);
  EXPECT_EQ(key_of(blocks.add(allocate(2 * kMiB, b))), "q:rest");
  EXPECT_EQ(key_of(blocks.add(allocate(kMiB / 2, b))), "q:shared");
}

// What one thread freed waits in its arena for decay; another thread's request must not be refused
// because of it.
TEST(Quota, FreedMemoryIsReclaimedBeforeRefusal) {
  set_quota("q:reclaim", 8 * kMiB);
  PlacementId id = registered(make({emulated("q:reclaim", UINT64_MAX)}, Spread::kOrdered, true));
  PlacementId twin = registered(
      make({emulated("q:reclaim", UINT64_MAX), emulated("q:none", 0)}, Spread::kOrdered, true));
  for (int round = 0; round < 4; ++round) {
    std::thread([id] {
      Blocks blocks;
      while (blocks.add(allocate(24 * kKiB, id)) != nullptr) {
      }
      EXPECT_GT(blocks.all().size(), 300U);
    }).join();
    void* large = allocate(7 * kMiB, round % 2 == 0 ? id : twin);
    EXPECT_NE(large, nullptr);
    if (large != nullptr) deallocate(large);
  }
}

TEST(Quota, InPlaceGrowthIsCharged) {
  set_quota("q:grow", 3 * kMiB);
  PlacementId id = registered(make({emulated("q:grow", UINT64_MAX)}, Spread::kOrdered, true));
  void* block = allocate(2 * kMiB, id);
  ASSERT_NE(block, nullptr);
  EXPECT_EQ(resize_in_place(block, 8 * kMiB, 0, 1), 2 * kMiB);
  EXPECT_LE(counters("q:grow")->charged.load(), 3 * kMiB);
  deallocate(block);
}

}  // namespace
}  // namespace hms::alloc::test
