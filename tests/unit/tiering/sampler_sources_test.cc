// The samplers beside accessed bits: what this kernel offers is used for real, records of hardware
// that is not here are made by hand.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/perf_event.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "runtime/support/os_perf.h"
#include "runtime/support/os_watch.h"
#include "runtime/tiering/samplers/hardware.h"
#include "runtime/tiering/samplers/hint_faults.h"
#include "runtime/tiering/samplers/ladder.h"
#include "runtime/tiering/samplers/write_tracking.h"
#include "tests/unit/tiering/sampler_test_support.h"

namespace hms::tiering {
namespace {

// ------------------------------------------------------------------- records

// A ring of records as the kernel writes them.
class FakeRing {
 public:
  explicit FakeRing(uint64_t start) : tail(start), head(start) {}

  void put(uint32_t type, uint16_t size, std::initializer_list<uint64_t> words) {
    perf_event_header header{type, 0, size};
    put_bytes(&header, sizeof header);
    for (uint64_t word : words) put_bytes(&word, sizeof word);
  }
  std::vector<os::Sample> decode() {
    std::vector<os::Sample> out;
    read = os::decode_samples(
        data, sizeof data, tail, head,
        [](void* to, const os::Sample& s) {
          static_cast<std::vector<os::Sample>*>(to)->push_back(s);
        },
        &out);
    return out;
  }

  char data[128] = {};
  uint64_t tail, head;
  os::SamplesRead read;

 private:
  void put_bytes(const void* bytes, size_t count) {
    for (size_t i = 0; i < count; ++i, ++head) {
      data[head % sizeof data] = static_cast<const char*>(bytes)[i];
    }
  }
};

TEST(Samples, AreDecodedAcrossTheEndOfTheRing) {
  // Every place where a record can begin.
  for (uint64_t start = 0; start < 128; start += 8) {
    FakeRing ring(start);
    ring.put(PERF_RECORD_SAMPLE, 24, {0x1111, 0x2222});
    ring.put(PERF_RECORD_LOST, 24, {7, 5});
    ring.put(PERF_RECORD_THROTTLE, 32, {1, 2, 3});
    ring.put(PERF_RECORD_SAMPLE, 24, {0x3333, 0x4444});
    const std::vector<os::Sample> samples = ring.decode();
    ASSERT_EQ(samples.size(), 2u) << start;
    EXPECT_EQ(samples[0].instruction, 0x1111u);
    EXPECT_EQ(samples[0].address, 0x2222u);
    EXPECT_EQ(samples[1].address, 0x4444u);
    EXPECT_EQ(ring.read.lost, 5u);
  }
}

TEST(Samples, StopAtRecordsThatCannotBe) {
  FakeRing empty_record(0);
  empty_record.put(PERF_RECORD_SAMPLE, 0, {1, 2});
  EXPECT_TRUE(empty_record.decode().empty());
  FakeRing beyond(0);
  beyond.put(PERF_RECORD_SAMPLE, 4096, {1, 2});
  EXPECT_TRUE(beyond.decode().empty());
  FakeRing too_much(0);
  too_much.put(PERF_RECORD_SAMPLE, 24, {1, 2});
  too_much.head = 1 << 20;
  EXPECT_TRUE(too_much.decode().empty());
  FakeRing cut(0);
  cut.put(PERF_RECORD_SAMPLE, 24, {1, 2});
  cut.head -= 8;
  EXPECT_TRUE(cut.decode().empty());
}

// ------------------------------------------------------------ hardware events

class FakeDevices {
 public:
  FakeDevices() {
    char name[] = "/tmp/hms-pmu-XXXXXX";
    root = mkdtemp(name);
  }
  ~FakeDevices() {
    for (auto it = made_.rbegin(); it != made_.rend(); ++it) remove(it->c_str());
    rmdir(root.c_str());
  }
  void file(const std::string& path, const std::string& text) {
    for (size_t at = path.find('/'); at != std::string::npos; at = path.find('/', at + 1)) {
      const std::string folder = root + "/" + path.substr(0, at);
      if (mkdir(folder.c_str(), 0700) == 0) made_.push_back(folder);
    }
    std::ofstream(root + "/" + path) << text << "\n";
    made_.push_back(root + "/" + path);
  }
  std::string root;

