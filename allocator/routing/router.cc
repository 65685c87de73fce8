// The router: reads the configuration, and answers route(). See router.h and docs/rules.md.
#include "allocator/routing/router.h"

#include <stdlib.h>

#include <algorithm>
#include <exception>
#include <memory>
#include <utility>

#include "allocator/routing/call_site.h"
#include "allocator/routing/finish.h"
#include "allocator/routing/rules.h"
#include "allocator/routing/site_cache.h"
#include "allocator/routing/sources.h"
#include "runtime/support/config.h"
#include "runtime/support/control.h"
#include "runtime/support/counters.h"
#include "runtime/support/log.h"
#include "runtime/support/os_files.h"
#include "runtime/topology/topology.h"

namespace hms::routing {

std::atomic<bool> active{false};
std::atomic<uint32_t> epoch{0};
__thread ThreadView thread_view;

namespace {

using alloc::PlacementId;

// A thread's name is read again after so many of its requests: one system call among them.
constexpr uint32_t kRequestsPerNameCheck = 256;
// Verdict tables by thread mask. Threads beyond that many different masks ask the rules each time.
constexpr size_t kVerdictTables = 16;
// Different sets of rules in the life of a process: each stays, some 20 KiB.
constexpr size_t kMaxRuleSets = 64;
// What reading a configuration needs at least.
constexpr size_t kProbeBytes = size_t{16} << 10;

struct SharedVerdicts {
  std::atomic<uint32_t> state{0};  // 0 free, 1 being filled, 2 valid
  uint64_t thread_mask = 0;
  Verdicts verdicts;
};

// Rules that were in force once. Never freed: a thread may look into its verdicts at any time. The
// same text is the same set again, so a program whose rules go back and forth does not grow.
struct RuleSet {
  RuleSet(std::string words, uintptr_t place, RuleTable rules)
      : text(std::move(words)), index(place), table(std::move(rules)) {}
  const std::string text;
  const uintptr_t index;
  const RuleTable table;
  SharedVerdicts verdicts[kVerdictTables];
};

std::atomic<RuleSet*> current{nullptr};
Verdicts ask_always;  // no constructor at run time: requests are routed before ours would run
SiteCache sites;

// The table of a thread mask, filled by the first thread that needs it. Two threads may fill two
// tables for one mask; that costs a table, no answer.
const Verdicts* verdicts_for(RuleSet* set, uint64_t mask) {
  for (SharedVerdicts& shared : set->verdicts) {
    uint32_t state = shared.state.load(std::memory_order_acquire);
    if (state == 2 && shared.thread_mask == mask) return &shared.verdicts;
    if (state != 0 || !shared.state.compare_exchange_strong(state, 1)) continue;
    shared.thread_mask = mask;
    set->table.fill(mask, &shared.verdicts);
    shared.state.store(2, std::memory_order_release);
    return &shared.verdicts;
  }
  return &ask_always;
}

// `left` is written last: a signal handler that allocates meanwhile looks for itself.
void look_at_thread(RuleSet* set) {
  uint64_t mask = ~uint64_t{0};
  uint32_t left = UINT32_MAX;
  if (set->table.has_thread_rules()) {
    char name[16];
    os::thread_name(name);
    mask = set->table.thread_mask(name);
    left = kRequestsPerNameCheck;
  }
  if (thread_view.rules != set || thread_view.mask != mask)
    thread_view.verdicts = verdicts_for(set, mask);
  thread_view.rules = set;
  thread_view.mask = mask;
  std::atomic_signal_fence(std::memory_order_release);
  thread_view.left = left;
}

uint64_t site_mask(const RuleSet& set, const void* site) {
  uint64_t mask = 0;
  // Code lies below 2^47: above is room for whose answer it is.
  const uintptr_t whose = reinterpret_cast<uintptr_t>(site) | (set.index << 48);
  const auto* key = reinterpret_cast<const void*>(whose);  // NOLINT(performance-no-int-to-ptr)
  if (sites.find(key, &mask)) return mask;
  thread_view.looking = true;
  mask = match_site(set.table, site);
  thread_view.looking = false;
  sites.insert(key, mask);
  return mask;
}

// The whole question: the request is large, limits lie inside its size class, or the call site
// counts.
PlacementId ask_rules(const RuleSet& set, size_t size, const void* site) {
  const RuleTable& rules = set.table;
  uint64_t mask = rules.size_mask(size) & thread_view.mask;
  if (!rules.needs_site(mask)) return rules.first(mask);
  if (thread_view.looking) return alloc::kDefaultPlacement;
  return rules.first(mask & site_mask(set, site));
}

// The topology, loaded when the first name asks for it; a failure is reported once.
class LazyTopology {
 public:
  explicit LazyTopology(std::string tiers) : tiers_(std::move(tiers)) {}

