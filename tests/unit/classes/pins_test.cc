// Pinned ranges: what does not move, what a set of them is, and what becomes of them.
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <random>
#include <thread>

#include "allocator/region.h"
#include "allocator/setup.h"
#include "allocator/tiering/classes.h"
#include "allocator/tiering/opening.h"
#include "allocator/tiering/pins.h"
#include "hms/hms.h"
#include "tests/unit/allocator/allocator_test_support.h"

namespace hms::alloc::test {
namespace {

using tiering::UnitView;

constexpr size_t kPage = 4096;

tiering::Heap* start() {
  stats_init();
  Result<tiering::Heap*> started = start_classes(emulated("classes:near", 64 * kMiB).target,
                                                 emulated("classes:far", UINT64_MAX).target);
  open_classes();
  return started.ok() ? started.value() : nullptr;
}

void* at(uintptr_t address) { return to_pointer(address); }

uint64_t move(tiering::Heap* heap, tiering::UnitId unit, Side side) {
  std::vector<tiering::Moved> moved;
  heap->move({unit}, side, &moved);
  return moved.at(0).pages;
}

UnitView listed(tiering::Heap* heap, uintptr_t address) {
  std::vector<UnitView> units;
  heap->units(&units);
  for (const UnitView& unit : units) {
    if (address - unit.address < unit.bytes) return unit;
  }
  ADD_FAILURE() << "no unit has the address";
  return {};
}

class Pins : public ::testing::Test {
 protected:
  void SetUp() override {
    heap_ = start();
    ASSERT_NE(heap_, nullptr);
    ASSERT_EQ(hms_placement_hinted(HMS_HEAT_HOT, HMS_LIFE_LONG, &hot_), HMS_OK);
  }
  void TearDown() override {
    EXPECT_FALSE(any_pinned(0, UINTPTR_MAX)) << "a test left a pin behind";
    blocks_.release();
    trim();
  }
  uintptr_t take(size_t size) {
    void* block = blocks_.add(hms_malloc(size, hot_));
    EXPECT_NE(block, nullptr);
    memset(block, 1, size);
    return reinterpret_cast<uintptr_t>(block);
  }

