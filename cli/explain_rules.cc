// See explain_rules.h.
#include "cli/explain_rules.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "cli/report.h"
#include "cli/table.h"
#include "runtime/placement/placement.h"

namespace hms::cli {
namespace {

using nlohmann::ordered_json;

bool program_holds(const Rule& rule, const std::vector<std::string>& names) {
  if (!rule.program) return true;
  return std::any_of(names.begin(), names.end(), [&rule](const std::string& name) {
    return glob_match(rule.program->c_str(), name.c_str());
  });
}

bool always_holds(const Rule& rule) { return !rule.thread && !rule.has_site(); }

// From one limit of a rule to the next.
std::vector<SizeRange> segments(const std::vector<Rule>& rules) {
  std::set<uint64_t> lows = {0};
  for (const Rule& rule : rules) {
    lows.insert(rule.min_size);
    if (rule.max_size < UINT64_MAX) lows.insert(rule.max_size + 1);
  }
  std::vector<SizeRange> out;
  for (uint64_t low : lows) {
    if (!out.empty()) out.back().max = low - 1;
    out.emplace_back();
    out.back().min = low;
  }
  return out;
}

void decide(const std::vector<Rule>& rules, const std::vector<std::string>& names,
            SizeRange* range) {
  for (size_t i = 0; i < rules.size(); ++i) {
    const Rule& rule = rules[i];
    if (!program_holds(rule, names) || range->min < rule.min_size || range->min > rule.max_size) {
      continue;
    }
    if (always_holds(rule)) {
      range->rule = static_cast<int>(i);
      return;
    }
    range->conditional.push_back(static_cast<int>(i));
  }
}

std::vector<SizeRange> merged(const std::vector<SizeRange>& ranges) {
  std::vector<SizeRange> out;
  for (const SizeRange& range : ranges) {
    const bool same = !out.empty() && out.back().rule == range.rule &&
                      out.back().conditional == range.conditional;
    same ? void(out.back().max = range.max) : out.push_back(range);
  }
  return out;
}

std::string why_idle(const std::vector<Rule>& rules, size_t i,
                     const std::vector<std::string>& names) {
  const Rule& rule = rules[i];
  if (!program_holds(rule, names)) {
    return "this program is called " + names[0] +
           (names.size() > 1 ? " or " + names[1] : std::string()) + ", not " + *rule.program;
  }
  if (rule.min_size > rule.max_size) return "no size is in its range";
  return "rules before it hold for all its sizes; put it before them";
}

bool decides(const std::vector<SizeRange>& sizes, int rule) {
  return std::any_of(sizes.begin(), sizes.end(), [rule](const SizeRange& range) {
    return range.rule == rule ||
           std::count(range.conditional.begin(), range.conditional.end(), rule);
  });
}

std::string leg_text(const Leg& leg, const std::vector<std::pair<std::string, uint64_t>>& quotas) {
  std::string out = leg.target.key;
  std::string more;
  if (leg.target.emulated) {
    more = "emulated on node " + std::to_string(leg.target.node);
    if (leg.target.capacity != UINT64_MAX) more += ", holds " + human_bytes(leg.target.capacity);
  }
  for (const auto& [key, bytes] : quotas) {
    if (key == leg.target.key) more += (more.empty() ? "" : ", ") + ("quota " + human_bytes(bytes));
  }
  return more.empty() ? out : out + " (" + more + ")";
}

std::string placement_text(const Placement& placement,
                           const std::vector<std::pair<std::string, uint64_t>>& quotas) {
  if (placement.is_default()) return "default: wherever the kernel puts it; nothing of ours";
  std::string legs;
  for (const Leg& leg : placement.legs) {
    if (!legs.empty()) legs += placement.spread == Spread::kOrdered ? ", then " : ", ";
    legs += leg_text(leg, quotas);
    if (placement.spread != Spread::kOrdered) legs += " x" + std::to_string(leg.weight);
  }
  std::string out = placement.spec + ": ";
  if (placement.spread == Spread::kInterleave) out += "pages in turn on ";
  if (placement.spread == Spread::kRatio) out += "whole blocks, in proportion, on ";
  if (placement.spread == Spread::kOrdered && placement.legs.size() > 1)
    out += "the first with room of ";
  out += legs;
  if (placement.huge) out += "; in huge pages where the kernel gives them";
  const std::string& last = placement.legs.back().target.key;
  if (last == "default" || last == "local") return out + "; that is never full";
  return out + "; when that is full, " +
         (placement.strict ? "NULL with ENOMEM: it is strict"
                           : "the kernel's choice, counted as spilled");
}

std::string placement_of(const RuleExplanation& e, int rule) {
  return rule < 0 ? "default" : e.rules[static_cast<size_t>(rule)].placement;
}

std::string condition(const Rule& rule) {
  std::string out;
  const auto add = [&out](const char* what, const std::optional<std::string>& glob) {
    if (glob) out += (out.empty() ? "" : " and ") + std::string(what) + " is " + *glob;
  };
  add("the thread", rule.thread);
  add("the calling object", rule.object);
  add("the calling function", rule.symbol);
  return out;
}

std::string size_text(const SizeRange& range) {
  if (range.min == 0 && range.max == UINT64_MAX) return "all sizes";
  if (range.max == UINT64_MAX) return "from " + human_bytes(range.min);
  if (range.min == range.max) return human_bytes(range.min);
  const std::string below = "below " + human_bytes(range.max + 1);
  return range.min == 0 ? below : "from " + human_bytes(range.min) + " " + below;
}

}  // namespace

std::vector<std::string> program_names(const std::string& path) {
  std::error_code error;
  std::vector<std::string> names = {std::filesystem::path(path).filename().string()};
  const std::string real = std::filesystem::canonical(path, error).filename().string();
  if (!error && real != names[0]) names.push_back(real);
  return names;
}

RuleExplanation explain_rules(const Config& config, const std::vector<std::string>& names,
                              const topology::Topology* topology) {
  RuleExplanation out;
  out.names = names;
  out.rules = config.rules;
  std::vector<SizeRange> ranges = segments(out.rules);
  for (SizeRange& range : ranges) decide(out.rules, names, &range);
  out.sizes = merged(ranges);
  std::vector<std::pair<std::string, uint64_t>> quotas;
  for (const Quota& quota : config.quotas) {
    Result<Placement> target = parse_placement(quota.target, topology);
    if (target.ok()) quotas.emplace_back(target.value().legs[0].target.key, quota.bytes);
  }
  std::set<std::string> told;
  const auto tell = [&](int rule) {
    const std::string spec = placement_of(out, rule);
    Result<Placement> placement = parse_placement(spec, topology);
    if (placement.ok() && told.insert(spec).second) {
      out.placements.push_back(placement_text(placement.value(), quotas));
    }
  };
  for (const SizeRange& range : out.sizes) {
    for (int rule : range.conditional) tell(rule);
    tell(range.rule);
  }
  for (size_t i = 0; i < out.rules.size(); ++i) {
    const int rule = static_cast<int>(i);
    if (!decides(out.sizes, rule)) out.idle.push_back({rule, why_idle(out.rules, i, names)});
  }
  return out;
}

std::string rule_name(const RuleExplanation& e, int rule) {
  if (rule < 0) return "no rule";
  return "rule " + std::to_string(rule + 1) + ": " + e.rules[static_cast<size_t>(rule)].text;
}

std::vector<int> rules_to(const RuleExplanation& e, const std::vector<std::string>& keys,
                          const topology::Topology* topology) {
  std::vector<int> out;
  for (size_t i = 0; i < e.rules.size(); ++i) {
    const int rule = static_cast<int>(i);
    const Result<Placement> placement = parse_placement(e.rules[i].placement, topology);
    if (!placement.ok() || !decides(e.sizes, rule)) continue;
    const std::vector<Leg>& legs = placement.value().legs;
    const bool leads = std::any_of(legs.begin(), legs.end(), [&keys](const Leg& leg) {
      return std::find(keys.begin(), keys.end(), leg.target.key) != keys.end();
    });
    if (leads) out.push_back(rule);
  }
  return out;
}

std::string to_text(const RuleExplanation& e) {
  Table table;
  table.left(1);
  table.left(2);
  table.row({"REQUESTS", "GO TO", "BY"});
  for (const SizeRange& range : e.sizes) {
    std::string sizes = size_text(range);
    for (int rule : range.conditional) {
      table.row({sizes, placement_of(e, rule),
                 rule_name(e, rule) + ", if " + condition(e.rules[static_cast<size_t>(rule)])});
      sizes = "  otherwise";
    }
    table.row({sizes, placement_of(e, range.rule), rule_name(e, range.rule)});
  }
  std::string out = table.text() + "\nPlacements\n";
  for (const std::string& placement : e.placements) out += "  " + placement + "\n";
  if (!e.idle.empty()) out += "\nRules that never decide\n";
  for (const IdleRule& idle : e.idle)
    out += "  " + rule_name(e, idle.rule) + "\n    " + idle.why + "\n";
  return out;
}

ordered_json to_json(const RuleExplanation& e) {
  ordered_json out;
  out["program"] = e.names;
  out["rules"] = ordered_json::array();
  for (const Rule& rule : e.rules) {
    out["rules"].push_back(
        {{"text", rule.text}, {"where", rule.where}, {"placement", rule.placement}});
  }
  const auto number = [](int rule) {
    return rule < 0 ? ordered_json(nullptr) : ordered_json(rule);
  };
  out["requests"] = ordered_json::array();
  for (const SizeRange& range : e.sizes) {
    out["requests"].push_back(
        {{"min_bytes", range.min},
         {"max_bytes", range.max == UINT64_MAX ? ordered_json(nullptr) : ordered_json(range.max)},
         {"conditional_rules", range.conditional},
         {"rule", number(range.rule)},
         {"placement", placement_of(e, range.rule)}});
  }
  out["placements"] = e.placements;
  out["never_decide"] = ordered_json::array();
  for (const IdleRule& idle : e.idle) {
    out["never_decide"].push_back({{"rule", idle.rule}, {"why", idle.why}});
  }
  return out;
}

}  // namespace hms::cli
