// What contradicts itself or the kernel is told; what does not, is not.
#include "runtime/support/consistency.h"

#include <gtest/gtest.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <functional>
#include <memory>

#include "runtime/support/os.h"

namespace hms {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;

class ConsistencyTest : public ::testing::Test {
 protected:
  // Two targets, a window of each, in order.
  ConsistencyTest() {
    page_->magic = kStatsMagic;
    page_->version = kStatsVersion;
    page_->bytes = sizeof(StatsPage);
    page_->pid = getpid();
    page_->state.store(1);
    for (uint32_t i = 0; i < 2; ++i) {
      TargetCounters& t = page_->targets[i];
      strcpy(t.key, i == 0 ? "default" : "node:0");
      t.node = static_cast<int>(i) - 1;
      t.quota.store(UINT64_MAX);
      t.allocated.store(3 * kMiB);
      t.freed.store(kMiB);
      t.charged.store(2 * kMiB);
      t.charged_peak.store(4 * kMiB);
      t.used.store(1);
      WindowRecord& w = page_->windows[i];
      w.base.store((uint64_t{1} << 40) + i * 64 * kMiB);
      w.bytes.store(64 * kMiB);
      w.frontier.store(2 * kMiB);
      w.target.store(i);
      RangeRecord& r = page_->ranges[i];
      r.base.store((uint64_t{1} << 41) + i * kMiB);
      r.bytes.store(kMiB);
      r.nodes.store(1);
    }
    page_->ranges_told.store(2);
  }

  Contradictions check() const { return check_page(page_.get(), sizeof(StatsPage)); }

