// The engine on a heap whose true heat is known.
#include "runtime/tiering/engine.h"

#include <gtest/gtest.h>

#include "tests/unit/tiering/fakes.h"

namespace hms::tiering {
namespace {

constexpr double kStep = 0.25;

class EngineTest : public testing::Test {
 protected:
  void begin(uint64_t near_units, double rate = 100) {
    heap = std::make_unique<FakeHeap>(near_units * kUnitBytes);
    sampler = std::make_unique<FakeSampler>(*heap, rate, kStep);
    sampler->seen.accesses_per_event = rate;
  }
  void run(double seconds) {
    if (!engine) engine = std::make_unique<Engine>(*heap, *sampler, options);
    for (double end = now + seconds; now < end; now += kStep) {
      engine->step(now);
      ASSERT_LE(heap->near_used(), heap->room().near_capacity);
      ASSERT_EQ(heap->refused, 0u);
    }
  }

  EngineOptions options;
  double now = 100;
  std::unique_ptr<FakeHeap> heap;
  std::unique_ptr<FakeSampler> sampler;
  std::unique_ptr<Engine> engine;
};

TEST_F(EngineTest, BringsTheHotUnitsNear) {
  begin(8);
  for (unsigned i = 0; i < 64; ++i)
    heap->add(1, i < 8 ? Side::kNear : Side::kFar, i % 8 == 7 ? 1e6 : 1e3);
  EXPECT_LT(heap->hit_ratio(), 0.2);
  run(15);
  EXPECT_GT(heap->hit_ratio(), 0.99);
  EXPECT_NEAR(engine->report().hit_ratio, heap->hit_ratio(), 0.02);
  // Seven went up and seven came down.
  EXPECT_EQ(heap->moved_bytes, 14 * kUnitBytes);
  EXPECT_EQ(engine->report().promoted, 7 * kUnitBytes);
  EXPECT_EQ(engine->report().demoted, 7 * kUnitBytes);
}

TEST_F(EngineTest, BelievesAProfileAtFirst) {
  options.policy.believe_s = kBelieveProfile;
  begin(8);
  for (unsigned i = 0; i < 64; ++i)
    heap->add(1, i < 8 ? Side::kNear : Side::kFar, i % 8 == 7 ? 1e6 : 1e3);
  run(kBelieveProfile - 1);
  EXPECT_EQ(heap->moves, 0u);
  EXPECT_EQ(engine->report().leans, 0u);
  run(16);
  EXPECT_GT(heap->hit_ratio(), 0.99);
}

TEST_F(EngineTest, MovesNothingWhenNothingIsHotter) {
  begin(8);
  for (unsigned i = 0; i < 64; ++i) heap->add(1, i < 8 ? Side::kNear : Side::kFar, 1e5);
  run(60);
  EXPECT_EQ(heap->moves, 0u);
  EXPECT_TRUE(engine->report().moving);
}

TEST_F(EngineTest, MovesNothingWhenNobodyAccesses) {
  begin(8);
  for (unsigned i = 0; i < 64; ++i) heap->add(1, i < 8 ? Side::kNear : Side::kFar, 0);
  run(30);
  EXPECT_EQ(heap->moves, 0u);
  EXPECT_EQ(engine->report().hit_ratio, 0);
}

TEST_F(EngineTest, MovesNothingForLessThanItCosts) {
  begin(8, 1);
  // Ten accesses a second save a microsecond; moving the unit costs a millisecond.
  for (unsigned i = 0; i < 64; ++i) heap->add(1, i < 8 ? Side::kNear : Side::kFar, i < 8 ? 0 : 10);
  run(60);
  EXPECT_EQ(heap->moves, 0u);
}

TEST_F(EngineTest, FillsRoomThatIsFree) {
  begin(8);
  for (unsigned i = 0; i < 4; ++i) heap->add(1, Side::kFar, 1e5);
  run(10);
  EXPECT_DOUBLE_EQ(heap->hit_ratio(), 1);
  EXPECT_EQ(engine->report().demoted, 0u);
}

TEST_F(EngineTest, FollowsWhatIsHotAfterItChanges) {
  begin(8);
  for (unsigned i = 0; i < 64; ++i)
    heap->add(1, i < 8 ? Side::kNear : Side::kFar, i < 8 ? 1e6 : 1e3);
  run(30);
  EXPECT_EQ(heap->moves, 0u);
  for (unsigned i = 0; i < 64; ++i) heap->heat(i * kIdsPerUnit, i >= 8 && i < 16 ? 1e6 : 1e3);
  run(12);
  EXPECT_GT(heap->hit_ratio(), 0.95) << engine->report().why;
  EXPECT_LE(heap->moved_bytes, 16 * kUnitBytes);
}

// Its parts moved, and the unit is what goes back.
TEST_F(EngineTest, FollowsBackWhatWasMadeWhole) {
  options.policy.listed_max = 40;  // no room to look closer than this test does
  begin(1, 20);
  const UnitId a = heap->add(1, Side::kNear, 1e6), b = heap->add(1, Side::kFar, 0);
  heap->split(b, 64 << 10);
  run(5);
  heap->heat(a, 0);
  heap->heat(b, 1e6);
  for (int step = 0; step < 12 && heap->hit_ratio() < 0.9; ++step) run(kStep);
  ASSERT_GT(heap->hit_ratio(), 0.9);
  heap->split(b, kUnitBytes);
  run(3);
  heap->heat(a, 1e6);
  heap->heat(b, 0);
  run(4);
  EXPECT_GT(heap->hit_ratio(), 0.9);
}

TEST_F(EngineTest, LeavesWhatIsStuck) {
  begin(2);
  heap->stick(heap->add(1, Side::kNear, 0));
  heap->add(1, Side::kNear, 0);
  UnitId hot = heap->add(1, Side::kFar, 1e6);
  heap->stick(heap->add(1, Side::kFar, 1e6));
  run(20);
  EXPECT_EQ(heap->side(0), Side::kNear);
  EXPECT_EQ(heap->side(hot), Side::kNear);
  EXPECT_EQ(heap->moved_bytes, 2 * kUnitBytes);
}

TEST_F(EngineTest, BirthsFollowTheHeatOfTheClass) {
  begin(8);
  for (unsigned i = 0; i < 64; ++i)
    heap->add(i % 4 ? 1 : 2, i < 8 ? Side::kNear : Side::kFar, i % 4 ? 1e2 : 1e6);
  run(5);
  EXPECT_EQ(heap->class_of(1).lean, Side::kFar);
  EXPECT_EQ(heap->class_of(2).lean, Side::kNear);
}

TEST_F(EngineTest, OnlyLeansWhileTheKernelMovesPages) {
  begin(8);
  for (unsigned i = 0; i < 64; ++i)
    heap->add(i % 4 ? 1 : 2, i < 8 ? Side::kNear : Side::kFar, i % 4 ? 1e2 : 1e6);
  engine = std::make_unique<Engine>(*heap, *sampler, options);
  engine->foreign_mover("automatic balancing of the kernel");
  run(10);
  EXPECT_EQ(heap->moves, 0u);
  EXPECT_EQ(heap->class_of(1).lean, Side::kFar);
  EXPECT_FALSE(engine->report().moving);
  EXPECT_NE(engine->report().why.find("balancing"), std::string::npos);
  engine->foreign_mover("");
  run(10);
  EXPECT_GT(heap->moves, 0u);
}

TEST_F(EngineTest, NeverDemotesWhatAWriteSamplerCannotSee) {
  begin(8);
  for (unsigned i = 0; i < 8; ++i) heap->add(1, Side::kNear, 0);  // read, perhaps
  for (unsigned i = 0; i < 8; ++i) heap->add(1, Side::kFar, 1e6);
  sampler->seen.reads = false;
  run(30);
  EXPECT_EQ(heap->moves, 0u);
}

TEST_F(EngineTest, LooksIntoUnitsWhosePagesDiffer) {
  begin(2, 20);
  for (unsigned i = 0; i < 16; ++i) heap->add(1, i < 2 ? Side::kNear : Side::kFar, 0);
  for (UnitId page = 0; page < 16 * kIdsPerUnit; page += 10) heap->heat_page(page, 1000);
  run(40);
  EXPECT_GT(heap->hit_ratio(), 0.95);
  EXPECT_GT(engine->report().parts, 0u);
}

TEST_F(EngineTest, KeepsUnitsWholeWhosePagesAreAlike) {
  begin(2, 20);
  for (unsigned i = 0; i < 16; ++i) heap->add(1, i < 2 ? Side::kNear : Side::kFar, 1e4);
  run(40);
  EXPECT_GT(heap->splits, 0u);  // it tried
  EXPECT_EQ(engine->report().parts, 0u);
}

TEST_F(EngineTest, AsksForHugePagesForWhatIsHotAndStays) {
  begin(64);
  for (unsigned i = 0; i < 16; ++i) heap->add(1, Side::kNear, 1e5);  // hot
  for (unsigned i = 0; i < 16; ++i) heap->add(2, Side::kNear, 1e3);  // less than most
  for (unsigned i = 0; i < 4; ++i) heap->add(3, Side::kNear, 1e5);   // small
  run(8);
  EXPECT_TRUE(heap->huge.empty());
  run(30);
  EXPECT_EQ(heap->huge, std::set<ClassId>{1});
}

TEST_F(EngineTest, AsksForNoHugePagesForWhatIsRenewed) {
  begin(32);
  for (unsigned i = 0; i < 16; ++i) heap->add(1, Side::kNear, 1e5);
  for (unsigned i = 0; i < 16; ++i) heap->add(2, Side::kNear, 1e3);
  for (unsigned i = 0; i < 60; ++i) {
    run(1);
    heap->class_of(1).allocated += heap->class_of(1).live / 8;
  }
  EXPECT_TRUE(heap->huge.empty());
}

TEST_F(EngineTest, AsksForNoHugePagesWherePagesDiffer) {
  begin(32);
  for (unsigned i = 0; i < 32; ++i) {
    const UnitId unit = heap->add(1, Side::kNear, 1e3);
    for (unsigned page = 0; page < 32; ++page) heap->heat_page(unit + page, 1e4);
  }
  run(60);
  EXPECT_TRUE(heap->huge.empty());
}

TEST_F(EngineTest, NamesTheHottestContexts) {
  begin(8);
  for (unsigned i = 0; i < 64; ++i) heap->add(i % 4 ? 1 : 2, Side::kFar, i % 4 ? 1e2 : 1e6);
  heap->context(11, 1, 48 * kUnitBytes);
  heap->context(12, 2, 16 * kUnitBytes);
  run(5);
  ASSERT_EQ(engine->report().contexts.size(), 2u);
  EXPECT_EQ(engine->report().contexts[0].id, 12u);
  EXPECT_GT(engine->report().contexts[0].share, 0.99);
  EXPECT_EQ(engine->report().classes[0].id, 2);
}

TEST_F(EngineTest, StopsSamplingThatCostsTooMuch) {
  begin(8);
  for (unsigned i = 0; i < 16; ++i) heap->add(1, Side::kFar, i ? 1e3 : 1e6);
  engine = std::make_unique<Engine>(*heap, *sampler, options);
  for (double begun = now; now < begun + 60; now += kStep) {
    engine->spent((now - begun) * 0.05);  // whatever it does
    engine->step(now);
  }
  EXPECT_EQ(sampler->effort, 0);
  EXPECT_FALSE(engine->report().moving);
}

}  // namespace
}  // namespace hms::tiering
