// The slab layer: spans and their bits, centrals, and what happens to blocks that are none.
#include "allocator/slab.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <random>
#include <set>
#include <thread>

#include "allocator/account.h"
#include "allocator/blocks.h"
#include "allocator/central.h"
#include "allocator/fast_path.h"
#include "allocator/placements.h"
#include "allocator/thread_cache.h"
#include "tests/unit/allocator/allocator_test_support.h"

namespace hms::alloc::test {
namespace {

Leg* first_leg(PlacementId id) { return placement_state(id)->legs[0]; }

Central* central_for(PlacementId id, size_t size) {
  return central_of(first_leg(id), 0, class_of(size));
}

uint64_t charged(const char* key) { return counters(key)->charged.load(); }
uint64_t live(const char* key) {
  return counters(key)->allocated.load() - counters(key)->freed.load();
}

// A span that belongs to nobody, on memory that is only looked at by its address.
class LooseSpan {
 public:
  LooseSpan(PlacementId id, size_t size) : size_class_(class_of(size)) {
    memory_ = allocate_aligned(shape().bytes, shape().bytes, id);
    mark_ = page_mark(reinterpret_cast<uintptr_t>(memory_));
    span_ = make_span(reinterpret_cast<uintptr_t>(memory_), central_for(id, size), size_class_);
  }
  ~LooseSpan() {
    unmake_span(span_);
    set_page_mark(reinterpret_cast<uintptr_t>(memory_), mark_);
    deallocate(memory_);
  }
  LooseSpan(const LooseSpan&) = delete;
  LooseSpan& operator=(const LooseSpan&) = delete;

  Span* get() const { return span_; }
  const SpanShape& shape() const { return kShapes[size_class_]; }
  char* memory() const { return static_cast<char*>(memory_); }
  bool put(const void* block) {
    return put_into_span(span_, shape(), reinterpret_cast<uintptr_t>(block));
  }

