// The handle of a placement in the C interface: the address of an entry in a table, valid for the
// life of the process.
#pragma once

#include "allocator/allocator.h"
#include "hms/hms.h"

struct hms_placement {
  hms::alloc::PlacementId id;
};

namespace hms::alloc {

// What a handle stands for may change while others read it: see hints.h.
inline PlacementId id_of(const hms_placement* placement) {
  return placement == nullptr ? kDefaultPlacement
                              : __atomic_load_n(&placement->id, __ATOMIC_RELAXED);
}
inline void set_id(hms_placement* placement, PlacementId id) {
  __atomic_store_n(&placement->id, id, __ATOMIC_RELAXED);
}

}  // namespace hms::alloc
