// See sites.h, and place_by_site() of classes.h.
#include "allocator/tiering/sites.h"

#include <string.h>

#include <algorithm>

#include "allocator/meta.h"
#include "allocator/tiering/class_list.h"

namespace hms::alloc {

__thread ThreadSites thread_sites;

namespace {

using tiering::ClassId;
using tiering::Context;
using tiering::ContextId;
using tiering::ContextTable;
using tiering::kNoClass;

constexpr size_t kTableBytes = sizeof(SiteSlot) << kSiteSlotBits;
// A context earns a class with that share of all bytes, besides kProbationBytes.
constexpr uint64_t kClassShare = 256;

MetaPool site_tables(kTableBytes);

void add_up(SiteSlot* slot) {
  if (slot->tally == 0) return;
  const uint64_t tally = slot->tally;
  slot->tally = 0;
  contexts().count(slot->context, tally / kOneAllocation, tally % kOneAllocation);
}

template <typename Visit>
void for_each_slot(Visit visit) {
  SiteSlot* table = thread_sites.table;
  for (size_t i = 0; table != nullptr && i < size_t{1} << kSiteSlotBits; ++i) visit(&table[i]);
}

void forget_slots() {
  for_each_slot([](SiteSlot* slot) {
    add_up(slot);
    *slot = {};
  });
}

void forget_if_old() {
  const uint32_t now = class_epoch.load(std::memory_order_acquire);
  if (thread_sites.epoch == now) return;
  forget_slots();
  thread_sites.epoch = now;
}

bool has_table() {
  if (thread_sites.table != nullptr) return true;
  if (thread_state.phase != ThreadPhase::kLive) return false;
  void* memory = site_tables.take();
  if (memory == nullptr) return false;
  memset(memory, 0, kTableBytes);
  thread_sites.table = static_cast<SiteSlot*>(memory);
  return true;
}

bool earned_class(const Context& context) {
  const uint64_t bytes = context.allocated.load(std::memory_order_relaxed);
  return bytes >= tiering::kProbationBytes && bytes >= contexts().allocated() / kClassShare;
}

// A class of its own for a context that shares one. Who loses the race leaves a class that nobody
// uses; the engine may give it to somebody.
ClassId own_class(Context* context, ClassId shared) {
  const ClassId own = take_class();
  if (own == kNoClass) return shared;
  UnitPlan& plan = *class_leg(own)->plan.units;
  if (shared != tiering::kProbation) {
    const UnitPlan& advised = *class_leg(shared)->plan.units;
    plan.lean.store(advised.lean.load());
    const int64_t limit = advised.near_limit.load();
    // Of a part that is near, what came first stays in the class that is left.
    const bool part = limit != INT64_MAX;
    plan.near_limit.store(part ? std::max<int64_t>(0, limit - advised.near_bytes.load()) : limit);
  }
  ClassId expected = shared;
  if (!context->class_id.compare_exchange_strong(expected, own)) return expected;
  class_epoch.fetch_add(1, std::memory_order_release);
  return own;
}

ClassId class_of_context(ContextId id, bool fresh) {
  Context& context = contexts().at(id);
  ClassId now = context.class_id.load(std::memory_order_relaxed);
  if (now == kNoClass) {
    const ClassId given = first_class(id, fresh);
    if (context.class_id.compare_exchange_strong(now, given)) now = given;
  }
  const bool shares = now < kSharedClasses && id != tiering::kOtherContext;
  if (!shares || context.settled.load(std::memory_order_relaxed) || !earned_class(context)) {
    return now;
  }
  return own_class(&context, now);
}

// The context of a site, which may be one of several that differ in depth; the key in the thread's
// table comes along.
struct Place {
  ContextTable::Found context;
  uint64_t key;
};

Place find_place(const void* site, uint64_t depth) {
  ContextTable& table = contexts();
  const tiering::ContextKey plain = tiering::context_key(site, 0);
  const ContextTable::Found found = table.find_or_add(plain);
  if (depth == 0) return {found, plain};
  bool split = table.at(found.id).split.load(std::memory_order_acquire);
  if (!split && table.note_depth(found.id, depth)) {
    split = true;
    class_epoch.fetch_add(1, std::memory_order_release);
  }
  if (!split) return {found, plain};
  return {table.child_of(found.id, depth), tiering::context_key(site, depth)};
}

// From now on the hit path finds it.
void remember(const Place& place, PlacementId placement) {
  Cache* cache = cache_for(placement);
  if (cache == nullptr || !has_table()) return;
  SiteSlot* table = thread_sites.table;
  const uint64_t plain = tiering::site_of(place.key);
  SiteSlot* slot = &site_slot(table, plain);
  if (place.key != plain) {
    if (slot->key != (plain | kSplitMark)) {
      add_up(slot);
      *slot = {plain | kSplitMark, nullptr, 0, 0};
    }
    SiteSlot* deep = &depth_slot(table, place.key);
    if (deep == slot) return;
    slot = deep;
  }
  if (slot->key != place.key || slot->context != place.context.id) add_up(slot);
  slot->key = place.key;
  slot->cache = cache;
  slot->context = place.context.id;
}

}  // namespace

PlacementId place_by_site(size_t bytes, const void* site) {
  const uintptr_t stack = thread_sites.stack;
  thread_sites.stack = 0;
  forget_if_old();
  const Place place = find_place(site, stack == 0 ? 0 : stack_depth(stack));
  if (thread_sites.table != nullptr) {
    SiteSlot* slot = find_site(thread_sites.table, site, stack);
    if (slot != nullptr) add_up(slot);
  }
  contexts().count(place.context.id, 1, bytes);
  const ClassId id = class_of_context(place.context.id, place.context.fresh);
  const PlacementId placement = class_placement(id);
  // Without its depth a site that is split is not where the hit path would look for it.
  const bool split = contexts().at(place.context.id).split.load(std::memory_order_relaxed);
  if (stack != 0 || !split) remember(place, placement);
  return placement;
}

PlacementId place_again(const void* block, PlacementId by_site) {
  const PlacementId now = placement_of(block);
  const bool undecided = now == kDefaultPlacement || class_of_placement(now) == tiering::kProbation;
  return undecided ? by_site : now;
}

void settle_sites() {
  if (thread_sites.table == nullptr) return;
  forget_if_old();
  for_each_slot(add_up);
}

void forget_sites() {
  thread_sites.first = nullptr;
  forget_slots();
}

void leave_sites() {
  if (thread_sites.table == nullptr) return;
  forget_sites();
  site_tables.give(thread_sites.table);
  thread_sites.table = nullptr;
}

}  // namespace hms::alloc
