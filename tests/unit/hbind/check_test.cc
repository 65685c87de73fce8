// hms_check(): what a process is told about itself, and what of its range map the kernel confirms.
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <thread>

#include "runtime/support/counters.h"
#include "tests/unit/hbind/fixture.h"

namespace hms::hbind::testing {
namespace {

class CheckTest : public ::testing::Test {
 protected:
  hms_check_result check(int pid = 0) {
    hms_check_result out = {};
    out.size = sizeof out;
    status_ = hms_check(pid, &out, text_, sizeof text_);
    return out;
  }
  hms_status bind(const Memory& memory, size_t first, size_t pages, hms_id target) {
    hms_op op = make_op(HMS_OP_BIND, memory.page(first), pages * os::kPageSize, {target});
    const std::vector<hms_id> list = {target};
    op.targets = list.data();
    return engine_.submit(topology_.snapshot.get(), {&op}).code();
  }
  void unbind(const Memory& memory) {
    hms_op op = make_op(HMS_OP_UNBIND, memory.page(0), memory.bytes(), {});
    EXPECT_TRUE(engine_.submit(nullptr, {&op}).ok());
  }

  // An engine of its own: that of the process may know ranges of other tests, long unmapped.
  Engine engine_;
  hms_topology topology_ = make_topology({node_target(0), logical_target("a", 100)});
  hms_id node_ = id_of(topology_, "node:0"), tier_ = id_of(topology_, "tier:a");
  hms_status status_ = HMS_OK;
  char text_[512] = {};
};

TEST_F(CheckTest, BoundRangesAreComparedWithTheKernel) {
  Memory memory(8);
  ASSERT_EQ(bind(memory, 0, 2, node_), HMS_OK);
  ASSERT_EQ(bind(memory, 4, 2, node_), HMS_OK);
  hms_check_result seen = check();
  EXPECT_EQ(status_, HMS_OK) << hms_last_error();
  EXPECT_EQ(seen.contradictions, 0u) << text_;
  EXPECT_EQ(seen.ranges, 2u);
  EXPECT_STREQ(text_, "");
  unbind(memory);
  EXPECT_EQ(check().ranges, 0u);
}

TEST_F(CheckTest, WhatTheKernelDeniesIsTold) {
  Memory memory(8);
  ASSERT_EQ(bind(memory, 0, 8, node_), HMS_OK);
  // As if it had been another node: this machine may have only one.
  stats()->ranges[0].nodes.store(2);
  hms_check_result seen = check();
  EXPECT_EQ(status_, HMS_OK);
  EXPECT_EQ(seen.contradictions, 1u);
  EXPECT_STREQ(text_, "range 0 asks for node 1, the kernel's policy there is for node 0\n");
  char little[12];
  EXPECT_EQ(hms_check(0, &seen, little, sizeof little), HMS_OK);
  EXPECT_STREQ(little, "range 0 ask");
  EXPECT_EQ(hms_check(0, &seen, nullptr, 0), HMS_OK);
  EXPECT_EQ(seen.contradictions, 1u);
  unbind(memory);
  EXPECT_EQ(check().contradictions, 0u) << text_;
}

TEST_F(CheckTest, MoreRangesThanThereIsRoomForAreCounted) {
  Memory memory(2 * kStatsRanges + 20);
  for (size_t i = 0; i < kStatsRanges + 10; ++i) {
    ASSERT_EQ(bind(memory, 2 * i, 1, node_), HMS_OK);
  }
  EXPECT_EQ(stats()->ranges_told.load(), kStatsRanges);
  EXPECT_EQ(stats()->ranges_untold.load(), 10u);
  EXPECT_EQ(check().ranges, kStatsRanges);
  unbind(memory);
  EXPECT_EQ(stats()->ranges_told.load() + stats()->ranges_untold.load(), 0u);
}

TEST_F(CheckTest, RangesThatChangeAllTheTimeAreNoContradiction) {
  Memory memory(8);
  std::atomic<bool> stop{false};
  std::thread binder([&] {
    for (size_t i = 0; !stop.load(); ++i) bind(memory, i % 8, 1, i / 3 % 2 == 0 ? node_ : tier_);
  });
  for (int i = 0; i < 5; ++i) EXPECT_EQ(check().contradictions, 0u) << text_;
  stop.store(true);
  binder.join();
  unbind(memory);
}

TEST_F(CheckTest, WrongArgumentsAndProcessesThatAreGone) {
  check(-1);
  EXPECT_EQ(status_, HMS_EINVAL);
  EXPECT_EQ(hms_check(0, nullptr, nullptr, 0), HMS_EINVAL);
  hms_check_result small = {};
  small.size = 8;
  EXPECT_EQ(hms_check(0, &small, nullptr, 0), HMS_EINVAL);
  check(4194304);  // above the largest number that Linux gives to a process
  EXPECT_EQ(status_, HMS_ENODEV);
  EXPECT_NE(std::string(hms_last_error()).find("4194304"), std::string::npos);
}

}  // namespace
}  // namespace hms::hbind::testing
