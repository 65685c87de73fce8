// Real nodes, judged by the kernel (move_pages). Needs a machine, or a guest, with several.
#include <string.h>

#include <algorithm>

#include "allocator/setup.h"
#include "runtime/support/os.h"
#include "tests/unit/allocator/allocator_test_support.h"

namespace hms::alloc::test {
namespace {

hms::Leg node_leg(int node, uint32_t weight = 1) {
  hms::Leg leg;
  leg.target = {"node:" + std::to_string(node), node, false, UINT64_MAX};
  leg.weight = weight;
  return leg;
}

class Nodes : public testing::Test {
 protected:
  void SetUp() override {
    os::NodeMask allowed;
    if (os::allowed_nodes(&allowed) != 0) GTEST_SKIP() << "the kernel does not tell the nodes";
    for (int node = 0; node < os::kMaxNodes; ++node) {
      if (allowed.test(node)) nodes_.push_back(node);
    }
    if (nodes_.size() < 2) GTEST_SKIP() << "this machine has one memory node";
    // The smallest first: it is the one to fill.
    std::sort(nodes_.begin(), nodes_.end(),
              [](int a, int b) { return os::node_free_bytes(a) < os::node_free_bytes(b); });
  }

  // Freed memory of one test would count in the next. Transparent huge pages may leave parts of the
  // windows resident that were never allocated: those are what `before_` takes off.
  void TearDown() override { trim(); }

  void look_before() {
    audit_residency();
    for (int node : nodes_) before_.push_back(counters(key(node))->audit_resident.load());
  }

  // Bytes that came to nodes_[i] since look_before(), by the last audit.
  double grown(size_t i) const {
    return static_cast<double>(counters(key(nodes_[i]))->audit_resident.load() - before_[i]);
  }

  // Allocates blocks of `size` until `bytes` are there or none comes; touches each page.
  static size_t fill(Blocks* blocks, PlacementId id, size_t size, size_t bytes) {
    size_t done = 0;
    while (done < bytes) {
      void* block = blocks->add(allocate(size, id));
      if (block == nullptr) break;
      memset(block, 1, size);
      done += size;
    }
    return done;
  }

  static uint64_t misplaced_pages() {
    uint64_t sum = 0;
    for (const TargetCounters& t : stats()->targets) sum += t.audit_misplaced.load();
    return sum;
  }

  static std::string key(int node) { return "node:" + std::to_string(node); }

  std::vector<int> nodes_;
  std::vector<uint64_t> before_;
};

TEST_F(Nodes, EachGetsItsPages) {
  for (int node : nodes_) {
    PlacementId id = registered(make({node_leg(node)}));
    Blocks blocks;
    fill(&blocks, id, 3000, 4 * kMiB);
    fill(&blocks, id, kMiB, 16 * kMiB);
    audit_residency();
    EXPECT_EQ(misplaced_pages(), 0U) << node;
    EXPECT_GE(counters(key(node))->audit_resident.load(), 20 * kMiB);
  }
}

TEST_F(Nodes, OrderedListSpillsWhenTheNodeIsFullAndNothingIsMisplaced) {
  int small = nodes_[0];
  int large = nodes_[nodes_.size() - 1];
  PlacementId id = registered(make({node_leg(small), node_leg(large)}));
  auto room = static_cast<size_t>(os::node_free_bytes(small));
  Blocks blocks;
  fill(&blocks, id, 256 * kKiB, room + 64 * kMiB);
  audit_residency();
  EXPECT_EQ(misplaced_pages(), 0U);
  EXPECT_GT(counters(key(small))->audit_resident.load(), room * 8 / 10);
  EXPECT_GT(counters(key(large))->audit_resident.load(), 64 * kMiB);
  EXPECT_GT(counters(key(small))->spilled.load(), 0U);
  blocks.release();
  trim();
  // Room that came back is used again.
  EXPECT_EQ(key_of(blocks.add(allocate(kMiB, id))), key(small));
}

TEST_F(Nodes, StrictFillsTheNodeToTheBrimAndIsNotKilled) {
  int small = nodes_[0];
  PlacementId id = registered(make({node_leg(small)}, Spread::kOrdered, true));
  auto room = static_cast<size_t>(os::node_free_bytes(small));
  Blocks blocks;
  size_t got = fill(&blocks, id, kMiB, room + 256 * kMiB);
  EXPECT_LT(got, room);
  EXPECT_GT(got, room * 8 / 10);
  EXPECT_EQ(allocate(8 * kMiB, id), nullptr);
  audit_residency();
  EXPECT_EQ(misplaced_pages(), 0U);
}

TEST_F(Nodes, InterleaveWithEqualWeightsIsTheKernels) {
  PlacementId id =
      registered(make({node_leg(nodes_[0]), node_leg(nodes_[1])}, Spread::kInterleave));
  Blocks blocks;
  look_before();
  fill(&blocks, id, 2 * kMiB, 64 * kMiB);
  audit_residency();
  EXPECT_EQ(misplaced_pages(), 0U);
  EXPECT_NEAR(grown(0), 32.0 * kMiB, 3.0 * kMiB);
  EXPECT_NEAR(grown(1), 32.0 * kMiB, 3.0 * kMiB);
}

TEST_F(Nodes, InterleaveWithWeightsFollowsThem) {
  for (bool strict : {false, true}) {
    PlacementId id = registered(
        make({node_leg(nodes_[0], 1), node_leg(nodes_[1], 3)}, Spread::kInterleave, strict));
    Blocks blocks;
    before_.clear();
    look_before();
    fill(&blocks, id, kMiB, 96 * kMiB);
    audit_residency();
    EXPECT_EQ(misplaced_pages(), 0U);
    EXPECT_NEAR(grown(1) / (grown(0) + grown(1)), 0.75, 0.06);
    blocks.release();
    trim();
  }
}

TEST_F(Nodes, RatioIsInPagesToo) {
  PlacementId id =
      registered(make({node_leg(nodes_[0], 1), node_leg(nodes_[1], 4)}, Spread::kRatio));
  Blocks blocks;
  look_before();
  fill(&blocks, id, 10000, 128 * kMiB);
  audit_residency();
  EXPECT_EQ(misplaced_pages(), 0U);
  EXPECT_NEAR(grown(1) / (grown(0) + grown(1)), 0.8, 0.04);
}

}  // namespace
}  // namespace hms::alloc::test
