// What the range map says, told on the counter page, where `hms check` and hms_check() compare it
// with the kernel.
#include "runtime/hbind/hbind.h"
#include "runtime/support/counters.h"

namespace hms::hbind {
namespace {

// The page is read while it is written: readers take only what lies between equal, even numbers.
class Change {
 public:
  explicit Change(StatsPage* page) : page_(page) { step(); }
  ~Change() { step(); }
  Change(const Change&) = delete;
  Change& operator=(const Change&) = delete;

 private:
  void step() { page_->range_changes.fetch_add(1, std::memory_order_acq_rel); }
  StatsPage* page_;
};

}  // namespace

// A piece that asks for no node, or for one beyond the bits of a word, is left out: there is
// nothing to compare.
void Engine::tell() {
  if (!stats_is_owner()) return;
  StatsPage* page = stats();
  Change change(page);
  uint64_t told = 0;
  policies_.for_first(kStatsRanges, [&](PageSpan span, const PolicyRef& ref) {
    uint64_t nodes = 0;
    bool comparable = true;
    for (Slot slot : ref.policy->slots) {
      const int node = registry_.at(slot).node;
      comparable = comparable && node < 64;
      if (node >= 0 && node < 64) nodes |= uint64_t{1} << node;
    }
    if (nodes == 0 || !comparable) return;
    RangeRecord& record = page->ranges[told++];
    record.base.store(span.begin * os::kPageSize, std::memory_order_relaxed);
    record.bytes.store(span.bytes(), std::memory_order_relaxed);
    record.nodes.store(nodes, std::memory_order_relaxed);
  });
  page->ranges_told.store(told, std::memory_order_relaxed);
  const uint64_t pieces = policies_.size();
  page->ranges_untold.store(pieces > kStatsRanges ? pieces - kStatsRanges : 0,
                            std::memory_order_relaxed);
}

}  // namespace hms::hbind
