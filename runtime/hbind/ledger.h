// The ledger: which pages are promised or charged to which target, with totals.
//
// For a node it holds promises: absent pages that a bind has directed there and that will need room
// when they are touched. For an emulated target it is the only truth: pages of it are charged to
// the target, existing or not.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/hbind/range_map.h"

namespace hms::hbind {

// Index of a target in the target table.
using Slot = uint16_t;
inline constexpr Slot kNoSlot = UINT16_MAX;

class Ledger {
 public:
  // Newest wins. May throw std::bad_alloc, having changed nothing.
  void charge(PageSpan span, Slot slot);
  void release(PageSpan span);

  uint64_t pages(Slot slot) const { return slot < totals_.size() ? totals_[slot] : 0; }
  uint64_t pages_within(PageSpan span, Slot slot) const;
  // The slot that a page is charged to, or kNoSlot.
  Slot at(Page page) const;
  const RangeMap<Slot>& map() const { return map_; }

 private:
  void subtract(PageSpan span);

  RangeMap<Slot> map_;
  std::vector<uint64_t> totals_;  // pages, by slot
};

// A stretch of pages that all exist, or all do not.
struct Run {
  PageSpan span;
  bool exists = false;
};

// What of `span` exists, in address order. Holes count as existing, for nothing will come there.
std::vector<Run> presence(PageSpan span);
// How many pages of `span` do not exist.
uint64_t absent_pages(PageSpan span);

}  // namespace hms::hbind