 private:
  unsigned size_class_;
  void* memory_;
  unsigned mark_;
  Span* span_;
};

TEST(Span, GivesEveryBlockOnceAndTakesItBack) {
  PlacementId id = registered(make({emulated("slab:span", 64 * kMiB)}));
  for (unsigned size_class = 0; size_class < kSlabClasses; ++size_class) {
    SCOPED_TRACE(class_size(size_class));
    LooseSpan span(id, class_size(size_class));
    const unsigned blocks = span.shape().blocks;
    ASSERT_GE(blocks, 7U);
    ASSERT_EQ(blocks, span_bytes(size_class) / span.shape().step);
    ASSERT_LE(span_bytes(size_class) - blocks * class_size(size_class),
              span_bytes(size_class) / 15);
    std::vector<void*> taken(blocks + 1);
    unsigned third = take_from_span(span.get(), blocks / 3, taken.data());
    ASSERT_EQ(third, blocks / 3);
    ASSERT_EQ(take_from_span(span.get(), blocks + 1, taken.data() + third), blocks - third);
    ASSERT_EQ(span.get()->free, 0);
    taken.resize(blocks);
    // Each run is handed out lowest first by a stack: highest address at its start.
    EXPECT_TRUE(std::is_sorted(taken.rbegin() + (blocks - third), taken.rend()));
    EXPECT_TRUE(std::is_sorted(taken.rbegin(), taken.rbegin() + (blocks - third)));
    std::set<void*> distinct(taken.begin(), taken.end());
    ASSERT_EQ(distinct.size(), blocks);
    EXPECT_EQ(*distinct.begin(), span.memory());
    EXPECT_LE(static_cast<char*>(*distinct.rbegin()) + class_size(size_class),
              span.memory() + span_bytes(size_class));
    std::shuffle(taken.begin(), taken.end(), std::mt19937(size_class));
    for (void* block : taken) ASSERT_TRUE(span.put(block));
    EXPECT_EQ(span.get()->free, blocks);
    EXPECT_EQ(take_from_span(span.get(), blocks, taken.data()), blocks);
  }
}

// Blocks that are read page by page would else meet in one set of the first level cache.
TEST(Span, LargerBlocksBeginInDifferentCacheLines) {
  PlacementId id = registered(make({emulated("slab:colour", 64 * kMiB)}));
  for (size_t size : {12 * kKiB, 16 * kKiB, 32 * kKiB}) {
    LooseSpan span(id, size);
    std::vector<void*> taken(span.shape().blocks);
    ASSERT_EQ(take_from_span(span.get(), span.shape().blocks, taken.data()), taken.size());
    std::set<uintptr_t> lines;
    for (void* block : taken) lines.insert(reinterpret_cast<uintptr_t>(block) % 4096 / 64);
    EXPECT_EQ(lines.size(), taken.size()) << size;
    for (void* block : taken) EXPECT_TRUE(span.put(block));
    EXPECT_FALSE(span.put(span.memory() + size)) << "between two blocks";
  }
}

TEST(Span, RefusesWhatIsNoBlockOrFreeAlready) {
  PlacementId id = registered(make({emulated("slab:span", 64 * kMiB)}));
  LooseSpan span(id, 48);
  void* block = nullptr;
  ASSERT_EQ(take_from_span(span.get(), 1, &block), 1U);
  EXPECT_FALSE(span.put(static_cast<char*>(block) + 16));
  EXPECT_FALSE(span.put(span.memory() + 48 * 1365)) << "what is left over is no block";
  EXPECT_FALSE(span.put(span.memory() + 48)) << "never taken";
  EXPECT_TRUE(span.put(block));
  EXPECT_FALSE(span.put(block)) << "twice";
  EXPECT_EQ(span.get()->free, span.shape().blocks);
}

TEST(Slab, SpansGoBackAndTheirQuotaWithThem) {
  PlacementId id = registered(make({emulated("slab:back", 512 * kMiB)}));
  {
    Blocks blocks;
    for (size_t size : {16, 64, 200, 1000, 3000, 8192}) {
      for (size_t sum = 0; sum < 4 * kMiB; sum += size) blocks.add(allocate(size, id));
    }
    EXPECT_GE(charged("slab:back"), 24 * kMiB);
    std::shuffle(const_cast<std::vector<void*>&>(blocks.all()).begin(),
                 const_cast<std::vector<void*>&>(blocks.all()).end(), std::mt19937(1));
  }
  // The burst alone leaves a bounded rest behind, in whatever order it was freed.
  for (size_t size : {16, 64, 200, 1000, 3000, 8192}) {
    EXPECT_LE(central_for(id, size)->empties, 16U) << size;
  }
  trim();
  EXPECT_EQ(charged("slab:back"), 0U);
  EXPECT_EQ(live("slab:back"), 0U);
  for (unsigned c = 0; c < kSlabClasses; ++c) {
    EXPECT_EQ(central_of(first_leg(id), 0, c)->spans, 0U) << c;
  }
}

TEST(Slab, ATargetWithoutRoomForASpanStillGivesBlocks) {
  set_quota("slab:tight", 3 * 4096);
  PlacementId id = registered(make({emulated("slab:tight", UINT64_MAX)}, Spread::kOrdered, true));
  Blocks blocks;
  while (blocks.add(allocate(64, id)) != nullptr) {
  }
  EXPECT_EQ(blocks.all().size(), 3 * 4096U / 64);
  EXPECT_EQ(charged("slab:tight"), 3 * 4096U);
  blocks.release();
  trim();
  EXPECT_EQ(charged("slab:tight"), 0U);
}

// What lies free in the centrals must not make its target look full to another class.
TEST(Slab, FreeBlocksOfOneClassMakeRoomForAnother) {
  set_quota("slab:room", 8 * kMiB);
  PlacementId id = registered(make({emulated("slab:room", UINT64_MAX)}, Spread::kOrdered, true));
  for (size_t size : {64, 4096, 640, 24 * 1024, 16}) {
    std::thread([id, size] {
      Blocks blocks;
      while (blocks.add(allocate(size, id)) != nullptr) {
      }
      EXPECT_GE(blocks.all().size() * size, 7 * kMiB) << size;
    }).join();
  }
}

TEST(Slab, BatchesThatOthersFreedComeBackWithoutNewSpans) {
  PlacementId id = registered(make({emulated("slab:ring", 512 * kMiB)}));
  uint64_t before = 0;
  for (int round = 0; round < 50; ++round) {
    std::vector<void*> blocks(20000);
    std::thread([&] {
      for (void*& block : blocks) block = allocate(64, id);
    }).join();
    std::set<void*> distinct(blocks.begin(), blocks.end());
    ASSERT_EQ(distinct.size(), blocks.size());
    std::thread([&] {
      for (void* block : blocks) deallocate(block);
    }).join();
    if (round == 0) before = counters("slab:ring")->charged_peak.load();
  }
  EXPECT_EQ(live("slab:ring"), 0U);
  EXPECT_LE(counters("slab:ring")->charged_peak.load(), before + span_bytes(class_of(64)));
}

TEST(Slab, DoubleFreeIsLeftAlone) {
  PlacementId id = registered(make({emulated("slab:twice", 64 * kMiB)}));
  void* block = allocate(96, id);
  deallocate(block);
  flush_thread();
  ASSERT_EQ(live("slab:twice"), 0U);
  deallocate(block);
  flush_thread();
  EXPECT_EQ(live("slab:twice"), 0U) << "counted once";
  void* first = allocate(96, id);
  void* second = allocate(96, id);
  EXPECT_NE(first, second);
  deallocate(first);
  deallocate(second);
  trim();
  EXPECT_EQ(charged("slab:twice"), 0U);
}

TEST(Slab, DoubleFreeOfALargeBlockIsLeftAlone) {
  PlacementId id = registered(make({emulated("slab:large", 64 * kMiB)}));
  void* block = allocate(2 * kMiB, id);
  deallocate(block);
  deallocate(block);
  EXPECT_EQ(usable_size(block), 0U);
  EXPECT_EQ(live("slab:large"), 0U) << "counted once";
  void* first = allocate(2 * kMiB, id);
  void* second = allocate(2 * kMiB, id);
  EXPECT_NE(first, second);
  deallocate(first);
  deallocate(second);
  trim();
  EXPECT_EQ(charged("slab:large"), 0U);
}

// The span of a block that was freed twice may be gone, or have another class, when the second
// free reaches it.
TEST(Slab, DoubleFreeAfterTheSpanIsGoneIsLeftAlone) {
  PlacementId id = registered(make({emulated("slab:gone", 64 * kMiB)}));
  Central* central = central_for(id, 96);
  void* block = allocate(96, id);
  flush_thread();
  void* copies[] = {block, block};
  give_blocks(copies, 1, class_of(96));
  trim();
  ASSERT_EQ(central->spans, 0U);
  void* other = allocate(16, id);
  ASSERT_EQ(span_of(reinterpret_cast<uintptr_t>(block), class_of(96)),
            span_of(reinterpret_cast<uintptr_t>(other), class_of(16)));
  give_to_central(central, copies + 1, 1);
  deallocate(other);
  trim();
  EXPECT_EQ(charged("slab:gone"), 0U);
}

TEST(Slab, InteriorPointerIsLeftAlone) {
  PlacementId id = registered(make({emulated("slab:inner", 64 * kMiB)}));
  void* block = allocate(96, id);
  memset(block, 0x5a, 96);
  deallocate(static_cast<char*>(block) + 32);
  flush_thread();
  Blocks others;
  for (int i = 0; i < 2000; ++i) memset(others.add(allocate(96, id)), 0, 96);
  for (int i = 0; i < 96; ++i) ASSERT_EQ(static_cast<char*>(block)[i], 0x5a);
  deallocate(block);
  others.release();
  flush_thread();
  EXPECT_EQ(live("slab:inner"), 0U);
}

// More than half of a striped leg's spans cross targets: each block counts where it lies.
// They come from jemalloc one by one, and lie in the same bins as blocks of spans.
TEST(Slab, AlignedBlocksAboveSpansOfPagesComeAgain) {
  PlacementId id = registered(make({emulated("slab:aligned", 64 * kMiB)}));
  for (size_t alignment : {128, 4096, 16384}) {
    for (size_t size : {9000, 12288, 16384, 30000}) {
      SCOPED_TRACE(testing::Message() << alignment << " " << size);
      void* first = allocate_aligned(alignment, size, id);
      ASSERT_EQ(reinterpret_cast<uintptr_t>(first) % alignment, 0U);
      ASSERT_GE(usable_size(first), size);
      EXPECT_EQ(usable_size(first), good_size(size, alignment));
      memset(first, 1, usable_size(first));
      deallocate(first);
      const auto none = []() -> void* { return nullptr; };
      EXPECT_EQ(allocate_aligned_or(alignment, size, id, none), first);
      void* plain = allocate(size, id);
      EXPECT_NE(plain, first);
      memset(plain, 2, size);
      EXPECT_EQ(static_cast<char*>(first)[0], 1);
      deallocate(plain);
      deallocate(first);
    }
  }
  flush_thread();
  EXPECT_EQ(live("slab:aligned"), 0U);
  trim();
  EXPECT_EQ(charged("slab:aligned"), 0U);
}

TEST(Slab, StripedBlocksCountWhereTheyLie) {
  PlacementId id =
      registered(make({emulated("slab:left", 512 * kMiB), emulated("slab:right", 512 * kMiB)},
                      Spread::kInterleave));
  Blocks blocks;
  for (size_t i = 0; i < 16 * kMiB / 1024; ++i) blocks.add(allocate(1024, id));
  uint64_t left = 0;
  for (void* block : blocks.all()) left += key_of(block) == "slab:left" ? 1024 : 0;
  EXPECT_GT(left, 4 * kMiB);
  blocks.release();
  flush_thread();
  EXPECT_EQ(live("slab:left"), 0U);
  EXPECT_EQ(live("slab:right"), 0U);
}

TEST(Slab, AThreadThatAllocatesLittleLeavesNothing) {
  PlacementId id = registered(make({emulated("slab:churn", 512 * kMiB)}));
  auto life = [id] {
    Blocks blocks;
    for (int i = 0; i < 40; ++i) blocks.add(allocate(64, i % 2 == 0 ? id : kDefaultPlacement));
  };
  for (int i = 0; i < 10; ++i) std::thread(life).join();
  const uint64_t before = charged("slab:churn");
  const uint32_t spans = central_for(kDefaultPlacement, 64)->spans;
  for (int i = 0; i < 2000; ++i) std::thread(life).join();
  EXPECT_EQ(charged("slab:churn"), before);
  EXPECT_LE(central_for(kDefaultPlacement, 64)->spans, spans + 1);
  EXPECT_EQ(live("slab:churn"), 0U);
}

// Nothing here uses another allocator, which a fork might find locked. 0 if all went well.
int small_work(PlacementId id) {
  constexpr int kCount = 500;
  unsigned char* blocks[kCount];
  for (int round = 0; round < 20; ++round) {
    for (int i = 0; i < kCount; ++i) {
      size_t size = 16 + static_cast<size_t>(i) * 13 % 3000;
      blocks[i] = static_cast<unsigned char*>(allocate(size, i % 2 == 0 ? id : kDefaultPlacement));
      if (blocks[i] == nullptr) return 1;
      memset(blocks[i], i, size);
    }
    for (int i = 0; i < kCount; ++i) {
      if (blocks[i][0] != (i & 0xff)) return 2;
      deallocate(blocks[i]);
    }
    if (round % 5 == 0) trim();
  }
  return 0;
}

TEST(Slab, ForkWhileEightThreadsUseIt) {
#if defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "ThreadSanitizer does not support new threads' memory after a threaded fork";
#endif
  PlacementId id = registered(make({emulated("slab:fork", 1024 * kMiB)}));
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 8; ++t) {
    threads.emplace_back([&stop, id] {
      while (!stop) {
        if (small_work(id) != 0) abort();
      }
    });
  }
  for (int i = 0; i < 60; ++i) {
    pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      alarm(30);  // a deadlock ends as a signal
      _exit(small_work(id));
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
    ASSERT_EQ(WEXITSTATUS(status), 0);
  }
  stop = true;
  for (std::thread& t : threads) t.join();
}

// The first target is full, so it is reclaimed, which empties and shrinks the bin that is being
// filled from the second one.
TEST(Slab, ARefillThatReclaimsStaysWithinTheBin) {
  set_quota("slab:full", 256 * kKiB);
  PlacementId id =
      registered(make({emulated("slab:full", UINT64_MAX), emulated("slab:next", 1 << 30)}));
  const Bin* bin = nullptr;
  for (int round = 0; round < 4; ++round) {
    Blocks blocks;
    std::set<void*> distinct;
    for (int i = 0; i < 60000; ++i) {
      void* block = blocks.add(allocate(16, id));
      ASSERT_NE(block, nullptr);
      ASSERT_TRUE(distinct.insert(block).second) << "handed out twice";
      bin = &existing_cache(id)->bin(0);
      ASSERT_LE(bin->top, bin->limit) << "after " << i << " blocks";
    }
    blocks.release();
    ASSERT_LE(bin->top, bin->limit);
    ASSERT_LE(bin->limit, bin->end);
  }
  EXPECT_GT(counters("slab:next")->allocated.load(), 0U);
}

}  // namespace
}  // namespace hms::alloc::test
