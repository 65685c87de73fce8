// Pools, fallbacks and what is left: accounting to the byte, with many threads.
#include <linux/filter.h>
#include <linux/membarrier.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <iterator>
#include <random>

#include "tests/unit/openmp/openmp_test_support.h"

namespace hms::omp {
namespace {

using testing::get;
using testing::in_threads;
using testing::kRecord;
using testing::make;

class Pool : public testing::OpenMp {};

TEST_F(Pool, CountsSizesAndRecords) {
  Allocator* a = make({{kPoolSize, 10000}, {kFallback, kNullFb}});
  void* p = get(a->handle, 1000);
  void* q = get(a->handle, 1);
  EXPECT_EQ(pool_in_use(a), 1001 + 2 * kRecord);
  p = reallocate(p, 5000, a->handle, a->handle, Caller::kAny);
  EXPECT_EQ(pool_in_use(a), 5001 + 2 * kRecord);
  EXPECT_EQ(reallocate(p, 20000, a->handle, a->handle, Caller::kAny), nullptr);
  EXPECT_EQ(pool_in_use(a), 5001 + 2 * kRecord);
  p = reallocate(p, 10, a->handle, a->handle, Caller::kAny);
  EXPECT_EQ(pool_in_use(a), 11 + 2 * kRecord);
  release(p, a->handle);
  release(q, kNullAllocator);
  EXPECT_EQ(pool_in_use(a), 0U);
  void* all = get(a->handle, 10000 - kRecord);
  EXPECT_NE(all, nullptr);
  EXPECT_EQ(get(a->handle, 1), nullptr);
  EXPECT_TRUE(destroy_allocator(a->handle).ok());
}

// Eight threads that allocate, grow and free each other's blocks: never above the limit, and every
// byte is credited in the end.
TEST_F(Pool, IsExactWithEightThreads) {
  constexpr size_t kLimit = 64 * 1024;
  constexpr unsigned kSlots = 64;
  Allocator* a = make({{kPoolSize, kLimit}, {kFallback, kNullFb}});
  std::atomic<void*> slots[kSlots] = {};
  std::atomic<unsigned> over{0};
  in_threads(8, [&](unsigned number) {
    std::mt19937 random(number);
    for (int i = 0; i < 3000; ++i) {
      void* block = get(a->handle, 1 + random() % 4096);
      if (block != nullptr && i % 3 == 0) {
        void* grown =
            reallocate(block, 1 + random() % 8192, kNullAllocator, kNullAllocator, Caller::kAny);
        if (grown != nullptr) block = grown;
      }
      if (pool_in_use(a) > kLimit) over.fetch_add(1);
      release(slots[random() % kSlots].exchange(block), a->handle);
    }
  });
  EXPECT_EQ(over.load(), 0U);
  for (auto& slot : slots) release(slot.load(), a->handle);
  EXPECT_EQ(pool_in_use(a), 0U);
  void* all = get(a->handle, kLimit - kRecord);  // with what every list has left
  EXPECT_NE(all, nullptr);
  EXPECT_TRUE(destroy_allocator(a->handle).ok());
}

// Credits that freed blocks left behind must never refuse what fits: eight threads that hold a
// block each, and one that changes hands, in a pool of nine.
TEST_F(Pool, RefusesNothingThatFits) {
  constexpr size_t kBlock = 1000;
  Allocator* a = make({{kPoolSize, 9 * (kBlock + kRecord)}, {kFallback, kNullFb}});
  std::atomic<unsigned> refused{0};
  std::atomic<void*> left{nullptr};
  in_threads(8, [&](unsigned) {
    for (int i = 0; i < 20000; ++i) {
      release(left.exchange(nullptr), a->handle);
      void* block = allocate_fast(a->handle, kBlock, Caller::kAny);
      if (block == nullptr) refused.fetch_add(1);
      void* none = nullptr;
      if (i % 2 == 0 || !left.compare_exchange_strong(none, block)) release_fast(block, a->handle);
    }
  });
  release(left.load(), a->handle);
  EXPECT_EQ(refused.load(), 0U);
  EXPECT_EQ(pool_in_use(a), 0U);
  EXPECT_TRUE(destroy_allocator(a->handle).ok());
}

// The first thread that uses a list owns it. Another one that frees its blocks takes the list away,
// while the owner is at work in it, and both go on. True if nothing got lost.
bool take_list_from_owner() {
  Allocator* a = make({{kPoolSize, 1 << 20}, {kFallback, kNullFb}});
  void* blocks[200];
  for (void*& block : blocks) block = allocate_fast(a->handle, 64, Caller::kAny);
  const bool owned = a->everyone.first.owner.load() == this_thread();
  std::atomic<bool> freed{false};
  std::thread other([&] {
    for (void* block : blocks) release_fast(block, a->handle);
    freed.store(true);
  });
  do {
    for (int i = 0; i < 100; ++i) {
      release_fast(allocate_fast(a->handle, 64, Caller::kAny), a->handle);
    }
  } while (!freed.load());
  other.join();
  const bool taken = a->everyone.first.owner.load() == RecordList::kEverybody;
  const bool exact = pool_in_use(a) == 0;
  return owned && taken && exact && destroy_allocator(a->handle).ok();
}

TEST_F(Pool, ListsAreTakenFromTheirOwners) {
  for (int round = 0; round < 20; ++round) ASSERT_TRUE(take_list_from_owner()) << round;
}

// A filter of system calls from here on: membarrier(2) is refused.
bool refuse_fences() {
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program = {std::size(code), code};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

// Fences were to be had when the first list was made, and are refused since: the other way to wait
// for an owner. In a process of its own, because a filter stays.
TEST_F(Pool, ListsAreTakenInAForkWhereFencesAreRefused) {
  ASSERT_TRUE(take_list_from_owner());
  const pid_t child = fork();
  if (child == 0) {
    if (!refuse_fences()) _exit(77);
    if (syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0) _exit(2);
    bool right = true;
    for (int round = 0; round < 50; ++round) right = take_list_from_owner() && right;
    _exit(right ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == 77) GTEST_SKIP() << "no filters of system calls here";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

// A pool that is used up asks all lists for their credits: that, too, takes them from their owners.
TEST_F(Pool, CreditsAreGatheredFromOwners) {
  constexpr size_t kBlock = 1000;
  constexpr size_t kLimit = 64 * (kBlock + kRecord);
  Allocator* a = make({{kPoolSize, kLimit}, {kFallback, kNullFb}});
  std::atomic<unsigned> ready{0};
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      void* blocks[8];
      bool first = true;
      while (!stop.load()) {
        for (void*& block : blocks) block = allocate_fast(a->handle, kBlock, Caller::kAny);
        for (void* block : blocks) release_fast(block, a->handle);
        if (first) ready.fetch_add(1);
        first = false;
      }
    });
  }
  while (ready.load() < 4) std::this_thread::yield();
  // What the others hold at most is half of the pool.
  for (int i = 0; i < 1000; ++i) {
    void* half = get(a->handle, 32 * (kBlock + kRecord) - kRecord);
    EXPECT_NE(half, nullptr);
    release(half, a->handle);
  }
  stop.store(true);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(pool_in_use(a), 0U);
  EXPECT_TRUE(destroy_allocator(a->handle).ok());
}

// Blocks with records that the program passes to free() and realloc().
TEST_F(Pool, PlainFreeAndReallocLeaveTheHeapWhole) {
  Allocator* a = make({{kPoolSize, 1 << 20}, {kFallback, kNullFb}});
  for (size_t size : {size_t{10}, size_t{1000}, size_t{100000}}) {
    auto* block = static_cast<char*>(get(a->handle, size));
    ASSERT_NE(alloc::guard_of(block), nullptr);
    const size_t usable = alloc::usable_guarded(block);
    EXPECT_GE(usable, size);
    memset(block, 1, usable);
    alloc::free_or(block, [block] { alloc::free_guarded(block); });  // as free() does
    EXPECT_EQ(pool_in_use(a), 0U);
    EXPECT_EQ(alloc::usable_guarded(block), 0U);
    alloc::free_guarded(block);  // twice: reported
    block = static_cast<char*>(get(a->handle, size));
    memset(block, 7, size);
    block = static_cast<char*>(alloc::guard_of(block)->reallocate(block, size * 3));
    ASSERT_NE(block, nullptr);
    EXPECT_EQ(block[size - 1], 7);
    EXPECT_EQ(pool_in_use(a), size * 3 + kRecord);
    EXPECT_EQ(alloc::guard_of(block)->reallocate(block, 2 << 20), nullptr);
    alloc::free_guarded(block);
  }
  EXPECT_EQ(pool_in_use(a), 0U);
  EXPECT_TRUE(destroy_allocator(a->handle).ok());
}

TEST_F(Pool, OfEachThread) {
  Allocator* a = make({{kPoolSize, 4096}, {kAccess, kThread}, {kFallback, kNullFb}});
  void* blocks[8] = {};
  std::atomic<unsigned> second{0};
  in_threads(8, [&](unsigned number) {
    blocks[number] = get(a->handle, 3000);
    if (get(a->handle, 3000) != nullptr) second.fetch_add(1);
  });
  EXPECT_EQ(second.load(), 0U);
  EXPECT_EQ(pool_in_use(a), 8 * (3000 + kRecord));
  for (void* block : blocks) release(block, a->handle);  // to the threads that were charged
  EXPECT_EQ(pool_in_use(a), 0U);
  EXPECT_TRUE(destroy_allocator(a->handle).ok());
}

TEST_F(Pool, FallbacksInAChain) {
  Allocator* last = make({{kPoolSize, 2000}, {kFallback, kNullFb}});
  Allocator* first = make({{kPoolSize, 1000}, {kFallback, kAllocatorFb}, {kFbData, last->handle}});
  void* a = get(first->handle, 900);
  void* b = get(first->handle, 900);
  EXPECT_EQ(pool_in_use(first), 900 + kRecord);
  EXPECT_EQ(pool_in_use(last), 900 + kRecord);
  EXPECT_EQ(get(first->handle, 5000), nullptr);
  EXPECT_EQ(pool_in_use(last), 900 + kRecord);
  EXPECT_TRUE(destroy_allocator(last->handle).ok());  // with b
  EXPECT_EQ(get(first->handle, 5000), nullptr);       // reported: the fallback is gone
  EXPECT_EQ(record_of(b), nullptr);
  release(a, first->handle);
  EXPECT_TRUE(destroy_allocator(first->handle).ok());
}

TEST_F(Pool, DefaultMemoryIsTheLastResort) {
  Allocator* a = make({{kPoolSize, 0}});
  void* block = get(a->handle, 100);
  ASSERT_NE(block, nullptr);
  EXPECT_FALSE(testing::has_record(block));
  EXPECT_EQ(pool_in_use(a), 0U);
  release(block, a->handle);
  EXPECT_TRUE(destroy_allocator(a->handle).ok());
}

TEST_F(Pool, MisuseOfRecordedBlocksIsFoundOut) {
  Allocator* a = make({{kPoolSize, 1 << 20}, {kFallback, kNullFb}});
  auto* block = static_cast<char*>(get(a->handle, 1000));
  release(block + 64, a->handle);
  EXPECT_EQ(pool_in_use(a), 1000 + kRecord);
  release(block, a->handle);
  release(block, a->handle);
  int local = 0;
  release(&local, a->handle);
  EXPECT_EQ(reallocate(&local, 10, a->handle, a->handle, Caller::kAny), nullptr);
  EXPECT_EQ(pool_in_use(a), 0U);
  EXPECT_TRUE(destroy_allocator(a->handle).ok());
}

TEST_F(Pool, DestroyingGivesStrictMemoryBack) {
  for (int i = 0; i < 5; ++i) {
    Allocator* a = make({{kFallback, kNullFb}}, kHighBwSpace);
    unsigned blocks = 0;
    while (blocks < 100 && get(a->handle, 1 << 20) != nullptr) ++blocks;
    EXPECT_GE(blocks, 48U);
    EXPECT_LE(blocks, 64U);
    EXPECT_TRUE(destroy_allocator(a->handle).ok());
  }
}

TEST_F(Pool, SizesAndAlignmentsThatCannotBe) {
  Allocator* a = make({{kFallback, kNullFb}});
  for (Handle h : {Handle{kDefaultAlloc}, a->handle}) {
    EXPECT_EQ(get(h, 0), nullptr);
    EXPECT_EQ(get(h, SIZE_MAX), nullptr);
    EXPECT_EQ(get(h, SIZE_MAX - 16), nullptr);
    EXPECT_EQ(get(h, 64, 3), nullptr);
    EXPECT_EQ(get(h, 64, size_t{1} << 40), nullptr);
    EXPECT_EQ(allocate_aligned_fast(h, 24, 64, Caller::kAny), nullptr);
    EXPECT_EQ(allocate_fast(h, 0, Caller::kAny), nullptr);
    EXPECT_EQ(allocate_zeroed_fast(h, SIZE_MAX, Caller::kAny), nullptr);
  }
  EXPECT_TRUE(destroy_allocator(a->handle).ok());
}

}  // namespace
}  // namespace hms::omp
