// Where blocks land: order, ratio, stripes, strictness, and moving between placements.
#include <string.h>

#include <map>

#include "allocator/stripes.h"
#include "tests/unit/allocator/allocator_test_support.h"

namespace hms::alloc::test {
namespace {

TEST(Placements, EqualOnesShareAnId) {
  Placement a = make({emulated("p:x", kMiB), emulated("p:y", kMiB)});
  Placement b = a;
  b.spec = "written otherwise";
  EXPECT_EQ(registered(a), registered(b));
  b.strict = true;
  EXPECT_NE(registered(a), registered(b));
  EXPECT_EQ(registered(*placement_info(kDefaultPlacement)), kDefaultPlacement);
  EXPECT_EQ(placement_info(registered(a))->legs[1].target.key, "p:y");
}

TEST(Placements, EmptyAndOverlongListsAreRefused) {
  EXPECT_EQ(register_placement(make({})).status().code(), HMS_EINVAL);
  std::vector<hms::Leg> many(17, emulated("p:x", kMiB));
  EXPECT_EQ(register_placement(make(many)).status().code(), HMS_EINVAL);
}

TEST(Placements, UnknownNodeIsAnErrorOnlyWhenStrict) {
  hms::Leg leg;
  leg.target = {"node:1000", 1000, false, UINT64_MAX};
  Result<PlacementId> strict = register_placement(make({leg}, Spread::kOrdered, true));
  ASSERT_FALSE(strict.ok());
  EXPECT_EQ(strict.status().code(), HMS_ENODEV);
  EXPECT_NE(strict.status().message().find("node:1000"), std::string::npos);
  PlacementId id = registered(make({leg}));
  void* block = allocate(100, id);
  ASSERT_NE(block, nullptr);
  EXPECT_EQ(key_of(block), "default");
  deallocate(block);
}

TEST(Placements, OrderedListFillsTheFirstThenTheNextThenAnything) {
  PlacementId id =
      registered(make({emulated("o:first", 8 * kMiB), emulated("o:second", 16 * kMiB)}));
  Blocks blocks;
  std::map<std::string, size_t> bytes;
  std::string last;
  std::vector<std::string> order;
  for (size_t i = 0; i < 40 * kMiB / 4096; ++i) {
    void* block = blocks.add(allocate(4096, id));
    ASSERT_NE(block, nullptr);
    memset(block, 1, 4096);
    std::string key = key_of(block);
    bytes[key] += 4096;
    if (key != last) order.push_back(key);
    last = key;
  }
  EXPECT_EQ(bytes["o:first"], 8 * kMiB);
  EXPECT_EQ(bytes["o:second"], 16 * kMiB);
  EXPECT_EQ(bytes["default"], 16 * kMiB);
  EXPECT_EQ(order, (std::vector<std::string>{"o:first", "o:second", "default"}));
  EXPECT_EQ(counters("o:first")->charged.load(), 8 * kMiB);
  EXPECT_GE(counters("o:first")->spilled.load(), 32 * kMiB);
  EXPECT_GT(counters("o:first")->refused_full.load(), 0U);
  // What is given back is used again, first target first.
  blocks.release();
  trim();
  EXPECT_EQ(counters("o:first")->charged.load(), 0U);
  EXPECT_EQ(key_of(blocks.add(allocate(4096, id))), "o:first");
}

TEST(Placements, StrictReturnsNullWhenTheListIsFull) {
  PlacementId id = registered(
      make({emulated("s:a", 4 * kMiB), emulated("s:b", 4 * kMiB)}, Spread::kOrdered, true));
  Blocks blocks;
  while (blocks.add(allocate(4096, id)) != nullptr) {
  }
  EXPECT_EQ(blocks.all().size(), 8 * kMiB / 4096);
  EXPECT_EQ(allocate(kMiB, id), nullptr);
  EXPECT_EQ(allocate_zeroed(kMiB, id), nullptr);
  EXPECT_EQ(allocate_aligned(2 * kMiB, 2 * kMiB, id), nullptr);
  blocks.release();
  trim();
  EXPECT_NE(blocks.add(allocate(kMiB, id)), nullptr);
}

// A10: two requests far above the limit; neither hangs, neither eats address space for good.
TEST(Placements, RequestsAboveTheCapacityFailEveryTime) {
  PlacementId id = registered(make({emulated("big", 8 * kMiB)}, Spread::kOrdered, true));
  for (int i = 0; i < 20000; ++i) ASSERT_EQ(allocate(64 * kMiB, id), nullptr);
  EXPECT_EQ(counters("big")->charged.load(), 0U);
  void* block = allocate(4 * kMiB, id);
  ASSERT_NE(block, nullptr);
  const StatsPage* page = stats();
  for (uint32_t i = 0; i < kStatsWindows; ++i) {
    uintptr_t base = page->windows[i].base.load();
    auto address = reinterpret_cast<uintptr_t>(block);
    if (base == 0 || address - base >= page->windows[i].bytes.load()) continue;
    EXPECT_LT(page->windows[i].frontier.load(), 512 * kMiB);
  }
  deallocate(block);
}

// A15.
TEST(Placements, ReallocateToAFullPlacementKeepsTheBlock) {
  PlacementId full = registered(make({emulated("r:full", kMiB)}, Spread::kOrdered, true));
  PlacementId roomy = registered(make({emulated("r:roomy", 64 * kMiB)}));
  auto* block = static_cast<char*>(allocate(2 * kMiB, roomy));
  ASSERT_NE(block, nullptr);
  memset(block, 0x5a, 2 * kMiB);
  EXPECT_EQ(reallocate(block, 3 * kMiB, full), nullptr);
  EXPECT_EQ(placement_of(block), roomy);
  EXPECT_EQ(block[2 * kMiB - 1], 0x5a);
  auto* moved = static_cast<char*>(reallocate(block, 100, full));
  ASSERT_NE(moved, nullptr);
  EXPECT_EQ(key_of(moved), "r:full");
  EXPECT_EQ(moved[99], 0x5a);
  deallocate(moved);
}

TEST(Placements, RatioFollowsTheWeights) {
  PlacementId id = registered(
      make({emulated("w:a", 4096 * kMiB, 4), emulated("w:b", 4096 * kMiB, 1)}, Spread::kRatio));
  Blocks blocks;
  std::map<std::string, double> bytes;
  for (int i = 0; i < 20000; ++i) {
    size_t size = 16 + static_cast<size_t>(i) * 37 % 8192;
    void* block = blocks.add(allocate(size, id));
    bytes[key_of(block)] += static_cast<double>(usable_size(block));
  }
  for (int i = 0; i < 100; ++i) {
    void* block = blocks.add(allocate(300 * kKiB, id));
    bytes[key_of(block)] += static_cast<double>(usable_size(block));
  }
  EXPECT_NEAR(bytes["w:a"] / (bytes["w:a"] + bytes["w:b"]), 0.8, 0.02);
}

TEST(Placements, RatioGoesOnWhenOneTargetIsFull) {
  PlacementId id = registered(
      make({emulated("wf:a", kMiB, 1), emulated("wf:b", 64 * kMiB, 1)}, Spread::kRatio, true));
  Blocks blocks;
  std::map<std::string, size_t> bytes;
  for (int i = 0; i < 8 * 256; ++i) {
    void* block = blocks.add(allocate(4096, id));
    ASSERT_NE(block, nullptr);
    bytes[key_of(block)] += 4096;
  }
  EXPECT_EQ(bytes["wf:a"], kMiB);
  EXPECT_EQ(bytes["wf:b"], 7 * kMiB);
}

TEST(Placements, InterleaveChargesInProportion) {
  PlacementId id = registered(make(
      {emulated("i:a", 4096 * kMiB, 3), emulated("i:b", 4096 * kMiB, 1)}, Spread::kInterleave));
  Blocks blocks;
  for (int i = 0; i < 64; ++i) {
    void* block = blocks.add(allocate(4 * kMiB, id));
    ASSERT_NE(block, nullptr);
  }
  auto a = static_cast<double>(counters("i:a")->charged.load());
  auto b = static_cast<double>(counters("i:b")->charged.load());
  EXPECT_EQ(a + b, 256.0 * kMiB);
  EXPECT_NEAR(a / (a + b), 0.75, 0.05);
  blocks.release();
  trim();
  EXPECT_EQ(counters("i:a")->charged.load(), 0U);
  EXPECT_EQ(counters("i:b")->charged.load(), 0U);
}

TEST(Placements, InterleaveIsRefusedAsAWhole) {
  PlacementId id = registered(
      make({emulated("iw:a", 4096 * kMiB), emulated("iw:b", 3 * kMiB)}, Spread::kInterleave, true));
  EXPECT_EQ(allocate(64 * kMiB, id), nullptr);
  EXPECT_EQ(counters("iw:a")->charged.load(), 0U);
  EXPECT_EQ(counters("iw:b")->charged.load(), 0U);
}

TEST(Stripes, RunsCoverTheWindowWithoutGapsAndGrow) {
  Stripes stripes;
  stripes.targets = 2;
  for (unsigned t : {0U, 0U, 0U, 1U}) stripes.turn[stripes.cycle++] = static_cast<uint8_t>(t);
  size_t end = size_t{64} << 30;
  size_t at = 0;
  size_t pieces = 0;
  uint64_t direct[kMaxStripeTargets] = {};
  while (at < end) {
    Stripe stripe = stripe_at(stripes, at, 0);
    ASSERT_EQ(stripe.start, at);
    ASSERT_GT(stripe.end, at);
    ASSERT_EQ(stripe_at(stripes, stripe.end - 1, 0).target, stripe.target);
    direct[stripe.target] += stripe.end - stripe.start;
    at = stripe.end;
    ++pieces;
  }
  EXPECT_EQ(at, end);
  EXPECT_LT(pieces, 4000U);
  uint64_t counted[kMaxStripeTargets] = {};
  count_stripes(stripes, 0, end, 0, counted);
  EXPECT_EQ(counted[0], direct[0]);
  EXPECT_EQ(counted[1], direct[1]);
}

TEST(Stripes, PagesAreCountedAsTheKernelDealsThem) {
  Stripes stripes;
  stripes.pages = true;
  stripes.targets = 3;
  for (size_t from : {size_t{0}, size_t{4096}, size_t{40960}}) {
    for (size_t pages : {size_t{1}, size_t{2}, size_t{3}, size_t{17}}) {
      uint64_t counted[kMaxStripeTargets] = {};
      count_stripes(stripes, from, from + pages * 4096, 7, counted);
      uint64_t expected[3] = {};
      for (size_t p = 0; p < pages; ++p) {
        expected[stripe_at(stripes, from + p * 4096, 7).target] += 4096;
      }
      for (int t = 0; t < 3; ++t) EXPECT_EQ(counted[t], expected[t]);
    }
  }
}

}  // namespace
}  // namespace hms::alloc::test
