// The tiering rig on traces small enough to know the answers.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <fstream>
#include <stdexcept>

#include "bench/tiering/layout.h"
#include "bench/tiering/oracles.h"
#include "bench/tiering/policies.h"
#include "bench/tiering/recorder.h"
#include "bench/tiering/trace.h"
#include "bench/tiering/zipf.h"

namespace hms::bench::tiering {
namespace {

constexpr uint64_t kBase = uint64_t{1} << 30;

// Builds a trace by hand: objects first, then epochs of (object, accesses).
class Script {
 public:
  Script& object(uint64_t address, uint64_t bytes, uint64_t site = 0) {
    Object made{address, bytes,         site, 0, trace.epochs.empty() ? 0 : trace.epochs.back().end,
                kNever,  trace.pieces()};
    trace.objects.push_back(made);
    return *this;
  }
  Script& epoch(const std::vector<std::pair<size_t, uint32_t>>& accesses) {
    uint64_t tick = trace.epochs.empty() ? 0 : trace.epochs.back().end;
    for (auto [object, count] : accesses) {
      trace.heat.push_back(
          Heat{static_cast<uint32_t>(trace.objects[object].first_piece), count, 0});
      tick += count;
    }
    trace.epochs.push_back(Epoch{tick, 0, 0, trace.heat.size()});
    return *this;
  }
  Trace trace;
};

// Sixteen objects of 1 KiB on four pages; the first of each page is hot.
Script mixed_pages() {
  Script script;
  for (uint64_t i = 0; i < 16; ++i) script.object(kBase + i * 1024, 1024, i % 4 == 0 ? 7 : 8);
  std::vector<std::pair<size_t, uint32_t>> accesses;
  for (size_t i = 0; i < 16; ++i) accesses.emplace_back(i, i % 4 == 0 ? 97 : 1);
  script.epoch(accesses);
  return script;
}

TEST(Oracles, ObjectsBeatPagesThatMixThem) {
  Trace trace = mixed_pages().trace;
  Layout layout = recorded_layout(trace, kPage);
  EXPECT_EQ(layout.pages, 4u);
  EXPECT_DOUBLE_EQ(best_static_pages(trace, layout, kPage), 0.25);
  EXPECT_DOUBLE_EQ(best_static_objects(trace, kPage), 0.97);
}

TEST(Oracles, GroupingByContextGivesPagesWhatObjectsHave) {
  Trace trace = mixed_pages().trace;
  Layout grouped = context_layout(trace, kPage);
  EXPECT_EQ(grouped.pages, 4u);
  EXPECT_DOUBLE_EQ(best_static_pages(trace, grouped, kPage), 0.97);
  EXPECT_DOUBLE_EQ(explained_variance(trace, contexts_of(trace, true), false), 1);
}

TEST(Oracles, ContextsThatSayNothingExplainNothing) {
  Script script;
  for (uint64_t i = 0; i < 8; ++i) script.object(kBase + i * 1024, 1024, i % 2);
  script.epoch({{0, 10}, {1, 10}, {2, 90}, {3, 90}, {4, 10}, {5, 10}, {6, 90}, {7, 90}});
  EXPECT_NEAR(explained_variance(script.trace, contexts_of(script.trace, true), false), 0, 1e-12);
}

TEST(Oracles, MovesAreMadeOnlyWhereTheyPay) {
  auto two_phases = [](uint32_t accesses) {
    Script script;
    script.object(kBase, kPage).object(kBase + kPage, kPage);
    for (int i = 0; i < 3; ++i) script.epoch({{0, accesses}});
    for (int i = 0; i < 3; ++i) script.epoch({{1, accesses}});
    return script.trace;
  };
  Trace busy = two_phases(1000), calm = two_phases(2);
  Dynamic moving = best_dynamic_pages(busy, recorded_layout(busy, kPage), kPage, 20);
  EXPECT_DOUBLE_EQ(moving.hits, 1);
  EXPECT_EQ(moving.moved, 1u);
  EXPECT_NEAR(moving.value, 1 - 20.0 / 6000, 1e-9);
  Dynamic staying = best_dynamic_pages(calm, recorded_layout(calm, kPage), kPage, 20);
  EXPECT_EQ(staying.moved, 0u);
  for (const Dynamic& result : {moving, staying}) EXPECT_LE(result.value, result.bound + 1e-9);
}

TEST(Oracles, LargeObjectsCountByTheirPages) {
  Script script;
  script.object(kBase, 4 * kPage);
  script.trace.heat.push_back(Heat{2, 90, 0});
  script.trace.heat.push_back(Heat{0, 10, 0});
  script.trace.epochs.push_back(Epoch{100, 0, 0, 2});
  EXPECT_DOUBLE_EQ(best_static_objects(script.trace, kPage), 0.9);
  EXPECT_EQ(peak_live_bytes(script.trace), 4 * kPage);
}

TEST(Oracles, ObjectsThatLivedForNoTimeDoNotHideTheHotOnes) {
  Script script;
  for (uint64_t i = 0; i < 400; ++i) script.object(kBase + i * 256, 256);
  std::vector<std::pair<size_t, uint32_t>> accesses;
  for (size_t i = 0; i < 400; ++i) {
    if (i % 40 == 7) {
      accesses.emplace_back(i, 100);
    } else if (i % 2 == 0) {
      script.trace.objects[i].death = script.trace.objects[i].birth;
    }
  }
  script.epoch(accesses);
  EXPECT_DOUBLE_EQ(best_static_objects(script.trace, kPage), 1);
}

TEST(Policies, FirstTouchKeepsWhatCameFirst) {
  Script script;
  script.object(kBase, kPage).object(kBase + kPage, kPage);
  script.epoch({{0, 30}, {1, 70}});
  Layout layout = recorded_layout(script.trace, kPage);
  for (auto& policy : baselines(script.trace, layout, kPage)) {
    Replay result = replay(script.trace, layout, kPage, 1, policy.get());
    if (std::string(policy->name()) == "first-touch") {
      EXPECT_DOUBLE_EQ(result.hits, 0.3);
    }
    if (std::string(policy->name()) == "all-slow") {
      EXPECT_DOUBLE_EQ(result.hits, 0);
    }
    EXPECT_LE(result.hits, 0.7) << policy->name() << " cannot have both pages";
  }
}

TEST(Policies, ThoseThatSampleFollowTheHotPage) {
  Script script;
  script.object(kBase, kPage).object(kBase + kPage, kPage);
  for (int i = 0; i < 40; ++i) script.epoch({{0, 1}, {1, 99}});
  Layout layout = recorded_layout(script.trace, kPage);
  for (auto& policy : baselines(script.trace, layout, kPage)) {
    std::string name = policy->name();
    if (name != "hemem-like" && name != "memtis-like") continue;
    Replay result = replay(script.trace, layout, kPage, 4, policy.get());
    EXPECT_GT(result.last_hits, 0.98) << name;
    EXPECT_EQ(result.moved, 1u) << name;
  }
}

TEST(Recorder, CountsEveryLineOnceAndKnowsItsObject) {
  Recorder recorder({/*epoch=*/100, /*cache_bytes=*/0});
  void* small = recorder.allocate(100);
  recorder.store(small, 100);
  recorder.warm();
  void* large = recorder.allocate(3 * kPage);
  recorder.load(large, 3 * kPage);
  recorder.load(small, 1);
  recorder.release(large);
  recorder.release(small);
  Trace trace = recorder.finish("by hand");
  ASSERT_EQ(trace.objects.size(), 2u);
  EXPECT_EQ(trace.objects[1].bytes, 3 * kPage);
  EXPECT_EQ(trace.warm_epochs, 1u);
  uint64_t lines = 3 * kPage / kLine;
  EXPECT_EQ(judged_accesses(trace), lines + 1);
  EXPECT_EQ(trace.epochs.back().end, 2 + lines + 1);
  EXPECT_EQ(trace.objects[0].death, trace.epochs.back().end);
}

TEST(Recorder, ACacheHidesWhatItHolds) {
  Cache cache(16 << 10);
  EXPECT_FALSE(cache.hit(1));
  EXPECT_TRUE(cache.hit(1));
  // Sixteen others of the same set push it out; fifteen do not.
  for (uint64_t i = 1; i <= 15; ++i) EXPECT_FALSE(cache.hit(1 + i * 16));
  EXPECT_TRUE(cache.hit(1));
  for (uint64_t i = 1; i <= 16; ++i) cache.hit(1 + (i + 100) * 16);
  EXPECT_FALSE(cache.hit(1));
}

class TraceFile : public ::testing::Test {
 protected:
  TraceFile() : path_(::testing::TempDir() + "trace." + std::to_string(getpid())) {}
  ~TraceFile() override { unlink(path_.c_str()); }
  std::string path_;
};

TEST_F(TraceFile, ComesBackAsItWas) {
  Trace trace = mixed_pages().trace;
  trace.workload = "mixed";
  save(trace, path_);
  Trace back = load(path_);
  EXPECT_EQ(back.workload, "mixed");
  ASSERT_EQ(back.objects.size(), trace.objects.size());
  EXPECT_EQ(back.objects[15].address, trace.objects[15].address);
  EXPECT_EQ(judged_accesses(back), judged_accesses(trace));
}

TEST_F(TraceFile, IsRefusedWhereverItIsCutOff) {
  save(mixed_pages().trace, path_);
  std::ifstream in(path_, std::ios::binary);
  std::string whole{std::istreambuf_iterator<char>(in), {}};
  for (size_t length = 0; length < whole.size(); length += 7) {
    std::ofstream(path_, std::ios::binary | std::ios::trunc) << whole.substr(0, length);
    EXPECT_THROW(load(path_), std::runtime_error) << length;
  }
}

TEST_F(TraceFile, IsRefusedIfItsNumbersDoNotFit) {
  Script script = mixed_pages();
  script.trace.heat[3].piece = 1000;
  save(script.trace, path_);
  EXPECT_THROW(load(path_), std::runtime_error);
}

TEST(Zipf, DrawsRanksInProportion) {
  Random random(1);
  Zipf zipf(1000, 0.99);
  std::vector<double> seen(1000);
  for (int i = 0; i < 400'000; ++i) {
    uint64_t rank = zipf.draw(random);
    ASSERT_LT(rank, 1000u);
    ++seen[rank];
  }
  double sum = 0;
  for (int k = 1; k <= 1000; ++k) sum += std::pow(k, -0.99);
  for (int k : {1, 2, 5, 20}) {
    double expected = 400'000 * std::pow(k, -0.99) / sum;
    EXPECT_NEAR(seen[k - 1], expected, 5 * std::sqrt(expected)) << k;
  }
}

}  // namespace
}  // namespace hms::bench::tiering
