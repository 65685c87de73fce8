// Threads: caches that come and go, blocks freed elsewhere, fork, and jemalloc's coalescing trap.
#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "tests/unit/allocator/allocator_test_support.h"

namespace hms::alloc::test {
namespace {

// ThreadSanitizer takes long to make a thread.
#if defined(__SANITIZE_THREAD__)
constexpr int kShortThreads = 1000;
#else
constexpr int kShortThreads = 10000;
#endif

// AddressSanitizer keeps what the test itself freed in quarantine.
#if defined(__SANITIZE_ADDRESS__)
constexpr size_t kMostGrowth = 200 * kMiB;
#else
constexpr size_t kMostGrowth = 8 * kMiB;
#endif

TEST(Threads, ShortOnesLeaveNothingBehind) {
  PlacementId id = registered(make({emulated("t:short", 1024 * kMiB)}));
  auto life = [id] {
    Blocks blocks;
    for (size_t size : {size_t{16}, size_t{100}, size_t{2000}, size_t{9000}}) {
      blocks.add(allocate(size, id));
      blocks.add(allocate(size, kDefaultPlacement));
    }
  };
  for (int i = 0; i < 100; ++i) std::thread(life).join();
  size_t before = resident_bytes();
  uint64_t threads = stats()->threads.load();
  for (int i = 0; i < kShortThreads; ++i) std::thread(life).join();
  EXPECT_LT(resident_bytes(), before + kMostGrowth);
  EXPECT_EQ(stats()->threads.load(), threads);
  EXPECT_EQ(counters("t:short")->allocated.load(), counters("t:short")->freed.load());
}

TEST(Threads, BlocksFreedByOthersGoHome) {
  PlacementId id = registered(make({emulated("t:home", 1024 * kMiB)}));
  std::vector<void*> blocks;
  std::thread maker([&] {
    for (int i = 0; i < 10000; ++i) blocks.push_back(allocate(200, id));
  });
  maker.join();
  std::thread freer([&] {
    for (void* block : blocks) deallocate(block);
  });
  freer.join();
  trim();
  EXPECT_EQ(counters("t:home")->charged.load(), 0U);
}

pthread_key_t late_key;
PlacementId late_id;

// Runs after or before our own destructor, and frees and allocates either way.
void late_destructor(void* block) {
  deallocate(block);
  for (size_t size : {size_t{50}, size_t{5000}, size_t{500000}}) {
    void* fresh = allocate(size, late_id);
    ASSERT_NE(fresh, nullptr);
    memset(fresh, 1, size);
    deallocate(fresh);
  }
}

TEST(Threads, DestructorsOfOtherKeysMayAllocateAndFree) {
  late_id = registered(make({emulated("t:late", 1024 * kMiB)}));
  ASSERT_EQ(pthread_key_create(&late_key, late_destructor), 0);
  for (int i = 0; i < 100; ++i) {
    std::thread([] { pthread_setspecific(late_key, allocate(100, late_id)); }).join();
  }
  pthread_key_delete(late_key);
  EXPECT_EQ(counters("t:late")->allocated.load(), counters("t:late")->freed.load());
}

// A11: with a dalloc hook that succeeds, jemalloc 5.3.0 crashes here.
void coalesce(PlacementId id, int rounds) {
  void* blocks[100];
  for (int r = 0; r < rounds; ++r) {
    for (void*& block : blocks) {
      block = allocate(16384, id);
      ASSERT_NE(block, nullptr);
      static_cast<char*>(block)[0] = 1;
    }
    for (void* block : blocks) deallocate(block);
  }
}

TEST(Threads, TwoThreadsCoalesceSixteenKibibyteBlocks) {
  for (PlacementId id : {kDefaultPlacement, registered(make({emulated("t:coal", 1024 * kMiB)}))}) {
    coalesce(id, 4000);
    for (int i = 0; i < 5; ++i) {
      std::thread a(coalesce, id, 4000);
      std::thread b(coalesce, id, 4000);
      a.join();
      b.join();
      trim();
    }
  }
}

// A failed assertion in a child must not run the parent's remaining tests: plain exit codes.
int child_work(PlacementId id) {
  for (int round = 0; round < 50; ++round) {
    void* small = allocate(300, id);
    void* large = allocate(200 * kKiB, kDefaultPlacement);
    if (small == nullptr || large == nullptr) return 1;
    memset(small, 1, 300);
    memset(large, 1, 200 * kKiB);
    deallocate(small);
    deallocate(large);
  }
  Result<PlacementId> fresh = register_placement(make({emulated("t:child", 64 * kMiB)}));
  if (!fresh.ok()) return 2;
  void* block = allocate(kMiB, fresh.value());
  if (block == nullptr || key_of(block) != "t:child") return 3;
  deallocate(block);
  trim();
  return 0;
}

TEST(Threads, ForkWhileOthersAllocate) {
#if defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "ThreadSanitizer does not support new threads' memory after a threaded fork";
#endif
  PlacementId id = registered(make({emulated("t:fork", 1024 * kMiB)}));
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      unsigned state = t + 1;
      while (!stop) {
        Blocks blocks;
        for (int i = 0; i < 50; ++i) {
          state = state * 1664525 + 1013904223;
          blocks.add(allocate((state >> 8) % 100000, i % 2 == 0 ? id : kDefaultPlacement));
        }
      }
    });
  }
  for (int i = 0; i < 100; ++i) {
    pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      alarm(30);  // a deadlock ends as a signal
      _exit(child_work(id));
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
    ASSERT_EQ(WEXITSTATUS(status), 0);
  }
  stop = true;
  for (std::thread& t : threads) t.join();
}

}  // namespace
}  // namespace hms::alloc::test
