// See context_table.h.
#include "runtime/tiering/context_table.h"

namespace hms::tiering {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

// A context is looked at as a wrapper when it has been met so often, and again at each doubling.
constexpr uint32_t kSightsToJudge = 32;
// ... and carries at least that many bytes, and that share of all.
constexpr uint64_t kMinWrapperBytes = uint64_t{1} << 20;
constexpr uint64_t kWrapperShare = 32;
// A depth counts if it is one in so many sights. With more of them than can be kept, what is left
// over must be little, or it is recursion.
constexpr uint32_t kDepthShare = 32;
constexpr uint32_t kRestShare = 8;

constexpr uint32_t kSightMask = 0xffff;

}  // namespace

size_t ContextTable::first_slot(ContextKey key) {
  return static_cast<size_t>((key * 0x9e3779b97f4a7c15ULL) >> 32) % kSlots;
}

// kOtherContext if the key is not there; *slot is then the free one where it belongs.
ContextTable::Found ContextTable::find(ContextKey key, size_t* slot) const {
  *slot = first_slot(key);
  for (size_t i = 0; i < kSlots; ++i, *slot = (*slot + 1) % kSlots) {
    const uint32_t id = slots_[*slot].load(std::memory_order_acquire);
    if (id == 0) return {kOtherContext, false};
    if (contexts_[id].key.load(kRelaxed) == key) return {id, false};
  }
  return {kOtherContext, false};
}

// The record is complete before the slot names it. Who loses a race for the slot looks again from
// there: the winner may have been the same key, and then the record made for nothing stays spare.
ContextTable::Found ContextTable::find_or_add(ContextKey key) {
  size_t slot = 0;
  Found found = find(key, &slot);
  if (found.id != kOtherContext) return found;
  if (used_.load(kRelaxed) + 1 >= kCapacity) return found;
  const uint32_t id = used_.fetch_add(1, kRelaxed) + 1;
  if (id >= kCapacity) {
    used_.fetch_sub(1, kRelaxed);
    return found;
  }
  Context& fresh = contexts_[id];
  fresh.class_id.store(kNoClass, kRelaxed);
  fresh.key.store(key, kRelaxed);
  for (;;) {
    uint32_t expected = 0;
    if (slots_[slot].compare_exchange_strong(expected, id, std::memory_order_acq_rel)) {
      return {id, true};
    }
    found = find(key, &slot);
    if (found.id == kOtherContext) continue;
    fresh.spare.store(true, kRelaxed);
    return found;
  }
}

ContextTable::Found ContextTable::child_of(ContextId parent, uint64_t depth) {
  Context& context = contexts_[parent];
  const ContextKey key = context.key.load(kRelaxed) | depth << kSiteBits;
  size_t slot = 0;
  const Found known = find(key, &slot);
  if (known.id != kOtherContext) return known;
  if (context.children.fetch_add(1, kRelaxed) >= kMaxChildren) {
    context.children.fetch_sub(1, kRelaxed);
    return {parent, false};
  }
  const Found made = find_or_add(key);
  if (!made.fresh) context.children.fetch_sub(1, kRelaxed);
  return made.id == kOtherContext ? Found{parent, false} : made;
}

size_t ContextTable::size() const {
  const size_t used = used_.load(std::memory_order_acquire) + size_t{1};
  return used < kCapacity ? used : kCapacity;
}

void ContextTable::count(ContextId id, uint64_t allocations, uint64_t bytes) {
  contexts_[id].allocations.fetch_add(allocations, kRelaxed);
  contexts_[id].allocated.fetch_add(bytes, kRelaxed);
  allocated_.fetch_add(bytes, kRelaxed);
}

bool ContextTable::shows_wrapper(const Context& context) const {
  const uint64_t bytes = context.allocated.load(kRelaxed);
  if (bytes < kMinWrapperBytes || bytes < allocated() / kWrapperShare) return false;
  const uint32_t sights = context.sights.load(kRelaxed);
  unsigned several = 0;
  uint32_t rest = sights;
  for (const auto& cell : context.depths) {
    const uint32_t times = cell.load(kRelaxed) & kSightMask;
    rest -= times < rest ? times : rest;
    if (times >= sights / kDepthShare) ++several;
  }
  return several >= 2 && rest <= sights / kRestShare;
}

bool ContextTable::note_depth(ContextId id, uint64_t depth) {
  Context& context = contexts_[id];
  const uint32_t sights = context.sights.load(kRelaxed);
  if (id == kOtherContext || sights >= kSightMask) return false;
  context.sights.store(sights + 1, kRelaxed);
  for (auto& cell : context.depths) {
    uint32_t seen = cell.load(kRelaxed);
    if (seen == 0 && cell.compare_exchange_strong(seen, static_cast<uint32_t>(depth) << 16 | 1)) {
      break;
    }
    if (seen >> 16 != depth) continue;
    cell.store(seen + 1, kRelaxed);
    break;
  }
  const uint32_t now = sights + 1;
  if (now < kSightsToJudge || (now & (now - 1)) != 0 || !shows_wrapper(context)) return false;
  context.split.store(true, std::memory_order_release);
  return true;
}

}  // namespace hms::tiering
