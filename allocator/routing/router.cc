// The router: reads the configuration, and answers route(). See router.h and docs/rules.md.
#include "allocator/routing/router.h"

#include <stdlib.h>

#include <exception>
#include <memory>
#include <utility>

#include "allocator/routing/call_site.h"
#include "allocator/routing/finish.h"
#include "allocator/routing/rules.h"
#include "allocator/routing/site_cache.h"
#include "allocator/routing/sources.h"
#include "runtime/support/config.h"
#include "runtime/support/counters.h"
#include "runtime/support/log.h"
#include "runtime/support/os_files.h"
#include "runtime/topology/topology.h"

namespace hms::routing {

std::atomic<bool> active{false};
__thread ThreadView thread_view;

namespace {

using alloc::PlacementId;

// A thread's name is read again after so many of its requests: one system call among them.
constexpr uint32_t kRequestsPerNameCheck = 256;
// Verdict tables by thread mask. Threads beyond that many different masks ask the rules each time.
constexpr size_t kVerdictTables = 16;
// What reading a configuration needs at least.
constexpr size_t kProbeBytes = size_t{16} << 10;

struct SharedVerdicts {
  std::atomic<uint32_t> state{0};  // 0 free, 1 being filled, 2 valid
  uint64_t thread_mask = 0;
  Verdicts verdicts;
};

std::atomic<const RuleTable*> rule_table{nullptr};
// No constructors at run time: requests are routed before ours would run.
SharedVerdicts verdict_tables[kVerdictTables];
Verdicts ask_always;
SiteCache sites;

// The table of a thread mask, filled by the first thread that needs it. Two threads may fill two
// tables for one mask; that costs a table, no answer.
const Verdicts* verdicts_for(const RuleTable& rules, uint64_t mask) {
  for (SharedVerdicts& shared : verdict_tables) {
    uint32_t state = shared.state.load(std::memory_order_acquire);
    if (state == 2 && shared.thread_mask == mask) return &shared.verdicts;
    if (state != 0 || !shared.state.compare_exchange_strong(state, 1)) continue;
    shared.thread_mask = mask;
    rules.fill(mask, &shared.verdicts);
    shared.state.store(2, std::memory_order_release);
    return &shared.verdicts;
  }
  return &ask_always;
}

// `left` is written last: a signal handler that allocates meanwhile looks for itself.
void look_at_thread(const RuleTable& rules) {
  uint64_t mask = ~uint64_t{0};
  uint32_t left = UINT32_MAX;
  if (rules.has_thread_rules()) {
    char name[16];
    os::thread_name(name);
    mask = rules.thread_mask(name);
    left = kRequestsPerNameCheck;
  }
  if (thread_view.verdicts == nullptr || thread_view.mask != mask)
    thread_view.verdicts = verdicts_for(rules, mask);
  thread_view.mask = mask;
  std::atomic_signal_fence(std::memory_order_release);
  thread_view.left = left;
}

uint64_t site_mask(const RuleTable& rules, const void* site) {
  uint64_t mask = 0;
  if (sites.find(site, &mask)) return mask;
  thread_view.looking = true;
  mask = match_site(rules, site);
  thread_view.looking = false;
  sites.insert(site, mask);
  return mask;
}

// The whole question: the request is large, limits lie inside its size class, or the call site
// counts.
PlacementId ask_rules(const RuleTable& rules, size_t size, const void* site) {
  uint64_t mask = rules.size_mask(size) & thread_view.mask;
  if (!rules.needs_site(mask)) return rules.first(mask);
  if (thread_view.looking) return alloc::kDefaultPlacement;
  return rules.first(mask & site_mask(rules, site));
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

void drop(const char* what, const std::string& where, const Status& why) {
  log(LogLevel::kWarning, "configuration: %s: %s left out: %s", where.c_str(), what,
      why.message().c_str());
}

void set_quotas(const Config& config, LazyTopology* topology) {
  for (const Quota& quota : config.quotas) {
    Result<Placement> target = parse_placement(quota.target, topology->for_spec(quota.target));
    if (!target.ok()) {
      drop("quota", quota.where, target.status());
    } else if (target.value().legs.size() != 1) {
      drop("quota", quota.where, {HMS_EINVAL, "'" + quota.target + "' is more than one target"});
    } else {
      alloc::set_quota(target.value().legs[0].target.key.c_str(), quota.bytes);
    }
  }
}

// The rules that this program can match, registered; wrong ones are reported and left out.
std::unique_ptr<RuleTable> compile(const Config& config, LazyTopology* topology) {
  std::vector<Rule> rules;
  std::vector<PlacementId> placements;
  for (const Rule& rule : config.rules) {
    if (rule.program && !match_program(rule.program->c_str())) continue;
    Result<Placement> placement =
        parse_placement(rule.placement, topology->for_spec(rule.placement));
    if (!placement.ok()) {
      drop("rule", rule.where, placement.status());
      continue;
    }
    PlacementId id = alloc::kDefaultPlacement;
    if (!placement.value().is_default()) {
      Result<PlacementId> registered = alloc::register_placement(placement.value());
      if (!registered.ok()) {
        drop("rule", rule.where, registered.status());
        continue;
      }
      id = registered.value();
    }
    rules.push_back(rule);
    placements.push_back(id);
  }
  bool all_default = true;
  for (PlacementId id : placements) all_default = all_default && id == alloc::kDefaultPlacement;
  if (all_default) return nullptr;
  return std::make_unique<RuleTable>(std::move(rules), std::move(placements));
}

void configure() {
  Config config = read_configuration();
  for (const std::string& problem : config.problems) {
    log(LogLevel::kWarning, "configuration: %s", problem.c_str());
  }
  if (config.rules.empty() && config.quotas.empty()) return;
  LazyTopology topology(config.tiers);
  // Before any placement can hand out memory.
  set_quotas(config, &topology);
  std::unique_ptr<RuleTable> rules = compile(config, &topology);
  if (rules == nullptr) return;
  for (Verdict& v : ask_always.of_class) v.below = v.above = kAskRules;
  // Lives until the process ends, as requests may come until then.
  rule_table.store(rules.release(), std::memory_order_release);
  active.store(true, std::memory_order_release);
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

PlacementId route(size_t size, const void* call_site) {
  const RuleTable* rules = rule_table.load(std::memory_order_acquire);
  if (rules == nullptr) return alloc::kDefaultPlacement;
  if (__builtin_expect(thread_view.left == 0, 0)) look_at_thread(*rules);
  if (size <= alloc::kMaxCachedSize) {
    PlacementId known = quick_route(size);
    if (__builtin_expect(known != kAskRules, 1)) return known;
  }
  --thread_view.left;
  return ask_rules(*rules, size, call_site);
}

}  // namespace hms::routing
