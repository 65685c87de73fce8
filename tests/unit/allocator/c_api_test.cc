// The allocation half of hms.h, as a C program sees it.
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include <string>

#include "hms/hms.h"
#include "tests/unit/allocator/allocator_test_support.h"

namespace hms::alloc::test {
namespace {

class CApi : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(hms_topology_load("tiers:near=32M,far=1G", &topology), HMS_OK) << hms_last_error();
    ASSERT_EQ(hms_placement_get(topology, "near>far", &near), HMS_OK) << hms_last_error();
    ASSERT_EQ(hms_placement_get(topology, "near!", &near_only), HMS_OK) << hms_last_error();
    ASSERT_EQ(hms_placement_get(topology, "far", &far), HMS_OK) << hms_last_error();
  }
  void TearDown() override { hms_topology_free(topology); }

  hms_topology* topology = nullptr;
  const hms_placement* near = nullptr;
  const hms_placement* near_only = nullptr;
  const hms_placement* far = nullptr;
};

TEST_F(CApi, BlocksKnowTheirTarget) {
  void* block = hms_malloc(100, near);
  ASSERT_NE(block, nullptr);
  EXPECT_STREQ(hms_target_of(block), "tier:near");
  EXPECT_GE(hms_usable_size(block), 100U);
  hms_free(block);
  void* plain = hms_malloc(100, nullptr);
  EXPECT_STREQ(hms_target_of(plain), "default");
  hms_free(plain);
  int local = 0;
  EXPECT_EQ(hms_target_of(&local), nullptr);
  EXPECT_EQ(hms_usable_size(&local), 0U);
}

// A4.
TEST_F(CApi, CallocOverflowIsRefused) {
  errno = 0;
  EXPECT_EQ(hms_calloc(SIZE_MAX / 16 + 2, 16, near), nullptr);
  EXPECT_EQ(errno, ENOMEM);
  auto* block = static_cast<char*>(hms_calloc(10, 10, near));
  ASSERT_NE(block, nullptr);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(block[i], 0);
  hms_free(block);
}

// A8.
TEST_F(CApi, StaleErrnoDoesNotMatterAndStays) {
  errno = ENOMEM;
  void* block = hms_malloc(100, near);
  EXPECT_NE(block, nullptr);
  EXPECT_EQ(errno, ENOMEM);
  errno = 7;
  hms_free(block);
  hms_free(nullptr);
  EXPECT_EQ(errno, 7);
}

TEST_F(CApi, BadAlignmentsAreEinval) {
  for (size_t alignment : {size_t{0}, size_t{3}, size_t{48}, size_t{1} << 31}) {
    errno = 0;
    EXPECT_EQ(hms_aligned_alloc(alignment, 100, near), nullptr);
    EXPECT_EQ(errno, EINVAL);
  }
  void* block = hms_aligned_alloc(2 * kMiB, 2 * kMiB, near);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(block) % (2 * kMiB), 0U);
  hms_free(block);
}

TEST_F(CApi, StrictFailsWithEnomemAndListsSpill) {
  errno = 0;
  EXPECT_EQ(hms_malloc(64 * kMiB, near_only), nullptr);
  EXPECT_EQ(errno, ENOMEM);
  void* block = hms_malloc(64 * kMiB, near);
  ASSERT_NE(block, nullptr);
  EXPECT_STREQ(hms_target_of(block), "tier:far");
  hms_free(block);
}

TEST_F(CApi, ReallocMovesBetweenPlacements) {
  auto* block = static_cast<char*>(hms_realloc(nullptr, 5000, near));
  ASSERT_NE(block, nullptr);
  memset(block, 3, 5000);
  block = static_cast<char*>(hms_realloc(block, 5000, far));
  ASSERT_NE(block, nullptr);
  EXPECT_STREQ(hms_target_of(block), "tier:far");
  EXPECT_EQ(block[4999], 3);
  errno = 0;
  EXPECT_EQ(hms_realloc(block, 64 * kMiB, near_only), nullptr);
  EXPECT_EQ(errno, ENOMEM);
  EXPECT_EQ(block[4999], 3);
  block = static_cast<char*>(hms_realloc(block, 0, far));
  EXPECT_NE(block, nullptr);
  hms_free(block);
}

TEST_F(CApi, PlacementOfTargets) {
  hms_id targets[2] = {hms_topology_find_key(topology, "tier:far"),
                       hms_topology_find_key(topology, "tier:near")};
  const hms_placement* placement = nullptr;
  ASSERT_EQ(hms_placement_of(topology, targets, 2, HMS_STRICT, &placement), HMS_OK)
      << hms_last_error();
  void* block = hms_malloc(100, placement);
  EXPECT_STREQ(hms_target_of(block), "tier:far");
  hms_free(block);
  const hms_placement* again = nullptr;
  ASSERT_EQ(hms_placement_of(topology, targets, 2, HMS_STRICT, &again), HMS_OK);
  EXPECT_EQ(placement, again);
  targets[0] = 999999;
  EXPECT_EQ(hms_placement_of(topology, targets, 2, HMS_STRICT, &again), HMS_ENODEV);
  EXPECT_NE(std::string(hms_last_error()).find("999999"), std::string::npos);
  EXPECT_EQ(hms_placement_of(topology, targets, 2, 0, &again), HMS_OK);
  EXPECT_EQ(hms_placement_of(topology, targets, 0, 0, &again), HMS_EINVAL);
  EXPECT_EQ(hms_placement_of(topology, targets, 2, 0x80, &again), HMS_EINVAL);
}

TEST_F(CApi, BadSpecificationsAreExplained) {
  const hms_placement* placement = nullptr;
  EXPECT_EQ(hms_placement_get(topology, nullptr, &placement), HMS_EINVAL);
  EXPECT_NE(hms_placement_get(topology, "nowhere", &placement), HMS_OK);
  EXPECT_NE(std::string(hms_last_error()).find("nowhere"), std::string::npos);
  EXPECT_EQ(hms_set_quota("", 1), HMS_EINVAL);
  EXPECT_EQ(hms_set_quota(nullptr, 1), HMS_EINVAL);
}

TEST_F(CApi, QuotaAndTrim) {
  ASSERT_EQ(hms_set_quota("tier:near", 8 * kMiB), HMS_OK);
  EXPECT_EQ(hms_malloc(16 * kMiB, near_only), nullptr);
  ASSERT_EQ(hms_set_quota("tier:near", UINT64_MAX), HMS_OK);
  void* block = hms_malloc(16 * kMiB, near_only);
  EXPECT_NE(block, nullptr);
  hms_free(block);
  hms_trim();
  EXPECT_EQ(counters("tier:near")->charged.load(), 0U);
}

}  // namespace
}  // namespace hms::alloc::test
