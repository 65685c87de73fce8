// When requests begin to come to the classes. Each test has a process of its own, as they open
// once.
#include "allocator/tiering/opening.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "allocator/tiering/class_list.h"
#include "allocator/tiering/classes.h"
#include "allocator/tiering/sites.h"
#include "hms/hms.h"
#include "tests/unit/allocator/allocator_test_support.h"

namespace hms::alloc {
namespace {

using test::Blocks;
using test::emulated;
using test::kMiB;

constexpr uint64_t kNear = 64 * kMiB;
int opened = 0;

void count_opening() { ++opened; }

tiering::Heap* prepared() {
  Result<tiering::Heap*> started = start_classes(emulated("classes:near", kNear).target,
                                                 emulated("classes:far", UINT64_MAX).target);
  return started.ok() ? started.value() : nullptr;
}

// 0, or the number of the check that failed.
int opens_by_size() {
  tiering::Heap* heap = prepared();
  if (heap == nullptr || classes_started()) return 1;
  const auto before = static_cast<uint64_t>(default_leg()->committed.load());
  open_classes_at(before + 8 * kMiB, count_opening);
  if (classes_due(16) || !classes_due(9 * kMiB) || classes_started() || !classes_wait()) return 2;
  Blocks blocks;
  blocks.add(allocate(7 * kMiB, kDefaultPlacement));
  if (classes_due(16) || !classes_due(2 * kMiB)) return 3;
  postpone_classes(before + 80 * kMiB);
  if (classes_due(2 * kMiB)) return 4;
  if (heap->room().near_capacity != kNear || bytes_before_opening() != 0) return 5;
  open_classes();
  open_classes();
  if (opened != 1 || !classes_started() || classes_wait() || classes_due(kNear)) return 6;
  // What lies in near memory already, and stays, is not there for the classes.
  const uint64_t held = bytes_before_opening();
  if (held < 7 * kMiB || heap->room().near_capacity != kNear - held) return 7;
  postpone_classes(0);
  if (classes_wait()) return 8;
  blocks.release();
  trim();
  return bytes_before_opening() < held ? 0 : 9;
}

int opens_by_hint() {
  if (prepared() == nullptr) return 1;
  open_classes_at(kNear, count_opening);
  const hms_placement* hot = nullptr;
  if (hms_placement_hinted(HMS_HEAT_HOT, HMS_LIFE_UNKNOWN, &hot) != HMS_OK) return 2;
  if (opened != 1 || !classes_started()) return 3;
  return id_of(hot) != kDefaultPlacement ? 0 : 4;
}

int opens_at_once() {
  if (prepared() == nullptr) return 1;
  open_classes();
  return classes_started() && !classes_wait() && bytes_before_opening() == 0 ? 0 : 2;
}

class OpeningTest : public ::testing::Test {
 protected:
  void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

TEST_F(OpeningTest, WaitsForAProgramThatIsLargeEnough) {
  EXPECT_EXIT(_exit(opens_by_size()), ::testing::ExitedWithCode(0), "");
}
TEST_F(OpeningTest, AHintOpens) {
  EXPECT_EXIT(_exit(opens_by_hint()), ::testing::ExitedWithCode(0), "");
}
TEST_F(OpeningTest, OrAtOnce) {
  EXPECT_EXIT(_exit(opens_at_once()), ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace hms::alloc
