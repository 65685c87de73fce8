// The governors, told what happened.
#include "runtime/tiering/governor.h"

#include <gtest/gtest.h>

namespace hms::tiering {
namespace {

constexpr uint64_t kNear = uint64_t{64} << 20;
constexpr double kStep = 0.25;

class MoveGovernorTest : public testing::Test {
 protected:
  // Seconds in which `each` is called every step, and everything that is due brings `share`.
  template <typename Each>
  void run(double seconds, double share, double saved_ns, const Each& each) {
    for (double end = now + seconds; now < end; now += kStep) {
      governor.refill(now, kNear);
      for (const MoveGovernor::Due& due : governor.due(now))
        governor.judged(due, due.side == Side::kNear ? share : 0, saved_ns);
      governor.decide(now);
      each();
    }
  }
  void quiet(double seconds) {
    run(seconds, 0, 0, [] {});
  }

  double now = 10;
  UnitId next = 0;
  MoveGovernor governor;
};

TEST_F(MoveGovernorTest, NeverGivesMoreThanItsBucket) {
  MoverOptions options;
  double allowed = options.burst_share * kNear, spent = 0;
  run(20, 1, 1e9, [&] {
    uint64_t take = governor.tokens();
    spent += static_cast<double>(take);
    governor.moved(next++, Side::kNear, take, {1, 1, 2 << 20}, now);
    EXPECT_EQ(governor.tokens(), 0u);
  });
  EXPECT_LE(spent, allowed + options.refill_share * kNear * 20 + 1);
  EXPECT_GE(spent, allowed);
}

TEST_F(MoveGovernorTest, ThrashFreezesAndThaws) {
  // The same units, there and back, and never worth it.
  bool up = false;
  run(30, 0.001, 0, [&] {
    if (governor.frozen()) return;
    up = !up;
    for (UnitId unit = 0; unit < 16; ++unit)
      governor.moved(unit, up ? Side::kNear : Side::kFar, 2 << 20, {0.01, 1e6, 2 << 20}, now);
  });
  EXPECT_TRUE(governor.frozen());
  EXPECT_EQ(governor.tokens(), 0u);
  EXPECT_FALSE(governor.why().empty());
  EXPECT_GT(governor.hysteresis(), 1);
  quiet(40);
  EXPECT_FALSE(governor.frozen());
  EXPECT_GT(governor.tokens(), 0u);
  quiet(120);
  EXPECT_EQ(governor.hysteresis(), 1);
  EXPECT_TRUE(governor.why().empty());
}

// Two hot sets: most of what moves pays, a tenth of it does not before it moves back.
TEST_F(MoveGovernorTest, WhatTakesTurnsIsNoThrashWhileItPays) {
  for (double saved_ns : {1e9, 0.0}) {
    governor = MoveGovernor();
    bool up = false, froze = false;
    double turn = now;
    for (double end = now + 60; now < end; now += kStep) {
      governor.refill(now, kNear);
      for (const MoveGovernor::Due& due : governor.due(now)) {
        const bool pays = due.side == Side::kNear && due.unit % 10 != 0;
        governor.judged(due, pays ? 0.02 : 0, pays ? saved_ns : 0);
      }
      governor.decide(now);
      froze = froze || governor.frozen();
      if (now < turn || governor.frozen()) continue;
      turn = now + 4;
      up = !up;
      for (UnitId unit = 0; unit < 20; ++unit)
        governor.moved(unit, up ? Side::kNear : Side::kFar, 2 << 20, {0.02, 1e6, 2 << 20}, now);
    }
    EXPECT_EQ(froze, saved_ns == 0) << saved_ns;
  }
}

TEST_F(MoveGovernorTest, ASecondFreezeIsLonger) {
  auto wrong = [&] {
    if (!governor.frozen()) governor.moved(next++, Side::kNear, 2 << 20, {0.05, 1e6, 2 << 20}, now);
  };
  auto frozen_for = [&] {
    while (!governor.frozen() && now < 1000) run(kStep, 0, 0, wrong);
    double begin = now;
    while (governor.frozen() && now < 1000) quiet(kStep);
    return now - begin;
  };
  double first = frozen_for();
  EXPECT_GT(frozen_for(), first * 1.5);
}

TEST_F(MoveGovernorTest, MovesThatBringNothingNarrowTheBucket) {
  uint64_t before = 0;
  run(12, 0, 0, [&] {
    if (before == 0) before = governor.tokens();
    if (!governor.frozen()) governor.moved(next++, Side::kNear, 1 << 20, {0.02, 1e6, 2 << 20}, now);
  });
  EXPECT_LT(governor.tokens(), before / 2);
  EXPECT_NE(governor.why().find("less than they cost"), std::string::npos);
}

TEST_F(MoveGovernorTest, MovesThatPayAreLeftAlone) {
  run(60, 0.02, 1e9, [&] {
    governor.moved(next++, Side::kNear, 1 << 20, {0.02, 1e6, 2 << 20}, now);
  });
  EXPECT_FALSE(governor.frozen());
  EXPECT_EQ(governor.hysteresis(), 1);
}

TEST_F(MoveGovernorTest, LessThanExpectedIsNoHarmWhenItPays) {
  run(60, 0.002, 1e9, [&] {
    governor.moved(next++, Side::kNear, 1 << 20, {0.02, 1e6, 2 << 20}, now);
  });
  EXPECT_FALSE(governor.frozen());
}

TEST(CpuGovernor, HoldsTheBudgetByLookingLess) {
  CpuGovernor governor;
  double cpu = 0;
  for (double now = 0; now < 60; now += kStep) {
    governor.spent(now, cpu);
    cpu += kStep * 0.015 * governor.effort();  // at full effort, three times the budget
  }
  EXPECT_FALSE(governor.killed());
  EXPECT_LT(governor.cost(), 0.0055);
  EXPECT_GT(governor.effort(), 0.1);
}

TEST(CpuGovernor, KillsWhatDoesNotObey) {
  CpuGovernor governor;
  for (double now = 0; now < 30; now += kStep) governor.spent(now, now * 0.03);
  EXPECT_TRUE(governor.killed());
  EXPECT_EQ(governor.effort(), 0);
}

TEST(CpuGovernor, LooksMoreAgainWhenItIsCheap) {
  CpuGovernor governor;
  double cpu = 0;
  for (double now = 0; now < 10; now += kStep) governor.spent(now, cpu += kStep * 0.015);
  double low = governor.effort();
  EXPECT_LT(low, 1);
  for (double now = 10; now < 80; now += kStep) governor.spent(now, cpu);
  EXPECT_EQ(governor.effort(), 1);
}

}  // namespace
}  // namespace hms::tiering
