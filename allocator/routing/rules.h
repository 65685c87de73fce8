// The rules in the form that answers fast: which rule is the first to hold for a request.
//
// Each rule is one bit. A request's size gives the mask of the rules whose size range holds (the
// ranges cut the number line into segments, each with one mask); the thread gives a second mask,
// the call site a third. The lowest bit of their conjunction is the first match. For a given thread
// mask everything but the call site is folded into one table by the size classes of thread caches;
// larger requests look among the limits, which is little beside what they cost anyway.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "allocator/allocator.h"
#include "allocator/size_classes.h"
#include "runtime/support/config.h"

namespace hms::routing {

// In the place of a placement: the rules must be asked, because a call site or several limits
// decide.
inline constexpr alloc::PlacementId kAskRules = UINT16_MAX;

// Of the requests of one size class, by threads of one mask.
struct Verdict {
  uint32_t limit = 0;  // a rule's limit that lies inside the class; 0: none does
  alloc::PlacementId below = 0;
  alloc::PlacementId above = 0;  // from `limit` on
  bool lasting = false;          // the same for all sizes of the class, thread names, call sites
  alloc::PlacementId of(size_t size) const { return size < limit ? below : above; }
};

struct Verdicts {
  Verdict of_class[alloc::kCachedClasses] = {};  // constant-initialized: see router.cc
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
  bool needs_site(uint64_t mask) const { return ((mask & -mask) & site_rules_) != 0; }
  // True if the name of the thread has a part in it.
  bool needs_thread(uint64_t mask) const;

  // The verdict table for threads with this mask.
  void fill(uint64_t thread_mask, Verdicts* out) const;

 private:
  alloc::PlacementId without_site(uint64_t mask) const;
  Verdict verdict(unsigned size_class, uint64_t thread_mask) const;

  std::vector<Rule> rules_;
  std::vector<alloc::PlacementId> placements_;
  std::vector<size_t> segment_low_;      // ascending, starts with 0
  std::vector<uint64_t> segment_masks_;  // one per segment
  uint64_t thread_rules_ = 0, site_rules_ = 0, symbol_rules_ = 0;
};

}  // namespace hms::routing
