// See write_tracking.h.
#include "runtime/tiering/samplers/write_tracking.h"

#include <errno.h>
#include <string.h>

#include "runtime/support/os.h"
#include "runtime/support/os_sampling.h"
#include "runtime/tiering/samplers/touch_rate.h"

namespace hms::tiering {
namespace {

constexpr uint64_t kOneIn = 32;
// The fault of the first write to a page; assumed.
constexpr double kFaultSeconds = 1e-6;

void* pointer(uintptr_t address) { return reinterpret_cast<void*>(address); }

// Neighbours get numbers far apart, always the same ones.
uint64_t scatter(uintptr_t begin) {
  return (begin / kUnitBytes * uint64_t{0x9e3779b97f4a7c15}) >> 32;
}

// A page of ours, tracked, written and asked for.
int try_page(const os::WriteTracker& tracker) {
  void* page = nullptr;
  int r = os::reserve(nullptr, os::kPageSize, &page);
  if (r != 0) return r;
  r = os::commit(page, os::kPageSize);
  uint64_t written = 0;
  if (r == 0) {
    *static_cast<volatile char*>(page) = 1;
    r = os::track_writes(tracker, page, os::kPageSize);
  }
  if (r == 0) {
    *static_cast<volatile char*>(page) = 2;
    r = os::take_written(tracker, page, os::kPageSize, &written);
  }
  os::unmap(page, os::kPageSize);
  return r == 0 && written != os::kPageSize ? -ENODATA : r;
}

}  // namespace

Status WriteTracking::start() {
  int r = os::open_write_tracker(&tracker_);
  if (r == 0) {
    r = try_page(tracker_);
    if (r != 0) stop();
  }
  if (r == 0) return {};
  std::string why = std::string("writes cannot be tracked (") + strerrordesc_np(-r) + ")";
  const bool forbidden = r == -EPERM || r == -EACCES;
  why += forbidden ? "; a system-call filter forbids userfaultfd"
                   : "; Linux 6.7 or later with CONFIG_USERFAULTFD can";
  return {forbidden ? HMS_EPERM : HMS_ENOSYS, why};
}

void WriteTracking::stop() {
  for (const Probe& probe : probes_) {
    if (probe.since != 0) os::stop_tracking(tracker_, pointer(probe.begin), kUnitBytes);
  }
  probes_.clear();
  os::close_write_tracker(&tracker_);
}

bool WriteTracking::wanted(const Span& span, ClassId id) {
  const bool first = !class_probed_[id];
  class_probed_[id] = true;
  if (first) return true;
  const auto one_in = static_cast<uint64_t>(static_cast<double>(kOneIn) / effort_);
  return scatter(span.begin) % one_in == 0;
}

void WriteTracking::look(const Span& span, const std::vector<UnitView>& units, Probe* probe,
                         std::vector<Reading>* out) {
  if (probe->since == 0) return;
  uint64_t written = 0;
  const int64_t now = os::monotonic_ns();
  if (os::take_written(tracker_, pointer(span.begin), kUnitBytes, &written) != 0) {
    probe->since = 0;
    return;
  }
  written_ += written;
  const double pages = static_cast<double>(span.committed) / os::kPageSize;
  const double share = static_cast<double>(written) / static_cast<double>(span.committed);
  const double passed = static_cast<double>(now - probe->since) / 1e9;
  report_span(span, units, accesses_of(share, pages), passed, out);
  probe->since = now;
}

double WriteTracking::cost_s() const {
  return static_cast<double>(written_) / os::kPageSize * kFaultSeconds;
}

void WriteTracking::collect(const std::vector<UnitView>& units, std::vector<Reading>* out) {
  out->clear();
  if (tracker_.faults < 0 || effort_ <= 0) return;
  next_.clear();
  class_probed_.fill(false);
  size_t old = 0;
  auto drop_until = [&](uintptr_t begin) {
    for (; old < probes_.size() && probes_[old].begin < begin; ++old) {
      if (probes_[old].since == 0) continue;
      os::stop_tracking(tracker_, pointer(probes_[old].begin), kUnitBytes);
    }
  };
  for (size_t i = 0; i < units.size();) {
    const Span span = span_from(units, i);
    i = span.last;
    if (span.committed == 0 || !wanted(span, units[span.first].class_id)) continue;
    drop_until(span.begin);
    if (old < probes_.size() && probes_[old].begin == span.begin) {
      next_.push_back(probes_[old++]);
      look(span, units, &next_.back(), out);
    } else {
      const int r = os::track_writes(tracker_, pointer(span.begin), kUnitBytes);
      next_.push_back({span.begin, r == 0 ? os::monotonic_ns() : 0});
    }
  }
  drop_until(UINTPTR_MAX);
  probes_.swap(next_);
}

}  // namespace hms::tiering
