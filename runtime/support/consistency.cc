// See consistency.h.
#include "runtime/support/consistency.h"

#include <errno.h>
#include <string.h>

#include <algorithm>

#include "runtime/support/mappings.h"
#include "runtime/support/os.h"
#include "runtime/support/os_files.h"
#include "runtime/support/stats_reader.h"

namespace hms {
namespace {

constexpr uint64_t kImpossible = uint64_t{1} << 60;
constexpr uint64_t kAddressLimit = uint64_t{1} << 57;

uint64_t value(const Counter& counter) { return counter.load(std::memory_order_relaxed); }
std::string text(uint64_t number) { return std::to_string(number); }

class PageCheck {
 public:
  explicit PageCheck(const StatsPage& page) : page_(page) {}

  Contradictions run() {
    if (page_.pid <= 0) say("the page names no process");
    uint32_t state = page_.state.load();
    if (state != static_cast<uint32_t>(StatsState::kRunning) &&
        state != static_cast<uint32_t>(StatsState::kExited)) {
      say("the state " + text(state) + " is neither running nor exited");
    }
    for (const WindowRecord& w : page_.windows) {
      if (value(w.base) != 0 && value(w.moves) != 0) moving_ |= value(w.stripe_targets);
    }
    for (uint32_t i = 0; i < kStatsTargets; ++i) check_target(i);
    if (moving_live_ > moving_charged_) say("more allocated than is committed where units move");
    for (uint32_t i = 0; i < kStatsWindows; ++i) check_window(i);
    check_overlaps();
    check_range_map();
    return std::move(found_);
  }

 private:
  void say(std::string what) { found_.push_back(std::move(what)); }

  bool used(uint64_t i) const { return i < kStatsTargets && value(page_.targets[i].used) == 1; }

  static std::string name(uint32_t i) { return "target " + text(i); }

  void check_key(uint32_t i) {
    const TargetCounters& t = page_.targets[i];
    size_t length = strnlen(t.key, sizeof t.key);
    if (length == 0 || length == sizeof t.key) return say(name(i) + " has no proper key");
    for (size_t k = 0; k < length; ++k) {
      if (t.key[k] <= ' ' || t.key[k] > '~') return say(name(i) + " has no proper key");
    }
    for (uint32_t other = 0; other < i; ++other) {
      if (used(other) && strncmp(page_.targets[other].key, t.key, sizeof t.key) == 0) {
        say(name(i) + " and " + name(other) + " have the same key");
      }
    }
  }

  void check_target(uint32_t i) {
    const TargetCounters& t = page_.targets[i];
    if (value(t.used) > 1) return say(name(i) + " is neither used nor free");
    if (!used(i)) return;
    if (i > 0 && !used(i - 1)) say(name(i) + " follows a free one");
    check_key(i);
    if (t.node < -1 || t.node >= os::kMaxNodes)
      say(name(i) + " is on a node that cannot be: " + std::to_string(t.node));
    if (t.emulated > 1) say(name(i) + " is neither emulated nor real");
    check_counts(i, t);
  }

  void check_counts(uint32_t i, const TargetCounters& t) {
    const struct {
      const char* name;
      const Counter& counter;
    } kCounters[] = {
        {"allocated", t.allocated},
        {"freed", t.freed},
        {"committed", t.charged},
        {"committed at most", t.charged_peak},
        {"refused for quota", t.refused_quota},
        {"refused when full", t.refused_full},
        {"refused by the system", t.refused_system},
        {"spilled", t.spilled},
        {"inherited", t.inherited},
    };
    for (const auto& c : kCounters) {
      if (value(c.counter) >= kImpossible) return say(name(i) + ": impossible number " + c.name);
    }
    uint64_t ever = value(t.inherited) + value(t.allocated);
    if (value(t.freed) > ever) return say(name(i) + ": more freed than was ever allocated");
    // What is handed out lies in committed memory, also what caches hold. Units that were split are
    // counted on one side, and may lie on both.
    const uint64_t live = ever - value(t.freed);
    if (((moving_ >> i) & 1) != 0) {
      moving_live_ += live;
      moving_charged_ += value(t.charged);
    } else if (live > value(t.charged)) {
      say(name(i) + ": more allocated than is committed");
    }
    if (value(t.charged) > value(t.charged_peak))
      say(name(i) + ": more committed than ever at most");
  }

