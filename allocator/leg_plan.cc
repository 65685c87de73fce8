// See leg_plan.h.
#include "allocator/leg_plan.h"

#include <algorithm>
#include <new>
#include <numeric>

#include "allocator/jemalloc.h"
#include "allocator/setup.h"
#include "runtime/support/log.h"
#include "runtime/support/os.h"

namespace hms::alloc {
namespace {

constexpr size_t kMaxTargets = 16;

// A process whose policy calls are filtered cannot be told; then every node is tried.
bool node_allowed(int node) {
  os::NodeMask allowed;
  if (node < 0 || os::allowed_nodes(&allowed) != 0) return true;
  return node < os::kMaxNodes && allowed.test(node);
}

Result<LegPlan> plan_target(const hms::Leg& leg, const Placement& placement, uint8_t id) {
  LegPlan plan;
  plan.account = account_for(leg.target);
  if (plan.account == nullptr) {
    return Status(HMS_ENOMEM, "too many targets: '" + leg.target.key + "' is one more than " +
                                  std::to_string(kMaxAccounts));
  }
  plan.weight = leg.weight > 0 ? leg.weight : 1;
  plan.placement = id;
  plan.huge = placement.huge;
  if (leg.target.node < 0) {
    if (leg.target.key == "local" && several_nodes()) plan.policy = os::Policy::kLocal;
    return plan;
  }
  // On a machine with one node the node holds every page anyway.
  plan.guard_node = placement.strict || several_nodes();
  if (!several_nodes()) return plan;
  plan.policy = os::Policy::kPreferred;
  plan.nodes.set(leg.target.node);
  plan.verify = placement.strict;
  return plan;
}

Result<std::vector<hms::Leg>> usable_legs(const Placement& placement) {
  std::vector<hms::Leg> legs;
  for (const hms::Leg& leg : placement.legs) {
    if (node_allowed(leg.target.node)) {
      legs.push_back(leg);
      continue;
    }
    std::string what = "placement '" + placement.spec + "': target '" + leg.target.key +
                       "' lies on node " + std::to_string(leg.target.node) +
                       ", which this process may not use (see Mems_allowed_list in "
                       "/proc/self/status)";
    if (placement.strict) return Status(HMS_ENODEV, what + "; name another, or drop '!'");
    log(LogLevel::kWarning, "%s; it is left out", what.c_str());
  }
  return legs;
}

// MPOL_INTERLEAVE does equal weights page by page, in ascending order of nodes.
bool kernel_interleaves(const std::vector<hms::Leg>& legs) {
  os::NodeMask seen;
  for (const hms::Leg& leg : legs) {
    if (leg.weight != legs[0].weight || leg.target.node < 0 || seen.test(leg.target.node)) {
      return false;
    }
    seen.set(leg.target.node);
  }
  return several_nodes();
}

// The turns of the weight cycle, scaled down when the weights are large.
void fill_turns(const std::vector<hms::Leg>& legs, Stripes* stripes) {
  uint64_t divisor = 0;
  uint64_t sum = 0;
  for (const hms::Leg& leg : legs) divisor = std::gcd(divisor, uint64_t{leg.weight});
  if (divisor == 0) divisor = 1;
  for (const hms::Leg& leg : legs) sum += leg.weight / divisor;
  for (size_t i = 0; i < legs.size(); ++i) {
    uint64_t turns = legs[i].weight / divisor;
    uint64_t room = kMaxCycle - kMaxStripeTargets;
    if (sum > room) turns = std::max<uint64_t>(1, turns * room / sum);
    for (uint64_t k = 0; k < turns; ++k) stripes->turn[stripes->cycle++] = static_cast<uint8_t>(i);
  }
}

Result<LegPlan> plan_interleave(std::vector<hms::Leg> legs, const Placement& placement,
                                uint8_t id) {
  auto* stripes = static_cast<Stripes*>(internal_allocate(sizeof(Stripes)));
  if (stripes == nullptr) return Status(HMS_ENOMEM, "no memory for the interleave table");
  stripes->pages = kernel_interleaves(legs);
  if (stripes->pages) {
    std::sort(legs.begin(), legs.end(),
              [](const hms::Leg& a, const hms::Leg& b) { return a.target.node < b.target.node; });
  }
  LegPlan whole;
  for (const hms::Leg& leg : legs) {
    Result<LegPlan> part = plan_target(leg, placement, id);
    if (!part.ok()) return part;
    const LegPlan& p = part.value();
    if (stripes->targets == 0) whole = p;
    whole.guard_node |= p.guard_node;
    whole.verify |= p.verify;
    whole.huge |= p.huge;
    if (p.policy == os::Policy::kPreferred) {
      whole.policy = p.policy;
      whole.nodes.set(leg.target.node);
    }
    stripes->account[stripes->targets++] = p.account;
  }
  if (stripes->pages) whole.policy = os::Policy::kInterleave;
  fill_turns(legs, stripes);
  whole.stripes = stripes;
  whole.weight = 1;
  return whole;
}

// What cannot be used was left out before: two legs remain, or tiering makes no sense.
Result<LegPlan> plan_units(const std::vector<hms::Leg>& legs, const Placement& placement,
                           uint8_t id) {
  if (legs.size() != 2) {
    return Status(HMS_ENODEV, "tiering needs a near and a far target that this process may use");
  }
  if (!reserve_units()) return Status(HMS_ENOMEM, "no address space for the table of units");
  void* memory = internal_allocate(sizeof(UnitPlan));
  if (memory == nullptr) return Status(HMS_ENOMEM, "no memory for a class");
  auto* units = new (memory) UnitPlan;
  LegPlan whole;
  for (size_t i = 0; i < legs.size(); ++i) {
    Result<LegPlan> part = plan_target(legs[i], placement, id);
    if (!part.ok()) return part;
    const LegPlan& p = part.value();
    units->places[i] = {p.account, p.policy, p.nodes, p.guard_node};
    if (i == 0) whole = p;
    whole.guard_node |= p.guard_node;
  }
  whole.policy = os::Policy::kDefault;  // of the window; each unit gets its own
  whole.units = units;
  whole.weight = 1;
  return whole;
}

LegPlan plan_behind(uint8_t id) {
  LegPlan plan;
  plan.account = default_account();
  plan.placement = id;
  return plan;
}

}  // namespace

Result<LegPlans> plan_legs(const Placement& placement, uint8_t id) {
  if (placement.legs.size() > kMaxTargets) {
    return Status(HMS_EINVAL, "placement '" + placement.spec + "' lists " +
                                  std::to_string(placement.legs.size()) + " targets; at most " +
                                  std::to_string(kMaxTargets) + " are possible");
  }
  Result<std::vector<hms::Leg>> legs = usable_legs(placement);
  if (!legs.ok()) return legs.status();
  LegPlans plans;
  if (placement.spread == Spread::kUnits) {
    Result<LegPlan> plan = plan_units(legs.value(), placement, id);
    if (!plan.ok()) return plan.status();
    plans.legs.push_back(plan.value());
  } else if (placement.spread == Spread::kInterleave && legs.value().size() > 1) {
    Result<LegPlan> plan = plan_interleave(legs.value(), placement, id);
    if (!plan.ok()) return plan.status();
    plans.legs.push_back(plan.value());
  } else {
    for (const hms::Leg& leg : legs.value()) {
      Result<LegPlan> plan = plan_target(leg, placement, id);
      if (!plan.ok()) return plan.status();
      plans.legs.push_back(plan.value());
    }
  }
  plans.listed = static_cast<unsigned>(plans.legs.size());
  if (!placement.strict) plans.legs.push_back(plan_behind(id));
  return plans;
}

}  // namespace hms::alloc
