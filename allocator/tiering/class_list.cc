// See class_list.h, and start_classes() of classes.h.
#include "allocator/tiering/class_list.h"

#include <algorithm>
#include <new>
#include <string>

#include "allocator/meta.h"
#include "allocator/mutex.h"
#include "allocator/region.h"
#include "allocator/setup.h"
#include "allocator/tiering/sites.h"

namespace hms::alloc {

std::atomic<uint32_t> class_epoch{0};

namespace {

using tiering::ClassId;
using tiering::kNoClass;

constexpr unsigned kPreparedClasses = 6;
constexpr unsigned kFamily = 0x100;       // Placement::family of class 0
constexpr size_t kWindowsForOthers = 64;  // of the region, that classes leave alone

// What a class has carved from its windows stays its own. Where address space is short (RLIMIT_AS),
// classes would keep it from each other.
constexpr size_t kSmallestWindow = size_t{64} << 20;

struct Entry {
  PlacementId placement = 0;
  std::atomic<bool> taken{false};
};
Entry entries[kMaxClasses];
std::atomic<unsigned> count{0};
std::atomic<unsigned> of_hints{0};                         // of these, made for hints
std::atomic<uint8_t> class_plus_one[kMaxPlacements] = {};  // by placement

Mutex preparing;
// Of all classes; under `preparing`. Made when it is needed, which can be before the constructors
// of this library have run.
Placement& model() {
  static auto* placement = new Placement;
  return *placement;
}
std::atomic<tiering::ContextTable*> table{nullptr};
std::atomic<AskAdvice> ask_advice{nullptr};

unsigned free_classes() {
  unsigned free = 0;
  for (unsigned i = 0; i < class_count(); ++i) {
    if (!entries[i].taken.load(std::memory_order_relaxed)) ++free;
  }
  return free;
}

// Under `preparing`.
Status add_class(bool taken, Side lean) {
  const unsigned id = count.load(std::memory_order_relaxed);
  model().family = kFamily + id;
  Result<PlacementId> placement = register_placement(model());
  if (!placement.ok()) return placement.status();
  entries[id].placement = placement.value();
  entries[id].taken.store(taken, std::memory_order_relaxed);
  class_leg(static_cast<ClassId>(id))->plan.units->lean.store(lean);
  class_plus_one[placement.value()].store(static_cast<uint8_t>(id + 1), std::memory_order_release);
  count.store(id + 1, std::memory_order_release);
  return {};
}

bool more_for_contexts() { return class_count() - of_hints.load() < kContextClasses; }

// Under `preparing`. Where there is no room for it, what is advised by a profile to be on that side
// is its company.
ClassId add_hint_class(Heat heat) {
  const Side lean = heat == Heat::kCold ? Side::kFar : Side::kNear;
  try {
    if (windows_left() > kWindowsForOthers && add_class(true, lean).ok()) {
      of_hints.fetch_add(1);
      return static_cast<ClassId>(class_count() - 1);
    }
  } catch (const std::bad_alloc&) {  // as without room
  }
  return heat == Heat::kCold  ? kAdvisedFar
         : heat == Heat::kHot ? kAdvisedNear
                              : tiering::kProbation;
}

Status check_targets(const TargetRef& near, const TargetRef& far) {
  if (ensure_started() != alloc::Entry::kReady || window_bytes() < kSmallestWindow) {
    return {HMS_ENOMEM, "tiering: too little address space for windows of classes"};
  }
  if (several_nodes() && near.key != far.key && (near.node < 0 || far.node < 0)) {
    return {HMS_EINVAL, "tiering: '" + near.key + "' and '" + far.key +
                            "' must each name the node that backs them"};
  }
  return {};
}

}  // namespace

tiering::ContextTable& contexts() { return *table.load(std::memory_order_acquire); }
const tiering::ContextTable* context_table() { return table.load(std::memory_order_acquire); }

unsigned class_count() { return count.load(std::memory_order_acquire); }
PlacementId class_placement(ClassId id) { return entries[id].placement; }
Leg* class_leg(ClassId id) { return placement_state(entries[id].placement)->legs[0]; }

ClassId class_of_placement(PlacementId id) {
  const uint8_t plus_one = class_plus_one[id].load(std::memory_order_acquire);
  return plus_one == 0 ? kNoClass : static_cast<ClassId>(plus_one - 1);
}

ClassId first_class(tiering::ContextId id, bool fresh) {
  const AskAdvice ask = ask_advice.load(std::memory_order_acquire);
  if (!fresh || ask == nullptr) return tiering::kProbation;
  const tiering::ContextKey key = contexts().at(id).key.load(std::memory_order_relaxed);
  const auto* site = static_cast<const void*>(to_pointer(tiering::site_of(key)));
  switch (ask({id, site, tiering::depth_of(key)})) {
    case Advice::kNear:
      return kAdvisedNear;
    case Advice::kFar:
      return kAdvisedFar;
    case Advice::kPart:
      return kAdvisedPart;
    case Advice::kSplit:
      contexts().at(id).split.store(true, std::memory_order_release);
      class_epoch.fetch_add(1, std::memory_order_release);
      break;
    case Advice::kNone:
      break;
  }
  return tiering::kProbation;
}

ClassId take_class() {
  for (unsigned i = kSharedClasses; i < class_count(); ++i) {
    if (!entries[i].taken.exchange(true, std::memory_order_acq_rel)) return static_cast<ClassId>(i);
  }
  return kNoClass;
}

void mark_taken(ClassId id) { entries[id].taken.store(true, std::memory_order_relaxed); }

void prepare_classes() {
  if (free_classes() >= kPreparedClasses || !more_for_contexts()) return;
  LockGuard guard(preparing);
  while (free_classes() < kPreparedClasses && more_for_contexts() &&
         windows_left() > kWindowsForOthers) {
    if (!add_class(false, Side::kNear).ok()) return;
  }
}

PlacementId make_class_of_hint(Hint hint) {
  LockGuard guard(preparing);
  const PlacementId known = known_placement(hint);
  if (known != kDefaultPlacement) return known;
  const PlacementId made = class_placement(add_hint_class(heat_of(hint)));
  set_id(&hint_handles[hint], made);
  return made;
}

void lock_preparing() { preparing.lock(); }
void unlock_preparing() { preparing.unlock(); }

void set_class_advice(AskAdvice ask) { ask_advice.store(ask, std::memory_order_release); }

void limit_advised_part(uint64_t near_bytes) {
  class_leg(kAdvisedPart)
      ->plan.units->near_limit.store(
          static_cast<int64_t>(std::min<uint64_t>(near_bytes, INT64_MAX)));
}

Result<tiering::Heap*> start_classes(const TargetRef& near, const TargetRef& far) {
  Status usable = check_targets(near, far);
  if (!usable.ok()) return usable;
  {
    LockGuard guard(preparing);
    if (class_count() > 0) return class_heap();
    if (table.load(std::memory_order_relaxed) == nullptr) {
      table.store(static_cast<tiering::ContextTable*>(meta_allocate(sizeof(tiering::ContextTable))),
                  std::memory_order_release);
    }
    if (context_table() == nullptr) return Status(HMS_ENOMEM, "tiering: no memory for contexts");
    model().legs = {{near, 1}, {far, 1}};
    model().spread = Spread::kUnits;
    model().spec = near.key + " | " + far.key;
    for (unsigned i = 0; i < kSharedClasses; ++i) {
      Status added = add_class(true, i == kAdvisedFar ? Side::kFar : Side::kNear);
      if (!added.ok()) return added;
    }
  }
  prepare_classes();
  return class_heap();
}

}  // namespace hms::alloc
