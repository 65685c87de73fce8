// Tier descriptions and measurement files.
#include <gtest/gtest.h>
#include <stdlib.h>

#include "runtime/topology/measured.h"
#include "runtime/topology/tiers.h"
#include "tests/unit/topology/recorded.h"

namespace hms::topology {
namespace {

TEST(Tiers, DeclaredNumbers) {
  auto t = load_ok("tiers:fast=512M:bw=400G:lat=80,slow=8G:bw=28G:lat=250:kind=cxl");
  ASSERT_NE(t, nullptr);
  const Target* fast = t->find_target("tier:fast");
  ASSERT_NE(fast, nullptr);
  EXPECT_EQ(fast, t->find_target("fast"));
  EXPECT_TRUE(fast->emulated);
  EXPECT_EQ(fast->bytes, uint64_t{512} << 20);
  EXPECT_EQ(fast->node, load_ok("sysfs")->targets()[0].node);
  EXPECT_EQ(t->find_target("slow")->kind, TargetKind::kCxl);
  const std::string cpu = t->initiators()[0].key;
  EXPECT_EQ(path_between(*t, cpu, "fast").properties.bandwidth,
            (Sourced{400.0 * (1 << 30), Provenance::kDeclared}));
  EXPECT_EQ(path_between(*t, cpu, "slow").properties.latency,
            (Sourced{250, Provenance::kDeclared}));
  // The machine stays visible below its tiers.
  EXPECT_NE(t->find_target("node:0"), nullptr);
  EXPECT_EQ(found(*t, {cpu}, Order::kBandwidth).substr(0, 19), "tier:fast tier:slow");
}

TEST(Tiers, OrderRanksThoseWithoutNumbers) {
  auto t = load_ok("tiers:one=1G,two=1G,three=1G");
  ASSERT_NE(t, nullptr);
  for (Order o : {Order::kBandwidth, Order::kLatency}) {
    EXPECT_EQ(found(*t, {}, o).substr(0, 28), "tier:one tier:two tier:three");
  }
  EXPECT_EQ(path_between(*t, t->initiators()[0].key, "two").properties.bandwidth->from,
            Provenance::kAssumed);
}

TEST(Tiers, PartlyStatedNumbersKeepTheOrder) {
  auto t = load_ok("tiers:one=1G,two=1G:bw=10G:lat=300,three=1G");
  ASSERT_NE(t, nullptr);
  const std::string cpu = t->initiators()[0].key;
  EXPECT_EQ(path_between(*t, cpu, "one").properties.latency->value, 150);
  EXPECT_EQ(path_between(*t, cpu, "three").properties.bandwidth->value, 5.0 * (1 << 30));
}

TEST(Tiers, NodesGetNames) {
  int node = load_ok("sysfs")->targets()[0].node;
  auto t = load_ok("tiers:near=node:" + std::to_string(node));
  ASSERT_NE(t, nullptr);
  const Target* near = t->find_target("near");
  ASSERT_NE(near, nullptr);
  EXPECT_EQ(near->key, "node:" + std::to_string(node));
  EXPECT_FALSE(near->emulated);
  EXPECT_FALSE(t->emulated());
}

TEST(Tiers, ErrorsNameTheWord) {
  struct Case {
    const char* spec;
    const char* word;
  };
  for (const Case& c : {Case{"", "empty"},
                        Case{"fast", "'fast' has no '='"},
                        Case{"=1G", "no name"},
                        Case{"fast=", "'fast'"},
                        Case{"fast=1Q", "'Q'"},
                        Case{"fast=0", "above 0"},
                        Case{"fast=-1", "'-1'"},
                        Case{"1st=1G", "'1st'"},
                        Case{"a b=1G", "'a b'"},
                        Case{"local=1G", "reserved"},
                        Case{"a=1G,a=2G", "twice"},
                        Case{"a=1G:speed=3", "'speed=3'"},
                        Case{"a=1G:bw=", "bandwidth"},
                        Case{"a=1G:bw=0", "above 0"},
                        Case{"a=1G:lat=0", "'0'"},
                        Case{"a=1G:lat=-3", "'-3'"},
                        Case{"a=1G:lat=1e99", "'1e99'"},
                        Case{"a=1G:kind=gold", "'gold'"},
                        Case{"a=1G:on=x", "'x'"},
                        Case{"a=node:", "node number"},
                        Case{"a=node:1024", "node number"},
                        Case{"a=node:5x", "'5x'"},
                        Case{"a=node:1,b=node:1", "same node"},
                        Case{"a=1G,", "no name"},
                        Case{"a=99999999999T", "64 bits"}}) {
    auto tiers = parse_tiers(c.spec);
    ASSERT_FALSE(tiers.ok()) << c.spec;
    EXPECT_EQ(tiers.status().code(), HMS_EINVAL);
    EXPECT_NE(tiers.status().message().find(c.word), std::string::npos)
        << c.spec << ": " << tiers.status().message();
  }
}

TEST(Tiers, MissingNodesAreListed) {
  auto loaded = Topology::load("tiers:a=1G:on=1000");
  ASSERT_FALSE(loaded.ok());
  EXPECT_EQ(loaded.status().code(), HMS_ENODEV);
  EXPECT_NE(loaded.status().message().find("nodes that have: "), std::string::npos);
}

TEST(Load, UnknownSourcesAreExplained) {
  auto loaded = Topology::load("banana:x");
  ASSERT_FALSE(loaded.ok());
  EXPECT_NE(loaded.status().message().find("'banana:x'"), std::string::npos);
  EXPECT_NE(loaded.status().message().find("tiers:SPEC"), std::string::npos);
}

TEST(Load, EnvironmentNamesTheDefault) {
  setenv("HMS_TOPOLOGY", "tiers:env=1G", 1);
  auto t = load_ok("");
  setenv("HMS_TOPOLOGY", "nonsense", 1);
  auto bad = Topology::load("");
  unsetenv("HMS_TOPOLOGY");
  ASSERT_NE(t, nullptr);
  EXPECT_NE(t->find_target("env"), nullptr);
  ASSERT_FALSE(bad.ok());
  EXPECT_EQ(bad.status().message().find("HMS_TOPOLOGY"), 0U);
}

TEST(Measured, FilesOverrideAndForeignFilesDoNot) {
  TestTree tree;
  std::string file = tree.root() + "/measured.json";
  unsetenv("HMS_MEASURED");
  auto plain = load_ok("sysfs");
  ASSERT_NE(plain, nullptr);
  const std::string cpu = plain->initiators()[0].key, node = plain->targets()[0].key;
  auto text = [&](const std::string& machine) {
    return R"({"schema": 1, "extra": [1, {"a": null}], "machine": ")" + machine +
           R"(", "pairs": [{"initiator": ")" + cpu + R"(", "target": ")" + node +
           R"(", "latency_ns": 95.5, "bandwidth_bytes_s": 1e10},
              {"initiator": "cpu:999", "target": "node:0", "latency_ns": 1}]})";
  };
  setenv("HMS_MEASURED", file.c_str(), 1);
  tree.put("measured.json", text(machine_signature(*plain)));
  auto measured = load_ok("sysfs");
  tree.put("measured.json", text("another machine"));
  auto foreign = load_ok("sysfs");
  tree.put("measured.json", "{\"schema\": 1, \"pairs\": [");
  auto broken = load_ok("sysfs");
  unsetenv("HMS_MEASURED");
  ASSERT_NE(measured, nullptr);
  EXPECT_EQ(path_between(*measured, cpu, node).properties.latency,
            (Sourced{95.5, Provenance::kMeasured}));
  EXPECT_EQ(path_between(*measured, cpu, node).properties.bandwidth,
            (Sourced{1e10, Provenance::kMeasured}));
  EXPECT_EQ(path_between(*foreign, cpu, node).properties,
            path_between(*broken, cpu, node).properties);
  EXPECT_NE(path_between(*foreign, cpu, node).properties,
            path_between(*measured, cpu, node).properties);
}

TEST(Measured, NonsenseIsRefused) {
  for (const char* text : {"", "{", "[]", "{}", "{\"schema\":2}", "{\"schema\":1,\"pairs\":7}",
                           "{\"schema\":1,\"pairs\":[{\"initiator\":}]}"}) {
    EXPECT_FALSE(parse_measurements(text).ok()) << text;
  }
  auto parsed = parse_measurements(
      R"({"schema":1,"pairs":[{"latency_ns":nan},{"latency_ns":-1},{"bandwidth_bytes_s":1e99}]})");
  ASSERT_TRUE(parsed.ok());
  EXPECT_TRUE(parsed.value().pairs.empty());
}

}  // namespace
}  // namespace hms::topology