  tiering::Heap* heap_ = nullptr;
  const hms_placement* hot_ = nullptr;
  Blocks blocks_;
};

TEST_F(Pins, AUnitStaysUntilItIsUnpinned) {
  const uintptr_t block = take(4 * kMiB);
  const UnitView unit = listed(heap_, block + 2 * kMiB);
  ASSERT_EQ(unit.side, Side::kNear);
  ASSERT_EQ(hms_tiering_pin(at(block + 2 * kMiB), 1), HMS_OK) << hms_last_error();
  EXPECT_TRUE(listed(heap_, unit.address).stuck);
  EXPECT_EQ(move(heap_, unit.id, Side::kFar), 0U);
  EXPECT_EQ(listed(heap_, unit.address).side, Side::kNear);
  EXPECT_STREQ(hms_target_of(at(block + 2 * kMiB)), "classes:near");
  ASSERT_EQ(hms_tiering_unpin(at(block + 2 * kMiB), 1), HMS_OK) << hms_last_error();
  EXPECT_FALSE(listed(heap_, unit.address).stuck);
  EXPECT_GT(move(heap_, unit.id, Side::kFar), 0U);
}

TEST_F(Pins, OfASplitUnitOnlyThePartsStay) {
  const uintptr_t block = take(4 * kMiB);
  const UnitView unit = listed(heap_, block + 2 * kMiB);
  const uintptr_t pinned = unit.address + 64 * kPage;
  heap_->split(unit.id, 16 * kPage);
  ASSERT_EQ(hms_tiering_pin(at(pinned + 100), 2 * kPage), HMS_OK) << hms_last_error();
  EXPECT_TRUE(listed(heap_, pinned).stuck);
  EXPECT_FALSE(listed(heap_, pinned + 16 * kPage).stuck);
  EXPECT_EQ(move(heap_, unit.id + 64, Side::kFar), 0U);
  EXPECT_EQ(move(heap_, unit.id + 80, Side::kFar), 16U);
  // All together are the whole unit, but for that part.
  std::vector<tiering::UnitId> parts;
  for (unsigned i = 0; i < kUnitPages; i += 16) parts.push_back(unit.id + i);
  std::vector<tiering::Moved> moved;
  heap_->move(parts, Side::kFar, &moved);
  EXPECT_EQ(moved.at(4).pages, 0U);
  EXPECT_EQ(moved.at(6).pages, 16U);
  EXPECT_STREQ(hms_target_of(at(pinned)), "classes:near");
  ASSERT_EQ(hms_tiering_unpin(at(pinned + 100), 2 * kPage), HMS_OK) << hms_last_error();
  EXPECT_EQ(move(heap_, unit.id + 64, Side::kFar), 16U);
  heap_->split(unit.id, tiering::kUnitBytes);
}

// Two users of one page do not know of each other.
TEST_F(Pins, ASharedPageStaysPinnedWhileOneByteIs) {
  const uintptr_t page = region.base + 16 * kUnitBytes + 5 * kPage;
  ASSERT_EQ(hms_tiering_pin(at(page), 100), HMS_OK);
  ASSERT_EQ(hms_tiering_pin(at(page + 100), 100), HMS_OK);
  ASSERT_EQ(hms_tiering_unpin(at(page), 100), HMS_OK);
  EXPECT_EQ(pinned_pages(16).count(), 1U);
  EXPECT_TRUE(pinned_pages(16).test(5));
  ASSERT_EQ(hms_tiering_unpin(at(page + 100), 100), HMS_OK);
  EXPECT_EQ(pinned_pages(16).count(), 0U);
}

TEST_F(Pins, BadRangesAreNamed) {
  EXPECT_EQ(hms_tiering_pin(nullptr, 1), HMS_EINVAL);
  EXPECT_STREQ(hms_last_error(), "hms_tiering_pin: the address must not be NULL");
  EXPECT_EQ(hms_tiering_unpin(nullptr, kPage), HMS_EINVAL);
  EXPECT_STREQ(hms_last_error(), "hms_tiering_unpin: the address must not be NULL");
  EXPECT_EQ(hms_tiering_pin(at(kPage), SIZE_MAX), HMS_EINVAL);
  EXPECT_NE(strstr(hms_last_error(), "beyond the end of the address space"), nullptr);
  EXPECT_EQ(hms_tiering_pin(at(UINTPTR_MAX - 10), 5), HMS_EINVAL);
  EXPECT_EQ(hms_tiering_unpin(at(kPage), SIZE_MAX / 2), HMS_EINVAL);
  EXPECT_EQ(hms_tiering_pin(nullptr, 0), HMS_OK);
  EXPECT_EQ(hms_tiering_unpin(at(UINTPTR_MAX), 0), HMS_OK);
}

TEST_F(Pins, WhatIsNeverMovedNeedsNoRecord) {
  int local = 0;
  EXPECT_EQ(hms_tiering_pin(&local, sizeof local), HMS_OK);
  EXPECT_FALSE(any_pinned(0, UINTPTR_MAX));
  EXPECT_EQ(hms_tiering_unpin(&local, sizeof local), HMS_OK);
}

TEST_F(Pins, MoreRangesThanThereIsRoomForAreRefused) {
  const uintptr_t base = region.base;
  for (size_t i = 0; i < kMaxPins; ++i) {
    ASSERT_EQ(hms_tiering_pin(at(base + 2 * i * kPage), kPage), HMS_OK) << i;
  }
  const uintptr_t next = base + 2 * kMaxPins * kPage;
  EXPECT_EQ(hms_tiering_pin(at(next), kPage), HMS_ENOMEM);
  EXPECT_NE(strstr(hms_last_error(), "16384"), nullptr) << hms_last_error();
  EXPECT_FALSE(any_pinned(next, next + kPage));
  // To cut one in two needs room as well; what is refused changes nothing.
  EXPECT_EQ(hms_tiering_unpin(at(base + 100), 100), HMS_ENOMEM);
  EXPECT_TRUE(any_pinned(base + 100, base + 200));
  // Ranges that touch are one: this needs none.
  EXPECT_EQ(hms_tiering_pin(at(base), 3 * kPage), HMS_OK);
  EXPECT_EQ(hms_tiering_pin(at(next), kPage), HMS_OK);
  EXPECT_EQ(hms_tiering_unpin(at(base), 2 * kMaxPins * kPage + kPage), HMS_OK);
}

// Against a plain array of bytes.
TEST_F(Pins, ASetOfRangesIsASetOfBytes) {
  constexpr size_t kBytes = 3 * kPage;
  const uintptr_t base = region.base + 24 * kUnitBytes;
  std::vector<bool> model(kBytes, false);
  std::mt19937 random(7);
  for (int round = 0; round < 20000; ++round) {
    const size_t from = random() % kBytes;
    const size_t to = from + random() % std::min<size_t>(kBytes - from + 1, 400);
    const bool pinning = random() % 2 == 0;
    ASSERT_EQ((pinning ? hms_tiering_pin : hms_tiering_unpin)(at(base + from), to - from), HMS_OK);
    std::fill(model.begin() + static_cast<long>(from), model.begin() + static_cast<long>(to),
              pinning);
    const size_t low = random() % kBytes;
    const size_t high = low + 1 + random() % 50;
    bool expected = false;
    for (size_t i = low; i < high && i < kBytes; ++i) expected = expected || model[i];
    ASSERT_EQ(any_pinned(base + low, base + high), expected) << round;
    const UnitPages pages = pinned_pages(24);
    for (size_t page = 0; page < 3; ++page) {
      const auto begin = model.begin() + static_cast<long>(page * kPage);
      ASSERT_EQ(pages.test(page), std::find(begin, begin + kPage, true) != begin + kPage) << round;
    }
  }
  ASSERT_EQ(hms_tiering_unpin(at(base), kBytes), HMS_OK);
}

TEST_F(Pins, AForkedChildHasThemAndItsOwn) {
  const uintptr_t block = take(4 * kMiB);
  const UnitView unit = listed(heap_, block + 2 * kMiB);
  std::atomic<bool> stop{false};
  std::thread other([&] {
    const uintptr_t far_away = region.base + 32 * kUnitBytes;
    while (!stop.load()) {
      hms_tiering_pin(at(far_away), kPage);
      hms_tiering_unpin(at(far_away), kPage);
    }
  });
  ASSERT_EQ(hms_tiering_pin(at(block), 4 * kMiB), HMS_OK);
  int failures = 0;
  for (int i = 0; i < 20; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      alarm(60);
      if (move(heap_, unit.id, Side::kFar) != 0) _exit(1);
      if (hms_tiering_unpin(at(block), 4 * kMiB) != HMS_OK) _exit(2);
      _exit(move(heap_, unit.id, Side::kFar) > 0 ? 0 : 3);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    failures += status == 0 ? 0 : 1;
  }
  stop = true;
  other.join();
  EXPECT_EQ(failures, 0);
  EXPECT_EQ(move(heap_, unit.id, Side::kFar), 0U);
  EXPECT_EQ(hms_tiering_unpin(at(block), 4 * kMiB), HMS_OK);
}

// While another thread moves all the time: when a pin returns, nothing moves any more.
TEST_F(Pins, WhenThePinReturnsNothingMoves) {
  const uintptr_t block = take(8 * kMiB);
  const UnitView unit = listed(heap_, block + 2 * kMiB);
  std::atomic<bool> stop{false};
  std::thread mover([&] {
    for (int i = 0; !stop.load(); ++i) {
      move(heap_, unit.id, i % 2 == 0 ? Side::kFar : Side::kNear);
    }
  });
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(hms_tiering_pin(at(unit.address + 1000), 10), HMS_OK);
    const Side pinned_on = listed(heap_, unit.address).side;
    for (int k = 0; k < 20; ++k) {
      ASSERT_EQ(listed(heap_, unit.address).side, pinned_on);
      std::this_thread::yield();
    }
    ASSERT_EQ(hms_tiering_unpin(at(unit.address + 1000), 10), HMS_OK);
  }
  stop = true;
  mover.join();
}

// In a process of its own: before there are classes, and before there is memory in them.
int before_the_start() {
  ensure_started();
  if (hms_tiering_pin(at(region.base), region.bytes) != HMS_OK) return 1;
  tiering::Heap* heap = start();
  if (heap == nullptr) return 2;
  const hms_placement* hot = nullptr;
  if (hms_placement_hinted(HMS_HEAT_HOT, HMS_LIFE_UNKNOWN, &hot) != HMS_OK) return 3;
  const auto block = reinterpret_cast<uintptr_t>(hms_malloc(4 * kMiB, hot));
  const UnitView unit = listed(heap, block + 2 * kMiB);
  if (!unit.stuck || move(heap, unit.id, Side::kFar) != 0) return 4;
  if (hms_tiering_unpin(at(block), 4 * kMiB) != HMS_OK) return 5;
  return move(heap, unit.id, Side::kFar) > 0 ? 0 : 6;
}

TEST(PinsDeathTest, BeforeTheStart) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(exit(before_the_start()), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace hms::alloc::test
