// The rules in the form that answers fast: which rule is the first to hold for a request.
//
// Each rule is one bit. A request's size gives the mask of the rules whose size range holds (the
// ranges cut the number line into segments, each with one mask); the thread gives a second mask,
// the call site a third. The lowest bit of their conjunction is the first match. For a given thread
// mask everything but the call site is folded into one table by size class.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "allocator/allocator.h"
#include "runtime/support/config.h"

namespace hms::routing {

// Size classes of the table: 16 bytes wide below 1 KiB, then four per doubling; each is [low,
// high).
inline constexpr size_t kSmallLimit = 1024;
inline constexpr size_t kSizeClasses = 64 + 54 * 4;

inline size_t size_class(size_t size) {
  if (size < kSmallLimit) return size >> 4;
  unsigned top = 63U - static_cast<unsigned>(__builtin_clzl(size));
  return 64 + (top - 10) * 4 + ((size >> (top - 2)) & 3);
}
// Smallest size of a class; 0 for the class after the last one, where the number line wraps.
size_t class_low(size_t size_class);

// Entry of a verdict table: a placement, or "ask the rules" where a rule's limit lies inside the
// class or the call site decides.
inline constexpr alloc::PlacementId kAskRules = UINT16_MAX;
struct Verdicts {
  alloc::PlacementId of_class[kSizeClasses] = {};  // constant-initialized: see router.cc
};

class RuleTable {
 public:
  // At most kMaxRules rules; placements[i] belongs to rules[i].
  RuleTable(std::vector<Rule> rules, std::vector<alloc::PlacementId> placements);

  // Bits of the rules that a thread of this name may match.
  uint64_t thread_mask(const char* name) const;
  bool has_thread_rules() const { return thread_rules_ != 0; }

  // The rules that ask for the call site, and for its function.
  uint64_t site_rules() const { return site_rules_; }
  uint64_t symbol_rules() const { return symbol_rules_; }
  const Rule& rule(size_t index) const { return rules_[index]; }
  size_t size() const { return rules_.size(); }

  // Bits of the rules whose size range holds `size`.
  uint64_t size_mask(size_t size) const;
  // The placement of the first rule in `mask`; the default one if it is empty.
  alloc::PlacementId first(uint64_t mask) const;
  // True if the first match among `mask` depends on the call site.
  bool needs_site(uint64_t mask) const { return mask != 0 && ((mask & -mask) & site_rules_) != 0; }

  // The verdict table for threads with this mask.
  void fill(uint64_t thread_mask, Verdicts* out) const;

 private:
  std::vector<Rule> rules_;
  std::vector<alloc::PlacementId> placements_;
  std::vector<size_t> segment_low_;      // ascending, starts with 0
  std::vector<uint64_t> segment_masks_;  // one per segment
  uint64_t thread_rules_ = 0, site_rules_ = 0, symbol_rules_ = 0;
};

}  // namespace hms::routing
