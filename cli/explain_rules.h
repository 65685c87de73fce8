// Which rule decides where the plain requests of a program go, and what would change that: the
// words of `hms explain`. The router answers the same question fast (allocator/routing/rules.h);
// here it is answered for people, for all sizes at once.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "runtime/support/config.h"
#include "runtime/topology/topology.h"

namespace hms::cli {

// Requests of `min` to `max` bytes, both included.
struct SizeRange {
  uint64_t min = 0, max = UINT64_MAX;
  // Rules that come first where their thread or call site holds; then the one that holds for sure,
  // -1: none, so the default placement.
  std::vector<int> conditional;
  int rule = -1;
};

// A rule that never decides, and why.
struct IdleRule {
  int rule = 0;
  std::string why;
};

struct RuleExplanation {
  std::vector<std::string> names;  // that `program=` may match
  std::vector<Rule> rules;
  std::vector<SizeRange> sizes;
  std::vector<IdleRule> idle;
  std::vector<std::string> placements;  // a sentence for each placement that can be met
};

// `names`: of the program, as it is called and as links lead to.
RuleExplanation explain_rules(const Config& config, const std::vector<std::string>& names,
                              const topology::Topology* topology);

// The rules that decide something and whose placement has one of these targets.
std::vector<int> rules_to(const RuleExplanation& explanation, const std::vector<std::string>& keys,
                          const topology::Topology* topology);

// "rule 2: size>=64K:slow"
std::string rule_name(const RuleExplanation& explanation, int rule);

// The file names of a program at `path`.
std::vector<std::string> program_names(const std::string& path);

std::string to_text(const RuleExplanation& explanation);
nlohmann::ordered_json to_json(const RuleExplanation& explanation);

}  // namespace hms::cli