  void check_window(uint32_t i) {
    const WindowRecord& w = page_.windows[i];
    const uint64_t base = value(w.base), bytes = value(w.bytes);
    if (base == 0) return;
    const std::string who = "window " + text(i);
    if (base % os::kPageSize != 0 || base >= kAddressLimit || bytes == 0 ||
        bytes > kAddressLimit - base) {
      return say(who + " lies nowhere in an address space");
    }
    if (value(w.frontier) > bytes) say(who + ": more in use than it has");
    if (!used(value(w.target))) say(who + " belongs to no target");
    if (value(w.stripe) % os::kPageSize != 0) say(who + ": stripes of parts of pages");
    for (uint64_t t = 0; t < kStatsTargets; ++t) {
      if (((value(w.stripe_targets) >> t) & 1) != 0 && !used(t))
        say(who + " alternates with target " + text(t) + ", which is free");
    }
    spans_.push_back({base, base + bytes});
  }

  void check_overlaps() {
    std::sort(spans_.begin(), spans_.end());
    for (size_t i = 1; i < spans_.size(); ++i) {
      if (spans_[i].first < spans_[i - 1].second) say("two windows overlap");
    }
  }

  void check_range_map() {
    const uint64_t told = value(page_.ranges_told);
    if (value(page_.range_changes) % 2 != 0) return;  // it is being written
    if (told > kStatsRanges) return say("more ranges told than there is room for");
    uint64_t free_from = 0;
    for (uint64_t i = 0; i < told; ++i) {
      const RangeRecord& r = page_.ranges[i];
      const uint64_t base = value(r.base), bytes = value(r.bytes);
      if (base % os::kPageSize != 0 || base >= kAddressLimit || bytes == 0 ||
          bytes % os::kPageSize != 0 || bytes > kAddressLimit - base) {
        return say("range " + text(i) + " lies nowhere in an address space");
      }
      if (base < free_from) return say("two ranges overlap, or are not in order");
      if (value(r.nodes) == 0) return say("range " + text(i) + " asks for no node");
      free_from = base + bytes;
    }
  }