  const topology::Topology* for_spec(const std::string& spec) {
    if (tiers_.empty() && !placement_needs_topology(spec)) return nullptr;
    if (!tried_) load();
    return topology_.get();
  }

 private:
  void load() {
    tried_ = true;
    std::string source = topology_source(tiers_);
    auto loaded = topology::Topology::load(source);
    if (loaded.ok()) {
      topology_ = loaded.value();
    } else {
      log(LogLevel::kWarning, "no topology: %s", loaded.status().message().c_str());
    }
  }

  std::string tiers_;
  bool tried_ = false;
  std::shared_ptr<const topology::Topology> topology_;
};

// A configuration with its names resolved; what could not be is told and left out.
struct Resolved {
  struct NamedQuota {
    std::string key;
    uint64_t bytes;
  };
  std::vector<NamedQuota> quotas;
  std::vector<Rule> rules;  // that this program can match
  std::vector<Placement> placements;
  std::vector<std::string> problems;

  void drop(const char* what, const std::string& where, const Status& why) {
    problems.push_back(where + ": " + what + " left out: " + why.message());
  }
};

Resolved resolve(const Config& config, const std::string& tiers) {
  Resolved out;
  out.problems = config.problems;
  LazyTopology topology(tiers);
  for (const Quota& quota : config.quotas) {
    Result<Placement> target = parse_placement(quota.target, topology.for_spec(quota.target));
    if (!target.ok()) {
      out.drop("quota", quota.where, target.status());
    } else if (target.value().legs.size() != 1) {
      out.drop("quota", quota.where,
               {HMS_EINVAL, "'" + quota.target + "' is more than one target"});
    } else {
      out.quotas.push_back({target.value().legs[0].target.key, quota.bytes});
    }
  }
  for (const Rule& rule : config.rules) {
    if (rule.program && !match_program(rule.program->c_str())) continue;
    Result<Placement> placement =
        parse_placement(rule.placement, topology.for_spec(rule.placement));
    if (!placement.ok()) {
      out.drop("rule", rule.where, placement.status());
      continue;
    }
    out.rules.push_back(rule);
    out.placements.push_back(placement.value());
  }
  return out;
}

// Registers the placements. Rules whose placement cannot be had are dropped. Null if what remains
// says default in every case.
std::unique_ptr<RuleTable> compile(Resolved* config) {
  std::vector<Rule> rules;
  std::vector<PlacementId> ids;
  bool all_default = true;
  for (size_t i = 0; i < config->rules.size(); ++i) {
    PlacementId id = alloc::kDefaultPlacement;
    if (!config->placements[i].is_default()) {
      Result<PlacementId> registered = alloc::register_placement(config->placements[i]);
      if (!registered.ok()) {
        config->drop("rule", config->rules[i].where, registered.status());
        continue;
      }
      id = registered.value();
    }
    all_default = all_default && id == alloc::kDefaultPlacement;
    rules.push_back(config->rules[i]);
    ids.push_back(id);
  }
  if (all_default) return nullptr;
  return std::make_unique<RuleTable>(std::move(rules), std::move(ids));
}

// What is in force; only init() and the one thread that reloads come here. Lives until the process
// ends, as requests may come until then.
struct InForce {
  std::string tiers;
  std::vector<std::string> quota_keys;
  std::vector<RuleSet*> sets;
};
InForce& in_force() {
  static auto* state = new InForce;
  return *state;
}

void set_quotas(const std::vector<Resolved::NamedQuota>& quotas) {
  std::vector<std::string> keys;
  keys.reserve(quotas.size());
  for (const auto& quota : quotas) keys.push_back(quota.key);
  for (const std::string& old : in_force().quota_keys) {
    if (std::find(keys.begin(), keys.end(), old) == keys.end())
      alloc::set_quota(old.c_str(), UINT64_MAX);
  }
  for (const auto& quota : quotas) alloc::set_quota(quota.key.c_str(), quota.bytes);
  in_force().quota_keys = std::move(keys);
}

RuleSet* make_set(const std::string& text, RuleTable table) {
  std::vector<RuleSet*>& sets = in_force().sets;
  sets.reserve(kMaxRuleSets);
  sets.push_back(new RuleSet(text, sets.size(), std::move(table)));
  return sets.back();
}

// Nothing here can fail.
void put_in_force(RuleSet* set) {
  current.store(set, std::memory_order_release);
  active.store(set != nullptr, std::memory_order_release);
  epoch.fetch_add(1, std::memory_order_release);
}

void configure() {
  for (Verdict& v : ask_always.of_class) v.below = v.above = kAskRules;
  Config config = read_configuration();
  Resolved resolved = resolve(config, config.tiers);
  // Before any placement can hand out memory.
  if (!resolved.quotas.empty()) set_quotas(resolved.quotas);
  std::unique_ptr<RuleTable> rules = compile(&resolved);
  for (const std::string& problem : resolved.problems) {
    log(LogLevel::kWarning, "configuration: %s", problem.c_str());
  }
  if (!config.tiers.empty()) in_force().tiers = config.tiers;
  // Without a text of its own: what comes from several places is not asked for again.
  if (rules != nullptr) put_in_force(make_set("", std::move(*rules)));
}

std::string joined(const std::vector<std::string>& lines) {
  std::string out;
  for (const std::string& line : lines) out += (out.empty() ? "" : "\n") + line;
  return out;
}

// The whole text or nothing. What is wrong with it, "" if it is in force now.
std::string replace_rules(const std::string& text) {
  Config config;
  parse_config(text, "rules", &config);
  InForce& now = in_force();
  if (!now.tiers.empty() && !config.tiers.empty() && config.tiers != now.tiers) {
    return "tiers cannot change while a program runs; this one has '" + now.tiers + "'";
  }
  const std::string tiers = config.tiers.empty() ? now.tiers : config.tiers;
  Resolved resolved = resolve(config, tiers);
  if (!resolved.problems.empty()) return joined(resolved.problems);
  RuleSet* set = nullptr;
  for (RuleSet* known : now.sets) {
    if (known->text == text && !text.empty()) set = known;
  }
  if (set == nullptr) {
    if (now.sets.size() == kMaxRuleSets) {
      return "this program has had " + std::to_string(kMaxRuleSets) +
             " different sets of rules; go back to one of them, or start it anew";
    }
    std::unique_ptr<RuleTable> rules = compile(&resolved);
    if (!resolved.problems.empty()) return joined(resolved.problems);
    if (rules != nullptr) set = make_set(text, std::move(*rules));
  }
  now.tiers = tiers;
  set_quotas(resolved.quotas);
  put_in_force(set);
  return "";
}

// The process whose thread is reloading. A child that was forked meanwhile has but half of what
// that thread was doing.
std::atomic<int> reloader{0};

void replace_by_what_was_left() {
  uint64_t ring = stats()->rules_wanted.load(std::memory_order_acquire);
  try {
    const Control left = take_control();
    ring = left.ring;
    std::string problems =
        left.text.ok() ? replace_rules(left.text.value()) : left.text.status().message();
    log(LogLevel::kInfo, "new rules: %s", problems.empty() ? "in force" : problems.c_str());
    answer_control(ring, problems);
  } catch (const std::exception& failure) {
    log(LogLevel::kWarning, "new rules not used: %s", failure.what());
    stats()->rules_done.store(ring, std::memory_order_release);
  }
}

}  // namespace

void init() {
  stats_init();
  prepare_finish();
  // Where there is no memory at all, there is none for an exception either.
  void* probe = malloc(kProbeBytes);
  if (probe == nullptr) {
    log(LogLevel::kWarning, "no memory to read the configuration; going on without it");
    return;
  }
  free(probe);
  try {
    configure();
  } catch (const std::exception& failure) {
    log(LogLevel::kWarning, "configuration not used: %s", failure.what());
  }
}

void reload() {
  const int self = os::process_id();
  int other = 0;
  const bool mine = reloader.compare_exchange_strong(other, self);
  if (other == self) return;
  if (!mine) {
    return answer_control(
        stats()->rules_wanted.load(std::memory_order_acquire),
        "this process was forked while its parent's rules were changing; start it "
        "anew");
  }
  // Another thread may have heard the same ring, and have answered it since.
  if (control_rung()) replace_by_what_was_left();
  reloader.store(0, std::memory_order_release);
}

PlacementId route(size_t size, const void* call_site) {
  RuleSet* set = current.load(std::memory_order_acquire);
  if (set == nullptr) return alloc::kDefaultPlacement;
  if (__builtin_expect(thread_view.left == 0 || thread_view.rules != set, 0)) look_at_thread(set);
  if (size <= alloc::kMaxCachedSize) {
    PlacementId known = quick_route(size, alloc::cached_class(size));
    if (__builtin_expect(known != kAskRules, 1)) return known;
  }
  --thread_view.left;
  return ask_rules(*set, size, call_site);
}

}  // namespace hms::routing