  std::unique_ptr<StatsPage> page_ = std::make_unique<StatsPage>();
};

TEST_F(ConsistencyTest, APageInOrderHasNoContradictions) {
  EXPECT_EQ(check(), Contradictions());
  EXPECT_EQ(check_page(std::make_unique<char[]>(8).get(), 8).size(), 1u);
  page_->version = 7;
  EXPECT_EQ(check().size(), 1u);
}

TEST_F(ConsistencyTest, EachContradictionIsTold) {
  const struct {
    const char* words;
    std::function<void(StatsPage*)> damage;
  } kCases[] = {
      {"names no process", [](StatsPage* p) { p->pid = 0; }},
      {"neither running nor exited", [](StatsPage* p) { p->state.store(9); }},
      {"neither used nor free", [](StatsPage* p) { p->targets[5].used.store(2); }},
      {"follows a free one", [](StatsPage* p) { p->targets[3].used.store(1); }},
      {"no proper key", [](StatsPage* p) { p->targets[1].key[0] = '\n'; }},
      {"no proper key", [](StatsPage* p) { memset(p->targets[1].key, 'x', 48); }},
      {"the same key", [](StatsPage* p) { strcpy(p->targets[1].key, "default"); }},
      {"a node that cannot be", [](StatsPage* p) { p->targets[1].node = 1 << 20; }},
      {"neither emulated nor real", [](StatsPage* p) { p->targets[1].emulated = 3; }},
      {"impossible number committed",
       [](StatsPage* p) { p->targets[0].charged.store(UINT64_MAX); }},
      {"more freed than", [](StatsPage* p) { p->targets[0].freed.store(4 * kMiB); }},
      {"more allocated than", [](StatsPage* p) { p->targets[0].freed.store(0); }},
      {"more committed than", [](StatsPage* p) { p->targets[0].charged_peak.store(kMiB); }},
      {"lies nowhere", [](StatsPage* p) { p->windows[0].base.fetch_add(1); }},
      {"lies nowhere", [](StatsPage* p) { p->windows[0].bytes.store(UINT64_MAX); }},
      {"more in use than it has", [](StatsPage* p) { p->windows[0].frontier.store(65 * kMiB); }},
      {"belongs to no target", [](StatsPage* p) { p->windows[1].target.store(1000); }},
      {"stripes of parts", [](StatsPage* p) { p->windows[1].stripe.store(100); }},
      {"alternates with target 9", [](StatsPage* p) { p->windows[1].stripe_targets.store(512); }},
      {"overlap", [](StatsPage* p) { p->windows[1].base.fetch_sub(32 * kMiB); }},
      {"more ranges told", [](StatsPage* p) { p->ranges_told.store(kStatsRanges + 1); }},
      {"range 0 lies nowhere", [](StatsPage* p) { p->ranges[0].base.fetch_add(8); }},
      {"range 1 lies nowhere", [](StatsPage* p) { p->ranges[1].bytes.store(0); }},
      {"range 0 lies nowhere", [](StatsPage* p) { p->ranges[0].bytes.store(UINT64_MAX); }},
      {"range 1 asks for no node", [](StatsPage* p) { p->ranges[1].nodes.store(0); }},
      {"ranges overlap", [](StatsPage* p) { p->ranges[0].bytes.store(2 * kMiB); }},
  };
  for (const auto& c : kCases) {
    auto damaged = std::make_unique<StatsPage>();
    memcpy(static_cast<void*>(damaged.get()), page_.get(), sizeof(StatsPage));
    c.damage(damaged.get());
    Contradictions found = check_page(damaged.get(), sizeof(StatsPage));
    bool told = false;
    for (const std::string& what : found) told = told || what.find(c.words) != std::string::npos;
    EXPECT_TRUE(told) << c.words;
  }
}

TEST_F(ConsistencyTest, ARangeMapThatIsBeingWrittenIsNotJudged) {
  page_->ranges_told.store(kStatsRanges + 1);
  page_->range_changes.store(3);
  EXPECT_EQ(check(), Contradictions());
}

TEST_F(ConsistencyTest, WhatIsAboveItsQuotaMustNotGrow) {
  auto after = std::make_unique<StatsPage>();
  memcpy(static_cast<void*>(after.get()), page_.get(), sizeof(StatsPage));
  const auto settled = [&] {
    KernelCheck check;
    settle(*page_, *after, &check);
    return check.contradictions;
  };
  page_->targets[1].quota.store(kMiB);
  after->targets[1].quota.store(kMiB);
  EXPECT_EQ(settled(), Contradictions()) << "a quota may be lowered below what is in use";
  after->targets[1].charged.fetch_add(os::kPageSize);
  EXPECT_EQ(settled(), Contradictions{"target 1: grows beyond its quota"});
  page_->targets[1].quota.store(UINT64_MAX);
  EXPECT_EQ(settled(), Contradictions()) << "the quota is new";
}

TEST_F(ConsistencyTest, OnlyWhatLastsIsMeant) {
  EXPECT_EQ(lasting({"a", "b", "c"}, {"c", "a", "d"}), (Contradictions{"a", "c"}));
}

// Windows of this process itself, over mappings that the test makes.
class KernelConsistencyTest : public ConsistencyTest {
 protected:
  KernelConsistencyTest() {
    memory_ = static_cast<char*>(mmap(nullptr, kBytes, PROT_READ | PROT_WRITE,
                                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    madvise(memory_, kBytes, MADV_NOHUGEPAGE);
    page_->windows[1].base.store(0);
    page_->windows[0].base.store(reinterpret_cast<uintptr_t>(memory_));
    page_->windows[0].bytes.store(kBytes);
    page_->windows[0].frontier.store(kBytes);
  }
  ~KernelConsistencyTest() override { munmap(memory_, kBytes); }

  Contradictions against_kernel(uint64_t* resident = nullptr) {
    Result<KernelCheck> check = check_kernel(getpid(), *page_, 10);
    if (!check.ok()) return {check.status().message()};
    check.value().huge = 0;  // the test's own runtime may have some
    settle(*page_, *page_, &check.value());
    ranges_ = check.value().ranges;
    if (resident != nullptr) *resident = check.value().resident_pages;
    return check.value().contradictions;
  }

  static constexpr size_t kBytes = 16 * kMiB;
  char* memory_;
  size_t ranges_ = 0;
};

// Parts of the window as ranges; the kernel has a policy for some of them.
TEST_F(KernelConsistencyTest, RangesAgainstPolicies) {
  const uint64_t base = reinterpret_cast<uintptr_t>(memory_);
  page_->ranges[0].base.store(base);
  page_->ranges[1].base.store(base + 2 * kMiB);
  EXPECT_EQ(against_kernel(), Contradictions()) << "no policy: mapped anew, as far as one can tell";
  EXPECT_EQ(ranges_, 0u);
  os::NodeMask node_0;
  node_0.set(0);
  int r = os::set_range_policy(memory_, 4 * kMiB, os::Policy::kPreferred, node_0);
  if (r < 0) GTEST_SKIP() << "mbind: " << strerror(-r);
  EXPECT_EQ(against_kernel(), Contradictions());
  EXPECT_EQ(ranges_, 2u);
  page_->ranges[1].nodes.store(6);
  EXPECT_EQ(against_kernel(),
            Contradictions{"range 1 asks for node 1,2, the kernel's policy there is for node 0"});
  page_->ranges[1].nodes.store(5);
  EXPECT_EQ(against_kernel(), Contradictions()) << "one of those that it asks for";
}

TEST_F(KernelConsistencyTest, ARangeMapThatChangedMeanwhileIsNotJudged) {
  page_->ranges[0].base.store(reinterpret_cast<uintptr_t>(memory_));
  page_->ranges_told.store(1);
  os::NodeMask node_0;
  node_0.set(0);
  int r = os::set_range_policy(memory_, kMiB, os::Policy::kPreferred, node_0);
  if (r < 0) GTEST_SKIP() << "mbind: " << strerror(-r);
  page_->ranges[0].nodes.store(2);
  KernelCheck check;
  check_ranges(getpid(), *page_, &check);
  ASSERT_EQ(check.unsettled.size(), 1u);
  auto after = std::make_unique<StatsPage>();
  memcpy(static_cast<void*>(after.get()), page_.get(), sizeof(StatsPage));
  after->range_changes.store(2);
  settle(*page_, *after, &check);
  EXPECT_EQ(check.contradictions, Contradictions());
  after->range_changes.store(0);
  settle(*page_, *after, &check);
  EXPECT_EQ(check.contradictions.size(), 1u);
}

TEST_F(KernelConsistencyTest, PagesWithinWhatIsCommitted) {
  memset(memory_, 1, kMiB);
  uint64_t resident = 0;
  EXPECT_EQ(against_kernel(&resident), Contradictions());
  EXPECT_EQ(resident, kMiB / os::kPageSize);
}

TEST_F(KernelConsistencyTest, PagesThatNobodyCommitted) {
  memset(memory_, 1, 8 * kMiB);
  Contradictions found = against_kernel();
  ASSERT_FALSE(found.empty());
  EXPECT_EQ(found[0], "target 0: more resident than is committed");
}

TEST_F(KernelConsistencyTest, HolesAndForeignMappings) {
  munmap(memory_ + kMiB, kMiB);
  EXPECT_EQ(against_kernel(), Contradictions{"window 0 in use: not all of it is mapped"});
  mmap(memory_ + kMiB, kMiB, PROT_READ, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  EXPECT_EQ(against_kernel(), Contradictions{"window 0 in use: not private memory"});
  mmap(memory_ + kMiB, kMiB, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  EXPECT_EQ(against_kernel(), Contradictions{"window 0 in use: it can be executed"});
}

TEST_F(KernelConsistencyTest, AProcessThatIsGone) {
  Result<KernelCheck> check = check_kernel(0x7ffffff0, *page_, 10);
  EXPECT_EQ(check.status().code(), HMS_ENODEV);
}

}  // namespace
}  // namespace hms
