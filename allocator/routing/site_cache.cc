// The call-site cache: see site_cache.h.
#include "allocator/routing/site_cache.h"

namespace hms::routing {

bool SiteCache::find(const void* site, uint64_t* mask) const {
  auto key = reinterpret_cast<uintptr_t>(site);
  size_t first = first_slot(key);
  for (size_t i = 0; i < kProbes; ++i) {
    const Slot& slot = slots_[(first + i) & (kSlots - 1)];
    uintptr_t found = slot.site.load(std::memory_order_acquire);
    if (found == key) {
      *mask = slot.mask.load(std::memory_order_relaxed);
      return true;
    }
    if (found == 0) return false;
  }
  return false;
}

// Two threads may both insert a site, in two slots: both are right. A slot stays busy for ever if
// its writer vanished in a fork: one slot less in the child.
void SiteCache::insert(const void* site, uint64_t mask) {
  auto key = reinterpret_cast<uintptr_t>(site);
  size_t first = first_slot(key);
  for (size_t i = 0; i < kProbes; ++i) {
    Slot& slot = slots_[(first + i) & (kSlots - 1)];
    uintptr_t expected = 0;
    if (!slot.site.compare_exchange_strong(expected, kBusy, std::memory_order_relaxed)) {
      if (expected == key) return;
      continue;
    }
    slot.mask.store(mask, std::memory_order_relaxed);
    slot.site.store(key, std::memory_order_release);
    return;
  }
}

}  // namespace hms::routing
