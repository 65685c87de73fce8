// Ids, generations and hot-plug.
#include <gtest/gtest.h>

#include "tests/unit/topology/recorded.h"

namespace hms::topology {
namespace {

std::shared_ptr<const Topology> again(const Topology& t) {
  auto next = Topology::rescan(t);
  EXPECT_TRUE(next.ok()) << next.status().message();
  return next.value();
}

TEST(Rescan, NothingChangedKeepsGenerationAndIds) {
  auto tree = TestTree::recorded("hbm-ddr-cxl");
  auto a = load_ok(tree->source());
  auto b = again(*a);
  EXPECT_EQ(a->generation(), b->generation());
  for (const Target& t : a->targets()) EXPECT_EQ(b->find_target(t.key)->id, t.id);
  for (size_t i = 0; i < a->links().size(); ++i) EXPECT_EQ(a->links()[i].id, b->links()[i].id);
}

TEST(Rescan, FreeMemoryAloneIsNoChange) {
  TestTree tree;
  tree.put("devices/system/node/online", "0\n");
  tree.put_node(0, 1024, "0", "10");
  auto a = load_ok(tree.source());
  tree.put("devices/system/node/node0/meminfo", "MemTotal: 1048576 kB\nMemFree: 1 kB\n");
  auto b = again(*a);
  EXPECT_EQ(b->generation(), a->generation());
  EXPECT_EQ(b->targets()[0].free_bytes, 1024U);
}

TEST(Rescan, DeadIdsStayDead) {
  TestTree tree;
  tree.put("devices/system/node/online", "0-1\n");
  tree.put_node(0, 1024, "0", "10 20");
  tree.put_node(1, 1024, "", "20 10");
  auto a = load_ok(tree.source());
  Id gone = a->find_target("node:1")->id;
  Id link = a->links().back().id;

  tree.put("devices/system/node/online", "0\n");
  auto b = again(*a);
  EXPECT_EQ(b->generation(), a->generation() + 1);
  EXPECT_EQ(b->find_target("node:1"), nullptr);
  EXPECT_EQ(b->target(gone), nullptr);
  EXPECT_EQ(b->find_target("node:0")->id, a->find_target("node:0")->id);

  tree.put("devices/system/node/online", "0-1\n");
  auto c = again(*b);
  EXPECT_EQ(c->generation(), a->generation() + 2);
  EXPECT_NE(c->find_target("node:1")->id, gone);
  EXPECT_EQ(c->target(gone), nullptr);
  EXPECT_EQ(c->link(link), nullptr);
  // The old snapshot is untouched.
  EXPECT_NE(a->target(gone), nullptr);
}

TEST(Rescan, IdsAreOneCounterOverAllTypes) {
  auto tree = TestTree::recorded("hbm-ddr-cxl");
  auto t = load_ok(tree->source());
  std::set<Id> ids;
  size_t objects = 0;
  auto take = [&](const auto& list) {
    for (const auto& o : list) {
      EXPECT_NE(o.id, 0U);
      ids.insert(o.id);
      ++objects;
    }
  };
  take(t->targets());
  take(t->initiators());
  take(t->links());
  take(t->bridges());
  EXPECT_EQ(ids.size(), objects);
}

TEST(Rescan, MachinesDoNotShareIds) {
  auto one = TestTree::recorded("ddr1");
  auto two = TestTree::recorded("ddr1");
  EXPECT_NE(load_ok(one->source())->targets()[0].id, load_ok(two->source())->targets()[0].id);
  // Different ways to read this machine do.
  EXPECT_EQ(load_ok("sysfs")->targets()[0].id, load_ok("tiers:a=1G")->targets()[0].id);
}

}  // namespace
}  // namespace hms::topology
