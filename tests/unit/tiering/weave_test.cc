// The pattern of woven memory, and the words that ask for it.
#include "runtime/tiering/weave.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace hms::tiering {
namespace {

unsigned near_of(uint32_t first, uint32_t runs, unsigned share) {
  unsigned near = 0;
  for (uint32_t run = first; run < first + runs; ++run)
    near += weave_side(run, share) == Side::kNear;
  return near;
}

TEST(Weave, OfEachCycleTheShareIsNear) {
  for (unsigned share = 0; share <= kWeaveCycle; ++share) {
    for (uint32_t first : {0U, 17U, 4096U}) EXPECT_EQ(near_of(first, kWeaveCycle, share), share);
  }
}

TEST(Weave, NeighboursAreMixed) {
  for (unsigned share = 0; share <= kWeaveCycle; ++share) {
    for (uint32_t first = 0; first < 2 * kWeaveCycle; first += 8) {
      EXPECT_NEAR(near_of(first, 8, share), share / 8.0, 1) << share << " from " << first;
    }
  }
}

TEST(Weave, ALargerShareKeepsWhatIsNear) {
  for (unsigned share = 0; share < kWeaveCycle; ++share) {
    std::set<uint32_t> grown;
    for (uint32_t run = 0; run < kWeaveCycle; ++run) {
      if (weave_side(run, share) != weave_side(run, share + 1)) grown.insert(run);
      EXPECT_TRUE(weave_side(run, share) == Side::kFar ||
                  weave_side(run, share + 1) == Side::kNear);
    }
    EXPECT_EQ(grown.size(), 1U);
  }
}

TEST(Weave, WordsAreUnderstood) {
  EXPECT_EQ(parse_weave("").value().kind, WeaveWords::Kind::kAuto);
  EXPECT_EQ(parse_weave("auto").value().kind, WeaveWords::Kind::kAuto);
  EXPECT_EQ(parse_weave("off").value().kind, WeaveWords::Kind::kOff);
  Result<WeaveWords> weights = parse_weave("2.5:1");
  ASSERT_TRUE(weights.ok());
  EXPECT_EQ(weights.value().kind, WeaveWords::Kind::kWeights);
  EXPECT_DOUBLE_EQ(weights.value().near, 2.5);
  EXPECT_DOUBLE_EQ(weights.value().far, 1);
  for (const char* wrong : {"on", "4", "4:", ":1", "4:1:1", "0:1", "4:0", "-4:1", "4: 1", "1e3:1",
                            "nan:1", "inf:1", "4,1", "1.2.3:1", ".:1", "99999999999999999999:1"}) {
    Result<WeaveWords> words = parse_weave(wrong);
    ASSERT_FALSE(words.ok()) << wrong;
    EXPECT_EQ(words.status().code(), HMS_EINVAL);
    EXPECT_NE(words.status().message().find(wrong), std::string::npos) << words.status().message();
  }
}

TEST(Weave, WeightsComeFromTheUserOrFromTheMemories) {
  const auto share = [](const char* words, double near, double far) {
    return weave_options(parse_weave(words).value(), {near, far});
  };
  EXPECT_EQ(share("auto", 400e9, 100e9).near_share, 51U);
  EXPECT_DOUBLE_EQ(share("auto", 400e9, 100e9).near_bandwidth, 400e9);
  EXPECT_EQ(share("auto", 100e9, 100e9).near_share, 32U);
  EXPECT_EQ(share("3:1", 100e9, 100e9).near_share, 48U);
  EXPECT_EQ(share("3:1", 100e9, 100e9).near_bandwidth, 0) << "who gives weights wants them";
  EXPECT_EQ(share("3:1", 0, 0).near_share, 48U);
  EXPECT_EQ(share("1000000:1", 0, 0).near_share, kWeaveCycle - 1);
  EXPECT_EQ(share("off", 400e9, 100e9).near_share, 0U);
  EXPECT_EQ(share("auto", 400e9, 0).near_share, 0U) << "not known";
  EXPECT_EQ(share("auto", 0, 100e9).near_share, 0U);
  EXPECT_EQ(share("auto", 400e9, 10e9).near_share, 0U) << "next to nothing";
}

}  // namespace
}  // namespace hms::tiering
