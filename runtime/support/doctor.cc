// Findings about nodes, kernel calls and sampling sources: see doctor.h.
#include "runtime/support/doctor.h"

#include <dlfcn.h>
#include <errno.h>
#include <hwloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "runtime/support/os.h"

namespace hms::doctor {
namespace {

std::string error_text(int negative_errno) {
  const char* name = strerrorname_np(-negative_errno);
  const char* text = strerrordesc_np(-negative_errno);
  return std::string(name ? name : "?") + " (" + (text ? text : "unknown error") + ")";
}

// A filter answers EPERM (or EACCES); a kernel that lacks the call answers ENOSYS, or EINVAL for a
// mode or flag that it does not know.
bool is_forbidden(int r) { return r == -EPERM || r == -EACCES; }

constexpr char kUnfilter[] =
    "a system-call filter forbids it: under Docker or Podman add --cap-add SYS_NICE, or a seccomp "
    "profile that allows it";

struct Call {
  const char* name;
  int result;
  const char* works;  // consequence when it works
  const char* fails;  // consequence when it does not
  const char* needs;  // way out when the kernel lacks it
  Verdict without;    // how bad that is
};

void examine_call(const Call& call, std::vector<Finding>* out) {
  Finding f;
  f.name = call.name;
  if (call.result == 0) {
    f.verdict = Verdict::kOk;
    f.found = "works";
    f.consequence = call.works;
  } else {
    f.verdict = call.without;
    f.found = error_text(call.result);
    f.consequence = call.fails;
    f.way_out = is_forbidden(call.result) ? kUnfilter : call.needs;
  }
  out->push_back(f);
}

// The library's own API version: the major and minor of the release that introduced it.
std::string hwloc_version() {
  void* library = dlopen("libhwloc.so.15", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return "";
  auto version =
      reinterpret_cast<decltype(&hwloc_get_api_version)>(dlsym(library, "hwloc_get_api_version"));
  char text[32] = "unknown";
  if (version != nullptr) {
    unsigned v = version();
    snprintf(text, sizeof text, "%u.%u.%u", v >> 16, v >> 8 & 0xff, v & 0xff);
  }
  dlclose(library);
  return text;
}

uint64_t limit_of(int resource) {
  rlimit limit = {};
  if (getrlimit(static_cast<__rlimit_resource_t>(resource), &limit) != 0) return UINT64_MAX;
  return limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX : limit.rlim_cur;
}

}  // namespace

const char* to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::kOk:
      return "ok";
    case Verdict::kWarn:
      return "warn";
    case Verdict::kOff:
      return "off";
  }
  return "?";
}

std::string read_text(const Machine& machine, const std::string& path) {
  char buffer[16384];
  int n = os::read_file((machine.root + path).c_str(), buffer, sizeof buffer);
  if (n <= 0) return "";
  std::string text(buffer, static_cast<size_t>(n));
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

std::string field_of(const std::string& text, const std::string& key) {
  const std::string wanted = "\n" + key + ":";
  size_t at = ("\n" + text).find(wanted);
  if (at == std::string::npos) return "";
  at += wanted.size() - 1;  // the added newline shifts positions by one
  size_t end = text.find('\n', at);
  if (end == std::string::npos) end = text.size();
  while (at < end && (text[at] == ' ' || text[at] == '\t')) ++at;
  return text.substr(at, end - at);
}

std::string chosen_of(const std::string& text) {
  size_t open = text.find('[');
  size_t close = text.find(']', open == std::string::npos ? 0 : open);
  if (open == std::string::npos || close == std::string::npos) return "";
  return text.substr(open + 1, close - open - 1);
}

int count_of(const std::string& list) {
  constexpr long kLargest = 1 << 20;  // far above any node number
  int total = 0;
  const char* p = list.c_str();
  while (*p != '\0') {
    char* end = nullptr;
    long first = strtol(p, &end, 10);
    if (end == p || first < 0 || first > kLargest) return 0;
    long last = first;
    p = end;
    if (*p == '-') {
      last = strtol(p + 1, &end, 10);
      if (end == p + 1 || last < first || last > kLargest) return 0;
      p = end;
    }
    total += static_cast<int>(last - first + 1);
    if (*p == ',') {
      ++p;
    } else if (*p != '\0') {
      return 0;
    }
  }
  return total;
}

std::string size_text(uint64_t bytes) {
  static constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 1024 && unit + 1 < std::size(kUnits)) {
    value /= 1024;
    ++unit;
  }
  char text[32];
  snprintf(text, sizeof text, unit == 0 ? "%.0f %s" : "%.1f %s", value, kUnits[unit]);
  return text;
}

Machine this_machine() {
  Machine machine;
  machine.trials = os::try_kernel();
  const char* preload = secure_getenv("LD_PRELOAD");
  machine.preload = preload ? preload : "";
  machine.limit_address_space = limit_of(RLIMIT_AS);
  machine.limit_locked = limit_of(RLIMIT_MEMLOCK);
  machine.hwloc = hwloc_version();
  return machine;
}