  const StatsPage& page_;
  uint64_t moving_ = 0;  // targets among which units move, a bit each, and their sums
  uint64_t moving_live_ = 0;
  uint64_t moving_charged_ = 0;
  Contradictions found_;
  std::vector<std::pair<uint64_t, uint64_t>> spans_;
};

// What is mapped where a window is in use.
struct Coverage {
  uint64_t covered = 0;
  uint64_t mappings = 0;
  bool executable = false, foreign = false;
  uint64_t begin = 0, end = 0;
};

bool cover(void* context, const os::Mapping& mapping) {
  auto* c = static_cast<Coverage*>(context);
  c->covered +=
      std::min<uint64_t>(mapping.end, c->end) - std::max<uint64_t>(mapping.begin, c->begin);
  ++c->mappings;
  c->executable = c->executable || mapping.executable;
  c->foreign = c->foreign || mapping.shared || !mapping.anonymous;
  return true;
}

Status refused(int pid, int error) {
  std::string who = "process " + std::to_string(pid);
  if (error == -ENOENT || error == -ESRCH) return {HMS_ENODEV, who + " has ended"};
  return {HMS_EPERM,
          "not allowed to ask what " + who + " has mapped; run as its user or with CAP_SYS_PTRACE"};
}

// Mappings of every window in use; how many there are for each target.
Status check_mappings(int pid, const std::vector<WindowStats>& windows, KernelCheck* out,
                      std::vector<uint64_t>* mappings) {
  for (size_t i = 0; i < windows.size(); ++i) {
    const WindowStats& w = windows[i];
    Coverage c;
    c.begin = w.base;
    c.end = w.base + w.bytes;
    int r = os::visit_mappings_of(pid, c.begin, c.end, cover, &c);
    if (r < 0) return refused(pid, r);
    const std::string who = "window " + text(i) + " in use";
    if (c.covered != w.bytes) out->contradictions.push_back(who + ": not all of it is mapped");
    if (c.executable) out->contradictions.push_back(who + ": it can be executed");
    if (c.foreign) out->contradictions.push_back(who + ": not private memory");
    (*mappings)[w.target] += c.mappings;
  }
  return {};
}

// Stripes cannot be told apart from outside, so such targets count together; a huge page may reach
// over the ends of what is committed.
void check_charges(const StatsPage& before, const StatsPage& after, KernelCheck* check) {
  Result<ProcessStats> then = parse_stats(&before, sizeof before);
  Result<ProcessStats> now = parse_stats(&after, sizeof after);
  if (!then.ok() || !now.ok()) return;
  const auto charged = [](const ProcessStats& stats, size_t i) {
    return i < stats.targets.size() ? stats.targets[i].charged : 0;
  };
  uint64_t striped = 0;
  for (const WindowStats& w : check->seen.windows) {
    if (w.stripes != 0) striped |= w.stripes | (uint64_t{1} << w.target);
  }
  uint64_t resident = 0, allowed = check->huge;
  for (size_t i = 0; i < check->seen.targets.size(); ++i) {
    const TargetStats& t = check->seen.targets[i];
    uint64_t most = std::max(charged(then.value(), i), charged(now.value(), i)) +
                    check->mappings[i] * os::kHugePageSize;
    resident += t.resident;
    allowed += most;
    if (((striped >> i) & 1) == 0 && t.resident > most + check->huge) {
      check->contradictions.push_back("target " + text(i) + ": more resident than is committed");
    }
  }
  if (resident > allowed) check->contradictions.push_back("more resident in all than is committed");
}

void check_quotas(const StatsPage& before, const StatsPage& after, Contradictions* found) {
  for (uint32_t i = 0; i < kStatsTargets; ++i) {
    const TargetCounters &then = before.targets[i], &now = after.targets[i];
    const uint64_t quota = value(now.quota);
    if (value(then.used) != 1 || value(now.used) != 1 || value(then.quota) != quota) continue;
    if (value(now.charged) > quota && value(now.charged) > value(then.charged))
      found->push_back("target " + text(i) + ": grows beyond its quota");
  }
}

}  // namespace

Contradictions check_page(const void* page, size_t bytes) {
  Result<ProcessStats> readable = parse_stats(page, bytes);
  if (!readable.ok()) return {readable.status().message()};
  std::vector<uint64_t> copy(sizeof(StatsPage) / sizeof(uint64_t));
  memcpy(copy.data(), page, sizeof(StatsPage));
  return PageCheck(*reinterpret_cast<const StatsPage*>(copy.data())).run();
}

Result<KernelCheck> check_kernel(int pid, const StatsPage& page, double seconds) {
  Result<ProcessStats> stats = parse_stats(&page, sizeof page);
  if (!stats.ok()) return stats.status();
  KernelCheck out;
  out.seen = stats.value();
  out.seen.pid = pid;
  out.windows = out.seen.windows.size();
  out.mappings.resize(out.seen.targets.size());
  Status asked = check_mappings(pid, out.seen.windows, &out, &out.mappings);
  if (!asked.ok()) return asked;
  out.huge = os::process_huge_bytes(pid);
  asked = verify_pages(&out.seen, seconds);
  if (!asked.ok() && asked.code() != HMS_EPARTIAL) return asked;
  for (const TargetStats& t : out.seen.targets) {
    out.resident_pages += t.resident / os::kPageSize;
    out.misplaced_pages += t.misplaced_pages;
  }
  check_ranges(pid, page, &out);
  return out;
}

void settle(const StatsPage& before, const StatsPage& after, KernelCheck* check) {
  check_charges(before, after, check);
  check_quotas(before, after, &check->contradictions);
  const uint64_t changes = value(before.range_changes);
  if (changes % 2 != 0 || value(after.range_changes) != changes) return;
  check->contradictions.insert(check->contradictions.end(), check->unsettled.begin(),
                               check->unsettled.end());
}

Contradictions lasting(const Contradictions& a, const Contradictions& b) {
  Contradictions out;
  for (const std::string& what : a) {
    if (std::find(b.begin(), b.end(), what) != b.end()) out.push_back(what);
  }
  return out;
}

}  // namespace hms
