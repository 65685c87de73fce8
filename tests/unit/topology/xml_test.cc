// Real boxes as hwloc XML, and files that are broken, hostile or huge.
#include <gtest/gtest.h>

#include "runtime/topology/hwloc_source.h"
#include "tests/unit/topology/recorded.h"

namespace hms::topology {
namespace {

TEST(Xml, XeonMaxHasHbmAndDramPerCluster) {
  auto t = load_ok(xml_machine("xeon-max-snc4-flat"));
  ASSERT_NE(t, nullptr);
  EXPECT_EQ(t->targets().size(), 16U);
  EXPECT_EQ(t->initiators().size(), 8U);
  EXPECT_EQ(t->find_target("node:8")->kind, TargetKind::kHbm);
  EXPECT_EQ(t->find_target("node:8")->label, "HBM");
  // Each cluster's own HBM first, its own DRAM second.
  for (int c = 0; c < 8; ++c) {
    std::string n = std::to_string(c), h = std::to_string(c + 8);
    EXPECT_EQ(found(*t, {"cpu:" + n}, Order::kBandwidth).find("node:" + h + " node:" + n), 0U);
    EXPECT_EQ(found(*t, {"cpu:" + n}, Order::kLatency).find("node:" + n + " node:" + h), 0U);
  }
}

TEST(Xml, XeonWithCxl) {
  auto t = load_ok(xml_machine("xeon-cxl"));
  ASSERT_NE(t, nullptr);
  EXPECT_EQ(t->find_target("node:2")->kind, TargetKind::kCxl);
  EXPECT_EQ(found(*t, {"cpu:0"}, Order::kLatency), "node:0 node:1 node:2");
  EXPECT_EQ(found(*t, {"cpu:1"}, Order::kBandwidth), "node:1 node:0 node:2");
  EXPECT_EQ(path_between(*t, "cpu:0", "node:2").properties.latency,
            (Sourced{250, Provenance::kHwloc}));
}

TEST(Xml, KnightsLandingFlat) {
  auto t = load_ok(xml_machine("knl-flat"));
  ASSERT_NE(t, nullptr);
  EXPECT_EQ(t->find_target("node:1")->kind, TargetKind::kHbm);
  EXPECT_EQ(t->find_initiator("cpu:0")->cpus.size(), 68U);
  EXPECT_EQ(found(*t, {"cpu:0"}, Order::kBandwidth), "node:1 node:0");
  EXPECT_EQ(found(*t, {"cpu:0"}, Order::kLatency), "node:0 node:1");
  EXPECT_EQ(found(*t, {"cpu:0"}, Order::kCapacity), "node:0 node:1");
}

TEST(Xml, TwoSocketsDramAndPmem) {
  auto t = load_ok(xml_machine("2s-dram-pmem"));
  ASSERT_NE(t, nullptr);
  EXPECT_EQ(t->find_target("node:3")->kind, TargetKind::kPmem);
  EXPECT_EQ(found(*t, {"cpu:1"}, Order::kLatency), "node:1 node:3 node:0 node:2");
  EXPECT_EQ(found(*t, {"cpu:1"}, Order::kCapacity).substr(0, 6), "node:3");
}

TEST(Xml, Power9WithGpuNodes) {
  auto t = load_ok(xml_machine("power9-gpu"));
  ASSERT_NE(t, nullptr);
  EXPECT_EQ(t->targets().size(),
            6U);  // GPU memories are nodes, and not a second time device memory
  EXPECT_EQ(t->initiators().size(), 6U);
  EXPECT_EQ(t->find_target("node:255")->kind, TargetKind::kDevice);
  EXPECT_EQ(t->find_initiator("cpu:8")->cpus.size(), 80U);
  // No memory attributes at all: distances still order everything.
  EXPECT_EQ(found(*t, {"cpu:8"}, Order::kBandwidth).substr(0, 13), "node:8 node:0");
  EXPECT_EQ(found(*t, {"pci:0035:03:00.0"}, Order::kLocality).substr(0, 15), "node:253 node:8");
  EXPECT_EQ(path_between(*t, "pci:0004:04:00.0", "node:0").properties.bandwidth,
            (Sourced{75e9, Provenance::kPciLink}));
}

TEST(Xml, A64fxIsHbmOnly) {
  auto t = load_ok(xml_machine("a64fx"));
  ASSERT_NE(t, nullptr);
  for (const Target& x : t->targets()) EXPECT_EQ(x.kind, TargetKind::kHbm);
  EXPECT_EQ(found(*t, {"cpu:2"}, Order::kLocality), "node:2 node:0 node:1 node:3");
}

TEST(Xml, DescriptionsAreEmulatedHere) {
  auto t = load_ok(xml_machine("xeon-cxl"));
  ASSERT_NE(t, nullptr);
  EXPECT_TRUE(t->emulated());
  for (const Target& x : t->targets()) EXPECT_EQ(x.node, load_ok("sysfs")->targets()[0].node);
}

// A small machine that the tests below break.
const char kSmall[] = R"(<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE topology SYSTEM "hwloc2.dtd">
<topology version="2.0">
  <object type="Machine" os_index="0" cpuset="0x00000003" nodeset="0x00000001" gp_index="1">
    <info name="Comment" value="a &quot;small&quot; one &amp; whole"/>
    <object type="NUMANode" os_index="0" cpuset="0x00000003" gp_index="2" local_memory="1073741824">
    </object>
    <object type="PU" os_index="0" cpuset="0x00000001" gp_index="3"/>
    <object type="PU" os_index="1" cpuset="0x00000002" gp_index="4"/>
  </object>
</topology>
)";

Status read(const std::string& text) {
  Builder b("test", "test");
  return add_hwloc_xml_text(text, "file", &b);
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

void expect_refused(const std::string& text, const std::string& word) {
  Status s = read(text);
  EXPECT_FALSE(s.ok()) << word;
  EXPECT_NE(s.message().find(word), std::string::npos) << s.message();
}

TEST(HostileXml, TheSmallOneIsWhole) { EXPECT_TRUE(read(kSmall).ok()); }

TEST(HostileXml, EveryTruncationIsRefused) {
  std::string whole = kSmall;
  size_t end = whole.find("</topology>") + strlen("</topology>");
  for (size_t n = 0; n < end; ++n) EXPECT_FALSE(read(whole.substr(0, n)).ok()) << n;
}

TEST(HostileXml, EveryMissingByteIsSurvived) {
  std::string whole = kSmall;
  for (size_t n = 0; n < whole.size(); ++n) {
    Status s = read(whole.substr(0, n) + whole.substr(n + 1));
    EXPECT_TRUE(s.ok() || !s.message().empty()) << n;
  }
}

TEST(HostileXml, BillionLaughsIsRefused) {
  std::string bomb = "<?xml version=\"1.0\"?>\n<!DOCTYPE lolz [\n<!ENTITY lol \"lol\">\n";
  for (int i = 1; i < 10; ++i) {
    std::string before = i == 1 ? "&lol;" : "&lol" + std::to_string(i - 1) + ";";
    bomb += "<!ENTITY lol" + std::to_string(i) + " \"" + before + before + before + "\">\n";
  }
  bomb += "]>\n<topology version=\"2.0\"><object type=\"&lol9;\"/></topology>\n";
  expect_refused(bomb, "entity declarations are not accepted");
  expect_refused(replaced(kSmall, "a &quot;", "&lol9;"), "an entity");
  expect_refused(replaced(kSmall, "hwloc2.dtd", "file:///etc/passwd"), "DOCTYPE");
}

TEST(HostileXml, OtherFilesAreNamedAsSuch) {
  expect_refused("", "no element");
  expect_refused("hello", "text outside of elements");
  expect_refused("<html></html>", "<topology>");
  expect_refused(replaced(kSmall, "version=\"2.0\"", "version=\"1.0\""), "hwloc 2");
  expect_refused(replaced(kSmall, "UTF-8", "UTF-16"), "encoding");
  expect_refused(replaced(kSmall, "1073741824", "0"), "no memory");
  expect_refused(std::string(kSmall) + kSmall, "declaration");
  expect_refused(replaced(kSmall, "0x00000003", "0xf...f"), "finite");
}

TEST(HostileXml, DepthAndNumbersAreBounded) {
  std::string deep = "<topology version=\"2.0\">";
  for (int i = 0; i < 200; ++i) deep += "<object type=\"Group\">";
  expect_refused(deep, "deeper");
  std::string many = "<topology version=\"2.0\"><object type=\"Machine\">";
  for (int i = 0; i < 5000; ++i) many += "<object type=\"NUMANode\" os_index=\"1\"/>";
  expect_refused(many + "</object></topology>", "4096");
  std::string matrix =
      "<distances2 type=\"NUMANode\" nbobjs=\"4000000000\" name=\"NUMALatency\" indexing=\"os\">"
      "<indexes length=\"4\">0 1</indexes><u64values length=\"4\">1 2 3 4 5</u64values>"
      "</distances2></topology>";
  expect_refused(replaced(kSmall, "</topology>", matrix), "matrix");
  Status s = read(replaced(kSmall, "os_index=\"1\"", "os_index=\"4294967295\""));
  EXPECT_TRUE(s.ok()) << s.message();
}

TEST(HostileXml, FilesAreCheckedBeforeTheyAreRead) {
  for (const char* path : {"/nonexistent/file.xml", "/dev/zero", "/tmp"}) {
    auto loaded = Topology::load(std::string("xml:") + path);
    ASSERT_FALSE(loaded.ok());
    EXPECT_EQ(loaded.status().code(), HMS_EIO);
    EXPECT_NE(loaded.status().message().find(path), std::string::npos);
  }
  TestTree tree;
  tree.put("big.xml", "<");
  std::filesystem::resize_file(tree.root() + "/big.xml", (uint64_t{64} << 20) + 1);
  auto loaded = Topology::load("xml:" + tree.root() + "/big.xml");
  ASSERT_FALSE(loaded.ok());
  EXPECT_NE(loaded.status().message().find("64 MiB"), std::string::npos);
}

TEST(Synthetic, ThroughHwloc) {
  auto t = load_ok("synthetic:node:2 core:4 pu:2");
  ASSERT_NE(t, nullptr);
  EXPECT_EQ(t->targets().size(), 2U);
  EXPECT_EQ(t->find_initiator("cpu:1")->cpus.size(), 8U);
  EXPECT_EQ(found(*t, {"cpu:1"}, Order::kLocality), "node:1 node:0");
}

TEST(Synthetic, BombsAndNonsenseAreRefused) {
  for (const char* spec :
       {"", "banana", "node:99999999 pu:1", "node:1000 core:1000 pu:1000",
        "node:99999999999999999999 pu:1", "node:2 \x01 pu:1", "node:2 pu:-1", "node:+9999 pu:1",
        "node:0xffff pu:1", "pack:2(((size=1) core:9999", "pa(ck:21 2121 pu:24"}) {
    auto loaded = Topology::load(std::string("synthetic:") + spec);
    ASSERT_FALSE(loaded.ok()) << spec;
    EXPECT_EQ(loaded.status().code(), HMS_EINVAL) << spec;
    EXPECT_FALSE(loaded.status().message().empty());
  }
}

}  // namespace
}  // namespace hms::topology
