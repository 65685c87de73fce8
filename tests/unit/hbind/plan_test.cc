// How a range is cut for a list: arithmetic only.
#include "runtime/hbind/plan.h"

#include <gtest/gtest.h>

namespace hms::hbind {
namespace {

struct Want {
  PageSpan span;
  const BoundTarget* target;
};

void expect_parts(const Plan& plan, const std::vector<Want>& want) {
  ASSERT_EQ(plan.parts.size(), want.size());
  for (size_t i = 0; i < want.size(); ++i) {
    EXPECT_EQ(plan.parts[i].span, want[i].span) << "part " << i;
    EXPECT_EQ(plan.parts[i].target, want[i].target) << "part " << i;
  }
}

class PlanTest : public ::testing::Test {
 protected:
  BoundTarget a_, b_;
};

TEST_F(PlanTest, TheFirstTargetTakesAllItHasRoomFor) {
  Plan plan = make_plan({{{100, 200}, false}}, {{&a_, 100}, {&b_, 100}});
  expect_parts(plan, {{{100, 200}, &a_}});
  EXPECT_EQ(plan.pages_without_room, 0u);
}

TEST_F(PlanTest, TheNextGoesOnWhereTheFirstEnds) {
  Plan plan = make_plan({{{100, 200}, false}}, {{&a_, 30}, {&b_, 100}});
  expect_parts(plan, {{{100, 130}, &a_}, {{130, 200}, &b_}});
}

TEST_F(PlanTest, WhatNobodyHasRoomForIsSaid) {
  Plan plan = make_plan({{{100, 200}, false}}, {{&a_, 30}, {&b_, 50}});
  expect_parts(plan, {{{100, 130}, &a_}, {{130, 180}, &b_}, {{180, 200}, nullptr}});
  EXPECT_EQ(plan.pages_without_room, 20u);
}

TEST_F(PlanTest, ExistingPagesNeedNoRoom) {
  Plan plan = make_plan({{{100, 190}, true}, {{190, 200}, false}}, {{&a_, 10}, {&b_, 0}});
  expect_parts(plan, {{{100, 200}, &a_}});
  EXPECT_EQ(plan.pages_without_room, 0u);
}

TEST_F(PlanTest, TargetsWithoutRoomAreSkipped) {
  Plan plan = make_plan({{{100, 200}, false}}, {{&a_, 0}, {&b_, 100}});
  expect_parts(plan, {{{100, 200}, &b_}});
}

TEST_F(PlanTest, HolesSeparateParts) {
  Plan plan = make_plan({{{100, 110}, false}, {{150, 160}, false}}, {{&a_, 15}, {&b_, 100}});
  expect_parts(plan, {{{100, 110}, &a_}, {{150, 155}, &a_}, {{155, 160}, &b_}});
}

TEST_F(PlanTest, CutsOfLongPartsFallOnHugePages) {
  Plan plan = make_plan({{{512, 5120}, false}}, {{&a_, 1500}, {&b_, 10000}});
  expect_parts(plan, {{{512, 1536}, &a_}, {{1536, 5120}, &b_}});
}

TEST_F(PlanTest, NothingMappedIsAnEmptyPlan) {
  Plan plan = make_plan({}, {{&a_, 10}});
  EXPECT_TRUE(plan.parts.empty());
}

}  // namespace
}  // namespace hms::hbind
