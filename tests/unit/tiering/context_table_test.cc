// The context table: ids under threads, contexts that are told apart by depth, and what happens
// when there are more than it holds.
#include "runtime/tiering/context_table.h"

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <thread>
#include <vector>

namespace hms::tiering {
namespace {

// As the allocator gets it: memory of zeros.
struct Table {
  Table() : memory(static_cast<ContextTable*>(calloc(1, sizeof(ContextTable)))) {}
  ~Table() { free(memory); }
  Table(const Table&) = delete;
  Table& operator=(const Table&) = delete;
  ContextTable* operator->() const { return memory; }
  ContextTable* memory;
};

const void* site(uint64_t number) {
  return reinterpret_cast<const void*>(0x400000 + number * 5);  // NOLINT(performance-no-int-to-ptr)
}

TEST(ContextTable, KeysKeepSiteAndDepth) {
  const ContextKey key = context_key(site(7), 0x1234);
  EXPECT_EQ(site_of(key), reinterpret_cast<uintptr_t>(site(7)));
  EXPECT_EQ(depth_of(key), 0x1234);
  EXPECT_EQ(depth_of(context_key(site(7), 0)), 0);
}

TEST(ContextTable, IdsStay) {
  Table table;
  std::vector<ContextId> ids;
  for (uint64_t i = 0; i < 1000; ++i) {
    const ContextTable::Found found = table->find_or_add(context_key(site(i), 0));
    EXPECT_TRUE(found.fresh);
    ids.push_back(found.id);
  }
  EXPECT_EQ(std::set<ContextId>(ids.begin(), ids.end()).size(), ids.size());
  for (uint64_t i = 0; i < 1000; ++i) {
    const ContextTable::Found found = table->find_or_add(context_key(site(i), 0));
    EXPECT_FALSE(found.fresh);
    EXPECT_EQ(found.id, ids[i]);
    EXPECT_EQ(table->at(found.id).class_id.load(), kNoClass);
  }
}

TEST(ContextTable, TenThousandContextsShareOne) {
  Table table;
  size_t others = 0;
  for (uint64_t i = 0; i < 10000; ++i) {
    const ContextTable::Found found = table->find_or_add(context_key(site(i), 0));
    if (found.id == kOtherContext) {
      ++others;
      EXPECT_FALSE(found.fresh);
    }
    table->count(found.id, 1, 100);
  }
  EXPECT_EQ(others, 10000 - (ContextTable::kCapacity - 1));
  EXPECT_EQ(table->at(kOtherContext).allocations.load(), others);
  EXPECT_EQ(table->size(), ContextTable::kCapacity);
  EXPECT_EQ(table->allocated(), 1000000u);
  // Those that were there first are still found.
  EXPECT_NE(table->find_or_add(context_key(site(3), 0)).id, kOtherContext);
}

TEST(ContextTable, ThreadsAgree) {
  constexpr unsigned kThreads = 4;
  constexpr uint64_t kSites = 3000;
  for (int round = 0; round < 10; ++round) {
    Table table;
    std::vector<std::vector<ContextId>> ids(kThreads);
    std::vector<std::thread> threads;
    for (unsigned t = 0; t < kThreads; ++t) {
      threads.emplace_back([&table, &ids, t] {
        for (uint64_t i = 0; i < kSites; ++i) {
          const ContextId id = table->find_or_add(context_key(site(i), 0)).id;
          ids[t].push_back(id);
          table->count(id, 1, i);
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    // Races waste records, so late sites may have become "other" for all.
    std::set<ContextId> distinct;
    for (uint64_t i = 0; i < kSites; ++i) {
      for (unsigned t = 1; t < kThreads; ++t) {
        if (ids[t][i] == kOtherContext || ids[0][i] == kOtherContext) continue;
        EXPECT_EQ(ids[t][i], ids[0][i]);
      }
      distinct.insert(ids[0][i]);
    }
    uint64_t allocations = 0;
    for (size_t i = 0; i < table->size(); ++i) {
      const Context& context = table->at(static_cast<ContextId>(i));
      if (context.spare) {
        EXPECT_EQ(context.allocations.load(), 0u);
      }
      allocations += context.allocations;
    }
    EXPECT_EQ(allocations, kThreads * kSites);
    EXPECT_GT(distinct.size(), kSites / 2);
  }
}

// Counts `times` requests of `bytes` from each depth in turn; true if the site was split.
bool meet(const Table& table, ContextId id, const std::vector<uint64_t>& depths, int times,
          uint64_t bytes) {
  bool split = false;
  for (int i = 0; i < times; ++i) {
    for (uint64_t depth : depths) {
      table->count(id, 1, bytes);
      split = split || table->note_depth(id, depth);
    }
  }
  return split;
}

TEST(ContextTable, AWrapperIsSplit) {
  Table table;
  const ContextId id = table->find_or_add(context_key(site(1), 0)).id;
  EXPECT_TRUE(meet(table, id, {10, 20, 30}, 200, 16384));
  EXPECT_TRUE(table->at(id).split.load());
  const ContextTable::Found a = table->child_of(id, 10);
  const ContextTable::Found b = table->child_of(id, 20);
  EXPECT_TRUE(a.fresh && b.fresh);
  EXPECT_NE(a.id, b.id);
  EXPECT_EQ(table->child_of(id, 10).id, a.id);
  EXPECT_EQ(depth_of(table->at(a.id).key), 10);
  EXPECT_EQ(site_of(table->at(a.id).key), reinterpret_cast<uintptr_t>(site(1)));
}

TEST(ContextTable, ChildrenAreFew) {
  Table table;
  const ContextId id = table->find_or_add(context_key(site(1), 0)).id;
  size_t made = 0;
  for (uint64_t depth = 1; depth <= 1000; ++depth) {
    const ContextTable::Found found = table->child_of(id, depth);
    made += found.fresh ? 1 : 0;
    if (depth > ContextTable::kMaxChildren) {
      EXPECT_EQ(found.id, id);
    }
  }
  EXPECT_EQ(made, ContextTable::kMaxChildren);
}

TEST(ContextTable, OneDepthLittleMemoryAndRecursionAreNotSplit) {
  Table table;
  const ContextId one = table->find_or_add(context_key(site(1), 0)).id;
  EXPECT_FALSE(meet(table, one, {10}, 1000, 16384));
  const ContextId small = table->find_or_add(context_key(site(2), 0)).id;
  EXPECT_FALSE(meet(table, small, {10, 20}, 1000, 16));
  const ContextId deep = table->find_or_add(context_key(site(3), 0)).id;
  std::vector<uint64_t> depths;
  for (uint64_t depth = 1; depth < 200; ++depth) depths.push_back(depth);
  EXPECT_FALSE(meet(table, deep, depths, 50, 16384));
}

}  // namespace
}  // namespace hms::tiering
