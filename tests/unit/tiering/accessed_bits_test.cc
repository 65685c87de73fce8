// Accessed bits, read from this kernel.
#include "runtime/tiering/samplers/accessed_bits.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <string>

#include "runtime/tiering/samplers/touch_rate.h"
#include "tests/unit/tiering/sampler_test_support.h"

namespace hms::tiering {
namespace {

constexpr char kTooOld[] = "no MADV_COLD (Linux 5.4), or no \"Referenced:\" in /proc/self/smaps";

// Looked at without the sampler: where the kernel has both, the sampler has to start.
bool kernel_tells_accesses() {
  void* page =
      mmap(nullptr, os::kPageSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return false;
  const bool clears = madvise(page, os::kPageSize, MADV_COLD) == 0;
  munmap(page, os::kPageSize);
  std::ifstream smaps("/proc/self/smaps");
  const std::string text((std::istreambuf_iterator<char>(smaps)), {});
  return clears && text.find("\nReferenced:") != std::string::npos;
}

constexpr double kUnlimited = 1e6;

int first_allowed_node() {
  os::NodeMask allowed;
  if (os::allowed_nodes(&allowed) != 0) return -1;
  for (int node = 0; node < os::kMaxNodes; ++node) {
    if (allowed.test(node)) return node;
  }
  return -1;
}

bool prefer_a_node(const HotAndCold& memory) {
  os::NodeMask nodes;
  nodes.set(first_allowed_node());
  return os::set_range_policy(memory.begin(), HotAndCold::kUnits * kUnitBytes,
                              os::Policy::kPreferred, nodes) == 0;
}

size_t mappings_of(const HotAndCold& memory) {
  os::MappingReader reader;
  os::MappingPages mapping;
  size_t count = 0;
  EXPECT_EQ(reader.open(), 0);
  const auto begin = reinterpret_cast<uintptr_t>(memory.begin());
  while (reader.next(&mapping) == 1) {
    if (mapping.begin < begin + HotAndCold::kUnits * kUnitBytes && mapping.end > begin) ++count;
  }
  return count;
}

TEST(TouchRate, UndoesSaturation) {
  // 512 pages, each touched twice on average: 1 - exp(-2) of them are touched at least once.
  EXPECT_NEAR(accesses_of(1 - std::exp(-2.0), 512), 1024, 1e-6);
  EXPECT_NEAR(accesses_of(0.01, 512), 512 * 0.01005, 1e-3);
  EXPECT_DOUBLE_EQ(accesses_of(0, 512), 0);
  EXPECT_DOUBLE_EQ(accesses_of(1, 0), 0);
  // All of them: more than what leaves one untouched, and finite.
  EXPECT_GT(accesses_of(1, 512), accesses_of(511.0 / 512, 512));
  EXPECT_LT(accesses_of(1, 512), 512 * 10);
  EXPECT_NEAR(accesses_of(1, 1), std::log(2), 1e-12);
}

TEST(MappingReader, TellsEveryMappingOnceAndInOrder) {
  os::MappingReader reader;
  ASSERT_EQ(reader.open(), 0);
  os::MappingPages mapping;
  uintptr_t last = 0;
  bool found = false;
  int r;
  while ((r = reader.next(&mapping)) == 1) {
    EXPECT_GE(mapping.begin, last);
    EXPECT_LT(mapping.begin, mapping.end);
    EXPECT_LE(mapping.resident, mapping.end - mapping.begin);
    EXPECT_LE(mapping.referenced, mapping.resident);
    last = mapping.end;
    const auto here = reinterpret_cast<uintptr_t>(&mapping);
    found = found || (mapping.begin <= here && here < mapping.end && mapping.resident > 0);
  }
  EXPECT_EQ(r, 0);
  EXPECT_TRUE(found) << "the stack is in none of them";
}

TEST(AccessedBits, TellsUsedUnitsFromUnusedOnes) {
  AccessedBits sampler(kUnlimited);
  if (!kernel_tells_accesses()) GTEST_SKIP() << kTooOld;
  ASSERT_TRUE(sampler.start().ok());
  HotAndCold memory;
  if (!prefer_a_node(memory)) GTEST_SKIP() << "this kernel takes no policies";
  EXPECT_TRUE(tells_apart(&sampler, memory, 100));
  EXPECT_GE(mappings_of(memory), HotAndCold::kUnits);
  // Units without an access are told of, too.
  std::vector<Reading> readings;
  sampler.collect(memory.units, &readings);
  EXPECT_EQ(readings.size(), HotAndCold::kUnits);
}

TEST(AccessedBits, TellsUsedHugePagesFromUnusedOnes) {
  AccessedBits sampler(kUnlimited);
  if (!kernel_tells_accesses()) GTEST_SKIP() << kTooOld;
  ASSERT_TRUE(sampler.start().ok());
  HotAndCold memory(true);
  if (!prefer_a_node(memory)) GTEST_SKIP() << "this kernel takes no policies";
  EXPECT_TRUE(tells_apart(&sampler, memory, 100));
}

TEST(AccessedBits, UnitsThatShareAMappingShareItsHeat) {
  AccessedBits sampler(kUnlimited);
  if (!kernel_tells_accesses()) GTEST_SKIP() << kTooOld;
  ASSERT_TRUE(sampler.start().ok());
  HotAndCold memory;  // no policy of its own: nothing that could keep units apart
  double events = 0, exposure = 0;
  std::vector<Reading> readings;
  for (int round = 0; round < 100 && events == 0; ++round) {
    sampler.collect(memory.units, &readings);
    for (const Reading& reading : readings) {
      EXPECT_EQ(reading.events, readings[0].events);
      events += reading.events;
      exposure += reading.exposure;
    }
    const unsigned long seen = memory.passes();
    while (memory.passes() < seen + 2) os::sleep_ns(1000000);
  }
  EXPECT_GT(events, 0);
  EXPECT_GT(exposure, 0);
  EXPECT_LE(mappings_of(memory), 2u);
}

TEST(AccessedBits, PartsShareWhatTheirUnitHad) {
  AccessedBits sampler(kUnlimited);
  if (!kernel_tells_accesses()) GTEST_SKIP() << kTooOld;
  ASSERT_TRUE(sampler.start().ok());
  HotAndCold memory;
  if (!prefer_a_node(memory)) GTEST_SKIP() << "this kernel takes no policies";
  // Unit 3 is hot; its second half is given as two quarters.
  std::vector<UnitView> units = memory.units;
  UnitView part = units[3];
  part.bytes = part.committed = kUnitBytes / 4;
  std::vector<UnitView> parts(4, part);
  for (size_t i = 0; i < 4; ++i) {
    parts[i].id += static_cast<UnitId>(i * (kUnitBytes / 4 / kPartBytesMin));
    parts[i].address += i * kUnitBytes / 4;
  }
  units.erase(units.begin() + 3);
  units.insert(units.begin() + 3, parts.begin(), parts.end());
  std::vector<Reading> readings;
  bool seen_events = false;
  for (int round = 0; round < 100 && !seen_events; ++round) {
    sampler.collect(units, &readings);
    std::vector<double> of_parts;
    for (const Reading& reading : readings) {
      for (const UnitView& p : parts) {
        if (p.id == reading.unit) of_parts.push_back(reading.events);
      }
    }
    if (!of_parts.empty()) {
      ASSERT_EQ(of_parts.size(), 4u);
      for (double events : of_parts) EXPECT_EQ(events, of_parts[0]);
      seen_events = of_parts[0] > 0;
    }
    const unsigned long passes = memory.passes();
    while (memory.passes() < passes + 2) os::sleep_ns(1000000);
  }
  EXPECT_TRUE(seen_events);
}

TEST(AccessedBits, PagesSharedWithAChildAreNotTakenForHot) {
  AccessedBits sampler(kUnlimited);
  if (!kernel_tells_accesses()) GTEST_SKIP() << kTooOld;
  ASSERT_TRUE(sampler.start().ok());
  HotAndCold memory;
  if (!prefer_a_node(memory)) GTEST_SKIP() << "this kernel takes no policies";
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    pause();
    _exit(0);
  }
  // The hot units are written to, so their pages are not shared for long.
  EXPECT_TRUE(tells_apart(&sampler, memory, 100));
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
}

TEST(AccessedBits, LockedMemoryIsNotWatched) {
  AccessedBits sampler(kUnlimited);
  if (!kernel_tells_accesses()) GTEST_SKIP() << kTooOld;
  ASSERT_TRUE(sampler.start().ok());
  HotAndCold memory;
  if (!prefer_a_node(memory)) GTEST_SKIP() << "this kernel takes no policies";
  char* const locked = memory.begin() + 5 * kUnitBytes;
  // Past the library's mlock(): the address sanitizer's does nothing.
  if (syscall(SYS_mlock, locked, kUnitBytes) != 0) GTEST_SKIP() << "RLIMIT_MEMLOCK is too low";
  std::vector<Reading> readings;
  size_t told = 0;
  for (int round = 0; round < 100 && told < HotAndCold::kUnits; ++round) {
    sampler.collect(memory.units, &readings);
    for (const Reading& reading : readings) EXPECT_NE(reading.unit, memory.units[5].id);
    told += readings.size();
    os::sleep_ns(5000000);
  }
  EXPECT_GT(told, 0u);
  munlock(locked, kUnitBytes);
}

}  // namespace
}  // namespace hms::tiering
