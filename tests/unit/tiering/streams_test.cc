// Which classes are found to stream, and what the engine makes of them.
#include "runtime/tiering/streams.h"

#include <gtest/gtest.h>

#include "runtime/tiering/engine.h"
#include "tests/unit/tiering/fakes.h"

namespace hms::tiering {
namespace {

constexpr double kStep = 0.25, kRate = 100;
constexpr ClassId kStream = 1, kHot = 2;
constexpr uint64_t kLarge = 1 << 20;
constexpr unsigned kShare = 48;

class StreamsTest : public testing::Test {
 protected:
  void begin(uint64_t near_units) {
    options.weave.near_share = kShare;
    heap = std::make_unique<FakeHeap>(near_units * kUnitBytes);
    sampler = std::make_unique<FakeSampler>(*heap, kRate, kStep);
    sampler->seen.accesses_per_event = kRate;
    sampler->seen.bytes_per_event = kRate * 64;
  }
  // Units of large objects, each with so many accesses a second; near as long as there is room.
  void stream(unsigned units, double heat = 1e5, uint64_t object = kLarge) {
    for (unsigned i = 0; i < units; ++i) streams.push_back(add(kStream, heat));
    heap->context(11, kStream, units * kUnitBytes, object);
  }
  UnitId add(ClassId id, double heat) {
    const Room room = heap->room();
    const bool fits = room.near_used + kUnitBytes <= room.near_capacity;
    return heap->add(id, fits ? Side::kNear : Side::kFar, heat);
  }
  void run(double seconds) {
    if (!engine) engine = std::make_unique<Engine>(*heap, *sampler, options);
    for (const double end = now + seconds; now < end;) {
      engine->step(now);
      now += kStep;
      ASSERT_LE(heap->near_used(), heap->room().near_capacity);
      ASSERT_EQ(heap->refused, 0u);
    }
  }
  size_t near(size_t from, size_t to) const {
    size_t count = 0;
    for (size_t i = from; i < to; ++i) count += heap->side(streams[i]) == Side::kNear;
    return count;
  }
  bool woven() const {
    auto found = heap->woven.find(kStream);
    return found != heap->woven.end() && found->second != kNotWoven;
  }

