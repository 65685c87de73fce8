// What a recorder makes of a heap: counts by context, keys, and a child's share of them.
#include "runtime/tiering/recorder.h"

#include <gtest/gtest.h>
#include <stdio.h>

#include <memory>
#include <vector>

#include "tests/unit/tiering/fakes.h"

namespace hms::tiering {
namespace {

// Keys that were met stay for the life of a process, and so does what holds them.
ContextKeys* lasting_keys() {
  static auto* all = new std::vector<ContextKeys*>;
  all->push_back(new ContextKeys);
  return all->back();
}

constexpr double kStep = 0.25;
constexpr ClassId kHot = 3, kCold = 4, kShared = 0;

// Two contexts with a class of their own, two that share one.
class RecorderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    heap_.add(kHot, Side::kNear, 40'000);
    for (int i = 0; i < 4; ++i) heap_.add(kCold, Side::kFar, 40);
    heap_.add(kShared, Side::kNear, 4'000);
    heap_.context(1, kHot, 8 << 20);
    heap_.context(2, kCold, 16 << 20);
    heap_.context(3, kShared, 3 << 20);
    heap_.context(4, kShared, 1 << 20);
    for (ContextId id = 1; id <= 4; ++id) keys_->meet(id, place(id), false);
  }

  // Different functions of this program and of libc.
  static const void* place(ContextId id) {
    const void* const places[] = {nullptr, address(&puts), address(&printf), address(&fopen),
                                  address(&fclose)};
    return static_cast<const char*>(places[id]) + 1;
  }
  template <typename F>
  static const void* address(F* function) {
    return reinterpret_cast<const void*>(function);
  }

  Profile record(Recorder* recorder, int steps) {
    for (int i = 0; i <= steps; ++i, now_ += kStep) recorder->step(now_);
    return recorder->profile();
  }

  const ContextProfile& of(const Profile& profile, ContextId id) const {
    StableKey key;
    EXPECT_TRUE(keys_->key_of(id, &key));
    for (const ContextProfile& c : profile.contexts) {
      if (c.key[0].offset == key.frames[0].offset) return c;
    }
    static const ContextProfile none;
    ADD_FAILURE() << "context " << id << " is not in the profile";
    return none;
  }

  FakeHeap heap_{uint64_t{64} << 20};
  FakeSampler sampler_{heap_, 10, kStep};
  ContextKeys* keys_ = lasting_keys();
  double now_ = 100;
};

TEST_F(RecorderTest, CountsByContext) {
  Recorder recorder(heap_, sampler_, *keys_, kGeneratedCode);
  const Profile p = record(&recorder, 40);
  EXPECT_EQ(p.milliseconds, 10'000u);
  EXPECT_EQ(p.sampler, "fake");
  EXPECT_TRUE(p.sees_reads && p.sees_writes);
  ASSERT_EQ(p.contexts.size(), 4u);
  const ContextProfile& hot = of(p, 1);
  EXPECT_EQ(hot.allocations, (8u << 20) / 64);
  EXPECT_EQ(hot.bytes, 8u << 20);
  EXPECT_EQ(hot.peak, kUnitBytes);
  EXPECT_EQ(hot.byte_seconds, 10 * kUnitBytes);
  EXPECT_NEAR(hot.lifetime(), 2.5, 1e-9);
  // A thousand times as hot, unit by unit.
  EXPECT_NEAR(hot.heat() / of(p, 2).heat(), 1000, 400);
  EXPECT_NEAR(hot.accesses() * 10, 400'000, 20'000);
  EXPECT_TRUE(parse_profile(format_profile(p), "recorded").ok());
}

TEST_F(RecorderTest, ThoseWhoShareAClassShareItsNumbers) {
  Recorder recorder(heap_, sampler_, *keys_, kGeneratedCode);
  const Profile p = record(&recorder, 40);
  const ContextProfile &more = of(p, 3), &less = of(p, 4);
  EXPECT_EQ(more.peak, kUnitBytes / 4 * 3);
  EXPECT_EQ(less.peak, kUnitBytes / 4);
  EXPECT_NEAR(more.heat(), less.heat(), more.heat() * 0.01);
  EXPECT_NEAR(static_cast<double>(more.samples) / static_cast<double>(less.samples), 3, 0.1);
}

TEST_F(RecorderTest, AChildTellsOnlyOfItself) {
  Recorder recorder(heap_, sampler_, *keys_, kGeneratedCode);
  std::vector<ContextView> inherited;
  heap_.contexts(&inherited);
  recorder.disown(inherited);
  heap_.context(5, kCold, 4096);
  keys_->meet(5, static_cast<const char*>(address(&fputs)) + 1, false);
  const Profile p = record(&recorder, 4);
  EXPECT_EQ(of(p, 1).bytes, 0u);  // used, not allocated
  EXPECT_GT(of(p, 1).samples, 0u);
  EXPECT_EQ(of(p, 5).bytes, 4096u);
}

TEST_F(RecorderTest, TheLibrarysOwnPlacesAreLeftOut) {
  StableKey key;
  ASSERT_TRUE(keys_->key_of(1, &key));
  Recorder recorder(heap_, sampler_, *keys_, key.frames[0].object);
  EXPECT_TRUE(record(&recorder, 4).contexts.empty());
}

TEST_F(RecorderTest, ContextsWithoutAKeyAreGeneratedCode) {
  heap_.context(9, kCold, 1 << 20);
  Recorder recorder(heap_, sampler_, *keys_, kGeneratedCode);
  const Profile p = record(&recorder, 4);
  ASSERT_EQ(p.contexts.size(), 5u);
  EXPECT_EQ(p.contexts.back().key[0].object, kGeneratedCode);
}

TEST_F(RecorderTest, NothingWatchedMeansNoSamples) {
  class Blind : public FakeSampler {
   public:
    using FakeSampler::FakeSampler;
    void collect(const std::vector<UnitView>&, std::vector<Reading>* out) override { out->clear(); }
  } blind(heap_, 10, kStep);
  Recorder recorder(heap_, blind, *keys_, kGeneratedCode);
  const Profile p = record(&recorder, 8);
  EXPECT_EQ(p.total_samples(), 0u);
  EXPECT_GT(of(p, 2).byte_seconds, 0u);
}

TEST(ContextKeysTest, APlanIsAskedByKey) {
  Profile profile;
  CodeObjects objects;
  const void* near = static_cast<const char*>(reinterpret_cast<const void*>(&puts)) + 1;
  const void* far = static_cast<const char*>(reinterpret_cast<const void*>(&fopen)) + 1;
  const KeyFrame near_frame = objects.frame_of(near), far_frame = objects.frame_of(far);
  profile.objects = {{"build:00", "/another"}, objects.at(near_frame.object)};
  for (const KeyFrame& frame : {near_frame, far_frame}) {
    ContextProfile c;
    c.key = {{1, frame.offset}};
    c.allocations = 1;
    c.peak = c.bytes = c.byte_seconds = 1 << 20;
    c.samples = frame == near_frame ? 10'000 : 10;
    c.watched = 1 << 20;
    profile.contexts.push_back(c);
  }
  const ProfilePlan plan(profile, 1 << 20);
  ContextKeys* keys = lasting_keys();
  keys->follow(&plan);
  EXPECT_EQ(keys->meet(1, near, false), Lean::kNear);
  EXPECT_EQ(keys->meet(2, far, false), Lean::kFar);
  EXPECT_EQ(
      keys->meet(3, static_cast<const char*>(reinterpret_cast<const void*>(&fclose)) + 1, false),
      Lean::kUnknown);
  EXPECT_EQ(keys->asked(), 3u);
  EXPECT_EQ(keys->known(), 2u);
  StableKey key;
  EXPECT_FALSE(keys->key_of(4, &key));
  EXPECT_FALSE(keys->key_of(ContextTable::kCapacity, &key));
  EXPECT_EQ(keys->meet(ContextTable::kCapacity, near, false), Lean::kUnknown);
}

}  // namespace
}  // namespace hms::tiering
