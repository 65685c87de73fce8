// See accessed_bits.h.
#include "runtime/tiering/samplers/accessed_bits.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>

#include "runtime/support/log.h"
#include "runtime/tiering/samplers/touch_rate.h"

namespace hms::tiering {
namespace {

constexpr int64_t kDebtMaxNs = 600000000;  // a minute at 1 percent
constexpr int64_t kPauseMaxNs = 1000000;   // that others may wait for a walk of one mapping
constexpr unsigned kSlowWalksMax = 3;
constexpr int64_t kShortestRestNs = 100000;
constexpr unsigned kReachMax = 24, kRestSteps = 9;
// Above this share of saturated units the short interval gets shorter, below the other longer.
constexpr double kManySaturated = 0.10, kFewSaturated = 0.02;
// Units that are shared but for less than that are not watched.
constexpr double kWatchedMin = 0.1;
// The read that ends the record of one mapping has the kernel look at the next: what is to be read
// must have been cleared two ahead.
constexpr size_t kLeadMin = 2;
constexpr double kNsPerSecond = 1e9;
constexpr size_t kPagesPerUnit = kUnitBytes / os::kPageSize;

double seconds(int64_t ns) { return static_cast<double>(ns) / kNsPerSecond; }

// Pages that have a bit each.
double pages_of(const os::MappingPages& mapping) {
  const uint64_t huge = std::min(mapping.huge, mapping.resident);
  const uint64_t pages = (mapping.resident - huge) / os::kPageSize + huge / os::kHugePageSize;
  return static_cast<double>(pages);
}

// Pages that are shared with a forked child keep their bits.
double shared_share(const os::MappingPages& mapping) {
  if (mapping.resident == 0) return 0;
  return std::min(1.0, static_cast<double>(mapping.shared) / static_cast<double>(mapping.resident));
}

// Of the pages that are not shared.
double touched_share(const os::MappingPages& mapping) {
  if (mapping.resident <= mapping.shared || mapping.referenced <= mapping.shared) return 0;
  return std::min(1.0, static_cast<double>(mapping.referenced - mapping.shared) /
                           static_cast<double>(mapping.resident - mapping.shared));
}

size_t mapping_limit() {
  char text[32];
  constexpr size_t kDefault = 65530;
  if (os::read_file("/proc/sys/vm/max_map_count", text, sizeof text) <= 0) return kDefault;
  const unsigned long limit = strtoul(text, nullptr, 10);
  return limit > 0 ? limit : kDefault;
}

void* pointer(uintptr_t address) { return reinterpret_cast<void*>(address); }

// A page of ours, touched: does the kernel show it, and forget it?
Status try_page(void* page) {
  *static_cast<volatile char*>(page) = 1;
  const int cleared = os::clear_accessed(page, os::kPageSize);
  if (cleared != 0) {
    return {HMS_ENOSYS, std::string("accessed bits cannot be cleared (madvise MADV_COLD: ") +
                            strerrordesc_np(-cleared) + "); Linux 5.4 or later can"};
  }
  *static_cast<volatile char*>(page) = 2;
  os::MappingReader reader;
  const int opened = reader.open();
  if (opened != 0) {
    return {HMS_EPERM, std::string("/proc/self/smaps cannot be read: ") + strerrordesc_np(-opened) +
                           "; mount /proc"};
  }
  os::MappingPages mapping;
  const auto at = reinterpret_cast<uintptr_t>(page);
  while (reader.next(&mapping) == 1) {
    if (at < mapping.begin || at >= mapping.end) continue;
    if (mapping.referenced > 0) return {};
    break;
  }
  return {HMS_ENOSYS,
          "/proc/self/smaps does not tell which pages were referenced; the kernel needs "
          "CONFIG_PROC_PAGE_MONITOR"};
}

}  // namespace

Status AccessedBits::start() {
  void* page = nullptr;
  if (os::reserve(nullptr, os::kPageSize, &page) != 0) return {HMS_ENOMEM, "no memory for a trial"};
  const int committed = os::commit(page, os::kPageSize);
  Status status = committed == 0 ? try_page(page) : Status(HMS_ENOMEM, "no memory for a trial");
  os::unmap(page, os::kPageSize);
  mappings_max_ = mapping_limit() / 2;
  return status;
}

// Units and parts that lie in the same 2 MiB are one watch. What is known of a watch stays.
void AccessedBits::list_watches(const std::vector<UnitView>& units) {
  old_.swap(watches_);
  watches_.clear();
  size_t old = 0;
  for (size_t i = 0; i < units.size();) {
    const Span span = span_from(units, i);
    while (old < old_.size() && old_[old].begin < span.begin) ++old;
    Watch watch;
    if (old < old_.size() && old_[old].begin == span.begin) watch = old_[old];
    static_cast<Span&>(watch) = span;
    watches_.push_back(watch);
    i = span.last;
  }
}

// Watches before `to`, as far as that has not been done in this walk, and those that share a
// mapping with one of them.
void AccessedBits::clear(size_t to) {
  for (; cleared_ < std::min(to, watches_.size()); ++cleared_) {
    Watch& watch = watches_[cleared_];
    to = std::max(to, cleared_ + watch.mates);
    const bool done = os::clear_accessed(pointer(watch.begin), watch.end - watch.begin) == 0;
    watch.cleared_at = done ? os::monotonic_ns() : 0;
    watch.short_s = watch.short_share = 0;
  }
}

void AccessedBits::see(const os::MappingPages& mapping, size_t from, size_t to) {
  if (to > cleared_) return;
  const double share = touched_share(mapping);
  for (size_t i = from; i < to; ++i) {
    Watch& watch = watches_[i];
    if (watch.cleared_at == 0 || watch.short_s > 0) continue;
    watch.short_share = share;
    watch.short_s = seconds(os::monotonic_ns() - watch.cleared_at);
  }
}

// The mapping's touches, divided among the units in it by their size.
void AccessedBits::report(const os::MappingPages& mapping, size_t from, size_t to,
                          const std::vector<UnitView>& units, std::vector<Reading>* out) {
  uint64_t committed = 0;
  for (size_t i = from; i < to; ++i) committed += watches_[i].committed;
  const double watched = 1 - shared_share(mapping);
  const double pages = pages_of(mapping) * watched;
  const int64_t now = os::monotonic_ns();
  for (size_t i = from; i < to; ++i) {
    Watch& watch = watches_[i];
    watch.mates = to - i;
    const int64_t cleared_at = watch.cleared_at;
    // One mapping answers for a unit, the first that holds pages of it.
    watch.cleared_at = 0;
    if (cleared_at == 0 || watched < kWatchedMin || committed == 0) continue;
    double share = touched_share(mapping);
    double passed = seconds(now - cleared_at);
    // A short interval in which nothing was touched was too short to say anything.
    if (share > kSaturated && watch.short_share > 0) {
      share = watch.short_share;
      passed = watch.short_s;
    }
    const double accesses = accesses_of(share, pages);
    const double part = static_cast<double>(watch.committed) / static_cast<double>(committed);
    report_span(watch, units, accesses * part, passed * watched, out);
  }
}

// Alternate units get the one or the other of two policies that mean the same.
void AccessedBits::keep_apart(const os::MappingPages& mapping, size_t from, size_t to) {
  if (!separable_ || to - from < 2 || mappings_ + (to - from) > mappings_max_) return;
  os::Policy policy = os::Policy::kDefault;
  os::NodeMask nodes;
  if (os::range_policy(pointer(std::max(watches_[from].begin, mapping.begin)), &policy, &nodes) !=
      0) {
    return;
  }
  // Only between these two nothing else changes.
  if (policy != os::Policy::kPreferred && policy != os::Policy::kPreferredMany) return;
  size_t count = 0;
  for (unsigned long word : nodes.words) count += static_cast<size_t>(__builtin_popcountl(word));
  if (count != 1) return;
  for (size_t i = from; i < to; ++i) {
    const Watch& watch = watches_[i];
    const bool odd = (watch.begin / kUnitBytes) % 2 != 0;
    const os::Policy wanted = odd ? os::Policy::kPreferredMany : os::Policy::kPreferred;
    if (wanted == policy || watch.begin < mapping.begin || watch.end > mapping.end) continue;
    const int r = os::set_range_policy(pointer(watch.begin), kUnitBytes, wanted, nodes);
    if (r == -EINVAL || r == -ENOSYS || r == -EPERM) separable_ = false;
    if (r != 0) return;
    ++mappings_;
  }
}

// Others wait for changes of the address space while one mapping is walked.
bool AccessedBits::too_slow(const os::MappingPages& mapping) {
  return mapping.took_ns > kPauseMaxNs && mapping.resident > kUnitBytes &&
         pages_of(mapping) > static_cast<double>(kPagesPerUnit);
}

// False: the kernel did not answer.
bool AccessedBits::walk(Walk kind, const std::vector<UnitView>& units, std::vector<Reading>* out) {
  const size_t count = watches_.size();
  size_t lead = count;
  if (reach_ < kReachMax && (size_t{1} << reach_) < count) {
    lead = std::max(kLeadMin, size_t{1} << reach_);
  }
  os::MappingReader reader;
  if (reader.open() != 0) return false;
  cleared_ = kind == Walk::kLong ? count : 0;
  clear(lead);
  if (kind == Walk::kShort && lead == count) {
    unsigned steps = reach_;
    for (size_t covered = 1; covered < count && steps > 0; covered *= 2) --steps;
    if (steps > 0) os::sleep_ns(kShortestRestNs << std::min(steps, kRestSteps));
  }
  size_t at = 0, mappings = 0;
  bool slow = false;
  os::MappingPages mapping;
  int r;
  while ((r = reader.next(&mapping)) == 1) {
    ++mappings;
    while (at < count && watches_[at].end <= mapping.begin) ++at;
    size_t end = at;
    while (end < count && watches_[end].begin < mapping.end) ++end;
    slow = slow || too_slow(mapping);
    if (end > at && mapping.resident > 0) {
      if (kind == Walk::kLong) {
        report(mapping, at, end, units, out);
        keep_apart(mapping, at, end);
      } else {
        see(mapping, at, end);
      }
    }
    clear(end + lead);
    // A watch that the mapping does not end in goes on in the next one.
    while (at < end && watches_[at].end <= mapping.end) ++at;
    if (at == count) break;
  }
  clear(count);
  mappings_ = std::max(mappings_, mappings);
  slow_walks_ = slow ? slow_walks_ + 1 : 0;
  return r >= 0;
}

// Longer or shorter, by what the last round showed.
void AccessedBits::adapt() {
  size_t saturated = 0, watched = 0;
  for (const Watch& watch : watches_) {
    if (watch.short_s <= 0) continue;
    ++watched;
    if (watch.short_share > kSaturated) ++saturated;
  }
  const auto few = static_cast<size_t>(static_cast<double>(watched) * kFewSaturated);
  const auto many = static_cast<size_t>(static_cast<double>(watched) * kManySaturated);
  if (saturated > many && reach_ > 0) --reach_;
  if (saturated <= few && reach_ < kReachMax + kRestSteps) {
    size_t needed = kRestSteps;
    for (size_t covered = 1; covered < watches_.size(); covered *= 2) ++needed;
    if (reach_ < needed) ++reach_;
  }
}

void AccessedBits::give_up(const char* why) {
  broken_ = true;
  log_once(LogLevel::kWarning, "accessed bits", "tiering: accessed bits are no longer read: %s",
           why);
}

void AccessedBits::collect(const std::vector<UnitView>& units, std::vector<Reading>* out) {
  out->clear();
  if (broken_ || effort_ <= 0) return;
  const int64_t now = os::monotonic_ns();
  if (last_ns_ != 0) {
    const double earned = static_cast<double>(now - last_ns_) * cpu_share_ * effort_;
    credit_ns_ = std::min<int64_t>(0, credit_ns_ + static_cast<int64_t>(earned));
  }
  last_ns_ = now;
  if (credit_ns_ < 0) return;
  const int64_t start = os::thread_cpu_ns();
  list_watches(units);
  mappings_ = 0;
  bool told = watches_.empty() || walk(Walk::kLong, units, out);
  adapt();
  if (told && !watches_.empty()) told = walk(Walk::kShort, units, out);
  credit_ns_ = std::max(-kDebtMaxNs, credit_ns_ - (os::thread_cpu_ns() - start));
  if (!told) give_up("/proc/self/smaps does not answer");
  if (slow_walks_ >= kSlowWalksMax) {
    give_up(
        "a large mapping in small pages takes the kernel more than a millisecond to look at, "
        "and would hold up the program");
  }
}

}  // namespace hms::tiering
