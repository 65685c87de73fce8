// The C interface of the topology.
#include <gtest/gtest.h>
#include <string.h>

#include <memory>

#include "hms/hms.h"

namespace {

struct Free {
  void operator()(hms_topology* t) const { hms_topology_free(t); }
};
using Handle = std::unique_ptr<hms_topology, Free>;

Handle load(const char* source) {
  hms_topology* t = nullptr;
  EXPECT_EQ(hms_topology_load(source, &t), HMS_OK) << hms_last_error();
  return Handle(t);
}

TEST(CApi, WalksATopology) {
  Handle t = load("tiers:fast=512M:bw=400G:lat=80,slow=1G:bw=28G:lat=250");
  ASSERT_NE(t, nullptr);
  hms_id fast = hms_topology_find_key(t.get(), "fast");
  ASSERT_NE(fast, 0U);
  EXPECT_EQ(hms_topology_find_key(t.get(), "tier:fast"), fast);
  hms_target_info info = {};
  info.size = sizeof info;
  ASSERT_EQ(hms_target_get(t.get(), fast, &info), HMS_OK);
  EXPECT_STREQ(info.key, "tier:fast");
  EXPECT_STREQ(info.label, "fast");
  EXPECT_EQ(info.bytes, uint64_t{512} << 20);
  EXPECT_EQ(info.emulated, 1);
  EXPECT_EQ(info.size, sizeof info);

  hms_id cpu = hms_topology_at(t.get(), HMS_INITIATOR, 0);
  hms_initiator_info initiator = {};
  initiator.size = sizeof initiator;
  ASSERT_EQ(hms_initiator_get(t.get(), cpu, &initiator), HMS_OK);
  EXPECT_EQ(initiator.kind, 0);

  hms_cost cost = {};
  cost.size = sizeof cost;
  ASSERT_EQ(hms_path_cost(t.get(), cpu, fast, &cost), HMS_OK);
  EXPECT_EQ(cost.reachable, 1);
  EXPECT_EQ(cost.latency, 80);
  EXPECT_EQ(cost.latency_from, HMS_FROM_DECLARED);

  ASSERT_GT(hms_topology_count(t.get(), HMS_LINK), 0U);
  hms_link_info link = {};
  link.size = sizeof link;
  ASSERT_EQ(hms_link_get(t.get(), hms_topology_at(t.get(), HMS_LINK, 0), &link), HMS_OK);
  EXPECT_GE(link.initiator_count, 1U);
  EXPECT_GE(link.target_count, 1U);
  EXPECT_EQ(hms_topology_count(t.get(), HMS_BRIDGE), 0U);
  EXPECT_EQ(hms_topology_at(t.get(), HMS_BRIDGE, 0), 0U);
}

TEST(CApi, FindFillsRoomAndCountsAll) {
  Handle t = load("tiers:fast=512M,slow=1G");
  hms_query_spec query = {};
  query.size = sizeof query;
  query.order = HMS_BY_BANDWIDTH;
  hms_id best[1] = {};
  size_t count = 1;
  ASSERT_EQ(hms_find(t.get(), &query, best, &count), HMS_OK);
  EXPECT_EQ(best[0], hms_topology_find_key(t.get(), "fast"));
  EXPECT_EQ(count, hms_topology_count(t.get(), HMS_TARGET));
  query.min_bytes = UINT64_MAX;
  count = 0;
  ASSERT_EQ(hms_find(t.get(), &query, nullptr, &count), HMS_OK);
  EXPECT_EQ(count, 0U);
  hms_id wrong = hms_topology_find_key(t.get(), "fast");  // a target is no initiator
  query.initiators = &wrong;
  query.initiator_count = 1;
  EXPECT_EQ(hms_find(t.get(), &query, nullptr, &count), HMS_ENODEV);
}

TEST(CApi, OlderStructuresAreFilledAsFarAsTheyGo) {
  Handle t = load("tiers:fast=512M");
  struct {
    hms_target_info info;
    unsigned char guard[16];
  } box;
  memset(&box, 0xAB, sizeof box);
  box.info.size = offsetof(hms_target_info, bytes);
  ASSERT_EQ(hms_target_get(t.get(), hms_topology_find_key(t.get(), "fast"), &box.info), HMS_OK);
  EXPECT_STREQ(box.info.label, "fast");
  EXPECT_EQ(box.info.bytes, 0xABABABABABABABABULL);  // beyond the size: untouched
  box.info.size = 0;
  EXPECT_EQ(hms_target_get(t.get(), 1, &box.info), HMS_EINVAL);
}

TEST(CApi, ErrorsLeaveAMessage) {
  hms_topology* t = nullptr;
  EXPECT_EQ(hms_topology_load("nonsense", &t), HMS_EINVAL);
  EXPECT_EQ(t, nullptr);
  EXPECT_NE(strstr(hms_last_error(), "nonsense"), nullptr);
  EXPECT_EQ(hms_topology_load("live", nullptr), HMS_EINVAL);
  EXPECT_EQ(hms_topology_rescan(nullptr), HMS_EINVAL);
  std::string longer = "xml:" + std::string(2000, 'x');
  EXPECT_EQ(hms_topology_load(longer.c_str(), &t), HMS_EIO);
  EXPECT_LT(strlen(hms_last_error()), 500U);
  Handle ok = load("tiers:a=1G");
  hms_target_info info = {};
  info.size = sizeof info;
  EXPECT_EQ(hms_target_get(ok.get(), 999999999, &info), HMS_ENODEV);
  EXPECT_EQ(hms_target_get(nullptr, 1, &info), HMS_EINVAL);
  EXPECT_EQ(hms_topology_count(nullptr, HMS_TARGET), 0U);
  hms_topology_free(nullptr);
}

TEST(CApi, RescanKeepsIds) {
  Handle t = load("tiers:a=1G");
  hms_id before = hms_topology_find_key(t.get(), "a");
  ASSERT_EQ(hms_topology_rescan(t.get()), HMS_OK);
  EXPECT_EQ(hms_topology_find_key(t.get(), "a"), before);
}

TEST(CApi, EveryStatusHasAText) {
  for (int s = 0; s <= HMS_ECANCELED; ++s) {
    EXPECT_STRNE(hms_strerror(static_cast<hms_status>(s)), "unknown status");
  }
  EXPECT_NE(hms_strerror(static_cast<hms_status>(99)), nullptr);
}

}  // namespace
