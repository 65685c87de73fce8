// The estimator fed with counts whose mean is known.
#include "runtime/tiering/estimator.h"

#include <gtest/gtest.h>

#include <cmath>

#include "bench/tiering/heap.h"
#include "tests/unit/tiering/fakes.h"

namespace hms::tiering {
namespace {

constexpr double kStep = 0.25;

UnitView unit(UnitId id, uint32_t bytes, ClassId of) {
  return {id, uintptr_t{id} * kPartBytesMin, bytes, bytes, of, Side::kFar, false};
}

// Draws around the means it is told.
class EstimatorTest : public testing::Test {
 protected:
  // Events per second of every unit.
  void run(double seconds, const std::vector<double>& rates, double exposure_share = 1) {
    for (double end = now + seconds; now < end; now += kStep) {
      std::vector<Reading> readings;
      for (size_t i = 0; i < units.size(); ++i) {
        double exposure = kStep * exposure_share;
        readings.push_back({units[i].id, static_cast<double>(draw(rates[i] * exposure)), exposure});
      }
      estimator.step(now, units, readings);
    }
  }
  double rate(size_t i) const { return estimator.units()[i].density * units[i].committed; }
  uint64_t draw(double mean) {
    uint64_t count = 0;
    for (double left = mean + std::log(1 - random.unit()); left > 0;
         left += std::log(1 - random.unit()))
      ++count;
    return count;
  }

