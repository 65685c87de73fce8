// The compiled rules: see rules.h.
#include "allocator/routing/rules.h"

#include <algorithm>
#include <utility>

namespace hms::routing {

size_t class_low(size_t size_class) {
  if (size_class < 64) return size_class << 4;
  if (size_class >= kSizeClasses) return 0;
  size_t step = size_class - 64;
  return (4 + step % 4) << (step / 4 + 8);
}

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

void RuleTable::fill(uint64_t thread_mask, Verdicts* out) const {
  for (size_t c = 0; c < kSizeClasses; ++c) {
    size_t low = class_low(c);
    size_t last = class_low(c + 1) - 1;  // wraps to the largest size for the last class
    auto limit = std::upper_bound(segment_low_.begin(), segment_low_.end(), low);
    bool cut = limit != segment_low_.end() && *limit <= last;
    uint64_t mask = size_mask(low) & thread_mask;
    out->of_class[c] = cut || needs_site(mask) ? kAskRules : first(mask);
  }
}

}  // namespace hms::routing
