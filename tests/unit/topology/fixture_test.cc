// The reference machines of the model, described as graphs: the RFC's box, 4 sockets of 8 GPUs,
// mesh and ring, and equal numbers that form no rectangle.
#include <gtest/gtest.h>

#include <set>

#include "runtime/topology/builder.h"
#include "tests/unit/topology/recorded.h"

namespace hms::topology {
namespace {

constexpr double kGb = 1e9;

Properties cost(double gb_s, double ns) {
  Properties p;
  p.bandwidth = Sourced{gb_s * kGb, Provenance::kDeclared};
  p.latency = Sourced{ns, Provenance::kDeclared};
  return p;
}

// 2 nodes, each 2 CPU complexes with HBM, DRAM, and 4 GPUs with HBM (not CPU-accessible) and GDDR
// (CPU-accessible).
class RfcBox : public testing::Test {
 protected:
  Id add_memory(const std::string& key, uint32_t capabilities, uint32_t must_understand = 0) {
    Target t;
    t.key = key;
    t.bytes = uint64_t{16} << 30;
    t.capabilities = capabilities;
    t.must_understand = must_understand;
    return builder_.add_target(t);
  }
  Id add_initiator(const std::string& key, InitiatorKind kind) {
    Initiator i;
    i.key = key;
    i.kind = kind;
    return builder_.add_initiator(i);
  }

  void SetUp() override {
    constexpr uint32_t kHost = HMS_CAP_CPU_ACCESSIBLE | HMS_CAP_COHERENT | HMS_CAP_ATOMICS;
    std::vector<Id> all_gpus, all_gpu_memory, all_gddr;
    std::vector<Id> dram_links, cpus;
    std::vector<std::vector<Id>> gpus_of(2);
    for (int n = 0; n < 2; ++n) {
      std::string node = "n" + std::to_string(n);
      std::vector<Id> complexes, hbms;
      for (int c = 0; c < 2; ++c) {
        std::string id = node + "c" + std::to_string(c);
        complexes.push_back(add_initiator("cpu:" + id, InitiatorKind::kCpu));
        hbms.push_back(add_memory("hbm:" + id, kHost));
        builder_.connect({complexes.back()}, {hbms.back()}, cost(200, 100));
      }
      builder_.connect(complexes, hbms, cost(100, 150));
      Id dram = add_memory("dram:" + node, kHost);
      dram_links.push_back(builder_.connect(complexes, {dram}, cost(90, 90)));
      cpus.insert(cpus.end(), complexes.begin(), complexes.end());
      for (int g = 0; g < 4; ++g) {
        std::string id = std::to_string(n * 4 + g);
        Id gpu = add_initiator("gpu:" + id, InitiatorKind::kGpu);
        Id hbm = add_memory("hbm:gpu" + id, HMS_CAP_NOT_CPU_ACCESSIBLE | HMS_CAP_ATOMICS,
                            HMS_CAP_NOT_CPU_ACCESSIBLE);
        Id gddr = add_memory("gddr:gpu" + id, HMS_CAP_CPU_ACCESSIBLE | HMS_CAP_ATOMICS);
        builder_.connect({gpu}, {hbm}, cost(1000, 200));
        builder_.connect({gpu}, {gddr}, cost(500, 250));
        all_gpus.push_back(gpu);
        gpus_of[n].push_back(gpu);
        all_gddr.push_back(gddr);
        all_gpu_memory.insert(all_gpu_memory.end(), {hbm, gddr});
      }
    }
    Id mesh = builder_.connect(all_gpus, all_gpu_memory, cost(400, 500));
    for (int n = 0; n < 2; ++n) {
      builder_.add_bridge(mesh, dram_links[n], gpus_of[n], cost(60, 300));
      // The CPUs' way to the GPUs ends in the GDDR only, because the HBM is not theirs to touch;
      // the bridge itself leads to the whole mesh.
      builder_.add_bridge(dram_links[n], mesh, {cpus[n * 2], cpus[n * 2 + 1]}, cost(60, 300));
    }
    t_ = builder_.build();
  }

