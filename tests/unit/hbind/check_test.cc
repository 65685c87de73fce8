// hms_check(): what a process is told about itself, and what of its range map the kernel confirms.
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <thread>

#include "fixture.h"
#include "runtime/support/counters.h"

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
  hms_status status_ = HMS_OK;
  char text_[512] = {};
};

TEST_F(CheckTest, BoundRangesAreComparedWithTheKernel) {
  hms_topology topology = make_topology({node_target(0)});
  hms_id node = id_of(topology, "node:0");
  Memory memory(8);
  ASSERT_EQ(hms_bind(&topology, memory.page(0), 2 * os::kPageSize, &node, 1, 0), HMS_OK);
  ASSERT_EQ(hms_bind(&topology, memory.page(4), 2 * os::kPageSize, &node, 1, 0), HMS_OK);
  hms_check_result seen = check();
  EXPECT_EQ(status_, HMS_OK) << hms_last_error();
  EXPECT_EQ(seen.contradictions, 0u) << text_;
  EXPECT_EQ(seen.ranges, 2u);
  EXPECT_STREQ(text_, "");
  ASSERT_EQ(hms_unbind(memory.page(0), memory.bytes()), HMS_OK);
  EXPECT_EQ(check().ranges, 0u);
}

TEST_F(CheckTest, WhatTheKernelDeniesIsTold) {
  hms_topology topology = make_topology({node_target(0)});
  hms_id node = id_of(topology, "node:0");
  Memory memory(8);
  ASSERT_EQ(hms_bind(&topology, memory.page(0), memory.bytes(), &node, 1, 0), HMS_OK);
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
  hms_unbind(memory.page(0), memory.bytes());
  EXPECT_EQ(check().contradictions, 0u) << text_;
}

TEST_F(CheckTest, MoreRangesThanThereIsRoomForAreCounted) {
  hms_topology topology = make_topology({node_target(0)});
  hms_id node = id_of(topology, "node:0");
  Memory memory(2 * kStatsRanges + 20);
  for (size_t i = 0; i < kStatsRanges + 10; ++i) {
    ASSERT_EQ(hms_bind(&topology, memory.page(2 * i), os::kPageSize, &node, 1, 0), HMS_OK);
  }
  EXPECT_EQ(stats()->ranges_told.load(), kStatsRanges);
  EXPECT_EQ(stats()->ranges_untold.load(), 10u);
  EXPECT_EQ(check().ranges, kStatsRanges);
  hms_unbind(memory.page(0), memory.bytes());
  EXPECT_EQ(stats()->ranges_told.load() + stats()->ranges_untold.load(), 0u);
}

TEST_F(CheckTest, RangesThatChangeAllTheTimeAreNoContradiction) {
  hms_topology topology = make_topology({node_target(0), logical_target("a", 100)});
  hms_id lists[2] = {id_of(topology, "node:0"), id_of(topology, "tier:a")};
  Memory memory(8);
  std::atomic<bool> stop{false};
  std::thread binder([&] {
    for (size_t i = 0; !stop.load(); ++i)
      hms_bind(&topology, memory.page(i % 8), os::kPageSize, &lists[i / 3 % 2], 1, 0);
  });
  for (int i = 0; i < 5; ++i) EXPECT_EQ(check().contradictions, 0u) << text_;
  stop.store(true);
  binder.join();
  hms_unbind(memory.page(0), memory.bytes());
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
