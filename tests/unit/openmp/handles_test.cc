// Handles: what is known about them on the hit path, generations, and garbage.
#include <atomic>
#include <cstring>
#include <set>

#include "tests/unit/openmp/openmp_test_support.h"

namespace hms::omp {
namespace {

using testing::in_threads;
using testing::make;

class Handles : public testing::OpenMp {};

bool known(Handle h) { return known_handle(h).load() >> kPlacementBits == h; }

void* fast(Handle h, size_t size) { return allocate_fast(h, size, Caller::kAny); }

TEST_F(Handles, AreKnownFromTheFirstUseToTheEnd) {
  Allocator* a = make({});
  const Handle h = a->handle;
  EXPECT_FALSE(known(h));
  void* block = fast(h, 100);
  ASSERT_NE(block, nullptr);
  EXPECT_TRUE(known(h));
  EXPECT_TRUE(destroy_allocator(h).ok());
  EXPECT_FALSE(known(h));
  EXPECT_EQ(fast(h, 100), nullptr);
  EXPECT_FALSE(destroy_allocator(h).ok());
  release_fast(block, h);  // outlived its allocator
}

TEST_F(Handles, OfTraitsThatNeedRecordsAreNeverKnown) {
  Allocator* a = make({{kAlignment, 64}});
  void* block = fast(a->handle, 100);
  EXPECT_FALSE(known(a->handle));
  EXPECT_TRUE(testing::has_record(block));
  release_fast(block, a->handle);
  EXPECT_FALSE(testing::has_record(block));
  EXPECT_TRUE(destroy_allocator(a->handle).ok());
}

// More allocators than entries: each gets its own memory all the same.
TEST_F(Handles, ShareTheirEntries) {
  std::vector<Allocator*> all;
  for (unsigned i = 0; i < 3 * kKnownHandles; ++i) {
    all.push_back(make({}, i % 2 == 0 ? kHighBwSpace : kLargeCapSpace));
  }
  for (int round = 0; round < 3; ++round) {
    for (size_t i = 0; i < all.size(); ++i) {
      void* block = fast(all[i]->handle, 100);
      ASSERT_NE(block, nullptr);
      EXPECT_EQ(alloc::target_of(block).key, i % 2 == 0 ? "tier:fast" : "tier:slow");
      release_fast(block, all[i]->handle);
    }
  }
  for (Allocator* a : all) EXPECT_TRUE(destroy_allocator(a->handle).ok());
}

TEST_F(Handles, AreNotUsedAgainSoon) {
  std::set<Handle> seen;
  for (int i = 0; i < 5000; ++i) {
    Allocator* a = make({});
    EXPECT_TRUE(seen.insert(a->handle).second);
    EXPECT_GT(a->handle, kMaxPredefinedHandle);
    EXPECT_LE(a->handle, Handle{INT32_MAX});
    EXPECT_TRUE(destroy_allocator(a->handle).ok());
  }
}

TEST_F(Handles, GarbageIsFoundOut) {
  const Handle near = make({})->handle;
  for (Handle h : {Handle{9}, Handle{1023}, Handle{1025}, Handle{0xdeadbeef}, near + 1,
                   near ^ (Handle{1} << 25), near | Handle{1} << 48, UINTPTR_MAX}) {
    EXPECT_EQ(fast(h, 100), nullptr) << h;
    EXPECT_EQ(find_allocator(h), nullptr) << h;
    EXPECT_FALSE(destroy_allocator(h).ok()) << h;
  }
  for (Handle h = 0; h < kPredefinedAllocators; ++h) EXPECT_FALSE(destroy_allocator(h).ok()) << h;
  EXPECT_TRUE(destroy_allocator(near).ok());
}

TEST_F(Handles, NaturalAlignmentsAreHits) {
  Allocator* a = make({}, kLargeCapSpace);
  for (size_t alignment = 1; alignment <= 65536; alignment *= 2) {
    for (size_t size : {size_t{1}, size_t{100}, alignment, 3 * alignment + 1}) {
      void* block = allocate_aligned_fast(a->handle, alignment, size, Caller::kAny);
      ASSERT_NE(block, nullptr);
      EXPECT_EQ(reinterpret_cast<uintptr_t>(block) % alignment, 0U) << alignment << " " << size;
      memset(block, 0xa5, size);
      release_fast(block, a->handle);
      auto* zeroed = static_cast<char*>(allocate_zeroed_fast(a->handle, size, Caller::kAny));
      ASSERT_NE(zeroed, nullptr);
      for (size_t i = 0; i < size; i += 13) ASSERT_EQ(zeroed[i], 0);
      release_fast(zeroed, kNullAllocator);
    }
  }
  EXPECT_TRUE(destroy_allocator(a->handle).ok());
}

// No runtime here: one default allocator for the process. As long as nobody sets it, the null
// handle is known; afterwards it never is.
TEST_F(Handles, TheNullAllocatorIsKnownUntilADefaultIsSet) {
  ASSERT_TRUE(default_is_standing());
  void* block = fast(kNullAllocator, 100);
  EXPECT_EQ(plain_table.default_memory.load(), 2U);
  release_fast(block, kNullAllocator);
  Allocator* a = make({}, kHighBwSpace);
  set_default(Flavour::kAny, a->handle);
  EXPECT_EQ(plain_table.default_memory.load(), 0U);
  EXPECT_FALSE(known(kNullAllocator));
  EXPECT_EQ(get_default(Flavour::kAny), a->handle);
  for (int i = 0; i < 3; ++i) {
    block = fast(kNullAllocator, 100);
    EXPECT_EQ(alloc::target_of(block).key, "tier:fast");
    EXPECT_FALSE(known(kNullAllocator));
    release_fast(block, kNullAllocator);
  }
  set_default(Flavour::kAny, 0xbad);  // reported, ignored
  EXPECT_EQ(get_default(Flavour::kAny), a->handle);
  set_default(Flavour::kAny, kNullAllocator);
  EXPECT_EQ(get_default(Flavour::kAny), kDefaultAlloc);
  EXPECT_TRUE(destroy_allocator(a->handle).ok());
}

// Eight threads make, use and destroy allocators whose entries collide.
TEST_F(Handles, EightThreadsMakeAndDestroy) {
  std::atomic<unsigned> wrong{0};
  in_threads(8, [&](unsigned number) {
    const Handle space = number % 2 == 0 ? kHighBwSpace : kLargeCapSpace;
    const char* target = number % 2 == 0 ? "tier:fast" : "tier:slow";
    for (int i = 0; i < 300; ++i) {
      const Handle h = make({}, space)->handle;
      for (int k = 0; k < 20; ++k) {
        void* block = fast(h, 200);
        if (block == nullptr || alloc::target_of(block).key != target) wrong.fetch_add(1);
        if (block != nullptr) release_fast(block, h);
      }
      if (!destroy_allocator(h).ok()) wrong.fetch_add(1);
      if (fast(h, 200) != nullptr) wrong.fetch_add(1);
    }
  });
  EXPECT_EQ(wrong.load(), 0U);
}

}  // namespace
}  // namespace hms::omp
