// Recorded and hostile sysfs trees.
#include <gtest/gtest.h>

#include "tests/unit/topology/recorded.h"

namespace hms::topology {
namespace {

constexpr double kMib = 1024.0 * 1024.0;

TEST(Sysfs, HbmDdrCxlMatchesItsHmat) {
  auto tree = TestTree::recorded("hbm-ddr-cxl");
  auto t = load_ok(tree->source());
  ASSERT_NE(t, nullptr);
  struct Row {
    const char* from;
    const char* to;
    double ns, mib_s;
  };
  for (const Row& r : {Row{"cpu:0", "node:0", 90, 102400}, Row{"cpu:1", "node:1", 90, 102400},
                       Row{"cpu:0", "node:2", 110, 409600}, Row{"cpu:1", "node:3", 250, 28672}}) {
    Path p = path_between(*t, r.from, r.to);
    ASSERT_TRUE(p.reachable);
    EXPECT_EQ(p.properties.latency, (Sourced{r.ns, Provenance::kHmat})) << r.from << r.to;
    EXPECT_EQ(p.properties.bandwidth, (Sourced{r.mib_s * kMib, Provenance::kHmat}));
  }
  EXPECT_EQ(t->find_target("node:0")->kind, TargetKind::kDram);
  EXPECT_EQ(t->find_target("node:2")->kind, TargetKind::kHbm);
  EXPECT_EQ(t->find_target("node:3")->kind, TargetKind::kCxl);
  EXPECT_EQ(t->find_target("node:2")->from, Provenance::kHmat);
  EXPECT_EQ(t->find_target("node:2")->kernel_tier, 4);
}

TEST(Sysfs, OtherPairsAreEstimatedFromDistances) {
  auto tree = TestTree::recorded("hbm-ddr-cxl");
  auto t = load_ok(tree->source());
  ASSERT_NE(t, nullptr);
  Path across = path_between(*t, "cpu:0", "node:1");
  EXPECT_EQ(across.properties.latency, (Sourced{90 * 21.0 / 10, Provenance::kSlit}));
  // HBM behind the other socket is no faster than that socket's own memory from here.
  Path hbm = path_between(*t, "cpu:1", "node:2");
  Path home = path_between(*t, "cpu:1", "node:0");
  EXPECT_EQ(hbm.properties.bandwidth, home.properties.bandwidth);
}

TEST(Sysfs, OrdersOfHbmDdrCxl) {
  auto tree = TestTree::recorded("hbm-ddr-cxl");
  auto t = load_ok(tree->source());
  ASSERT_NE(t, nullptr);
  EXPECT_EQ(found(*t, {"cpu:0"}, Order::kBandwidth), "node:2 node:0 node:1 node:3");
  EXPECT_EQ(found(*t, {"cpu:0"}, Order::kLatency), "node:0 node:2 node:1 node:3");
  EXPECT_EQ(found(*t, {"cpu:1"}, Order::kBandwidth), "node:1 node:0 node:2 node:3");
  EXPECT_EQ(found(*t, {"cpu:0"}, Order::kLocality), "node:0 node:2 node:1 node:3");
  EXPECT_EQ(found(*t, {}, Order::kCapacity), "node:3 node:0 node:1 node:2");
  // Over all CPUs the far sides tie; the mean decides for the HBM.
  EXPECT_EQ(found(*t, {}, Order::kBandwidth), "node:2 node:0 node:1 node:3");
}

TEST(Sysfs, TwoSocketsTwoCxl) {
  auto tree = TestTree::recorded("2s-2cxl");
  auto t = load_ok(tree->source());
  ASSERT_NE(t, nullptr);
  for (const char* key : {"node:2", "node:3"}) {
    EXPECT_EQ(t->find_target(key)->kind, TargetKind::kCxl) << key;
  }
  EXPECT_EQ(path_between(*t, "cpu:0", "node:2").properties.latency->value, 250);
  EXPECT_EQ(path_between(*t, "cpu:1", "node:3").properties.latency->value, 250);
  EXPECT_EQ(path_between(*t, "cpu:0", "node:3").properties.latency->from, Provenance::kSlit);
  EXPECT_EQ(found(*t, {"cpu:1"}, Order::kLatency), "node:1 node:0 node:3 node:2");
}

TEST(Sysfs, OneNode) {
  auto tree = TestTree::recorded("ddr1");
  auto t = load_ok(tree->source());
  ASSERT_NE(t, nullptr);
  EXPECT_EQ(t->targets().size(), 1U);
  EXPECT_EQ(t->links().size(), 1U);
  EXPECT_EQ(found(*t, {}, Order::kBandwidth), "node:0");
}

TEST(Sysfs, WithoutHmatThereAreDistancesAndStillAnOrder) {
  auto tree = TestTree::recorded("hbm-ddr-cxl-no-hmat");
  auto t = load_ok(tree->source());
  ASSERT_NE(t, nullptr);
  Path p = path_between(*t, "cpu:0", "node:2");
  EXPECT_TRUE(p.reachable);
  EXPECT_FALSE(p.properties.bandwidth.has_value());
  EXPECT_EQ(p.properties.distance, (Sourced{12, Provenance::kSlit}));
  EXPECT_EQ(t->find_target("node:2")->kind, TargetKind::kUnknown);
  for (Order o : {Order::kBandwidth, Order::kLatency, Order::kLocality}) {
    EXPECT_EQ(found(*t, {"cpu:0"}, o), "node:0 node:2 node:1 node:3");
  }
}

TEST(Sysfs, HolesInTheHmat) {
  auto tree = TestTree::recorded("hbm-ddr-cxl");
  const std::string node = "devices/system/node/";
  tree->remove(node + "node3/access0");
  tree->remove(node + "node3/access1");
  for (const char* access : {"access0", "access1"}) {
    tree->remove(node + "node2/" + access + "/initiators/read_latency");
    tree->remove(node + "node2/" + access + "/initiators/write_latency");
    tree->put(node + "node0/" + access + "/initiators/read_bandwidth", "garbage\n");
    tree->put(node + "node0/" + access + "/initiators/write_bandwidth", "-5\n");
  }
  auto t = load_ok(tree->source());
  ASSERT_NE(t, nullptr);
  EXPECT_FALSE(path_between(*t, "cpu:0", "node:0").properties.bandwidth.has_value());
  EXPECT_EQ(path_between(*t, "cpu:0", "node:2").properties.bandwidth->from, Provenance::kHmat);
  EXPECT_FALSE(path_between(*t, "cpu:0", "node:2").properties.latency.has_value());
  EXPECT_EQ(path_between(*t, "cpu:1", "node:3").properties.latency->from, Provenance::kSlit);
  // Known numbers first, unknown ones last, and nobody lost.
  EXPECT_EQ(found(*t, {"cpu:0"}, Order::kBandwidth).substr(0, 6), "node:2");
  EXPECT_EQ(found(*t, {"cpu:0"}, Order::kLatency), "node:0 node:1 node:3 node:2");
}

TEST(Sysfs, NodeWithoutMemoryIsAnInitiatorOnly) {
  TestTree tree;
  tree.put("devices/system/node/online", "0-1\n");
  tree.put_node(0, 0, "0-3", "10 20");
  tree.put_node(1, 4096, "", "20 10");
  auto t = load_ok(tree.source());
  ASSERT_NE(t, nullptr);
  ASSERT_EQ(t->targets().size(), 1U);
  EXPECT_EQ(t->targets()[0].key, "node:1");
  ASSERT_EQ(t->initiators().size(), 1U);
  EXPECT_TRUE(path_between(*t, "cpu:0", "node:1").reachable);
}

TEST(Sysfs, UnreachableDistanceIsUnreachable) {
  TestTree tree;
  tree.put("devices/system/node/online", "0-1\n");
  tree.put_node(0, 1024, "0", "10 255");
  tree.put_node(1, 1024, "1", "20 10");
  auto t = load_ok(tree.source());
  ASSERT_NE(t, nullptr);
  EXPECT_FALSE(path_between(*t, "cpu:0", "node:1").reachable);
  EXPECT_TRUE(path_between(*t, "cpu:1", "node:0").reachable);
  EXPECT_EQ(found(*t, {"cpu:0", "cpu:1"}, Order::kBandwidth), "node:0");
}

TEST(Sysfs, NoTreeIsAClearError) {
  TestTree tree;
  auto loaded = Topology::load(tree.source());
  ASSERT_FALSE(loaded.ok());
  EXPECT_EQ(loaded.status().code(), HMS_EIO);
  EXPECT_NE(loaded.status().message().find(tree.root()), std::string::npos);
}

TEST(Sysfs, ListsAndFilesFullOfNonsense) {
  TestTree tree;
  tree.put("devices/system/node/online", "0-4294967295,banana,-7,1\n");
  tree.put_node(0, 1024, "0-99999999", "10 x 300 -1");
  tree.put("devices/virtual/memory_tiering/memory_tier99999999999/nodelist", "0\n");
  tree.put("kernel/mm/mempolicy/weighted_interleave/node0", "9999\n");
  tree.put("bus/dax/devices/dax0.0/target_node", "-3\n");
  tree.put("bus/pci/devices/junk/class", "0x03\n");
  auto t = load_ok(tree.source());
  ASSERT_NE(t, nullptr);
  EXPECT_EQ(t->targets().size(), 1U);
  EXPECT_LE(t->initiators()[0].cpus.size(), 65536U);
  EXPECT_EQ(t->targets()[0].kernel_tier, -1);
  EXPECT_EQ(t->targets()[0].interleave_weight, -1);
}

TEST(Sysfs, ThousandNodes) {
  TestTree tree;
  constexpr int kNodes = 1024;
  tree.put("devices/system/node/online", "0-1023\n");
  for (int n = 0; n < kNodes; ++n) {
    std::string row;
    for (int m = 0; m < kNodes; ++m) row += n == m ? "10 " : n / 8 == m / 8 ? "12 " : "20 ";
    tree.put_node(n, 64, n % 2 == 0 ? std::to_string(n) : "", row);
  }
  auto t = load_ok(tree.source());
  ASSERT_NE(t, nullptr);
  EXPECT_EQ(t->targets().size(), 1024U);
  EXPECT_EQ(t->initiators().size(), 512U);
  EXPECT_LT(t->links().size(), 3000U);  // equal distances merge
  auto order = found(*t, {"cpu:8"}, Order::kLocality);
  EXPECT_EQ(order.substr(0, 20), "node:8 node:9 node:1");
}

TEST(Sysfs, DevicesWithMemory) {
  TestTree tree;
  tree.put("devices/system/node/online", "0-1\n");
  tree.put_node(0, 4096, "0-7", "10 21");
  tree.put_node(1, 4096, "8-15", "21 10");
  const std::string gpu = "bus/pci/devices/0000:41:00.0/";
  tree.put(gpu + "class", "0x030000\n");
  tree.put(gpu + "numa_node", "1\n");
  tree.put(gpu + "current_link_speed", "16.0 GT/s PCIe\n");
  tree.put(gpu + "current_link_width", "16\n");
  tree.put(gpu + "mem_info_vram_total", "17163091968\n");
  const std::string nic = "bus/pci/devices/0000:81:00.0/";
  tree.put(nic + "class", "0x020000\n");
  tree.put(nic + "numa_node", "0\n");
  tree.put(nic + "current_link_speed", "8.0 GT/s PCIe\n");
  tree.put(nic + "current_link_width", "8\n");
  const std::string kfd = "class/kfd/kfd/topology/nodes/";
  tree.put(kfd + "0/gpu_id", "0\n");
  tree.put(kfd + "1/gpu_id", "4711\n");
  tree.put(kfd + "1/properties", "domain 0\nlocation_id 16640\n");  // 0x41 << 8
  tree.put(kfd + "1/mem_banks/0/properties",
           "heap_type 2\nsize_in_bytes 17163091968\nwidth 4096\nmem_clk_max 1000\n");
  const std::string dax = "bus/dax/devices/dax0.0/";
  tree.put(dax + "size", "137438953472\n");
  tree.put(dax + "target_node", "2\n");
  tree.put(dax + "driver", "../../../bus/dax/drivers/device_dax\n");

  auto t = load_ok(tree.source());
  ASSERT_NE(t, nullptr);
  const Target* vram = t->find_target("pci:0000:41:00.0/vram");
  ASSERT_NE(vram, nullptr);
  EXPECT_EQ(vram->bytes, 17163091968U);
  EXPECT_EQ(vram->must_understand, HMS_CAP_NOT_CPU_ACCESSIBLE);
  EXPECT_FALSE(path_between(*t, "cpu:0", vram->key).reachable);
  Path own = path_between(*t, "pci:0000:41:00.0", vram->key);
  EXPECT_EQ(own.properties.bandwidth, (Sourced{4096.0 / 8 * 1000e6 * 2, Provenance::kDriver}));
  Path host = path_between(*t, "pci:0000:41:00.0", "node:1");
  EXPECT_EQ(host.properties.bandwidth->from, Provenance::kPciLink);
  EXPECT_NEAR(host.properties.bandwidth->value, 31.5e9, 0.1e9);
  EXPECT_NEAR(path_between(*t, "pci:0000:81:00.0", "node:0").properties.bandwidth->value, 7.88e9,
              0.01e9);
  EXPECT_EQ(found(*t, {"pci:0000:41:00.0"}, Order::kLocality), "node:1 node:0");
  const Target* reserved = t->find_target("dax:dax0.0");
  ASSERT_NE(reserved, nullptr);
  EXPECT_EQ(reserved->must_understand, HMS_CAP_SPECIAL_PURPOSE);
  EXPECT_EQ(found(*t, {"cpu:0"}, Order::kCapacity), "node:0 node:1");
  EXPECT_EQ(found(*t, {"cpu:0"}, Order::kCapacity, HMS_CAP_SPECIAL_PURPOSE),
            "dax:dax0.0 node:0 node:1");
}

TEST(Sysfs, KmemNodesTellTheirKind) {
  TestTree tree;
  tree.put("devices/system/node/online", "0-2\n");
  tree.put_node(0, 4096, "0", "10 20 20");
  tree.put_node(1, 4096, "", "20 10 20");
  tree.put_node(2, 4096, "", "20 20 10");
  const std::string base = "bus/dax/devices/";
  std::filesystem::create_directories(std::filesystem::path(tree.root()) / "real");
  auto device = [&](const std::string& name, const std::string& where, int node) {
    std::filesystem::path real = std::filesystem::path(tree.root()) / where / name;
    std::filesystem::create_directories(real);
    std::ofstream(real / "target_node") << node << "\n";
    std::ofstream(real / "driver") << "../drivers/kmem\n";
    std::filesystem::create_directories(std::filesystem::path(tree.root()) / base);
    std::filesystem::create_directory_symlink("../../../" + where + "/" + name,
                                              std::filesystem::path(tree.root()) / (base + name));
  };
  device("dax1.0", "devices/platform/ACPI0017:00/root0/decoder0.0/region0/dax_region0", 1);
  device("dax2.0", "devices/LNXSYSTM:00/LNXSYBUS:00/ACPI0012:00/ndbus0/region0/dax2.0", 2);
  auto t = load_ok(tree.source());
  ASSERT_NE(t, nullptr);
  EXPECT_EQ(t->find_target("node:1")->kind, TargetKind::kCxl);
  EXPECT_EQ(t->find_target("node:2")->kind, TargetKind::kPmem);
  EXPECT_EQ(t->find_target("node:1")->from, Provenance::kDriver);
}

TEST(Sysfs, SideCacheAndWeights) {
  TestTree tree;
  tree.put("devices/system/node/online", "0\n");
  tree.put_node(0, 4096, "0", "10");
  tree.put("devices/system/node/node0/memory_side_cache/index1/size", "17179869184\n");
  tree.put("kernel/mm/mempolicy/weighted_interleave/node0", "7\n");
  auto t = load_ok(tree.source());
  ASSERT_NE(t, nullptr);
  EXPECT_EQ(t->targets()[0].side_cache_bytes, 17179869184U);
  EXPECT_EQ(t->targets()[0].interleave_weight, 7);
}

TEST(Sysfs, TheRunningMachineHasMemoryAndCpus) {
  for (const char* source : {"sysfs", "live"}) {
    auto t = load_ok(source);
    ASSERT_NE(t, nullptr);
    EXPECT_FALSE(t->targets().empty()) << source;
    EXPECT_FALSE(t->initiators().empty()) << source;
    EXPECT_FALSE(t->emulated()) << source;
  }
}

}  // namespace
}  // namespace hms::topology