  double bandwidth(const std::string& from, const std::string& to) {
    Path p = path_between(*t_, from, to);
    return p.reachable ? p.properties.bandwidth->value / kGb : 0;
  }

  Builder builder_{"rfc", "rfc"};
  std::shared_ptr<const Topology> t_;
};

TEST_F(RfcBox, HasTwentyTwoTargets) {
  EXPECT_EQ(t_->targets().size(), 22U);
  EXPECT_EQ(t_->initiators().size(), 12U);
}

TEST_F(RfcBox, BandwidthIsTheLeastOnTheWay) {
  EXPECT_EQ(bandwidth("cpu:n0c0", "hbm:n0c0"), 200);
  EXPECT_EQ(bandwidth("cpu:n0c0", "hbm:n0c1"), 100);
  EXPECT_EQ(bandwidth("cpu:n0c0", "dram:n0"), 90);
  EXPECT_EQ(bandwidth("gpu:0", "dram:n0"), 60);
  EXPECT_EQ(bandwidth("gpu:0", "hbm:gpu0"), 1000);
  EXPECT_EQ(bandwidth("gpu:0", "gddr:gpu0"), 500);
  EXPECT_EQ(bandwidth("gpu:0", "hbm:gpu5"), 400);
  EXPECT_EQ(bandwidth("cpu:n1c0", "gddr:gpu4"), 60);
}

TEST_F(RfcBox, LatencyIsTheSumOfTheWay) {
  Path p = path_between(*t_, "gpu:0", "dram:n0");
  ASSERT_TRUE(p.reachable);
  EXPECT_EQ(p.properties.latency->value, 500 + 300 + 90);
  EXPECT_EQ(p.hops.size(), 3U);  // link, bridge, link
}

TEST_F(RfcBox, CpuNeverReachesGpuHbm) {
  for (const Initiator& i : t_->initiators()) {
    if (i.kind != InitiatorKind::kCpu) continue;
    for (const Target& x : t_->targets()) {
      if (x.capabilities & HMS_CAP_NOT_CPU_ACCESSIBLE) {
        EXPECT_FALSE(t_->path(i.id, x.id).reachable) << i.key << " " << x.key;
      }
    }
  }
}

TEST_F(RfcBox, CapabilitiesAreAndedAlongTheWay) {
  uint32_t caps = path_between(*t_, "gpu:0", "dram:n0").properties.capabilities;
  EXPECT_TRUE(caps & HMS_CAP_CPU_ACCESSIBLE);
  EXPECT_FALSE(path_between(*t_, "gpu:0", "gddr:gpu1").properties.capabilities & HMS_CAP_COHERENT);
}

TEST_F(RfcBox, QueriesHideWhatMustBeUnderstood) {
  std::string plain = found(*t_, {"gpu:0"}, Order::kBandwidth);
  EXPECT_EQ(plain.substr(0, plain.find(' ')), "gddr:gpu0");
  EXPECT_EQ(plain.find("hbm:gpu"), std::string::npos);
  std::string all = found(*t_, {"gpu:0"}, Order::kBandwidth, HMS_CAP_NOT_CPU_ACCESSIBLE);
  EXPECT_EQ(all.substr(0, all.find(' ')), "hbm:gpu0");
  // For CPU and GPU together only what both reach: the intersection.
  std::string both =
      found(*t_, {"gpu:0", "cpu:n0c0"}, Order::kBandwidth, HMS_CAP_NOT_CPU_ACCESSIBLE);
  EXPECT_EQ(both.find("hbm:gpu"), std::string::npos);
  EXPECT_NE(both.find("dram:n0"), std::string::npos);
}

// Sockets of 8 GPUs: sockets 0+1 one fast mesh, 2+3 another, all 32 on a slower link.
TEST(Interconnect, FourSocketsOfEightGpusAreSevenNestedLinks) {
  Builder b("gpus", "gpus");
  std::vector<size_t> places;
  for (int g = 0; g < 32; ++g) {
    Initiator i;
    i.key = "gpu:" + std::to_string(g);
    i.kind = InitiatorKind::kGpu;
    Target t;
    t.key = "vram:" + std::to_string(g);
    t.bytes = 1 << 30;
    Id initiator = b.add_initiator(i);
    places.push_back(b.add_place({{initiator}, {b.add_target(t)}}));
  }
  for (size_t x = 0; x < 32; ++x) {
    for (size_t y = x + 1; y < 32; ++y) {
      b.join(places[x], places[y], cost(32, 900));
      if (x / 16 == y / 16) b.join(places[x], places[y], cost(64, 600));
      if (x / 8 == y / 8) b.join(places[x], places[y], cost(128, 300));
    }
  }
  auto t = b.build();
  ASSERT_EQ(t->links().size(), 7U);
  std::multiset<size_t> sizes;
  for (const Link& l : t->links()) sizes.insert(l.targets.size());
  EXPECT_EQ(sizes, (std::multiset<size_t>{8, 8, 8, 8, 16, 16, 32}));
  auto gb = [&](const char* from, const char* to) {
    return path_between(*t, from, to).properties.bandwidth->value / kGb;
  };
  EXPECT_EQ(gb("gpu:0", "vram:7"), 128);
  EXPECT_EQ(gb("gpu:0", "vram:8"), 64);
  EXPECT_EQ(gb("gpu:0", "vram:31"), 32);
}

std::vector<size_t> four_sockets(Builder* b) {
  std::vector<size_t> places;
  for (int s = 0; s < 4; ++s) {
    Initiator i;
    i.key = "cpu:" + std::to_string(s);
    Target t;
    t.key = "node:" + std::to_string(s);
    t.bytes = 1 << 30;
    Id initiator = b->add_initiator(i);
    places.push_back(b->add_place({{initiator}, {b->add_target(t)}}));
  }
  return places;
}

TEST(Interconnect, MeshOfFourIsOneLink) {
  Builder b("mesh", "mesh");
  auto p = four_sockets(&b);
  for (size_t x = 0; x < 4; ++x) {
    for (size_t y = x + 1; y < 4; ++y) b.join(p[x], p[y], cost(50, 150));
  }
  auto t = b.build();
  ASSERT_EQ(t->links().size(), 1U);
  EXPECT_EQ(t->links()[0].initiators.size(), 4U);
  EXPECT_EQ(t->links()[0].targets.size(), 4U);
}

TEST(Interconnect, RingOfFourIsFourLinksOfTwo) {
  Builder b("ring", "ring");
  auto p = four_sockets(&b);
  for (size_t x = 0; x < 4; ++x) b.join(p[x], p[(x + 1) % 4], cost(50, 150));
  auto t = b.build();
  ASSERT_EQ(t->links().size(), 4U);
  for (const Link& l : t->links()) EXPECT_EQ(l.initiators.size(), 2U);
  EXPECT_FALSE(path_between(*t, "cpu:0", "node:2").reachable);  // no bridge, no way across
}

// A chain of links joined by bridges: the hop count is bounded.
TEST(Interconnect, BridgesAreOneWayAndBounded) {
  Builder b("chain", "chain");
  Initiator i;
  i.key = "cpu:0";
  Id cpu = b.add_initiator(i);
  std::vector<Id> links;
  for (int n = 0; n < 7; ++n) {
    Target t;
    t.key = "node:" + std::to_string(n);
    t.bytes = 1 << 20;
    t.capabilities = HMS_CAP_CPU_ACCESSIBLE;
    Properties p = cost(100 - n, 10);
    p.granularity = n == 2 ? 4096 : 64;
    std::vector<Id> from;
    if (n == 0) from.push_back(cpu);
    links.push_back(b.connect(from, {b.add_target(t)}, p));
    if (n > 0) b.add_bridge(links[n - 1], links[n], {cpu}, cost(80, 5));
  }
  auto t = b.build();
  Path p = path_between(*t, "cpu:0", "node:4");
  ASSERT_TRUE(p.reachable);
  EXPECT_EQ(p.properties.bandwidth->value, 80 * kGb);
  EXPECT_EQ(p.properties.latency->value, 5 * 10 + 4 * 5);
  EXPECT_EQ(p.properties.granularity, 4096U);
  EXPECT_FALSE(path_between(*t, "cpu:0", "node:5").reachable);  // five bridges are too many
}

// HMAT-like cells: each link must hold only pairs of exactly its cost, and every pair once.
void expect_exact(const Topology& t, const CostTable& said) {
  std::set<std::pair<Id, Id>> covered;
  for (const Link& l : t.links()) {
    for (Id i : l.initiators) {
      for (Id x : l.targets) {
        EXPECT_TRUE(covered.insert({i, x}).second) << l.key;
        Path p = t.path(i, x);
        EXPECT_EQ(p.properties.bandwidth, l.properties.bandwidth) << l.key;
        EXPECT_EQ(p.properties.latency, l.properties.latency) << l.key;
        ASSERT_TRUE(p.computed.has_value());
        EXPECT_EQ(p.computed->bandwidth, p.properties.bandwidth);
      }
    }
  }
  size_t stated = 0;
  for (size_t r = 0; r < t.initiators().size(); ++r) {
    for (size_t c = 0; c < t.targets().size(); ++c) stated += said.at(r, c) != nullptr;
  }
  EXPECT_EQ(covered.size(), stated);
}

std::shared_ptr<const Topology> from_cells(const std::vector<std::string>& rows, CostTable* said) {
  Builder b("cells", "cells");
  for (size_t r = 0; r < rows.size(); ++r) {
    Initiator i;
    i.key = "cpu:" + std::to_string(r);
    b.add_initiator(i);
  }
  for (size_t c = 0; c < rows[0].size(); ++c) {
    Target t;
    t.key = "node:" + std::to_string(c);
    t.bytes = 1 << 30;
    b.add_target(t);
  }
  for (size_t r = 0; r < rows.size(); ++r) {
    for (size_t c = 0; c < rows[r].size(); ++c) {
      if (rows[r][c] == '.') continue;
      Properties p = cost(rows[r][c] - '0', 100);
      said->set(r, c, p);
      b.state(b.initiators()[r].id, b.targets()[c].id, p);
    }
  }
  return b.build();
}

TEST(Rectangles, FullRectangleIsOneLink) {
  CostTable said;
  auto t = from_cells({"11", "11"}, &said);
  EXPECT_EQ(t->links().size(), 1U);
  expect_exact(*t, said);
}

TEST(Rectangles, EqualCellsWithoutARectangleStayApart) {
  CostTable said;
  auto t = from_cells({"91", "19"}, &said);  // local 9, across 1: neither fills a rectangle
  EXPECT_EQ(t->links().size(), 4U);
  expect_exact(*t, said);
}

TEST(Rectangles, HolesAndCornersStayExact) {
  for (const std::vector<std::string>& rows : std::vector<std::vector<std::string>>{
           {"99", "9."}, {"919", "191", "919"}, {"1..", "11.", "111"}, {"99", "99", "19"}}) {
    CostTable said;
    auto t = from_cells(rows, &said);
    expect_exact(*t, said);
  }
}

TEST(Rectangles, SameNumbersOfDifferentSourcesStayApart) {
  Builder b("sources", "sources");
  Initiator i;
  i.key = "cpu:0";
  Id cpu = b.add_initiator(i);
  Target t;
  t.bytes = 1;
  t.key = "node:0";
  Id a = b.add_target(t);
  t.key = "node:1";
  Id c = b.add_target(t);
  b.state(cpu, a, cost(10, 10));
  Properties guessed = cost(10, 10);
  guessed.bandwidth->from = guessed.latency->from = Provenance::kSlit;
  b.state(cpu, c, guessed);
  EXPECT_EQ(b.build()->links().size(), 2U);
}

}  // namespace
}  // namespace hms::topology
