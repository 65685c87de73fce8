// Which memories tiering takes, on machines that are described.
#include "runtime/tiering/sides.h"

#include <gtest/gtest.h>

#include "runtime/topology/topology.h"

namespace hms::tiering {
namespace {

std::shared_ptr<const topology::Topology> load(const std::string& source) {
  auto loaded = topology::Topology::load(source);
  EXPECT_TRUE(loaded.ok()) << loaded.status().message();
  return loaded.value();
}

Result<Sides> with_tiers(const std::string& words, const std::string& tiers) {
  return choose_sides(words, *load("tiers:" + tiers), "tiers:" + tiers);
}

TEST(Sides, OfTiersTheFirstIsNearAndTheLargestOfTheOthersFar) {
  Result<Sides> two = with_tiers("auto", "zoom=64M,away=1G");
  ASSERT_TRUE(two.ok()) << two.status().message();
  EXPECT_EQ(two.value().near.key, "tier:zoom");
  EXPECT_EQ(two.value().far.key, "tier:away");
  Result<Sides> three = with_tiers("auto", "a=64M,b=128M,c=1G");
  ASSERT_TRUE(three.ok());
  EXPECT_EQ(three.value().near.key, "tier:a");
  EXPECT_EQ(three.value().far.key, "tier:c");
}

TEST(Sides, NamedOnesAreTakenAsTheyAreNamed) {
  Result<Sides> sides = with_tiers("b>a", "a=64M,b=128M,c=1G");
  ASSERT_TRUE(sides.ok()) << sides.status().message();
  EXPECT_EQ(sides.value().near.key, "tier:b");
  EXPECT_EQ(sides.value().far.key, "tier:a");
}

// High-bandwidth memory answers later than DRAM, and is near all the same.
TEST(Sides, OfMachinesTheMemoryWithMostBandwidthIsNear) {
  const auto kinds = [](const std::string& machine) {
    const std::string source = "xml:" HMS_TEST_DATA "/machines/xml/" + machine + ".xml";
    const auto topology = load(source);
    Result<Sides> sides = choose_sides("auto", *topology, source);
    EXPECT_TRUE(sides.ok()) << sides.status().message();
    return std::pair(topology->find_target(sides.value().near.key)->kind,
                     topology->find_target(sides.value().far.key)->kind);
  };
  using topology::TargetKind;
  EXPECT_EQ(kinds("knl-flat"), std::pair(TargetKind::kHbm, TargetKind::kDram));
  EXPECT_EQ(kinds("xeon-cxl"), std::pair(TargetKind::kDram, TargetKind::kCxl));
}

// Another socket's memory is as good as one's own, for somebody.
TEST(Sides, MemoriesOfOneKindAreNothingToTier) {
  const std::string source = "synthetic:node:2 core:2 pu:1";
  auto topology = topology::Topology::load(source);
  ASSERT_TRUE(topology.ok()) << topology.status().message();
  Result<Sides> sides = choose_sides("auto", *topology.value(), source);
  ASSERT_FALSE(sides.ok());
  EXPECT_EQ(sides.status().code(), HMS_ENODEV);
  EXPECT_NE(sides.status().message().find("one kind"), std::string::npos);
  EXPECT_TRUE(choose_sides("node:0>node:1", *topology.value(), source).ok());
}

TEST(Sides, TellTheBandwidthsThatAreKnown) {
  Result<Sides> declared = with_tiers("auto", "fast=64M:bw=400G,slow=1G:bw=100G");
  ASSERT_TRUE(declared.ok());
  EXPECT_DOUBLE_EQ(declared.value().bandwidths.near, 400.0 * (1 << 30));
  EXPECT_DOUBLE_EQ(declared.value().bandwidths.far, 100.0 * (1 << 30));
  Result<Sides> one = with_tiers("auto", "fast=64M:bw=400G,slow=1G");
  ASSERT_TRUE(one.ok());
  EXPECT_GT(one.value().bandwidths.near, 0);
  EXPECT_EQ(one.value().bandwidths.far, 0) << "assumed";
  const std::string source = "xml:" HMS_TEST_DATA "/machines/xml/xeon-cxl.xml";
  Result<Sides> machine = choose_sides("auto", *load(source), source);
  ASSERT_TRUE(machine.ok());
  EXPECT_GT(machine.value().bandwidths.near, machine.value().bandwidths.far);
}

TEST(Sides, OneMemoryIsNothingToTier) {
  Result<Sides> sides = with_tiers("auto", "only=64M");
  ASSERT_FALSE(sides.ok());
  EXPECT_EQ(sides.status().code(), HMS_ENODEV);
  EXPECT_NE(sides.status().message().find("tier:only"), std::string::npos);
  EXPECT_NE(sides.status().message().find("--tiers"), std::string::npos);
}

TEST(Sides, SaysWhichNameIsWrong) {
  Result<Sides> unknown = with_tiers("a>nowhere", "a=64M,b=128M");
  ASSERT_FALSE(unknown.ok());
  EXPECT_NE(unknown.status().message().find("nowhere"), std::string::npos);
  EXPECT_EQ(unknown.status().code(), HMS_EINVAL) << "not the same as one memory";
  EXPECT_FALSE(with_tiers("a>a", "a=64M,b=128M").ok());
}

TEST(Words, OfTwoThoseThatNameMemoriesChoose) {
  EXPECT_EQ(words_that_choose("auto", ""), "auto");
  EXPECT_EQ(words_that_choose("", ""), "auto");
  EXPECT_EQ(words_that_choose("auto", "a>b"), "a>b");
  EXPECT_EQ(words_that_choose("a>b", "c>d"), "a>b");
  EXPECT_EQ(words_that_choose("a>b", "auto"), "a>b");
}

TEST(Words, AreCheckedWithoutATopology) {
  for (const char* good : {"", "off", "auto", "fast>slow", "node:0>node:1"}) {
    EXPECT_TRUE(check_words(good).ok()) << good;
  }
  for (const char* bad : {"on", "fast", "a>", ">b", "a>b>c", "autos", "1"}) {
    Status status = check_words(bad);
    EXPECT_FALSE(status.ok()) << bad;
    EXPECT_NE(status.message().find(bad), std::string::npos);
  }
}

}  // namespace
}  // namespace hms::tiering