  EngineOptions options;
  double now = 100;
  std::unique_ptr<FakeHeap> heap;
  std::unique_ptr<FakeSampler> sampler;
  std::unique_ptr<Engine> engine;
  std::vector<UnitId> streams;
};

TEST_F(StreamsTest, WeavesWhatStreamsThoughAllOfItWouldFit) {
  begin(128);
  stream(64);
  run(4);
  EXPECT_FALSE(woven()) << "that soon";
  run(36);
  ASSERT_TRUE(woven());
  EXPECT_EQ(heap->woven.at(kStream), kShare);
  for (size_t i = 0; i < 64; ++i)
    EXPECT_EQ(heap->side(streams[i]), weave_side(static_cast<uint32_t>(i), kShare)) << i;
  // Each once, and nothing goes back: the governor has no reason to interfere.
  EXPECT_EQ(heap->moves, 64 - kShare);
  EXPECT_TRUE(engine->report().moving);
  EXPECT_EQ(engine->report().why, "");
  ASSERT_EQ(engine->report().classes.size(), 1u);
  EXPECT_EQ(engine->report().classes[0].near_share, kShare);
  run(60);
  EXPECT_EQ(heap->moves, 64 - kShare);
  EXPECT_TRUE(woven());
}

TEST_F(StreamsTest, SpreadsWhatFitsInPart) {
  begin(32);
  stream(64);
  EXPECT_EQ(near(0, 32), 32u);
  const double before = heap->hit_ratio();
  run(60);
  ASSERT_TRUE(woven());
  EXPECT_NEAR(heap->woven.at(kStream), 32, 2);
  for (size_t i = 0; i < 64; i += 8) EXPECT_NEAR(near(i, i + 8), 4, 1) << "from " << i;
  EXPECT_GE(heap->hit_ratio(), before - 0.001) << "no hit is lost";
  const uint64_t moves = heap->moves;
  run(60);
  EXPECT_EQ(heap->moves, moves) << "once is enough";
}

// As hot by the byte, or even a little less, but of small objects: waited for.
TEST_F(StreamsTest, LeavesRoomToWhatIsWaitedFor) {
  begin(32);
  stream(64);
  for (unsigned i = 0; i < 8; ++i) add(kHot, 9e4);
  heap->context(12, kHot, 8 * kUnitBytes);
  run(60);
  ASSERT_TRUE(woven());
  EXPECT_NEAR(heap->woven.at(kStream), 24, 2);
  for (unsigned i = 0; i < 8; ++i)
    EXPECT_EQ(heap->side(streams.back() + (i + 1) * kIdsPerUnit), Side::kNear) << i;
  EXPECT_GE(near(0, 64), 22u);
}

TEST_F(StreamsTest, MakesRoomWhenSomethingHotComes) {
  begin(48);
  stream(64);
  run(40);
  ASSERT_TRUE(woven());
  EXPECT_EQ(near(0, 64), 48u - 1) << "a little is left to births";
  std::vector<UnitId> hot;
  for (unsigned i = 0; i < 16; ++i) hot.push_back(heap->add(kHot, Side::kFar, 1e6));
  heap->context(12, kHot, 16 * kUnitBytes);
  run(40);
  for (UnitId unit : hot) EXPECT_EQ(heap->side(unit), Side::kNear);
  EXPECT_TRUE(woven());
  for (size_t i = 0; i < 64; i += 16) EXPECT_NEAR(near(i, i + 16), 8, 1) << "from " << i;
}

TEST_F(StreamsTest, SmallObjectsAreNoStream) {
  begin(128);
  stream(64, 1e5, 256);
  run(40);
  EXPECT_FALSE(woven());
  EXPECT_EQ(heap->moves, 0u);
}

TEST_F(StreamsTest, WhatIsSmallIsNoStream) {
  begin(128);
  stream(7);
  run(40);
  EXPECT_FALSE(woven());
}

TEST_F(StreamsTest, UnitsThatDifferAreNoStream) {
  begin(128);
  stream(64);
  for (size_t i = 0; i < 64; ++i) heap->heat(streams[i], i % 2 ? 4e4 : 16e4);
  run(40);
  EXPECT_FALSE(woven());
  EXPECT_EQ(heap->moves, 0u);
}

TEST_F(StreamsTest, PagesThatDifferAreNoStream) {
  begin(128);
  stream(64, 0);
  for (UnitId unit : streams)
    for (UnitId page = unit; page < unit + kIdsPerUnit; page += 8) heap->heat_page(page, 1e4);
  run(40);
  EXPECT_FALSE(woven());
}

TEST_F(StreamsTest, WhatIsColdIsNoStream) {
  begin(128);
  stream(64, 1e3);
  for (unsigned i = 0; i < 8; ++i) add(kHot, 1e6);
  heap->context(12, kHot, 8 * kUnitBytes);
  run(40);
  EXPECT_FALSE(woven());
}

TEST_F(StreamsTest, WhatIsRenewedIsNotMoved) {
  begin(128);
  stream(64);
  for (int i = 0; i < 40; ++i) {
    run(1);
    heap->class_of(kStream).allocated += heap->class_of(kStream).live / 2;
  }
  EXPECT_FALSE(woven());
}

TEST_F(StreamsTest, WithoutAShareNothingIsWoven) {
  begin(128);
  stream(64);
  options.weave = {};
  run(40);
  EXPECT_TRUE(heap->woven.empty());
  EXPECT_EQ(heap->moves, 0u);
}

TEST_F(StreamsTest, WhoSeesWritesOnlySeesNoStream) {
  begin(128);
  stream(64);
  sampler->seen.reads = false;
  run(40);
  EXPECT_TRUE(heap->woven.empty());
}

// 64 units with 1e5 accesses a second to 64 bytes each.
TEST_F(StreamsTest, LittleTrafficNeedsNoSecondMemory) {
  constexpr double kBytes = 64 * 1e5 * 64;
  begin(128);
  stream(64);
  options.weave.near_bandwidth = 20 * kBytes;
  run(40);
  EXPECT_FALSE(woven());
  engine.reset();
  options.weave.near_bandwidth = 5 * kBytes;
  run(40);
  EXPECT_TRUE(woven());
}

// Where the sampler does not tell how much, the threads must be able to ask for as much.
TEST_F(StreamsTest, FewThreadsNeedNoSecondMemory) {
  begin(128);
  stream(64);
  sampler->seen.bytes_per_event = 0;
  options.weave.near_bandwidth = 200e9;
  run(20);
  engine->busy(2);
  run(20);
  EXPECT_FALSE(woven());
  engine->busy(16);
  run(40);
  EXPECT_TRUE(woven());
  engine->busy(4);
  run(20);
  EXPECT_TRUE(woven());
  engine->busy(1);
  run(20);
  EXPECT_FALSE(woven());
}

TEST_F(StreamsTest, WhatNoLongerStreamsIsTieredAgain) {
  begin(72);
  stream(64);
  run(40);
  ASSERT_TRUE(woven());
  ASSERT_EQ(near(0, 64), kShare);
  for (size_t i = 0; i < 64; ++i) heap->heat(streams[i], i % 4 == 3 ? 1e6 : 1e3);
  run(40);
  EXPECT_FALSE(woven());
  EXPECT_GT(heap->hit_ratio(), 0.99);
}

// A class that is one now and then: each time it takes longer to be believed.
TEST_F(StreamsTest, DoesNotSwing) {
  begin(128);
  stream(64);
  for (int turn = 0; turn < 12; ++turn) {
    for (size_t i = 0; i < 64; ++i) heap->heat(streams[i], turn % 2 == 0 ? 1e5 : i % 4 ? 1e3 : 4e5);
    run(20);
  }
  EXPECT_LE(heap->moves, 4 * (64 - kShare));
}

}  // namespace
}  // namespace hms::tiering
