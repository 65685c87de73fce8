// Hints: the classes that they have, what is born where, and what becomes of a hint that is wrong.
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <set>
#include <thread>

#include "allocator/tiering/class_list.h"
#include "allocator/tiering/opening.h"
#include "hms/hms.h"
#include "runtime/tiering/engine.h"
#include "tests/unit/allocator/allocator_test_support.h"

namespace hms::alloc::test {
namespace {

using tiering::ClassId;
using tiering::ClassView;
using tiering::UnitView;

constexpr uint64_t kNearBytes = 64 * kMiB;

tiering::Heap* start() {
  stats_init();
  Result<tiering::Heap*> started = start_classes(emulated("classes:near", kNearBytes).target,
                                                 emulated("classes:far", UINT64_MAX).target);
  open_classes();
  return started.ok() ? started.value() : nullptr;
}

const hms_placement* hinted(hms_heat heat, hms_life life = HMS_LIFE_UNKNOWN) {
  const hms_placement* out = nullptr;
  EXPECT_EQ(hms_placement_hinted(heat, life, &out), HMS_OK) << hms_last_error();
  return out;
}

ClassId class_with(const void* block) { return class_of_placement(placement_of(block)); }

class Hints : public ::testing::Test {
 protected:
  void SetUp() override {
    heap_ = start();
    ASSERT_NE(heap_, nullptr);
  }
  void TearDown() override {
    blocks_.release();
    trim();
  }
  void* take(size_t size, const hms_placement* placement) {
    void* block = blocks_.add(hms_malloc(size, placement));
    EXPECT_NE(block, nullptr);
    memset(block, 1, size);
    return block;
  }
  Side lean_of(ClassId id) {
    std::vector<ClassView> classes;
    heap_->classes(&classes);
    return classes.at(id).lean;
  }

  tiering::Heap* heap_ = nullptr;
  Blocks blocks_;
};

TEST_F(Hints, EachHasAClassOfItsOwn) {
  std::set<ClassId> seen;
  for (hms_heat heat : {HMS_HEAT_UNKNOWN, HMS_HEAT_COLD, HMS_HEAT_HOT}) {
    for (hms_life life : {HMS_LIFE_UNKNOWN, HMS_LIFE_SHORT, HMS_LIFE_LONG}) {
      if (heat == HMS_HEAT_UNKNOWN && life == HMS_LIFE_UNKNOWN) continue;
      for (size_t size : {size_t{1}, size_t{3000}, 3 * kMiB}) {
        const void* block = take(size, hinted(heat, life));
        seen.insert(class_with(block));
        EXPECT_EQ(key_of(block), heat == HMS_HEAT_COLD ? "classes:far" : "classes:near");
      }
    }
  }
  EXPECT_EQ(seen.size(), kHints - 1);
  for (ClassId shared :
       {tiering::kProbation, kAdvisedNear, kAdvisedFar, kAdvisedPart, tiering::kNoClass}) {
    EXPECT_EQ(seen.count(shared), 0U);
  }
}

TEST_F(Hints, NoHintIsTheDefaultPlacement) {
  EXPECT_EQ(key_of(take(100, hinted(HMS_HEAT_UNKNOWN))), "default");
}

TEST_F(Hints, AllOfTheFamilyTakesThem) {
  const hms_placement* cold = hinted(HMS_HEAT_COLD);
  auto* zeros = static_cast<char*>(blocks_.add(hms_calloc(1000, 4, cold)));
  ASSERT_NE(zeros, nullptr);
  for (int i = 0; i < 4000; ++i) ASSERT_EQ(zeros[i], 0);
  void* aligned = blocks_.add(hms_aligned_alloc(4096, 5000, cold));
  EXPECT_EQ(reinterpret_cast<uintptr_t>(aligned) % 4096, 0U);
  EXPECT_STREQ(hms_target_of(zeros), "classes:far");
  EXPECT_STREQ(hms_target_of(aligned), "classes:far");
  auto* block = static_cast<char*>(hms_malloc(100, cold));
  memset(block, 7, 100);
  block = static_cast<char*>(hms_realloc(block, 200, hinted(HMS_HEAT_HOT)));
  EXPECT_STREQ(hms_target_of(block), "classes:near");
  for (int i = 0; i < 100; ++i) ASSERT_EQ(block[i], 7);
  hms_free(block);
}

// realloc() of the preloaded library asks this.
TEST_F(Hints, ABlockKeepsItsHintWhenItGrows) {
  const void* block = take(100, hinted(HMS_HEAT_HOT, HMS_LIFE_LONG));
  EXPECT_EQ(place_again(block, class_placement(tiering::kProbation)), placement_of(block));
}

TEST_F(Hints, BadInputIsNamed) {
  const hms_placement* out = hinted(HMS_HEAT_HOT);
  const hms_placement* before = out;
  EXPECT_EQ(hms_placement_hinted(static_cast<hms_heat>(3), HMS_LIFE_LONG, &out), HMS_EINVAL);
  EXPECT_NE(strstr(hms_last_error(), "3 is no hms_heat"), nullptr) << hms_last_error();
  EXPECT_EQ(hms_placement_hinted(HMS_HEAT_HOT, static_cast<hms_life>(77), &out), HMS_EINVAL);
  EXPECT_NE(strstr(hms_last_error(), "77 is no hms_life"), nullptr) << hms_last_error();
  EXPECT_EQ(hms_placement_hinted(HMS_HEAT_HOT, HMS_LIFE_LONG, nullptr), HMS_EINVAL);
  EXPECT_NE(strstr(hms_last_error(), "NULL"), nullptr) << hms_last_error();
  EXPECT_EQ(out, before);
}

TEST_F(Hints, HotBlocksWithoutRoomAreBornFar) {
  const hms_placement* hot = hinted(HMS_HEAT_HOT);
  std::set<std::string> keys;
  for (uint64_t done = 0; done < 2 * kNearBytes; done += kMiB) keys.insert(key_of(take(kMiB, hot)));
  EXPECT_EQ(keys, (std::set<std::string>{"classes:far", "classes:near"}));
}

// Says that units of one class are used, and nothing else is.
class UsedClass final : public tiering::Sampler {
 public:
  explicit UsedClass(ClassId used) : used_(used) {}
  const char* name() const override { return "used"; }
  tiering::Sight sight() const override { return {true, true, 1000}; }
  Status start() override { return {}; }
  void stop() override {}
  void collect(const std::vector<UnitView>& units, std::vector<tiering::Reading>* out) override {
    for (const UnitView& unit : units) {
      const double share = static_cast<double>(unit.bytes) / tiering::kUnitBytes;
      out->push_back({unit.id, unit.class_id == used_ ? 50 * share : 0, 0.25});
    }
  }
  void set_effort(double) override {}

