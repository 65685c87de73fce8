// The configuration grammar: what is read, what is refused, and with which words.
#include "runtime/support/config.h"

#include <gtest/gtest.h>

namespace hms {
namespace {

Config parse(const std::string& text) {
  Config config;
  parse_config(text, "TEXT", &config);
  return config;
}

Rule only_rule(const std::string& text) {
  Config config = parse(text);
  for (const std::string& problem : config.problems) ADD_FAILURE() << problem;
  EXPECT_EQ(config.rules.size(), 1u) << text;
  return config.rules.empty() ? Rule() : config.rules[0];
}

TEST(Config, PlacementAloneHoldsForEverything) {
  for (const char* spec : {"fast", "node:2>node:0", "node:0*3+node:2*1", "node:0:4,node:2:1",
                           "bandwidth!", "tier:fast"}) {
    Rule rule = only_rule(spec);
    EXPECT_EQ(rule.placement, spec);
    EXPECT_FALSE(rule.has_size());
    EXPECT_FALSE(rule.has_site());
    EXPECT_FALSE(rule.thread || rule.program);
  }
}

TEST(Config, SizesAreInclusiveRanges) {
  const struct {
    const char* text;
    uint64_t low, high;
  } kCases[] = {
      {"size>=4096:a", 4096, UINT64_MAX},
      {"size>4K:a", 4097, UINT64_MAX},
      {"size<=64:a", 0, 64},
      {"size<64:a", 0, 63},
      {"size=64:a", 64, 64},
      {"size=64..512:a", 64, 512},
      {"size = 1K .. 2K : a", 1024, 2048},
      {"size>=64,size<128:a", 64, 127},
      {"size=10..20,size>=15:a", 15, 20},
      {"size>=0:a", 0, UINT64_MAX},
      {"size=18446744073709551615:a", UINT64_MAX, UINT64_MAX},
  };
  for (const auto& c : kCases) {
    Rule rule = only_rule(c.text);
    EXPECT_EQ(rule.min_size, c.low) << c.text;
    EXPECT_EQ(rule.max_size, c.high) << c.text;
    EXPECT_EQ(rule.placement, "a") << c.text;
  }
}

TEST(Config, NamesAndPlacementsWithColonsAndCommas) {
  Rule rule = only_rule("size>=1M,thread=bio_*,object=libfoo.so:node:0:4,node:2:1");
  EXPECT_EQ(rule.min_size, 1u << 20);
  EXPECT_EQ(*rule.thread, "bio_*");
  EXPECT_EQ(*rule.object, "libfoo.so");
  EXPECT_EQ(rule.placement, "node:0:4,node:2:1");
  rule = only_rule("symbol=\"ns::make(int, char)\",program=redis-server:fast>slow");
  EXPECT_EQ(*rule.symbol, "ns::make(int, char)");
  EXPECT_EQ(*rule.program, "redis-server");
  EXPECT_EQ(rule.placement, "fast>slow");
}

TEST(Config, AListWhoseFirstTargetIsAWordIsNoCondition) {
  EXPECT_EQ(only_rule("fast>slow").placement, "fast>slow");
  EXPECT_EQ(only_rule("fast > slow").placement, "fast > slow");
}

TEST(Config, StatementsCommentsAndPlaces) {
  Config config = parse(
      "# tiers of the test machine\n"
      "tiers fast=64M,slow=1G   # two\n"
      "\n"
      "  quota fast=32M ; quota node:0=1G\r\n"
      "size>=4096:slow;fast\n");
  EXPECT_TRUE(config.problems.empty()) << config.problems[0];
  EXPECT_EQ(config.tiers, "fast=64M,slow=1G");
  ASSERT_EQ(config.quotas.size(), 2u);
  EXPECT_EQ(config.quotas[0].target, "fast");
  EXPECT_EQ(config.quotas[0].bytes, 32u << 20);
  EXPECT_EQ(config.quotas[1].target, "node:0");
  EXPECT_EQ(config.quotas[1].where, "TEXT, line 4, column 20");
  ASSERT_EQ(config.rules.size(), 2u);
  EXPECT_EQ(config.rules[0].where, "TEXT, line 5, column 1");
  EXPECT_EQ(config.rules[1].where, "TEXT, line 5, column 17");
  EXPECT_EQ(config.rules[1].text, "fast");
}

TEST(Config, NothingIsNothing) {
  for (const char* text : {"", " ", ";;;\n\n;", "# only a comment ; tiers x"}) {
    Config config = parse(text);
    EXPECT_TRUE(config.rules.empty() && config.problems.empty() && config.tiers.empty()) << text;
  }
}

TEST(Config, ProblemsNamePlaceWordsAndWayOut) {
  const struct {
    const char* text;
    const char* message;
  } kCases[] = {
      {"sise>=4096:fast",
       "TEXT, line 1, column 1: in 'sise>=4096:fast': unknown condition 'sise'; expected size, "
       "thread, object, symbol or program"},
      {"  foo=bar:fast", "column 3: in 'foo=bar:fast': unknown condition 'foo'"},
      {"quota=1:x", "a 'quota' statement has a blank after the word"},
      {"size>=4096", "expected ':' and a placement after the conditions"},
      {"size>=4096:", "the placement is missing"},
      {"size>=4096,fast", "column 12: in 'size>=4096,fast': expected a condition after ','"},
      {"size>=4Q:fast", "column 7: in 'size>=4Q:fast': size '4Q': unknown unit 'Q'"},
      {"size>=:fast", "size '': is empty"},
      {"size=512..64:fast", "the range '512..64' is upside down"},
      {"size>1..2:fast", "a range goes with '='"},
      {"size=1..:fast", "size '': is empty"},
      {"size<0:fast", "no size is below 0"},
      {"size>18446744073709551615:fast", "no size is above that"},
      {"size<64,size>64:fast", "no size satisfies this (65 to 63)"},
      {"thread>=x:fast", "'thread' compares with '=', not with '>='"},
      {"thread=:fast", "'thread=' needs a name; * and ? are wildcards"},
      {"thread=a,thread=b:fast", "'thread' was given before in this rule"},
      {"object=/usr/lib/libz.so:fast",
       "'object' compares file names without folders; leave out '/usr/lib/'"},
      {"symbol=\"a:fast", "a '\"' without its other half"},
      {"tiers", "'tiers' needs a specification"},
      {"tiers a=1G;tiers b=1G", "'tiers' was given before ('a=1G'); give it once"},
      {"quota fast", "expected 'quota TARGET=SIZE'"},
      {"quota =1G", "the target before '=' is missing"},
      {"quota fast=lots", "size 'lots': does not start with a digit"},
      {"quota a=1;quota a=2", "'a' already has a quota (TEXT, line 1, column 1)"},
  };
  for (const auto& c : kCases) {
    Config config = parse(c.text);
    ASSERT_EQ(config.problems.size(), 1u) << c.text;
    EXPECT_NE(config.problems[0].find(c.message), std::string::npos) << config.problems[0];
  }
}

TEST(Config, WrongStatementsDoNotTakeOthersWithThem) {
  Config config = parse("bad=1:x\nfast\nsize>=:y\nslow");
  EXPECT_EQ(config.problems.size(), 2u);
  ASSERT_EQ(config.rules.size(), 2u);
  EXPECT_EQ(config.rules[0].placement, "fast");
  EXPECT_EQ(config.rules[1].placement, "slow");
}

TEST(Config, LimitsAreSaid) {
  std::string many;
  for (size_t i = 0; i < kMaxRules + 2; ++i) many += "fast;";
  Config config = parse(many);
  EXPECT_EQ(config.rules.size(), kMaxRules);
  ASSERT_EQ(config.problems.size(), 2u);
  EXPECT_NE(config.problems[0].find("more than 64 rules"), std::string::npos);
  config = parse(std::string(kMaxConfigBytes + 1, 'x'));
  EXPECT_TRUE(config.rules.empty());
  ASSERT_EQ(config.problems.size(), 1u);
  EXPECT_NE(config.problems[0].find("longer than 65536 bytes"), std::string::npos);
}

TEST(Glob, StarsAndQuestionMarks) {
  EXPECT_TRUE(glob_match("", ""));
  EXPECT_TRUE(glob_match("*", ""));
  EXPECT_TRUE(glob_match("redis-*", "redis-server"));
  EXPECT_TRUE(glob_match("*.so*", "libz.so.1"));
  EXPECT_TRUE(glob_match("b?o", "bio"));
  EXPECT_TRUE(glob_match("a*b*c", "axxbyybc"));
  EXPECT_FALSE(glob_match("redis", "redis-server"));
  EXPECT_FALSE(glob_match("b?o", "bo"));
  EXPECT_FALSE(glob_match("a*b", "acccbc"));
  EXPECT_FALSE(glob_match("", "a"));
  // Exponential in a matcher that backtracks over every star.
  EXPECT_FALSE(glob_match("a*a*a*a*a*a*a*a*a*a*a*a*b", std::string(2000, 'a').c_str()));
}

}  // namespace
}  // namespace hms
