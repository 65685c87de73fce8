// Memory behaviour: what is given back, where jemalloc's records lie, what the audit says.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <set>
#include <string>
#include <vector>

#include "allocator/jemalloc.h"
#include "allocator/region.h"
#include "allocator/setup.h"
#include "allocator/size_classes.h"
#include "allocator/slab.h"
#include "runtime/support/mappings.h"
#include "runtime/support/os.h"
#include "tests/unit/allocator/allocator_test_support.h"

namespace hms::alloc::test {

size_t resident_bytes() {
  FILE* file = fopen("/proc/self/statm", "r");
  if (file == nullptr) return 0;
  unsigned long size = 0;
  unsigned long resident = 0;
  int fields = fscanf(file, "%lu %lu", &size, &resident);  // NOLINT(cert-err34-c)
  fclose(file);
  return fields == 2 ? resident * 4096 : 0;
}

namespace {

std::set<uintptr_t> pages_of(const std::vector<void*>& blocks) {
  std::set<uintptr_t> pages;
  for (void* block : blocks) {
    const auto start = reinterpret_cast<uintptr_t>(block);
    const uintptr_t end = start + usable_size(block);
    for (uintptr_t at = start & ~(os::kPageSize - 1); at < end; at += os::kPageSize)
      pages.insert(at);
  }
  return pages;
}

// Asked page by page: what sanitizers and others hold besides does not count.
size_t resident_among(const std::set<uintptr_t>& pages) {
  size_t resident = 0;
  for (uintptr_t page : pages) {
    unsigned char here = 0;
    if (os::resident(to_pointer(page), os::kPageSize, &here) == 0) resident += here & 1U;
  }
  return resident;
}

TEST(Memory, TrimReturnsFreedMemoryToTheSystem) {
  PlacementId id = registered(make({emulated("m:trim", 1024 * kMiB)}));
  Blocks blocks;
  for (size_t i = 0; i < 64 * kMiB / 2048; ++i) memset(blocks.add(allocate(2048, id)), 1, 2048);
  for (int i = 0; i < 16; ++i) memset(blocks.add(allocate(4 * kMiB, id)), 1, 4 * kMiB);
  const std::set<uintptr_t> pages = pages_of(blocks.all());
  EXPECT_EQ(resident_among(pages), pages.size());
  blocks.release();
  EXPECT_TRUE(trim());
  EXPECT_LT(resident_among(pages) * os::kPageSize, 1 * kMiB);
  EXPECT_EQ(counters("m:trim")->charged.load(), 0U);
  EXPECT_EQ(counters("m:trim")->allocated.load(), counters("m:trim")->freed.load());
}

// Flags of the mapping that holds an address, as the last line of its entry in smaps has them.
std::string mapping_flags(const void* address) {
  FILE* file = fopen("/proc/self/smaps", "r");
  if (file == nullptr) return "";
  char line[512];
  bool inside = false;
  std::string flags;
  while (flags.empty() && fgets(line, sizeof line, file) != nullptr) {
    uintptr_t begin = 0;
    uintptr_t end = 0;
    if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &begin, &end) == 2) {  // NOLINT(cert-err34-c)
      const auto at = reinterpret_cast<uintptr_t>(address);
      inside = begin <= at && at < end;
    }
    if (inside && strncmp(line, "VmFlags:", 8) == 0) flags = line + 8;
  }
  fclose(file);
  return flags;
}

TEST(Memory, HugePagesAreAskedForWhereAPlacementSays) {
  if (access("/sys/kernel/mm/transparent_hugepage", F_OK) != 0)
    GTEST_SKIP() << "no huge pages here";
  Placement huge = make({emulated("m:huge", 256 * kMiB)});
  PlacementId plain = registered(huge);
  huge.huge = true;
  PlacementId id = registered(huge);
  ASSERT_NE(id, plain);
  Blocks blocks;
  for (size_t size : {size_t{64}, 8 * kMiB}) {
    void* block = blocks.add(allocate(size, id));
    memset(block, 1, size);
    EXPECT_NE(mapping_flags(block).find(" hg"), std::string::npos) << mapping_flags(block);
    void* other = blocks.add(allocate(size, plain));
    EXPECT_EQ(mapping_flags(other).find(" hg"), std::string::npos);
  }
  // A huge page would hold more than the quota allows.
  Placement limited = make({emulated("m:limited", 256 * kMiB)});
  limited.huge = true;
  set_quota("m:limited", 64 * kMiB);
  void* block = blocks.add(allocate(64, registered(limited)));
  EXPECT_EQ(mapping_flags(block).find(" hg"), std::string::npos);
}

// As a chain of image filters allocates: buffers of many sizes, of which the last twelve live on.
// What was freed seldom fits what comes next; without a bound, 1.7 times of what is in use is
// charged. Pages that are never touched are charged all the same.
TEST(Memory, LargeBlocksKeepTheirIdleMemoryBounded) {
  constexpr size_t kLive = 12;
  PlacementId id = registered(make({emulated("m:idle", 4096 * kMiB)}));
  void* recent[kLive] = {};
  uint64_t noise = 9;
  uint64_t most = 0;
  for (size_t i = 0; i < 600; ++i) {
    noise = noise * 6364136223846793005U + 1442695040888963407U;
    const size_t size = (256 + (noise >> 33) % 3840) * (256 + (noise >> 50) % 2816) * 2;
    void* full = allocate(size, id);
    void* edges = allocate(size, id);
    void* small = allocate(size / 4, id);
    ASSERT_TRUE(full != nullptr && edges != nullptr && small != nullptr);
    const uint64_t live = counters("m:idle")->allocated.load() - counters("m:idle")->freed.load();
    if (live > most) most = live;
    void*& oldest = recent[i % kLive];
    for (void* block : {oldest, small, full}) {
      if (block != nullptr) deallocate(block);
    }
    oldest = edges;
  }
  EXPECT_LE(counters("m:idle")->charged_peak.load(), most + most / 3);
  for (void* block : recent) deallocate(block);
}

