// What every placement must do, whatever it is made of: the malloc contract at the allocator's own
// interface.
#include <string.h>

#include <algorithm>
#include <set>

#include "allocator/size_classes.h"
#include "tests/unit/allocator/allocator_test_support.h"

namespace hms::alloc::test {
namespace {

struct Case {
  const char* name;
  Placement placement;
};

hms::Leg kernel_chosen(const char* key) {
  hms::Leg leg;
  leg.target.key = key;
  return leg;
}

std::vector<Case> cases() {
  return {
      {"default", make({kernel_chosen("default")})},
      {"local", make({kernel_chosen("local")})},
      {"ordered", make({emulated("c:fast", 4 * kMiB), emulated("c:slow", 4096 * kMiB)})},
      {"interleaved", make({emulated("c:a", 2048 * kMiB, 3), emulated("c:b", 2048 * kMiB, 1)},
                           Spread::kInterleave)},
      {"ratio",
       make({emulated("c:a", 2048 * kMiB, 3), emulated("c:b", 2048 * kMiB, 1)}, Spread::kRatio)},
      {"strict", make({emulated("c:strict", 4096 * kMiB)}, Spread::kOrdered, true)},
  };
}

class Conformance : public testing::TestWithParam<size_t> {
 protected:
  void SetUp() override { id = registered(cases()[GetParam()].placement); }
  PlacementId id = kDefaultPlacement;
};

INSTANTIATE_TEST_SUITE_P(Placements, Conformance, testing::Range<size_t>(0, 6),
                         [](const auto& info) { return cases()[info.param].name; });

TEST_P(Conformance, SizesAreMetAndReported) {
  for (size_t size = 0; size < 8 * kMiB; size += size / 7 + 1) {
    void* block = allocate(size, id);
    ASSERT_NE(block, nullptr) << size;
    EXPECT_TRUE(owns(block));
    EXPECT_GE(usable_size(block), size);
    EXPECT_EQ(usable_size(block), good_size(size, 1));
    EXPECT_EQ(reinterpret_cast<uintptr_t>(block) % 16, 0U);
    EXPECT_EQ(placement_of(block), id);
    memset(block, 0xab, usable_size(block));
    deallocate(block);
  }
}

TEST_P(Conformance, ZeroSizeGivesDistinctBlocks) {
  Blocks blocks;
  std::set<void*> seen;
  for (int i = 0; i < 100; ++i) seen.insert(blocks.add(allocate(0, id)));
  EXPECT_EQ(seen.size(), 100U);
  EXPECT_EQ(seen.count(nullptr), 0U);
}

TEST_P(Conformance, AlignmentsUpToOneGibibyte) {
  for (size_t alignment = 1; alignment <= kMaxAlignment; alignment *= 2) {
    for (size_t size : {size_t{1}, size_t{100}, size_t{5000}, size_t{40000}, 3 * kMiB}) {
      void* block = allocate_aligned(alignment, size, id);
      ASSERT_NE(block, nullptr) << alignment << " " << size;
      EXPECT_EQ(reinterpret_cast<uintptr_t>(block) % alignment, 0U) << size;
      EXPECT_GE(usable_size(block), size);
      EXPECT_EQ(usable_size(block), good_size(size, alignment)) << alignment << " " << size;
      memset(block, 0xcd, size);
      deallocate(block);
    }
  }
  EXPECT_EQ(allocate_aligned(2 * kMaxAlignment, 1, id), nullptr);
}

TEST_P(Conformance, ZeroedMemoryIsZeroAfterDirtyMemory) {
  for (size_t size : {size_t{100}, size_t{4096}, 20 * kKiB, kMiB, 5 * kMiB}) {
    {
      Blocks dirty;
      for (int i = 0; i < 8; ++i) {
        void* block = dirty.add(allocate(size, id));
        ASSERT_NE(block, nullptr);
        memset(block, 0xab, size);
      }
    }
    Blocks clean;
    for (int i = 0; i < 8; ++i) {
      auto* block = static_cast<unsigned char*>(clean.add(allocate_zeroed(size, id)));
      ASSERT_NE(block, nullptr);
      EXPECT_TRUE(std::all_of(block, block + size, [](unsigned char c) { return c == 0; })) << size;
    }
  }
}

TEST_P(Conformance, ImpossibleSizesAreRefused) {
  for (size_t size : {SIZE_MAX, SIZE_MAX - 4096, SIZE_MAX / 2, (size_t{1} << 46) + 1}) {
    EXPECT_EQ(allocate(size, id), nullptr);
    EXPECT_EQ(allocate_zeroed(size, id), nullptr);
    EXPECT_EQ(allocate_aligned(4096, size, id), nullptr);
    EXPECT_EQ(allocate_aligned(kMaxAlignment, size, id), nullptr);
  }
}

TEST_P(Conformance, ReallocateKeepsContent) {
  size_t size = 10;
  auto* block = static_cast<unsigned char*>(allocate(size, id));
  ASSERT_NE(block, nullptr);
  for (size_t i = 0; i < size; ++i) block[i] = static_cast<unsigned char>(i * 7);
  for (size_t next : {size_t{11}, size_t{500}, 40 * kKiB, 3 * kMiB, 9 * kMiB, kMiB, 17 * kKiB,
                      size_t{600}, size_t{1}}) {
    block = static_cast<unsigned char*>(reallocate(block, next, id));
    ASSERT_NE(block, nullptr);
    EXPECT_GE(usable_size(block), next);
    for (size_t i = 0; i < std::min(size, next); ++i) {
      ASSERT_EQ(block[i], static_cast<unsigned char>(i * 7)) << i << " of " << next;
    }
    size = next;
    for (size_t i = 0; i < size; ++i) block[i] = static_cast<unsigned char>(i * 7);
  }
  deallocate(block);
}

TEST_P(Conformance, LargeBlocksResizeInPlace) {
  void* block = allocate(4 * kMiB, id);
  ASSERT_NE(block, nullptr);
  EXPECT_EQ(resize_in_place(block, kMiB, 0, 1), kMiB);
  EXPECT_EQ(usable_size(block), kMiB);
  // Growing depends on what lies behind; whatever happens, the report is true.
  size_t grown = resize_in_place(block, 2 * kMiB, 0, 1);
  EXPECT_TRUE(grown == 2 * kMiB || grown == kMiB);
  EXPECT_EQ(usable_size(block), grown);
  memset(block, 1, grown);
  deallocate(block);
  void* small = allocate(64, id);
  EXPECT_EQ(resize_in_place(small, 4096, 0, 1), 64U);
  deallocate(small);
}

TEST_P(Conformance, BlocksOfOnePlacementNeverServeAnother) {
  PlacementId other =
      registered(make({emulated("c:other", 2048 * kMiB)}, Spread::kOrdered, GetParam() % 2 == 0));
  for (size_t size : {size_t{64}, size_t{4096}, 16 * kKiB, 100 * kKiB}) {
    std::set<void*> first;
    for (int i = 0; i < 64; ++i) first.insert(allocate(size, id));
    for (void* block : first) deallocate(block);
    Blocks blocks;
    for (int i = 0; i < 64; ++i) {
      void* block = blocks.add(allocate(size, other));
      ASSERT_NE(block, nullptr);
      EXPECT_EQ(first.count(block), 0U);
      EXPECT_EQ(key_of(block), "c:other");
    }
  }
}

TEST(SizeClasses, CoverEverySizeTightly) {
  for (size_t size = 1; size <= 300 * kKiB; ++size) {
    unsigned size_class = class_of(size);
    ASSERT_GE(class_size(size_class), size);
    if (size_class > 0) {
      ASSERT_LT(class_size(size_class - 1), size);
    }
    if (size <= kMaxCachedSize) {
      ASSERT_EQ(cached_class(size), size_class);
    }
  }
}

TEST(SizeClasses, GoodSizeIsWhatComes) {
  EXPECT_EQ(good_size(0, 1), 16U);
  EXPECT_EQ(good_size(SIZE_MAX, 1), 0U);
  EXPECT_EQ(good_size(100, 64), 128U);
  EXPECT_EQ(good_size(4096, 4096), 4096U);
}

}  // namespace
}  // namespace hms::alloc::test
