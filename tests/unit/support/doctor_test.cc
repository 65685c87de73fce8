// Findings of `hms doctor` on machines of our making: a rich one, one without /sys and /proc, one
// under a filter.
#include "runtime/support/doctor.h"

#include <errno.h>
#include <gtest/gtest.h>
#include <stdio.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

namespace hms::doctor {
namespace {

class DoctorTest : public testing::Test {
 protected:
  DoctorTest() {
    std::string name = testing::TempDir() + "doctor.XXXXXX";
    root_ = mkdtemp(name.data());
    machine_.root = root_;
    machine_.hwloc = "2.8.0";
    std::filesystem::create_directories(root_ + "/dev/shm");
  }
  ~DoctorTest() override { std::filesystem::remove_all(root_); }

  void put(const std::string& path, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(root_ + path).parent_path());
    std::ofstream(root_ + path) << text << "\n";
  }

  Finding find(const std::string& name) {
    Finding found{"", Verdict::kOff, "", "", ""};
    for (const Finding& f : examine(machine_)) {
      if (f.name != name) continue;
      EXPECT_EQ(found.name, "") << name << " is reported twice";
      found = f;
    }
    EXPECT_EQ(found.name, name);
    return found;
  }

  std::string root_;
  Machine machine_;
};

TEST_F(DoctorTest, ManyNodesAreFine) {
  put("/sys/devices/system/node/online", "0-3");
  put("/sys/devices/system/node/has_memory", "0-3");
  put("/proc/self/status", "Name:\tx\nMems_allowed:\tf\nMems_allowed_list:\t0-3\nSeccomp:\t0");
  EXPECT_EQ(find("nodes").verdict, Verdict::kOk);
  EXPECT_EQ(find("nodes").found, "online 0-3, with memory 0-3, allowed 0-3");
}

TEST_F(DoctorTest, ACpusetThatHidesNodesIsToldOf) {
  put("/sys/devices/system/node/online", "0-3");
  put("/sys/devices/system/node/has_memory", "0,2-3");
  put("/proc/self/status", "Mems_allowed_list:\t0");
  const Finding f = find("nodes");
  EXPECT_EQ(f.verdict, Verdict::kWarn);
  EXPECT_NE(f.way_out.find("cpuset.mems"), std::string::npos);
}

TEST_F(DoctorTest, OneNodeMeansEmulation) {
  put("/sys/devices/system/node/online", "0");
  put("/sys/devices/system/node/has_memory", "0");
  const Finding f = find("nodes");
  EXPECT_EQ(f.verdict, Verdict::kWarn);
  EXPECT_NE(f.way_out.find("--tiers"), std::string::npos);
}

TEST_F(DoctorTest, SurvivesAMachineThatSaysNothing) {
  const std::vector<Finding> findings = examine(machine_);
  EXPECT_GT(findings.size(), 20U);
  for (const Finding& f : findings) {
    EXPECT_NE(f.found, "") << f.name;
    EXPECT_NE(f.consequence, "") << f.name;
  }
  EXPECT_EQ(find("nodes").verdict, Verdict::kOff);
}

TEST_F(DoctorTest, EveryProblemHasAWayOut) {
  machine_.trials = {-EPERM,  -EPERM, -EPERM,  -EPERM, -EINVAL, -EINVAL,
                     -EINVAL, -EPERM, -EACCES, -EPERM, 0,       -ENOTTY};
  machine_.preload = "/usr/lib/libtcmalloc.so.4";
  machine_.hwloc = "";
  machine_.limit_address_space = 1 << 30;
  machine_.limit_locked = 65536;
  put("/proc/sys/vm/overcommit_memory", "2");
  put("/proc/sys/vm/max_map_count", "1000");
  put("/proc/sys/kernel/numa_balancing", "2");
  put("/proc/self/status", "Seccomp:\t2");
  put("/sys/kernel/mm/numa/demotion_enabled", "true");
  put("/sys/kernel/mm/damon/admin/kdamonds/nr_kdamonds", "1");
  put("/sys/kernel/mm/damon/admin/kdamonds/0/state", "on");
  put("/sys/fs/cgroup/memory.max", "1073741824");
  std::filesystem::remove_all(root_ + "/dev/shm");
  int problems = 0;
  for (const Finding& f : examine(machine_)) {
    if (f.verdict == Verdict::kOk) continue;
    ++problems;
    EXPECT_NE(f.way_out, "") << f.name << ": " << f.found;
  }
  EXPECT_GT(problems, 18);
}

TEST_F(DoctorTest, AFilterIsToldFromAnOldKernel) {
  machine_.trials.mbind = -EPERM;
  EXPECT_EQ(find("mbind").verdict, Verdict::kOff);
  EXPECT_NE(find("mbind").way_out.find("SYS_NICE"), std::string::npos);
  machine_.trials.mbind = -ENOSYS;
  EXPECT_NE(find("mbind").way_out.find("CONFIG_NUMA"), std::string::npos);
  EXPECT_NE(find("mbind").found.find("ENOSYS"), std::string::npos);
}

TEST_F(DoctorTest, SmallestCgroupLimitOnTheWayCounts) {
  put("/proc/self/cgroup", "1:name=systemd:/x\n0::/a/b");
  put("/proc/meminfo", "MemTotal:       16777216 kB\nMemFree:  1 kB");
  put("/sys/fs/cgroup/a/b/memory.max", "max");
  EXPECT_EQ(find("memory-limit").verdict, Verdict::kOk);
  put("/sys/fs/cgroup/a/memory.max", "536870912");
  put("/sys/fs/cgroup/memory.max", "1073741824");
  const Finding f = find("memory-limit");
  EXPECT_EQ(f.verdict, Verdict::kWarn);
  EXPECT_EQ(f.found, "this cgroup may use 512.0 MiB of the machine's 16.0 GiB");
}

TEST_F(DoctorTest, OldCgroupsWithoutLimitAreNoLimit) {
  put("/proc/meminfo", "MemTotal:       16777216 kB");
  put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712");
  EXPECT_EQ(find("memory-limit").verdict, Verdict::kOk);
}

TEST_F(DoctorTest, KernelTiersAreListed) {
  put("/sys/devices/virtual/memory_tiering/memory_tier4/nodelist", "0-1");
  put("/sys/devices/virtual/memory_tiering/memory_tier22/nodelist", "2");
  EXPECT_EQ(find("memory-tiers").found, "tier: nodes 4: 0-1, 22: 2");
}

TEST_F(DoctorTest, HostileFilesAreSurvived) {
  const std::string junk(40000, '9');
  for (const char* path :
       {"/sys/devices/system/node/online", "/sys/devices/system/node/has_memory",
        "/proc/self/status", "/proc/self/cgroup", "/proc/meminfo", "/sys/fs/cgroup/memory.max",
        "/sys/kernel/mm/damon/admin/kdamonds/nr_kdamonds", "/proc/sys/vm/max_map_count",
        "/sys/kernel/mm/transparent_hugepage/enabled", "/etc/ld.so.preload"}) {
    put(path, junk);
  }
  EXPECT_GT(examine(machine_).size(), 20U);
}

TEST(DoctorHelpers, Lists) {
  EXPECT_EQ(count_of("0"), 1);
  EXPECT_EQ(count_of("0-3,8"), 5);
  EXPECT_EQ(count_of(""), 0);
  EXPECT_EQ(count_of("3-1"), 0);
  EXPECT_EQ(count_of("0-"), 0);
  EXPECT_EQ(count_of("a"), 0);
  EXPECT_EQ(count_of("0 1"), 0);
  EXPECT_EQ(count_of("0-99999999999999999999"), 0);
}

TEST(DoctorHelpers, FieldsAndChoices) {
  const std::string text = "Name:\tx\nMems_allowed:\tff\nMems_allowed_list:\t0-3";
  EXPECT_EQ(field_of(text, "Name"), "x");
  EXPECT_EQ(field_of(text, "Mems_allowed"), "ff");
  EXPECT_EQ(field_of(text, "Mems_allowed_list"), "0-3");
  EXPECT_EQ(field_of(text, "allowed"), "");
  EXPECT_EQ(field_of("", "Name"), "");
  EXPECT_EQ(chosen_of("always [madvise] never"), "madvise");
  EXPECT_EQ(chosen_of("]["), "");
  EXPECT_EQ(chosen_of(""), "");
}

TEST(DoctorHelpers, Sizes) {
  EXPECT_EQ(size_text(0), "0 B");
  EXPECT_EQ(size_text(1023), "1023 B");
  EXPECT_EQ(size_text(1536), "1.5 KiB");
  EXPECT_EQ(size_text(UINT64_MAX), "16.0 EiB");
}

// The real machine: the trials must leave the process as it was, and agree with themselves.
TEST(DoctorHere, TrialsAreRepeatable) {
  const os::Trials first = os::try_kernel();
  const os::Trials second = os::try_kernel();
  EXPECT_EQ(first.mbind, second.mbind);
  EXPECT_EQ(first.set_mempolicy, second.set_mempolicy);
  EXPECT_EQ(first.move_pages, second.move_pages);
  EXPECT_EQ(first.userfaultfd_features, second.userfaultfd_features);
}

// Runs the command; its output must be one JSON document of schema 1, its status 0.
TEST(DoctorCommand, PrintsJson) {
  FILE* pipe = popen(HMS_COMMAND " doctor --json", "r");
  ASSERT_NE(pipe, nullptr);
  std::string text;
  char buffer[4096];
  while (size_t n = fread(buffer, 1, sizeof buffer, pipe)) text.append(buffer, n);
  EXPECT_EQ(pclose(pipe), 0);
  const nlohmann::json document = nlohmann::json::parse(text);
  EXPECT_EQ(document["schema"], 1);
  EXPECT_GT(document["findings"].size(), 22U);
  for (const auto& f : document["findings"]) {
    EXPECT_TRUE(f["status"] == "ok" || f["status"] == "warn" || f["status"] == "off") << f;
  }
}

}  // namespace
}  // namespace hms::doctor