  bench::tiering::Random random{5};
  double now = 50;
  std::vector<UnitView> units;
  Estimator estimator;
};

TEST_F(EstimatorTest, ConvergesOnTheRate) {
  for (UnitId i = 0; i < 4; ++i) units.push_back(unit(i * kIdsPerUnit, kUnitBytes, 1));
  run(60, {100, 200, 400, 800});
  for (size_t i = 0; i < 4; ++i) EXPECT_NEAR(rate(i), 100 << i, 12 << i) << i;
  EXPECT_NEAR(estimator.rate(), 1500, 60);
  EXPECT_GT(estimator.units()[3].confidence, 0.9);
}

TEST_F(EstimatorTest, CorrectsForHowLongItLooked) {
  units.push_back(unit(0, kUnitBytes, 1));
  run(60, {1000}, 0.1);
  EXPECT_NEAR(rate(0), 1000, 100);
}

TEST_F(EstimatorTest, TakesUnitsThatNobodyWatchedForAverage) {
  units = {unit(0, kUnitBytes, 1), unit(kIdsPerUnit, kUnitBytes, 1)};
  for (; now < 60; now += kStep) estimator.step(now, units, {{0, 25, kStep}});
  EXPECT_NEAR(rate(1), 100, 5);
  EXPECT_EQ(estimator.units()[1].confidence, 0);
  EXPECT_NEAR(estimator.rate(), 200, 5);
}

TEST_F(EstimatorTest, FewEventsLeanOnTheClass) {
  // Alike, a few events each: chance spreads what is counted, not what is estimated.
  std::vector<double> rates(200, 0.5);
  for (UnitId i = 0; i < 200; ++i) units.push_back(unit(i * kIdsPerUnit, kUnitBytes, 1));
  run(5, rates);
  for (size_t i = 0; i < 200; ++i) EXPECT_NEAR(rate(i), 0.5, 0.35) << i;
  EXPECT_LT(estimator.of_class(1).unit_spread, 0.2);
}

TEST_F(EstimatorTest, MeasuresHowUnitsDiffer) {
  // One in four has all the heat: the variance over the squared mean is 3.
  std::vector<double> rates;
  for (UnitId i = 0; i < 200; ++i) {
    units.push_back(unit(i * kIdsPerUnit, kUnitBytes, 1));
    rates.push_back(i % 4 ? 0 : 20);
  }
  run(30, rates);
  EXPECT_NEAR(estimator.of_class(1).unit_spread, 3, 0.4);
}

TEST_F(EstimatorTest, AChangeIsSeenWithinASecondOrTwo) {
  units = {unit(0, kUnitBytes, 1), unit(kIdsPerUnit, kUnitBytes, 2)};
  run(60, {1000, 100});
  double before = estimator.units()[0].since;
  EXPECT_LE(before, 50);
  run(2, {10, 100});
  EXPECT_LT(rate(0), 300);
  EXPECT_GT(estimator.units()[0].since, before);
  EXPECT_NEAR(rate(1), 100, 25);  // nothing happened there
}

TEST_F(EstimatorTest, ABurstOfOneStepIsNoChange) {
  units = {unit(0, kUnitBytes, 1)};
  run(60, {100});
  double before = estimator.units()[0].since;
  run(kStep, {20000});
  run(1, {100});
  EXPECT_EQ(estimator.units()[0].since, before);
  EXPECT_LT(rate(0), 500);
}

TEST_F(EstimatorTest, UnitsFollowTheirClass) {
  // Too few events for a unit to show a change by itself; a hundred of them show it together.
  std::vector<double> quiet, busy(100, 8);
  for (UnitId i = 0; i < 100; ++i) {
    units.push_back(unit(i * kIdsPerUnit, kUnitBytes, 3));
    quiet.push_back(i % 2 ? 0.5 : 1.5);
  }
  run(60, quiet);
  for (size_t i = 0; i < 100; ++i) busy[i] = quiet[i] * 5;
  run(2, busy);
  EXPECT_NEAR(estimator.of_class(3).rate, 500, 100);
  double even = 0, odd = 0;
  for (size_t i = 0; i < 100; ++i) (i % 2 ? odd : even) += rate(i);
  EXPECT_GT(even, 2 * odd);  // what they were to each other they still are
}

TEST_F(EstimatorTest, PartsInheritAndThenShowThemselves) {
  units = {unit(0, kUnitBytes, 1)};
  run(30, {1000});
  units.clear();
  std::vector<double> rates;
  for (UnitId page = 0; page < kIdsPerUnit; ++page) {
    units.push_back(unit(page, kPartBytesMin, 1));
    rates.push_back(page % 8 ? 0 : 8000.0 / kIdsPerUnit);
  }
  estimator.step(now, units, {});
  EXPECT_NEAR(rate(3), 1000.0 / kIdsPerUnit, 0.5);
  run(20, rates);
  EXPECT_LT(rate(3), 0.5);
  EXPECT_NEAR(rate(8), 8000.0 / kIdsPerUnit, 5);
  EXPECT_NEAR(estimator.of_class(1).part_spread, 7, 1.5);
  units = {unit(0, kUnitBytes, 1)};
  estimator.step(now, units, {});
  EXPECT_NEAR(rate(0), 1000, 100);  // whole again, with what its parts knew
}

TEST_F(EstimatorTest, NonsenseIsLeftOut) {
  units = {unit(0, kUnitBytes, 1)};
  estimator.step(
      now, units,
      {{0, -5, 1}, {0, 5, 0}, {0, 5, -1}, {0, std::nan(""), 1}, {0, 5, std::nan("")}, {7, 5, 1}});
  EXPECT_EQ(estimator.rate(), 0);
}

TEST_F(EstimatorTest, EqualInputGivesEqualOutput) {
  for (UnitId i = 0; i < 50; ++i) units.push_back(unit(i * kIdsPerUnit, kUnitBytes, i % 5));
  Estimator other;
  std::vector<Reading> readings(50);
  for (double at = 0; at < 10; at += kStep) {
    for (size_t i = 0; i < 50; ++i)
      readings[i] = {units[i].id, static_cast<double>(draw(2)), kStep};
    estimator.step(at, units, readings);
    other.step(at, units, readings);
  }
  for (size_t i = 0; i < 50; ++i) EXPECT_EQ(estimator.units()[i].density, other.units()[i].density);
}

}  // namespace
}  // namespace hms::tiering
