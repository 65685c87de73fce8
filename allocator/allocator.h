// The narrow header of the allocator: what openmp/, the entry points, the C API and the routing
// use.
//
// Words: a *placement* is registered once and gets a small id; each of its *legs* (one per target)
// owns a *window*, a reserved range of addresses with one memory policy; jemalloc *arenas* with our
// extent hooks carve the window into extents; per-thread *bins* of (placement, size class) sit in
// front. address -> window -> leg -> placement is arithmetic plus one table load.
#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime/placement/placement.h"
#include "runtime/support/result.h"

namespace hms::alloc {

// 0 is the default placement: plain memory, no policy of ours; it exists before anything is
// registered.
using PlacementId = uint16_t;
inline constexpr PlacementId kDefaultPlacement = 0;
inline constexpr size_t kMaxAlignment = size_t{1} << 30;
inline constexpr size_t kMaxPlacements = 256;  // one of these ids is never given: kNoCache

// Equal placements share an id. Thread-safe; takes a lock; may make system calls. Fails with
// HMS_ENOMEM when ids or address space run out, HMS_ENODEV when a strict placement names a node
// that cannot be used.
Result<PlacementId> register_placement(const Placement& placement);
const Placement* placement_info(PlacementId id);

// As malloc and friends: null (without touching errno: the callers above do) when the placement has
// no room.
void* allocate(size_t size, PlacementId placement);
void* allocate_zeroed(size_t size, PlacementId placement);
void* allocate_aligned(size_t alignment, size_t size, PlacementId placement);
// Resizes; moves to `placement` when the block is elsewhere. Null: the old block is untouched. size
// > 0.
void* reallocate(void* block, size_t size, PlacementId placement);
// Grows or shrinks where it stands; returns the usable size afterwards (unchanged if it could not).
size_t resize_in_place(void* block, size_t size, size_t extra, size_t alignment);
void deallocate(void* block);  // must be ours: owns(block)
size_t usable_size(const void* block);
size_t good_size(size_t size, size_t alignment);  // what usable_size would say

bool owns(const void* address);
PlacementId placement_of(const void* block);    // of an owned address
const TargetRef& target_of(const void* block);  // of an owned address

// Limit for a target key over all placements; exact: charged before an extent is committed.
void set_quota(const char* target_key, uint64_t bytes);
// Gives back this thread's caches and every purgeable extent. True if anything was returned.
bool trim();
// Asks the kernel where the pages of every window are, and writes the audit_* counters of the stats
// page.
void audit_residency();

// Fork support, to be called from the process's single atfork registration, ours before jemalloc's.
void before_fork();
void after_fork_parent();
void after_fork_child();

}  // namespace hms::alloc
