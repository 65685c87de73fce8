// parse_placement: every form of the grammar, and the messages for what is not of it.
#include <gtest/gtest.h>

#include <memory>

#include "runtime/placement/placement.h"
#include "runtime/support/os.h"

namespace hms {
namespace {

using topology::Topology;

// Three emulated tiers over whatever this machine has.
std::shared_ptr<const Topology> tiers() {
  auto loaded = Topology::load("tiers:fast=64M,mid=256M,slow=1G");
  EXPECT_TRUE(loaded.ok()) << loaded.status().message();
  return loaded.value();
}

Placement parsed(const std::string& spec, const Topology* topology) {
  Result<Placement> placement = parse_placement(spec, topology);
  EXPECT_TRUE(placement.ok()) << spec << ": " << placement.status().message();
  Placement none;
  none.legs.resize(1);
  return placement.ok() ? placement.value() : none;
}

std::string first_node() {
  os::NodeMask nodes;
  EXPECT_EQ(os::allowed_nodes(&nodes), 0);
  int node = 0;
  while (!nodes.test(node)) ++node;
  return "node:" + std::to_string(node);
}

TEST(ParsePlacement, KernelChosenNeedsNoTopology) {
  Placement placement = parsed("default", nullptr);
  EXPECT_TRUE(placement.is_default());
  EXPECT_EQ(placement.legs[0].target.node, -1);
  EXPECT_FALSE(placement.strict);
  placement = parsed(" local ", nullptr);
  EXPECT_EQ(placement.legs[0].target.key, "local");
  EXPECT_FALSE(placement.is_default());
}

TEST(ParsePlacement, NodesNeedNoTopology) {
  std::string node = first_node();
  Placement placement = parsed(node + "!", nullptr);
  EXPECT_TRUE(placement.strict);
  ASSERT_EQ(placement.legs.size(), 1u);
  EXPECT_EQ(placement.legs[0].target.key, node);
  EXPECT_EQ("node:" + std::to_string(placement.legs[0].target.node), node);
  EXPECT_FALSE(placement.legs[0].target.emulated);
  EXPECT_EQ(placement.legs[0].target.capacity, UINT64_MAX);
  EXPECT_EQ(placement.spec, node + "!");
}

TEST(ParsePlacement, HugePagesAreAskedForAtTheEnd) {
  auto topology = tiers();
  for (const char* spec : {"slow>fast@huge", "slow>fast @huge "}) {
    Placement placement = parsed(spec, topology.get());
    EXPECT_TRUE(placement.huge && !placement.strict) << spec;
    ASSERT_EQ(placement.legs.size(), 2u) << spec;
    EXPECT_EQ(placement.legs[1].target.key, "tier:fast") << spec;
  }
  for (const char* spec : {"fast@huge!", "fast!@huge", "fast ! @huge"}) {
    Placement placement = parsed(spec, topology.get());
    EXPECT_TRUE(placement.huge && placement.strict) << spec;
  }
  EXPECT_FALSE(parsed("default@huge", nullptr).is_default());
  EXPECT_FALSE(parsed("slow>fast", topology.get()).huge);
}

TEST(ParsePlacement, OrderedListKeepsItsOrder) {
  auto topology = tiers();
  Placement placement = parsed("slow > fast>default", topology.get());
  ASSERT_EQ(placement.legs.size(), 3u);
  EXPECT_EQ(placement.spread, Spread::kOrdered);
  EXPECT_EQ(placement.legs[0].target.key, topology->find_target("slow")->key);
  EXPECT_EQ(placement.legs[1].target.key, topology->find_target("fast")->key);
  EXPECT_EQ(placement.legs[2].target.key, "default");
  EXPECT_TRUE(placement.legs[0].target.emulated);
  EXPECT_EQ(placement.legs[1].target.capacity, 64ULL << 20);
}

TEST(ParsePlacement, InterleaveTakesWeights) {
  auto topology = tiers();
  Placement placement = parsed("fast*3+mid+slow*2!", topology.get());
  ASSERT_EQ(placement.legs.size(), 3u);
  EXPECT_EQ(placement.spread, Spread::kInterleave);
  EXPECT_EQ(placement.legs[0].weight, 3u);
  EXPECT_EQ(placement.legs[1].weight, 1u);
  EXPECT_EQ(placement.legs[2].weight, 2u);
  EXPECT_TRUE(placement.strict);
}

TEST(ParsePlacement, RatioWeightFollowsTheLastColon) {
  auto topology = tiers();
  std::string key = topology->find_target("fast")->key;  // has a colon of its own
  Placement placement = parsed(key + ":4,slow:1,default:2", topology.get());
  ASSERT_EQ(placement.legs.size(), 3u);
  EXPECT_EQ(placement.spread, Spread::kRatio);
  EXPECT_EQ(placement.legs[0].target.key, key);
  EXPECT_EQ(placement.legs[0].weight, 4u);
  placement = parsed(first_node() + ":4,slow:1", topology.get());
  EXPECT_EQ(placement.legs[0].target.key, first_node());
  EXPECT_FALSE(placement.legs[0].target.emulated);
}

TEST(ParsePlacement, OneLegIsOrderedHoweverItIsWritten) {
  auto topology = tiers();
  Placement placement = parsed("fast*7", topology.get());
  EXPECT_EQ(placement.spread, Spread::kOrdered);
  EXPECT_EQ(placement.legs[0].weight, 1u);
}

TEST(ParsePlacement, AttributesListEveryUsableTarget) {
  auto topology = tiers();
  Placement placement = parsed("capacity", topology.get());
  // The tiers stand in for the machine below them, which has no place of its own in the list.
  ASSERT_EQ(placement.legs.size(), 3u);
  for (size_t i = 1; i < placement.legs.size(); ++i) {
    EXPECT_GE(placement.legs[i - 1].target.capacity, placement.legs[i].target.capacity);
  }
  for (const char* word : {"bandwidth", "latency", "locality!"}) {
    EXPECT_EQ(parsed(word, topology.get()).legs.size(), 3u) << word;
  }
}

TEST(ParsePlacement, MessagesNameTheWordAndTheWayOut) {
  auto topology = tiers();
  const struct {
    const char* spec;
    hms_status code;
    const char* message;
  } kCases[] = {
      {"", HMS_EINVAL, "is empty; known names: default, local"},
      {"!", HMS_EINVAL, "is empty"},
      {"fats", HMS_ENODEV,
       "placement 'fats': 'fats' is no target; known names: default, local, bandwidth, latency, "
       "capacity, locality, "},
      {"fats", HMS_ENODEV, "fast, mid, slow"},
      {"node:999", HMS_ENODEV, "'node:999' does not exist or is not allowed for this process"},
      {"node:99999999999", HMS_ENODEV, "'node:99999999999' does not exist"},
      {"fast>", HMS_EINVAL, "a target is missing"},
      {"fast>>slow", HMS_EINVAL, "a target is missing"},
      {"fast>fast", HMS_EINVAL, "'fast' is named twice"},
      {"default>fast", HMS_EINVAL, "'default' never fills up"},
      {"fast>bandwidth", HMS_EINVAL, "'bandwidth' stands alone"},
      {"fast>mid+slow", HMS_EINVAL, "mixes '>' (ordered), '+' (interleave) and ',' (ratio)"},
      {"fast*0+slow", HMS_EINVAL, "'0' is no weight; expected a whole number from 1 to 65535"},
      {"fast*-1+slow", HMS_EINVAL, "'-1' is no weight"},
      {"fast*65536+slow", HMS_EINVAL, "'65536' is no weight"},
      {"local+slow", HMS_EINVAL, "'local' has no node of its own"},
      {"fast,slow:1", HMS_EINVAL, "'fast' has no share; write TARGET:SHARE, such as fast:1"},
      {"node:0,slow:1", HMS_EINVAL, "'node:0' has no share; write TARGET:SHARE, such as node:0:1"},
      {"fast:x,slow:1", HMS_EINVAL, "'x' is no weight"},
      {"fast@huge@huge", HMS_ENODEV, "'fast@huge' is no target"},
      {"@huge", HMS_EINVAL, "is empty"},
      {"fast@large", HMS_ENODEV, "'fast@large' is no target"},
      {"default!", HMS_EINVAL, "'!' asks for named targets only"},
      {"default:1,fast:1!", HMS_EINVAL, "'!' asks for named targets only"},
  };
  for (const auto& c : kCases) {
    Result<Placement> placement = parse_placement(c.spec, topology.get());
    ASSERT_FALSE(placement.ok()) << c.spec;
    EXPECT_EQ(placement.status().code(), c.code) << placement.status().message();
    EXPECT_NE(placement.status().message().find(c.message), std::string::npos)
        << placement.status().message();
  }
}

TEST(ParsePlacement, NamesWithoutTopologyAreRefused) {
  Result<Placement> placement = parse_placement("bandwidth", nullptr);
  ASSERT_FALSE(placement.ok());
  EXPECT_NE(placement.status().message().find("needs a topology"), std::string::npos);
  EXPECT_FALSE(parse_placement("fast", nullptr).ok());
  EXPECT_FALSE(parse_placement(std::string(5000, 'a'), nullptr).ok());
}

TEST(ParsePlacement, KnowsWhatNeedsATopology) {
  for (const char* spec :
       {"default", "local!", "node:0", "node:0>node:1>default", "node:0*3+node:1",
        "node:0:4,node:1:1!", "default:1,node:0:2", " node:0 > local"}) {
    EXPECT_FALSE(placement_needs_topology(spec)) << spec;
  }
  for (const char* spec :
       {"fast", "bandwidth", "node:0>fast", "tier:fast:1,node:0:1", "", "node:", "node:0*2+slow"}) {
    EXPECT_TRUE(placement_needs_topology(spec)) << spec;
  }
}

}  // namespace
}  // namespace hms