void examine_nodes(const Machine& machine, std::vector<Finding>* out) {
  const std::string nodes = "/sys/devices/system/node/";
  const std::string online = read_text(machine, nodes + "online");
  const std::string memory = read_text(machine, nodes + "has_memory");
  const std::string allowed =
      field_of(read_text(machine, "/proc/self/status"), "Mems_allowed_list");
  Finding f{"nodes", Verdict::kOk, "", "", ""};
  if (online.empty() || memory.empty()) {
    f.verdict = Verdict::kOff;
    f.found = "the kernel tells of no memory nodes (" + nodes + " cannot be read)";
    f.consequence = "libhms sees one memory of unknown size, and places nothing";
    f.way_out = "mount sysfs on /sys; the kernel needs CONFIG_NUMA";
    out->push_back(f);
    return;
  }
  const int with_memory = count_of(memory);
  const int usable = allowed.empty() ? with_memory : count_of(allowed);
  f.found = "online " + online + ", with memory " + memory + ", allowed " +
            (allowed.empty() ? "unknown" : allowed);
  if (with_memory <= 1) {
    f.verdict = Verdict::kWarn;
    f.consequence = "one memory: tiers are emulated, capacities hold but every page is as fast";
    f.way_out = "emulate: hms run --tiers fast=512M,slow=2G -- COMMAND";
  } else if (usable < with_memory) {
    f.verdict = Verdict::kWarn;
    f.consequence = "placements on the other nodes are refused, or spill when not strict";
    f.way_out = "the cpuset hides them: widen cpuset.mems of the container or service";
  } else {
    f.consequence = "memory can be placed on each of the " + std::to_string(with_memory) + " nodes";
  }
  out->push_back(f);
}

void examine_calls(const Machine& machine, std::vector<Finding>* out) {
  const os::Trials& t = machine.trials;
  const Call calls[] = {
      {"mbind", t.mbind, "windows get their node, so placed memory costs no call when allocated",
       "memory is placed by nothing but chance: rules only count bytes",
       "the kernel needs CONFIG_NUMA", Verdict::kOff},
      {"set_mempolicy", t.set_mempolicy, "a thread's own policy can be set and kept",
       "a thread's policy cannot be set; libhms places by range and does without",
       "the kernel needs CONFIG_NUMA", Verdict::kWarn},
      {"get_mempolicy", t.get_mempolicy, "the nodes that this process may use are known exactly",
       "allowed nodes are taken from /proc/self/status", "the kernel needs CONFIG_NUMA",
       Verdict::kWarn},
      {"move_pages", t.move_pages, "pages can be moved, and reports verified by the kernel",
       "no migration, and reports cannot be verified", "the kernel needs CONFIG_MIGRATION",
       Verdict::kOff},
      {"preferred-many", t.preferred_many, "several nodes can be preferred at once",
       "lists of nodes prefer their first; the rest follows by accounting", "Linux 5.15 or later",
       Verdict::kWarn},
      {"weighted-interleave", t.weighted_interleave,
       "the kernel can spread pages of other programs by weight",
       "weighted interleave is done by libhms itself, in stripes of its windows",
       "nothing needed; the kernel has it since Linux 6.9", Verdict::kOk},
      {"populate", t.populate, "strict placements fault their pages in with one call",
       "strict placements touch each page themselves", "Linux 5.14 or later", Verdict::kWarn},
  };
  for (const Call& call : calls) examine_call(call, out);
}

void examine_sampling(const Machine& machine, std::vector<Finding>* out) {
  const os::Trials& t = machine.trials;
  const std::string level = read_text(machine, "/proc/sys/kernel/perf_event_paranoid");
  Finding perf{"perf", Verdict::kOk, "perf_event_paranoid " + (level.empty() ? "unknown" : level),
               "", ""};
  if (t.perf_hardware == 0) {
    perf.found += ", hardware events work";
    perf.consequence = "accesses can be sampled by the processor, at little cost";
  } else {
    perf.verdict = Verdict::kWarn;
    perf.found += ", hardware events: " + error_text(t.perf_hardware) + ", software events " +
                  (t.perf_software == 0 ? "work" : "do not");
    perf.consequence = "no sampling of cache misses; allocation and placement do not need it";
    perf.way_out = is_forbidden(t.perf_hardware)
                       ? "CAP_PERFMON, or ask the administrator for perf_event_paranoid 2 or less"
                       : "a virtual machine without a virtual PMU: enable it in the hypervisor";
  }
  out->push_back(perf);

  Finding uffd{"userfaultfd", Verdict::kOk, "", "", ""};
  if (t.userfaultfd != 0) {
    uffd.verdict = Verdict::kWarn;
    uffd.found = error_text(t.userfaultfd);
    uffd.consequence = "no write tracking by userfaultfd; allocation and placement do not need it";
    uffd.way_out = is_forbidden(t.userfaultfd)
                       ? "a system-call filter forbids it: allow userfaultfd"
                       : "Linux 5.11 or later with CONFIG_USERFAULTFD";
  } else {
    const bool async = (t.userfaultfd_features & os::kUffdWriteProtectAsync) != 0;
    char features[32];
    snprintf(features, sizeof features, "0x%llx",
             static_cast<unsigned long long>(t.userfaultfd_features));
    const std::string open_to = read_text(machine, "/proc/sys/vm/unprivileged_userfaultfd") == "1"
                                    ? "everyone"
                                    : "privileged users";
    uffd.found = std::string("user-mode faults work, features ") + features +
                 ", kernel-mode faults for " + open_to;
    uffd.verdict = async ? Verdict::kOk : Verdict::kWarn;
    uffd.consequence = async ? "writes can be tracked without stopping the program"
                             : "write tracking would stop the program at each first write";
    if (!async) uffd.way_out = "asynchronous write protection needs Linux 6.7 or later";
  }
  out->push_back(uffd);

  examine_call({"pagemap-scan", t.pagemap_scan, "written pages can be found with one call",
                "written pages cannot be found cheaply; allocation and placement do not need it",
                "Linux 6.7 or later, with /proc mounted", Verdict::kWarn},
               out);
}

std::vector<Finding> examine(const Machine& machine) {
  std::vector<Finding> out;
  examine_nodes(machine, &out);
  examine_calls(machine, &out);
  examine_sampling(machine, &out);
  examine_kernel_tiering(machine, &out);
  examine_limits(machine, &out);
  examine_surroundings(machine, &out);
  return out;
}

}  // namespace hms::doctor
