// Registering placements: see placements.h and allocator.h.
#include "allocator/placements.h"

#include <errno.h>

#include <memory>
#include <new>

#include "allocator/guard.h"
#include "allocator/leg_plan.h"
#include "allocator/region.h"
#include "allocator/setup.h"

namespace hms::alloc {
namespace {

Leg the_default_leg;
PlacementState default_state;
std::atomic<PlacementState*> states[kMaxPlacements] = {};
std::atomic<unsigned> used{0};
// Held while a placement is made, which allocates from the process's malloc: nothing on malloc's
// own path takes it.
Mutex placements_lock;

bool same_leg(const hms::Leg& a, const hms::Leg& b) {
  return a.weight == b.weight && a.target.key == b.target.key && a.target.node == b.target.node &&
         a.target.emulated == b.target.emulated && a.target.capacity == b.target.capacity;
}

bool same_placement(const Placement& a, const Placement& b) {
  if (a.spread != b.spread || a.strict != b.strict || a.huge != b.huge || a.family != b.family)
    return false;
  if (a.legs.size() != b.legs.size()) return false;
  for (size_t i = 0; i < a.legs.size(); ++i) {
    if (!same_leg(a.legs[i], b.legs[i])) return false;
  }
  return true;
}

Leg* make_leg(const LegPlan& plan) {
  void* memory = internal_allocate(sizeof(Leg));
  if (memory == nullptr) return nullptr;
  Leg* leg = new (memory) Leg;
  leg->plan = plan;
  return leg;
}

Status no_memory(const Placement& placement) {
  return {HMS_ENOMEM, "placement '" + placement.spec +
                          "': no address space or memory for another placement (at most " +
                          std::to_string(kMaxPlacements) + " placements and " +
                          std::to_string(region.windows) + " windows); use fewer placements"};
}

Status no_policy(const Placement& placement, int error) {
  return {error == -EPERM || error == -EACCES ? HMS_EPERM : HMS_ENOSYS,
          "strict placement '" + placement.spec +
              "': the kernel refuses memory policies (mbind: errno " + std::to_string(-error) +
              "); use it without '!', or allow mbind in the container's seccomp profile"};
}

// Opens a window for every listed leg now, so that what the kernel refuses is known here. What is
// behind the list gets its window when it is first needed.
Status open_legs(const Placement& placement, PlacementState* state) {
  for (unsigned i = 0; i < state->listed; ++i) {
    int r = open_window(state->legs[i], 1);
    if (r == -ENOMEM) return no_memory(placement);
    if (r != 0 && placement.strict) return no_policy(placement, r);
  }
  return {};
}

Result<std::unique_ptr<PlacementState>> build(const Placement& placement, PlacementId id) {
  Result<LegPlans> plans = plan_legs(placement, id);
  if (!plans.ok()) return plans.status();
  auto state = std::make_unique<PlacementState>();
  state->spread = placement.spread;
  state->listed = plans.value().listed;
  for (const LegPlan& plan : plans.value().legs) {
    state->legs[state->leg_count] = make_leg(plan);
    if (state->legs[state->leg_count] == nullptr) return no_memory(placement);
    ++state->leg_count;
  }
  Status opened = open_legs(placement, state.get());
  if (!opened.ok()) return opened;
  state->info = new Placement(placement);
  return {std::move(state)};
}

PlacementId find(const Placement& placement) {
  unsigned count = used.load(std::memory_order_relaxed);
  for (unsigned i = 1; i < count; ++i) {
    const PlacementState* state = states[i].load(std::memory_order_relaxed);
    if (same_placement(*state->info, placement)) return static_cast<PlacementId>(i);
  }
  return kDefaultPlacement;
}

}  // namespace

bool make_default_placement() {
  the_default_leg.plan.account = default_account();
  default_state.leg_count = default_state.listed = 1;
  default_state.legs[0] = &the_default_leg;
  states[0].store(&default_state, std::memory_order_release);
  used.store(1, std::memory_order_release);
  return open_window(&the_default_leg, 1) == 0;
}

const PlacementState* placement_state(PlacementId id) {
  return states[id].load(std::memory_order_acquire);
}

unsigned placement_count() { return used.load(std::memory_order_acquire); }

Leg* default_leg() { return &the_default_leg; }

void lock_placements() { placements_lock.lock(); }
void unlock_placements() { placements_lock.unlock(); }

Result<PlacementId> register_placement(const Placement& placement) {
  ensure_started();
  if (placement.legs.empty()) return Status(HMS_EINVAL, "a placement needs at least one target");
  if (placement.is_default()) return kDefaultPlacement;
  LockGuard guard(placements_lock);
  PlacementId known = find(placement);
  if (known != kDefaultPlacement) return known;
  unsigned id = used.load(std::memory_order_relaxed);
  if (id == 0 || id == kNoCache) return no_memory(placement);
  region.guarded[id] = placement.family == kGuardedFamily;
  Result<std::unique_ptr<PlacementState>> state = build(placement, static_cast<PlacementId>(id));
  if (!state.ok()) return state.status();
  states[id].store(state.value().release(), std::memory_order_release);
  used.store(id + 1, std::memory_order_release);
  return static_cast<PlacementId>(id);
}

const Placement* placement_info(PlacementId id) {
  if (id != kDefaultPlacement) {
    const PlacementState* state = id < kMaxPlacements ? placement_state(id) : nullptr;
    return state == nullptr ? nullptr : state->info;
  }
  static const Placement* const plain = [] {
    auto* made = new Placement;
    made->legs.push_back({{"default", -1, false, UINT64_MAX}, 1});
    made->spec = "default";
    return made;
  }();
  return plain;
}

}  // namespace hms::alloc
