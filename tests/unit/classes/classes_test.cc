// Classes and units: where contexts are sent, what units are charged to, and what a move changes.
// Over two emulated targets, which works on every machine. tests/lab has real ones.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <thread>

#include "allocator/account.h"
#include "allocator/fast_path.h"
#include "allocator/tiering/class_list.h"
#include "allocator/tiering/classes.h"
#include "allocator/tiering/opening.h"
#include "allocator/tiering/pins.h"
#include "allocator/tiering/sites.h"
#include "allocator/tiering/units.h"
#include "runtime/support/consistency.h"
#include "runtime/support/os_files.h"
#include "runtime/tiering/weave.h"
#include "tests/unit/allocator/allocator_test_support.h"

namespace hms::alloc::test {
namespace {

using tiering::ClassId;
using tiering::ClassView;
using tiering::ContextView;
using tiering::Heap;
using tiering::UnitView;

constexpr uint64_t kNearBytes = 64 * kMiB;
constexpr uintptr_t kAdvisedFarSite = 0x7000001;
constexpr uintptr_t kAdvisedNearSite = 0x7000002;
constexpr uintptr_t kAdvisedPartSite = 0x7000003;

std::atomic<unsigned> asked{0};

Advice advise(const NewContext& context) {
  asked.fetch_add(1);
  const auto site = reinterpret_cast<uintptr_t>(context.site);
  if (site == kAdvisedFarSite) return Advice::kFar;
  if (site == kAdvisedPartSite) return Advice::kPart;
  return site == kAdvisedNearSite ? Advice::kNear : Advice::kNone;
}

const void* site(uintptr_t number) {
  return reinterpret_cast<const void*>(number);  // NOLINT(performance-no-int-to-ptr)
}

class Classes : public ::testing::Test {
 protected:
  void SetUp() override {
    stats_init();
    set_class_advice(advise);
    Result<Heap*> started = start_classes(emulated("classes:near", kNearBytes).target,
                                          emulated("classes:far", UINT64_MAX).target);
    ASSERT_TRUE(started.ok()) << started.status().message();
    heap_ = started.value();
    open_classes();
  }
  void TearDown() override {
    trim();
    check_accounts();
  }

  void* take(size_t size, const void* from) { return allocate(size, place_by_site(size, from)); }
  // Touched, so that it is resident where that matters.
  void fill(Blocks* blocks, size_t size, size_t total, const void* from) {
    for (size_t done = 0; done < total; done += size) {
      void* block = blocks->add(take(size, from));
      ASSERT_NE(block, nullptr);
      memset(block, 1, size);
    }
  }
  std::vector<UnitView> units() {
    std::vector<UnitView> out;
    heap_->units(&out);
    return out;
  }
  std::vector<UnitView> units_of(ClassId id) {
    std::vector<UnitView> out;
    for (const UnitView& unit : units()) {
      if (unit.class_id == id) out.push_back(unit);
    }
    return out;
  }
  ClassId class_of(const void* block) {
    for (const UnitView& unit : units()) {
      if (reinterpret_cast<uintptr_t>(block) - unit.address < kUnitBytes) return unit.class_id;
    }
    return tiering::kNoClass;
  }
  tiering::Moved move(tiering::UnitId unit, Side side) {
    std::vector<tiering::Moved> moved;
    heap_->move({unit}, side, &moved);
    EXPECT_EQ(moved.size(), 1U);
    return moved.empty() ? tiering::Moved{} : moved[0];
  }
  // True if the mapping there is advised to have huge pages (proc(5), VmFlags).
  static bool flagged(uintptr_t address) {
    std::ifstream smaps("/proc/self/smaps");
    std::string line;
    bool inside = false;
    while (std::getline(smaps, line)) {
      uintptr_t from = 0, to = 0;
      if (sscanf(line.c_str(), "%lx-%lx ", &from, &to) == 2)
        inside = from <= address && address < to;
      if (inside && line.rfind("VmFlags:", 0) == 0) return line.find(" hg") != std::string::npos;
    }
    return false;
  }
  static uint64_t charged(const char* key) { return counters(key)->charged.load(); }

  // What is charged is what the units hold, page by page; the counters contradict nothing.
  void check_accounts() {
    uint64_t committed = 0;
    for (const UnitView& unit : units()) committed += unit.committed;
    EXPECT_EQ(committed, charged("classes:near") + charged("classes:far"));
    EXPECT_EQ(heap_->room().near_used, charged("classes:near"));
    EXPECT_LE(charged("classes:near"), kNearBytes);
    for (const std::string& what : check_page(stats(), sizeof(StatsPage))) ADD_FAILURE() << what;
  }

