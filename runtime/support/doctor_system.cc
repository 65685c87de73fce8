// Findings about the kernel's own page moving, limits and surroundings: see doctor.h.
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>

#include "runtime/support/doctor.h"

namespace hms::doctor {
namespace {

void add(std::vector<Finding>* out, const char* name, Verdict verdict, std::string found,
         std::string consequence, std::string way_out = "") {
  out->push_back({name, verdict, std::move(found), std::move(consequence), std::move(way_out)});
}

void examine_balancing(const Machine& machine, std::vector<Finding>* out) {
  const std::string value = read_text(machine, "/proc/sys/kernel/numa_balancing");
  if (value.empty() || value == "0") {
    add(out, "numa-balancing", Verdict::kOk, value.empty() ? "not in this kernel" : "off",
        "the kernel does not move pages towards the threads that use them");
    return;
  }
  add(out, "numa-balancing", Verdict::kWarn, "on (mode " + value + ")",
      "the kernel moves pages that have no policy, and hides those it watches from move_pages on "
      "kernels before 6.2: counts of verified pages can be short",
      "ask the administrator: sysctl kernel.numa_balancing=0, or boot with numa_balancing=disable");
}

void examine_demotion(const Machine& machine, std::vector<Finding>* out) {
  const std::string value = read_text(machine, "/sys/kernel/mm/numa/demotion_enabled");
  if (value != "true" && value != "1") {
    add(out, "demotion", Verdict::kOk, value.empty() ? "not in this kernel" : "off",
        "a full node spills by the placement's own order");
    return;
  }
  add(out, "demotion", Verdict::kWarn, "on",
      "under memory pressure the kernel moves cold pages to a lower tier; reports then count them "
      "as misplaced",
      "ask the administrator: /sys/kernel/mm/numa/demotion_enabled");
}

// Nodes of each tier that the kernel made, fastest (lowest number) first.
void examine_tiers(const Machine& machine, std::vector<Finding>* out) {
  constexpr int kLastTier = 4096;  // MEMTIER_DEFAULT_DAX_ADISTANCE is 5 times 1 << 7: far below
  std::string tiers;
  for (int tier = 0; tier <= kLastTier; ++tier) {
    const std::string nodes = read_text(machine, "/sys/devices/virtual/memory_tiering/memory_tier" +
                                                     std::to_string(tier) + "/nodelist");
    if (!nodes.empty()) tiers += (tiers.empty() ? "" : ", ") + std::to_string(tier) + ": " + nodes;
  }
  if (tiers.empty()) {
    add(out, "memory-tiers", Verdict::kOk, "the kernel tells of none",
        "tiers come from bandwidth, latency and distance alone");
  } else {
    add(out, "memory-tiers", Verdict::kOk, "tier: nodes " + tiers,
        "hms topology shows the kernel's tier of each target");
  }
}

void examine_damon(const Machine& machine, std::vector<Finding>* out) {
  std::string active;
  const std::string base = "/sys/kernel/mm/damon/admin/kdamonds/";
  const long count =
      std::min(strtol(read_text(machine, base + "nr_kdamonds").c_str(), nullptr, 10), 64L);
  for (long i = 0; i < count; ++i) {
    if (read_text(machine, base + std::to_string(i) + "/state") == "on") active = "a kdamond runs";
  }
  for (const char* module : {"damon_reclaim", "damon_lru_sort"}) {
    if (read_text(machine, std::string("/sys/module/") + module + "/parameters/enabled") == "Y") {
      active = std::string(module) + " is on";
    }
  }
  if (active.empty()) {
    add(out, "damon", Verdict::kOk, "not in use", "the kernel moves no pages by access pattern");
  } else {
    add(out, "damon", Verdict::kWarn, active,
        "the kernel may reclaim or move pages by access pattern; reports then count them as "
        "misplaced",
        "ask the administrator whether DAMON should act on this program");
  }
}

// The smallest memory limit on the way from our cgroup to the root; UINT64_MAX: none.
uint64_t cgroup_limit(const Machine& machine) {
  std::string path;
  const std::string groups = "\n" + read_text(machine, "/proc/self/cgroup");
  size_t at = groups.find("\n0::");
  if (at != std::string::npos) path = groups.substr(at + 4, groups.find('\n', at + 1) - at - 4);
  uint64_t limit = UINT64_MAX;
  auto take = [&](const std::string& text) {
    // v1 says "no limit" with the largest multiple of a page below 2^63.
    if (text.empty() || text == "max") return;
    uint64_t value = strtoull(text.c_str(), nullptr, 10);
    if (value < UINT64_MAX / 4) limit = std::min(limit, value);
  };
  while (true) {
    if (path == "/") path.clear();
    take(read_text(machine, "/sys/fs/cgroup" + path + "/memory.max"));
    size_t slash = path.rfind('/');
    if (path.empty() || slash == std::string::npos) break;
    path.resize(slash);
  }
  take(read_text(machine, "/sys/fs/cgroup/memory/memory.limit_in_bytes"));
  return limit;
}

void examine_memory_limit(const Machine& machine, std::vector<Finding>* out) {
  const uint64_t limit = cgroup_limit(machine);
  const uint64_t total =
      strtoull(field_of(read_text(machine, "/proc/meminfo"), "MemTotal").c_str(), nullptr, 10)
      << 10;
  const std::string machine_text = total == 0 ? "unknown" : size_text(total);
  if (limit >= (total == 0 ? UINT64_MAX : total)) {
    add(out, "memory-limit", Verdict::kOk, "no cgroup limit below the machine's " + machine_text,
        "placements may fill the machine");
    return;
  }
  add(out, "memory-limit", Verdict::kWarn,
      "this cgroup may use " + size_text(limit) + " of the machine's " + machine_text,
      "the kernel kills the program above it, whatever room the nodes have",
      "set quotas below it: hms run --quota TARGET=SIZE; or raise memory.max");
}

}  // namespace

void examine_kernel_tiering(const Machine& machine, std::vector<Finding>* out) {
  const std::string thp =
      chosen_of(read_text(machine, "/sys/kernel/mm/transparent_hugepage/enabled"));
  if (thp.empty() || thp == "never") {
    add(out, "thp", Verdict::kWarn, thp.empty() ? "not in this kernel" : thp,
        "large blocks are made of 4 KiB pages: more TLB misses",
        thp.empty() ? "the kernel needs CONFIG_TRANSPARENT_HUGEPAGE"
                    : "ask the administrator: /sys/kernel/mm/transparent_hugepage/enabled");
  } else {
    add(out, "thp", Verdict::kOk, thp,
        thp == "always" ? "large blocks may get 2 MiB pages"
                        : "memory gets 2 MiB pages only where it is asked for");
  }
  examine_balancing(machine, out);
  examine_demotion(machine, out);
  examine_tiers(machine, out);
  examine_damon(machine, out);
}

void examine_limits(const Machine& machine, std::vector<Finding>* out) {
  const std::string overcommit = read_text(machine, "/proc/sys/vm/overcommit_memory");
  if (overcommit == "2") {
    add(out, "overcommit", Verdict::kWarn, "strict (2)",
        "committed memory counts when it is reserved for use, touched or not: allocations fail "
        "earlier than elsewhere",
        "ask the administrator: vm.overcommit_memory=0, or a larger vm.overcommit_ratio");
  } else {
    add(out, "overcommit", Verdict::kOk, overcommit.empty() ? "unknown" : overcommit,
        "address space can be reserved freely");
  }

  constexpr uint64_t kWindowSpace = uint64_t{1} << 40;  // what a few placements reserve
  if (machine.limit_address_space < kWindowSpace) {
    add(out, "address-space", Verdict::kWarn, "RLIMIT_AS " + size_text(machine.limit_address_space),
        "windows are smaller, and placements can run out of address space before memory",
        "ulimit -v unlimited");
  } else {
    add(out, "address-space", Verdict::kOk,
        machine.limit_address_space == UINT64_MAX ? "no limit"
                                                  : size_text(machine.limit_address_space),
        "each placement gets a window of its own");
  }

  constexpr uint64_t kUsefulLock = uint64_t{8} << 20;  // the default of Linux 5.16 and later
  const bool little = machine.limit_locked < kUsefulLock;
  add(out, "locked-memory", little ? Verdict::kWarn : Verdict::kOk,
      machine.limit_locked == UINT64_MAX ? "no limit" : size_text(machine.limit_locked),
      little ? "perf sampling buffers may not fit; allocation and placement lock nothing"
             : "room for sampling buffers",
      little ? "ulimit -l 8192" : "");

  const std::string maps = read_text(machine, "/proc/sys/vm/max_map_count");
  const bool few = !maps.empty() && strtoull(maps.c_str(), nullptr, 10) < 65530;
  add(out, "max-map-count", few ? Verdict::kWarn : Verdict::kOk, maps.empty() ? "unknown" : maps,
      few ? "fewer than the kernel's default of 65530: programs with many mappings run out earlier"
          : "windows have one policy each, so they need few mappings",
      few ? "ask the administrator: vm.max_map_count" : "");
  examine_memory_limit(machine, out);
}

void examine_surroundings(const Machine& machine, std::vector<Finding>* out) {
  const std::string mode = field_of(read_text(machine, "/proc/self/status"), "Seccomp");
  if (mode == "2" || mode == "1") {
    add(out, "seccomp", Verdict::kWarn, mode == "2" ? "a filter is in force" : "strict mode",
        "calls may be denied or kill the program; the lines above tell which are denied",
        "none needed while mbind and move_pages work");
  } else {
    add(out, "seccomp", Verdict::kOk, mode.empty() ? "unknown" : "no filter",
        "no call is forbidden by a filter");
  }

  if (access((machine.root + "/dev/shm").c_str(), W_OK | X_OK) == 0) {
    add(out, "shared-memory", Verdict::kOk, "/dev/shm can be written",
        "hms stat can look into running programs");
  } else {
    add(out, "shared-memory", Verdict::kWarn, "/dev/shm cannot be written",
        "programs run as usual, but hms stat and the report of hms run see no counters",
        "mount a tmpfs on /dev/shm, writable for this user");
  }

  if (machine.hwloc.empty()) {
    add(out, "hwloc", Verdict::kWarn, "libhwloc.so.15 does not load",
        "topology comes from sysfs alone; xml: and synthetic: sources are not available",
        "apt-get install libhwloc15");
  } else {
    add(out, "hwloc", Verdict::kOk, "libhwloc.so.15, API " + machine.hwloc,
        "topology can be read from hwloc, its XML files and synthetic descriptions");
  }

  std::string preload = machine.preload + " " + read_text(machine, "/etc/ld.so.preload");
  std::string rival;
  for (const char* name : {"jemalloc", "tcmalloc", "mimalloc", "libasan", "libtsan", "libmemkind",
                           "libautohbw", "libhoard", "snmalloc"}) {
    if (preload.find(name) != std::string::npos) rival = name;
  }
  if (rival.empty()) {
    add(out, "preload", Verdict::kOk, preload == " " ? "nothing" : "no other allocator",
        "libhms_malloc.so would be the only allocator of a program");
  } else {
    add(out, "preload", Verdict::kWarn, rival + " is preloaded (LD_PRELOAD or /etc/ld.so.preload)",
        "two allocators in one program: the first in the list gets the calls",
        "unset LD_PRELOAD before hms run");
  }
}

}  // namespace hms::doctor
