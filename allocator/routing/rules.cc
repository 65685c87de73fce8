// The compiled rules: see rules.h.
#include "allocator/routing/rules.h"

#include <algorithm>
#include <utility>

namespace hms::routing {

RuleTable::RuleTable(std::vector<Rule> rules, std::vector<alloc::PlacementId> placements)
    : rules_(std::move(rules)), placements_(std::move(placements)) {
  segment_low_.push_back(0);
  for (size_t i = 0; i < rules_.size(); ++i) {
    const Rule& rule = rules_[i];
    uint64_t bit = uint64_t{1} << i;
    if (rule.thread) thread_rules_ |= bit;
    if (rule.has_site()) site_rules_ |= bit;
    if (rule.symbol) symbol_rules_ |= bit;
    segment_low_.push_back(rule.min_size);
    if (rule.max_size < UINT64_MAX) segment_low_.push_back(rule.max_size + 1);
  }
  std::sort(segment_low_.begin(), segment_low_.end());
  segment_low_.erase(std::unique(segment_low_.begin(), segment_low_.end()), segment_low_.end());
  for (size_t low : segment_low_) {
    uint64_t mask = 0;
    for (size_t i = 0; i < rules_.size(); ++i) {
      if (rules_[i].min_size <= low && low <= rules_[i].max_size) mask |= uint64_t{1} << i;
    }
    segment_masks_.push_back(mask);
  }
}

uint64_t RuleTable::thread_mask(const char* name) const {
  uint64_t mask = 0;
  for (size_t i = 0; i < rules_.size(); ++i) {
    bool holds = !rules_[i].thread || glob_match(rules_[i].thread->c_str(), name);
    if (holds) mask |= uint64_t{1} << i;
  }
  return mask;
}

uint64_t RuleTable::size_mask(size_t size) const {
  auto after = std::upper_bound(segment_low_.begin(), segment_low_.end(), size);
  return segment_masks_[static_cast<size_t>(after - segment_low_.begin()) - 1];
}

alloc::PlacementId RuleTable::first(uint64_t mask) const {
  if (mask == 0) return alloc::kDefaultPlacement;
  return placements_[static_cast<size_t>(__builtin_ctzl(mask))];
}

bool RuleTable::needs_thread(uint64_t mask) const {
  uint64_t by_name = mask & thread_rules_;
  uint64_t for_all = mask & ~thread_rules_;
  return by_name != 0 && (for_all == 0 || (by_name & -by_name) < (for_all & -for_all));
}

alloc::PlacementId RuleTable::without_site(uint64_t mask) const {
  return needs_site(mask) ? kAskRules : first(mask);
}

Verdict RuleTable::verdict(unsigned size_class, uint64_t thread_mask) const {
  size_t low = size_class == 0 ? 0 : alloc::class_size(size_class - 1) + 1;
  size_t last = alloc::class_size(size_class);
  auto limit = std::upper_bound(segment_low_.begin(), segment_low_.end(), low);
  auto after = std::upper_bound(limit, segment_low_.end(), last);
  if (after - limit > 1) return {0, kAskRules, kAskRules, false};
  Verdict v;
  v.below = v.above = without_site(size_mask(low) & thread_mask);
  if (limit != after) {
    v.limit = static_cast<uint32_t>(*limit);
    v.above = without_site(size_mask(*limit) & thread_mask);
  } else {
    v.lasting = v.above != kAskRules && !needs_thread(size_mask(low));
  }
  return v;
}

void RuleTable::fill(uint64_t thread_mask, Verdicts* out) const {
  for (unsigned c = 0; c < alloc::kCachedClasses; ++c) out->of_class[c] = verdict(c, thread_mask);
}

}  // namespace hms::routing