 private:
  std::vector<std::string> made_;
};

TEST(Hardware, ProgramsEventsAsTheKernelDescribesThem) {
  FakeDevices devices;
  devices.file("cpu/type", "4");
  devices.file("cpu/events/mem-loads", "event=0xcd,umask=0x1,ldlat=3");
  devices.file("cpu/events/mem-stores", "event=0xd0,umask=0x82");
  devices.file("cpu/format/event", "config:0-7");
  devices.file("cpu/format/umask", "config:8-15");
  devices.file("cpu/format/ldlat", "config1:0-15");
  Result<std::vector<os::SampleSource>> sources = memory_sources(devices.root);
  ASSERT_TRUE(sources.ok()) << sources.status().message();
  ASSERT_EQ(sources.value().size(), 2u);
  const os::SampleSource& loads = sources.value()[0];
  EXPECT_EQ(loads.type, 4u);
  EXPECT_EQ(loads.config, 0x1cdu);
  EXPECT_EQ(loads.config1, 64u);
  EXPECT_TRUE(loads.precise);
  EXPECT_EQ(sources.value()[1].config, 0x82d0u);
}

TEST(Hardware, ValuesMayLieInSeveralPieces) {
  FakeDevices devices;
  devices.file("p/type", "9");
  devices.file("p/events/e", "event=0x1a5");
  devices.file("p/format/event", "config:0-7,32-35");
  Result<os::SampleSource> source = describe_event(devices.root, "p", "e");
  ASSERT_TRUE(source.ok()) << source.status().message();
  EXPECT_EQ(source.value().config, (uint64_t{1} << 32) | 0xa5);
}

TEST(Hardware, SaysWhatIsMissing) {
  FakeDevices devices;
  EXPECT_NE(memory_sources(devices.root).status().message().find("virtual PMU"), std::string::npos);
  devices.file("cpu/type", "4");
  EXPECT_FALSE(memory_sources(devices.root).ok());
  devices.file("cpu/events/mem-loads", "event=0xcd,strange=1");
  devices.file("cpu/format/event", "config:0-7");
  EXPECT_NE(describe_event(devices.root, "cpu", "mem-loads").status().message().find("strange"),
            std::string::npos);
  devices.file("ibs_op/type", "11");
  Result<std::vector<os::SampleSource>> ibs = memory_sources(devices.root);
  ASSERT_TRUE(ibs.ok());
  EXPECT_EQ(ibs.value()[0].type, 11u);
  EXPECT_FALSE(ibs.value()[0].user_only);
}

// ------------------------------------------------------------ real page faults

// The rings and the threads of the address samplers, on software events, which every kernel has.
class Faults : public AddressSampler {
 public:
  const char* name() const override { return "faults"; }
  Sight sight() const override { return {true, true, 1}; }
  Status start() override {
    const int r = open({os::page_fault_source()});
    return r == 0 ? Status() : Status(HMS_EPERM, strerrordesc_np(-r));
  }
};

// Gives the pages of a unit back and touches `pages` of them.
void fault(const UnitView& unit, size_t pages) {
  auto* const at = reinterpret_cast<char*>(unit.address);
  os::discard(at, kUnitBytes);
  for (size_t i = 0; i < pages; ++i) *const_cast<volatile char*>(at + i * os::kPageSize) = 1;
}

double events_of(const std::vector<Reading>& readings, UnitId unit) {
  for (const Reading& reading : readings) {
    if (reading.unit == unit) return reading.events;
  }
  return -1;
}

TEST(AddressSampler, CountsTheFaultsOfEachUnit) {
  Faults sampler;
  Status status = sampler.start();
  if (!status.ok()) GTEST_SKIP() << "page faults cannot be sampled: " << status.message();
  HotAndCold memory;
  std::vector<Reading> readings;
  sampler.collect(memory.units, &readings);
  fault(memory.units[0], 100);
  fault(memory.units[1], 7);
  sampler.collect(memory.units, &readings);
  ASSERT_EQ(readings.size(), HotAndCold::kUnits);
  EXPECT_EQ(events_of(readings, memory.units[0].id), 100);
  EXPECT_EQ(events_of(readings, memory.units[1].id), 7);
  EXPECT_EQ(events_of(readings, memory.units[2].id), 0);
  EXPECT_GT(readings[0].exposure, 0);
  sampler.collect(memory.units, &readings);
  EXPECT_EQ(events_of(readings, memory.units[0].id), 0) << "told twice";
}

TEST(AddressSampler, FindsThreadsThatComeAndGo) {
  Faults sampler;
  Status status = sampler.start();
  if (!status.ok()) GTEST_SKIP() << "page faults cannot be sampled: " << status.message();
  HotAndCold memory;
  std::vector<Reading> readings;
  for (int round = 0; round < 3; ++round) {
    std::atomic<int> step{0};
    std::thread other([&] {
      while (step != 1) os::sleep_ns(100000);
      fault(memory.units[2], 50);
      step = 2;
      while (step != 3) os::sleep_ns(100000);
    });
    sampler.collect(memory.units, &readings);  // finds it
    step = 1;
    while (step != 2) os::sleep_ns(100000);
    sampler.collect(memory.units, &readings);
    EXPECT_EQ(events_of(readings, memory.units[2].id), 50);
    step = 3;
    other.join();
  }
}

TEST(AddressSampler, TellsWhenTheRingWasTooSmall) {
  Faults sampler;
  Status status = sampler.start();
  if (!status.ok()) GTEST_SKIP() << "page faults cannot be sampled: " << status.message();
  HotAndCold memory;
  std::vector<Reading> readings;
  sampler.collect(memory.units, &readings);
  for (int i = 0; i < 8; ++i) fault(memory.units[0], kUnitBytes / os::kPageSize);
  sampler.collect(memory.units, &readings);
  EXPECT_GT(events_of(readings, memory.units[0].id), 0);
  EXPECT_LT(events_of(readings, memory.units[0].id), 8.0 * kUnitBytes / os::kPageSize);
  // And goes on.
  fault(memory.units[1], 9);
  sampler.collect(memory.units, &readings);
  sampler.collect(memory.units, &readings);
  fault(memory.units[1], 9);
  sampler.collect(memory.units, &readings);
  EXPECT_EQ(events_of(readings, memory.units[1].id), 9);
}

class OpenHintFaults : public HintFaults {
 public:
  using HintFaults::open_faults;
};

TEST(HintFaults, DoNotCountTheFaultThatBringsAPageIn) {
  HotAndCold memory;
  OpenHintFaults sampler;
  if (sampler.open_faults() != 0) GTEST_SKIP() << "page faults cannot be sampled";
  std::vector<Reading> readings;
  sampler.collect(memory.units, &readings);
  fault(memory.units[0], 20);
  sampler.collect(memory.units, &readings);
  EXPECT_EQ(events_of(readings, memory.units[0].id), 0);
  fault(memory.units[0], 30);
  sampler.collect(memory.units, &readings);
  EXPECT_EQ(events_of(readings, memory.units[0].id), 20);
}

// -------------------------------------------------------------- write tracking

TEST(WriteTracking, TellsWrittenUnitsFromOthers) {
  WriteTracking sampler;
  Status status = sampler.start();
  if (!status.ok()) GTEST_SKIP() << status.message();
  HotAndCold memory;
  // Every unit a class of its own, so that all are probed.
  for (size_t i = 0; i < memory.units.size(); ++i) {
    memory.units[i].class_id = static_cast<ClassId>(i);
  }
  EXPECT_TRUE(tells_apart(&sampler, memory, 100));
}

TEST(WriteTracking, ProbesOneOfAClassAtLeastAndFewOfMany) {
  WriteTracking sampler;
  Status status = sampler.start();
  if (!status.ok()) GTEST_SKIP() << status.message();
  HotAndCold memory;  // two classes
  std::vector<Reading> first, second;
  sampler.collect(memory.units, &first);
  EXPECT_TRUE(first.empty());
  sampler.collect(memory.units, &first);
  EXPECT_GE(first.size(), 2u);
  EXPECT_LE(first.size(), 6u);
  sampler.collect(memory.units, &second);
  ASSERT_EQ(first.size(), second.size());
  for (size_t i = 0; i < first.size(); ++i) EXPECT_EQ(first[i].unit, second[i].unit);
}

TEST(WriteTracking, TheKernelStillWritesIntoTrackedMemory) {
  WriteTracking sampler;
  Status status = sampler.start();
  if (!status.ok()) GTEST_SKIP() << status.message();
  HotAndCold memory;
  for (size_t i = 0; i < memory.units.size(); ++i) {
    memory.units[i].class_id = static_cast<ClassId>(i);
  }
  std::vector<Reading> readings;
  for (int round = 0; round < 2; ++round) sampler.collect(memory.units, &readings);
  const int zero = open("/dev/zero", O_RDONLY);
  ASSERT_GE(zero, 0);
  EXPECT_EQ(read(zero, memory.begin(), kUnitBytes), static_cast<ssize_t>(kUnitBytes));
  close(zero);
  sampler.collect(memory.units, &readings);
  EXPECT_GT(events_of(readings, memory.units[0].id), 500);
  // Given back and used again.
  os::discard(memory.begin(), kUnitBytes);
  memory.begin()[0] = 1;
  sampler.stop();
  memory.begin()[os::kPageSize] = 1;
}

// ------------------------------------------------------------------ the ladder

TEST(Ladder, OpensTheBestAndSaysWhyTheOthersDidNot) {
  Choice choice = open_best_sampler();
  ASSERT_NE(choice.sampler, nullptr);
  ASSERT_FALSE(choice.rungs.empty());
  EXPECT_EQ(choice.rungs.back().name, choice.sampler->name());
  for (size_t i = 0; i + 1 < choice.rungs.size(); ++i) {
    EXPECT_FALSE(choice.rungs[i].status.ok());
    EXPECT_GT(choice.rungs[i].status.message().size(), 20u) << choice.rungs[i].name;
  }
}

TEST(Ladder, TakesTheOneThatIsNamed) {
  Choice none = open_best_sampler("none");
  EXPECT_STREQ(none.sampler->name(), "none");
  EXPECT_EQ(none.rungs.size(), 1u);
  for (const Rung& rung : try_samplers()) {
    Choice choice = open_best_sampler(rung.name);
    EXPECT_EQ(choice.sampler->name(), rung.status.ok() ? rung.name : std::string("none"));
  }
}

TEST(Ladder, AChildOfForkClosesWhatItsParentSamples) {
  Faults faults;
  WriteTracking writes;
  if (!faults.start().ok() && !writes.start().ok()) GTEST_SKIP() << "neither opens here";
  auto descriptors = [] {
    int count = 0;
    for (int fd = 0; fd < 256; ++fd) count += fcntl(fd, F_GETFD) >= 0 ? 1 : 0;
    return count;
  };
  const int before = descriptors();
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    os::close_all_watched();
    _exit(descriptors() < before ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(descriptors(), before);
}

// Daemons close every descriptor that they find.
TEST(Descriptors, WhatTheProgramTookIsItsOwn) {
  const int fd = os::watched(open("/proc/self/smaps", O_RDONLY | O_CLOEXEC));
  ASSERT_GE(fd, 0);
  EXPECT_TRUE(os::still_watched(fd));
  close(fd);
  EXPECT_FALSE(os::still_watched(fd));
  const int other = open("/dev/null", O_RDONLY | O_CLOEXEC);
  ASSERT_EQ(other, fd);
  EXPECT_FALSE(os::still_watched(fd));
  os::close_watched(fd);
  EXPECT_GE(fcntl(other, F_GETFD), 0) << "closed what was not ours";
  close(other);
}

}  // namespace
}  // namespace hms::tiering