  Heap* heap_ = nullptr;
};

TEST_F(Classes, ContextsLeaveProbationWhenTheyHaveAllocatedEnough) {
  Blocks blocks;
  fill(&blocks, 1000, 100 * kKiB, site(0x100001));
  EXPECT_EQ(class_of(blocks.all().back()), tiering::kProbation);
  fill(&blocks, 1000, kMiB, site(0x100001));
  const ClassId first = class_of(blocks.all().back());
  EXPECT_NE(first, tiering::kProbation);
  fill(&blocks, 1000, kMiB, site(0x100002));
  const ClassId second = class_of(blocks.all().back());
  EXPECT_NE(second, tiering::kProbation);
  EXPECT_NE(second, first);
  std::vector<ContextView> contexts;
  heap_->contexts(&contexts);
  size_t found = 0;
  for (const ContextView& context : contexts) {
    if (context.class_id != first) continue;
    ++found;
    EXPECT_GE(context.allocated, kMiB);
    EXPECT_GE(context.allocations, kMiB / 1000);
  }
  EXPECT_EQ(found, 1U);
}

TEST_F(Classes, NewContextsAreAskedAboutOnceAndPlacedAsAdvised) {
  const unsigned before = asked.load();
  Blocks blocks;
  fill(&blocks, 2000, 10000, site(kAdvisedFarSite));
  fill(&blocks, 2000, 10000, site(kAdvisedNearSite));
  EXPECT_EQ(asked.load(), before + 2);
  EXPECT_EQ(key_of(blocks.all().front()), "classes:far");
  EXPECT_EQ(key_of(blocks.all().back()), "classes:near");
  // With a class of its own the context keeps to the side.
  fill(&blocks, 2000, 4 * kMiB, site(kAdvisedFarSite));
  EXPECT_EQ(key_of(blocks.all().back()), "classes:far");
}

TEST_F(Classes, WhatIsNearInPartLeavesTheRestToOthers) {
  constexpr uint64_t kPart = 8 * kMiB;
  limit_advised_part(kPart);
  Blocks blocks;
  fill(&blocks, 100 * kKiB, 4 * kPart, site(kAdvisedPartSite));
  const ClassId id = class_of(blocks.all().back());
  EXPECT_GE(id, kSharedClasses);
  const auto near = static_cast<uint64_t>(class_leg(id)->plan.units->near_bytes.load());
  // By whole units, of what the shared class has left of the limit.
  EXPECT_GE(near, kPart - 2 * kUnitBytes);
  EXPECT_LT(near, kPart + kUnitBytes);
  EXPECT_EQ(key_of(blocks.all().back()), "classes:far");
  check_accounts();
  // The engine knows better.
  heap_->set_lean(id, Side::kNear);
  fill(&blocks, 100 * kKiB, 2 * kPart, site(kAdvisedPartSite));
  EXPECT_EQ(key_of(blocks.all().back()), "classes:near");
}

TEST_F(Classes, UnitsAreBornWhereTheClassLeansWhileThereIsRoom) {
  Blocks blocks;
  fill(&blocks, 100 * kKiB, 2 * kNearBytes, site(0x100003));
  const ClassId id = class_of(blocks.all().back());
  std::map<Side, uint64_t> bytes;
  uintptr_t last = 0;
  for (const UnitView& unit : units_of(id)) {
    EXPECT_GT(unit.address, last);
    EXPECT_LE(unit.committed, kUnitBytes);
    last = unit.address;
    bytes[unit.side] += unit.committed;
  }
  EXPECT_GT(bytes[Side::kNear], kNearBytes / 2);
  EXPECT_GT(bytes[Side::kFar], kNearBytes / 2);
  EXPECT_GT(counters("classes:near")->spilled.load(), 0U);
  check_accounts();
  blocks.release();
  trim();
  EXPECT_LT(charged("classes:near"), kNearBytes / 4);
  heap_->set_lean(id, Side::kFar);
  fill(&blocks, 100 * kKiB, 20 * kMiB, site(0x100003));
  for (const UnitView& unit : units_of(id)) EXPECT_EQ(unit.side, Side::kFar);
}

TEST_F(Classes, AMoveTakesChargesAlong) {
  Blocks blocks;
  fill(&blocks, 10000, 10 * kMiB, site(0x100004));
  const ClassId id = class_of(blocks.all().back());
  for (const UnitView& unit : units_of(id)) {
    ASSERT_EQ(unit.side, Side::kNear);
    const uint64_t near = charged("classes:near");
    const uint64_t far = charged("classes:far");
    const tiering::Moved moved = move(unit.id, Side::kFar);
    EXPECT_EQ(moved.pages, unit.committed / 4096);
    EXPECT_EQ(moved.stuck, 0U);
    EXPECT_EQ(charged("classes:near"), near - unit.committed);
    EXPECT_EQ(charged("classes:far"), far + unit.committed);
    check_accounts();
    EXPECT_EQ(move(unit.id, Side::kFar).pages, 0U);
  }
  for (void* block : blocks.all()) {
    if (class_of(block) == id) {
      EXPECT_EQ(key_of(block), "classes:far");
    }
  }
  for (const UnitView& unit : units_of(id)) {
    EXPECT_EQ(move(unit.id, Side::kNear).pages, unit.committed / 4096);
  }
  check_accounts();
}

TEST_F(Classes, AUnitWithoutRoomStays) {
  Blocks blocks;
  fill(&blocks, 100 * kKiB, 2 * kNearBytes, site(0x100005));
  for (const UnitView& unit : units_of(class_of(blocks.all().back()))) {
    if (unit.side == Side::kNear || unit.committed < kUnitBytes / 2) continue;
    EXPECT_EQ(move(unit.id, Side::kNear).pages, 0U);
  }
  check_accounts();
}

TEST_F(Classes, UnitsOfAWovenClassAreBornByTheirRuns) {
  Blocks blocks;
  fill(&blocks, 100 * kKiB, kMiB, site(0x10000a));
  const ClassId id = class_of(blocks.all().back());
  heap_->set_weave(id, 24);
  const auto first = units_of(id).size();
  fill(&blocks, 100 * kKiB, 24 * kMiB, site(0x10000a));
  std::vector<UnitView> units = units_of(id);
  ASSERT_GT(units.size(), first + 8);
  size_t near = 0;
  for (size_t i = first; i < units.size(); ++i) {
    EXPECT_EQ(units[i].run, units[i - 1].run + 1) << "neighbours in address";
    EXPECT_EQ(units[i].side, tiering::weave_side(units[i].run, 24)) << units[i].run;
    near += units[i].side == Side::kNear;
  }
  EXPECT_GT(near, 0U);
  EXPECT_LT(near, units.size() - first);
  check_accounts();
  // By the lean again.
  heap_->set_weave(id, tiering::kNotWoven);
  fill(&blocks, 100 * kKiB, 4 * kUnitBytes, site(0x10000a));
  EXPECT_EQ(units_of(id).back().side, Side::kNear);
}

// Near memory is full long before the class has its share.
TEST_F(Classes, AWovenClassWithoutRoomIsBornFar) {
  Blocks blocks;
  fill(&blocks, 100 * kKiB, kMiB, site(0x10000b));
  const ClassId id = class_of(blocks.all().back());
  heap_->set_weave(id, 56);
  fill(&blocks, 100 * kKiB, kNearBytes + 16 * kMiB, site(0x10000b));
  size_t far = 0;
  for (const UnitView& unit : units_of(id)) far += unit.side == Side::kFar;
  EXPECT_GE(far, 8U);
  check_accounts();
}

TEST_F(Classes, PartsMoveAlone) {
  Blocks blocks;
  fill(&blocks, 10000, 6 * kMiB, site(0x100007));
  const ClassId id = class_of(blocks.all().back());
  const UnitView whole = units_of(id).front();
  ASSERT_EQ(whole.bytes, kUnitBytes);
  heap_->split(whole.id, 64 * kKiB);
  std::vector<tiering::UnitId> parts;
  uint64_t committed = 0;
  for (const UnitView& part : units_of(id)) {
    if (part.address - whole.address >= kUnitBytes) continue;
    EXPECT_EQ(part.bytes, 64 * kKiB);
    EXPECT_EQ(part.id, whole.id + (part.address - whole.address) / 4096);
    committed += part.committed;
    parts.push_back(part.id);
  }
  EXPECT_EQ(committed, whole.committed);
  ASSERT_GT(parts.size(), 4U);
  // Every other part.
  std::vector<tiering::UnitId> some;
  for (size_t i = 0; i < parts.size(); i += 2) some.push_back(parts[i]);
  const uint64_t far = charged("classes:far");
  std::vector<tiering::Moved> moved;
  heap_->move(some, Side::kFar, &moved);
  ASSERT_EQ(moved.size(), some.size());
  uint64_t pages = 0;
  for (const tiering::Moved& m : moved) pages += m.pages;
  EXPECT_EQ(charged("classes:far"), far + pages * 4096);
  for (const UnitView& part : units_of(id)) {
    if (part.address - whole.address >= kUnitBytes) continue;
    const bool was_moved = std::find(some.begin(), some.end(), part.id) != some.end();
    EXPECT_EQ(part.side, was_moved ? Side::kFar : Side::kNear);
  }
  check_accounts();
  // A number inside a part names nothing.
  EXPECT_EQ(move(parts[1] + 1, Side::kFar).pages, 0U);
  // All parts together move as the unit that they are; whole again, it is where most of it is.
  heap_->move(parts, Side::kFar, &moved);
  heap_->split(whole.id, kUnitBytes);
  EXPECT_EQ(units_of(id).front().side, Side::kFar);
  EXPECT_EQ(units_of(id).front().committed, whole.committed);
  heap_->split(whole.id, 3 * 4096);  // no power of two: nothing happens
  EXPECT_EQ(units_of(id).front().bytes, kUnitBytes);
  check_accounts();
}

TEST_F(Classes, HugePagesAreAskedForWhereAUnitIsFullAndNear) {
  if (!os::huge_pages_allowed()) GTEST_SKIP() << "no huge pages here";
  Blocks blocks;
  fill(&blocks, 1000, 9 * kMiB, site(0x190001));
  const ClassId id = class_of(blocks.all().back());
  const std::vector<UnitView> before = units_of(id);
  ASSERT_GE(before.size(), 4U);
  EXPECT_EQ(flagged(before[1].address), false);
  move(before[2].id, Side::kFar);
  // A page that is pinned is not to be copied.
  ASSERT_TRUE(pin(before[0].address + 5000, before[0].address + 5001));
  heap_->ask_huge(id);
  for (const UnitView& unit : before) {
    const bool full = unit.committed == kUnitBytes && unit.id != before[2].id;
    EXPECT_EQ(flagged(unit.address), full && unit.id != before[0].id) << unit.committed;
  }
  ASSERT_TRUE(unpin(before[0].address, before[1].address));
  heap_->ask_huge(id);
  EXPECT_EQ(flagged(before[0].address), before[0].committed == kUnitBytes);
  // Of a unit that is looked into, a page that leaves takes the advice along.
  heap_->split(before[1].id, tiering::kPartBytesMin);
  move(before[1].id, Side::kFar);
  EXPECT_FALSE(flagged(before[1].address));
  heap_->ask_huge(id);
  EXPECT_FALSE(flagged(before[1].address));
  for (const void* block : blocks.all()) EXPECT_EQ(*static_cast<const char*>(block), 1);
}

TEST_F(Classes, NoSuchUnit) {
  EXPECT_EQ(move(UINT32_MAX, Side::kNear).pages, 0U);
  EXPECT_EQ(move(UINT32_MAX / 2, Side::kFar).pages, 0U);
  heap_->split(UINT32_MAX, 4096);
}

TEST_F(Classes, AnAssignedContextGoesThereAndStays) {
  Blocks blocks;
  fill(&blocks, 500, 10000, site(0x100006));
  std::vector<ContextView> contexts;
  heap_->contexts(&contexts);
  std::vector<ClassView> classes;
  heap_->classes(&classes);
  ASSERT_GT(classes.size(), 4U);
  const ClassId target = classes.back().id;
  heap_->assign(contexts.back().id, target);
  fill(&blocks, 500, 2 * kMiB, site(0x100006));
  EXPECT_EQ(class_of(blocks.all().back()), target);
  heap_->assign(contexts.back().id, tiering::kProbation);
  fill(&blocks, 500, 2 * kMiB, site(0x100006));
  EXPECT_EQ(class_of(blocks.all().back()), tiering::kProbation);
}

TEST_F(Classes, ClassesRunOutAndContextsShare) {
  Blocks blocks;
  std::set<ClassId> used;
  for (uintptr_t i = 0; i < 2 * kMaxClasses; ++i) {
    std::vector<ClassView> classes;
    heap_->classes(&classes);  // tops up the supply, as the engine's thread does
    EXPECT_LE(classes.size(), kMaxClasses);
    fill(&blocks, 4000, 3 * kMiB, site(0x200000 + i));
    used.insert(class_of(blocks.all().back()));
  }
  EXPECT_GT(used.size(), kMaxClasses / 2);
  EXPECT_LE(used.size(), kMaxClasses);
}

TEST_F(Classes, HitsAreCountedForTheirContext) {
  const void* from = site(0x300001);
  place_by_site(64, from);
  SiteSlot* slot = find_site(thread_sites.table, from, 0);
  ASSERT_NE(slot, nullptr);
  Blocks blocks;
  for (int i = 0; i < 1000; ++i) {
    blocks.add(pop_for_site_or(*slot, 64, cached_class(64),
                               [from] { return allocate(64, place_by_site(64, from)); }));
  }
  settle_sites();
  const tiering::Context& context = context_table()->at(slot->context);
  EXPECT_EQ(context.allocations.load(), 1001U);
  EXPECT_EQ(context.allocated.load(), 1001U * 64);
}

TEST_F(Classes, AWrapperIsToldApartByDepth) {
  const void* from = site(0x400001);
  Blocks blocks;
  const auto take_at = [&](uintptr_t stack) {
    thread_sites.stack = stack;
    return blocks.add(take(16000, from));
  };
  char here = 0;
  const auto base = reinterpret_cast<uintptr_t>(&here);
  for (int i = 0; i < 3000; ++i) {
    std::vector<ClassView> classes;
    if (i % 500 == 0) heap_->classes(&classes);
    take_at(base - 256);
    take_at(base - 1024);
  }
  const ClassId a = class_of(take_at(base - 256));
  const ClassId b = class_of(take_at(base - 1024));
  // The classes may all be taken by other tests; else each depth has its own.
  if (a != tiering::kProbation || b != tiering::kProbation) {
    EXPECT_NE(a, b);
  }
  const SiteSlot* mark = &site_slot(thread_sites.table, reinterpret_cast<uintptr_t>(from));
  EXPECT_EQ(mark->key, reinterpret_cast<uintptr_t>(from) | kSplitMark);
  const SiteSlot* at_a = find_site(thread_sites.table, from, base - 256);
  const SiteSlot* at_b = find_site(thread_sites.table, from, base - 1024);
  ASSERT_TRUE(at_a != nullptr && at_b != nullptr);
  EXPECT_NE(at_a->context, at_b->context);
}

// Threads allocate and free while units go back and forth.
TEST_F(Classes, ThreadsUseWhatMoves) {
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 3; ++t) {
    threads.emplace_back([this, t, &stop] {
      std::vector<void*> mine(2000, nullptr);
      for (unsigned i = t; !stop.load(); ++i) {
        void*& slot = mine[i * 7919 % mine.size()];
        if (slot != nullptr) deallocate(slot);
        const size_t size = i % 97 == 0 ? 300000 : 16 + i % 5000;
        slot = take(size, site(0x500000 + i % 5));
        if (slot != nullptr) memset(slot, static_cast<int>(t), size < 64 ? size : 64);
      }
      for (void* block : mine) {
        if (block != nullptr) deallocate(block);
      }
    });
  }
  for (int round = 0; round < 300; ++round) {
    for (const UnitView& unit : units()) {
      move(unit.id, other_side(unit.side));
      if (unit.id % 512 == 0) heap_->split(unit.id, round % 3 == 0 ? 128 * kKiB : kUnitBytes);
    }
  }
  for (const UnitView& unit : units()) {
    if (unit.id % 512 == 0) heap_->split(unit.id, kUnitBytes);
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  trim();
  check_accounts();
}

TEST_F(Classes, AForkedChildHasTheSameHeap) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP()
      << "moves allocate, and the sanitizer's allocator has no handlers for fork: a child of "
         "a process with several threads may wait for a lock that nobody holds any more";
#endif
  Blocks blocks;
  fill(&blocks, 3000, 8 * kMiB, site(0x600001));
  std::atomic<bool> stop{false};
  std::thread mover([this, &stop] {
    while (!stop.load()) {
      for (const UnitView& unit : units()) move(unit.id, other_side(unit.side));
    }
  });
  int failures = 0;
  for (int i = 0; i < 20; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      alarm(60);
      Blocks own;
      for (int k = 0; k < 1000; ++k) own.add(take(3000, site(0x600001)));
      bool fine = own.all().size() == 1000;
      for (const UnitView& unit : units()) move(unit.id, Side::kFar);
      for (const UnitView& unit : units()) fine = fine && unit.side == Side::kFar;
      own.release();
      _exit(fine ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    failures += status == 0 ? 0 : 1;
  }
  stop = true;
  mover.join();
  EXPECT_EQ(failures, 0);
}

}  // namespace
}  // namespace hms::alloc::test