 private:
  ClassId used_;
};

// What was said to be cold is used, what was said to be hot is not.
TEST_F(Hints, TheEngineFindsOutThatHintsAreWrong) {
  std::vector<void*> cold;
  for (int i = 0; i < 56; ++i) take(kMiB, hinted(HMS_HEAT_HOT));
  for (int i = 0; i < 24; ++i) cold.push_back(take(kMiB, hinted(HMS_HEAT_COLD)));
  const ClassId used = class_with(cold[0]);
  for (const void* block : cold) ASSERT_EQ(key_of(block), "classes:far");
  UsedClass sampler(used);
  tiering::Engine engine(*heap_, sampler);
  for (int step = 0; step < 240; ++step) engine.step(0.25 * step);
  for (const void* block : cold) EXPECT_EQ(key_of(block), "classes:near");
  EXPECT_EQ(lean_of(used), Side::kNear);
}

// Each in a process of its own, in which nothing has been started.

int without_classes() {
  const hms_placement* hot = hinted(HMS_HEAT_HOT);
  void* before = hms_malloc(100, hot);
  if (strcmp(hms_target_of(before), "default") != 0) return 1;
  if (start() == nullptr) return 2;
  void* after = hms_malloc(100, hot);  // the same handle
  if (strcmp(hms_target_of(after), "classes:near") != 0) return 3;
  if (class_with(after) < kSharedClasses) return 4;
  hms_free(before);
  hms_free(after);
  return testing::Test::HasFailure() ? 5 : 0;
}

int asked_by_many() {
  if (start() == nullptr) return 1;
  std::vector<ClassView> before;
  class_heap()->classes(&before);
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([] {
      for (int hint = 1; hint < 9; ++hint) {
        hms_free(hms_malloc(
            100, hinted(static_cast<hms_heat>(hint / 3), static_cast<hms_life>(hint % 3))));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::vector<ClassView> after;
  class_heap()->classes(&after);
  return after.size() == before.size() + kHintClasses ? 0 : 2;
}

// Contexts may have all that is theirs; what is over is for hints.
int after_many_contexts() {
  if (start() == nullptr) return 1;
  for (uintptr_t site = 0x100000; site < 0x100000 + 2 * kMaxClasses; ++site) {
    std::vector<ClassView> classes;
    class_heap()->classes(&classes);
    for (int i = 0; i < 256; ++i) {
      allocate(4000, place_by_site(4000, reinterpret_cast<const void*>(site)));  // NOLINT
    }
  }
  std::set<ClassId> seen;
  for (int hint = 1; hint < 9; ++hint) {
    seen.insert(class_with(
        hms_malloc(100, hinted(static_cast<hms_heat>(hint / 3), static_cast<hms_life>(hint % 3)))));
  }
  return seen.size() == kHintClasses && *seen.begin() >= kSharedClasses ? 0 : 2;
}

TEST(HintsDeathTest, InFreshProcesses) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(exit(without_classes()), testing::ExitedWithCode(0), "");
  EXPECT_EXIT(exit(asked_by_many()), testing::ExitedWithCode(0), "");
  EXPECT_EXIT(exit(after_many_contexts()), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace hms::alloc::test