TEST(Memory, ReturnedPagesComeBackZero) {
  PlacementId id = registered(make({emulated("m:zero", 1024 * kMiB)}));
  for (int round = 0; round < 4; ++round) {
    auto* block = static_cast<unsigned char*>(allocate_zeroed(4 * kMiB, id));
    ASSERT_NE(block, nullptr);
    for (size_t i = 0; i < 4 * kMiB; i += 512) ASSERT_EQ(block[i], 0) << i;
    memset(block, 0xee, 4 * kMiB);
    deallocate(block);
    if (round % 2 == 1) trim();
  }
}

TEST(Memory, JemallocKeepsItsRecordsOutsideTheRegion) {
  void* record = internal_allocate(100);
  ASSERT_NE(record, nullptr);
  EXPECT_FALSE(owns(record));
  hmsje_dallocx(record, MALLOCX_TCACHE_NONE);
  // An arena's records (extents, slab bitmaps) would show as charges beyond what was asked for.
  PlacementId id = registered(make({emulated("m:exact", 1024 * kMiB)}));
  Blocks blocks;
  for (int i = 0; i < 100; ++i) ASSERT_NE(blocks.add(allocate(64 * kKiB, id)), nullptr);
  EXPECT_EQ(counters("m:exact")->charged.load(), 100 * 64 * kKiB);
}

TEST(Memory, LargeBlocksArePageAlignedAndTakeTheirSize) {
  PlacementId id = registered(make({emulated("m:large", 1024 * kMiB)}));
  for (size_t size : {40 * kKiB, 64 * kKiB, kMiB}) {
    Blocks blocks;
    for (int i = 0; i < 4; ++i) {
      EXPECT_EQ(reinterpret_cast<uintptr_t>(blocks.add(allocate(size, id))) % 4096, 0U);
    }
  }
}

TEST(Memory, PageMapKnowsEveryBlock) {
  Blocks blocks;
  for (size_t size = 1; size < 2 * kMiB; size = size * 9 / 8 + 1) {
    void* block = blocks.add(allocate(size, kDefaultPlacement));
    auto address = reinterpret_cast<uintptr_t>(block);
    ASSERT_EQ(page_mark(address), class_of(size) + 1) << size;
    ASSERT_EQ(usable_size(block), class_size(class_of(size)));
    bool in_slab = size <= kMaxCachedSize;
    EXPECT_EQ(in_span(address, class_of(size)), in_slab) << size;
    if (!in_slab) {
      EXPECT_EQ(usable_size(block), hmsje_sallocx(block, 0)) << size;
    }
  }
}

TEST(Memory, ConfigurationCannotBeUndoneByTheEnvironment) {
  bool tcache = true;
  size_t length = sizeof tcache;
  ASSERT_EQ(hmsje_mallctl("opt.tcache", &tcache, &length, nullptr, 0), 0);
  EXPECT_FALSE(tcache);
  bool oblivious = true;
  ASSERT_EQ(hmsje_mallctl("opt.cache_oblivious", &oblivious, &length, nullptr, 0), 0);
  EXPECT_FALSE(oblivious);
}

TEST(Memory, AuditCountsWhatIsResident) {
  PlacementId id = registered(make({emulated("m:audit", 1024 * kMiB)}));
  Blocks blocks;
  memset(blocks.add(allocate(8 * kMiB, id)), 1, 3 * kMiB);
  audit_residency();
  TargetCounters* c = counters("m:audit");
  // Transparent huge pages may bring in more than was touched.
  EXPECT_GE(c->audit_resident.load(), 3 * kMiB);
  EXPECT_LE(c->audit_resident.load(), 8 * kMiB);
  EXPECT_EQ(c->audit_verified.load() * 4096, c->audit_resident.load());
  EXPECT_EQ(c->audit_misplaced.load(), 0U);
  EXPECT_EQ(stats()->audited.load(), 1U);
}

TEST(Memory, WindowsKnowTheirFrontier) {
  PlacementId id = registered(make({emulated("m:window", 1024 * kMiB)}));
  void* block = allocate(kMiB, id);
  auto address = reinterpret_cast<uintptr_t>(block);
  bool found = false;
  for (const WindowRecord& record : stats()->windows) {
    uintptr_t base = record.base.load();
    if (base == 0 || address < base || address >= base + record.bytes.load()) continue;
    found = true;
    EXPECT_LE(address + kMiB, base + record.frontier.load());
    EXPECT_STREQ(stats()->targets[record.target.load()].key, "m:window");
  }
  EXPECT_TRUE(found);
  deallocate(block);
}

}  // namespace
}  // namespace hms::alloc::test
