// A leg: the part of a placement that lies on one target (or, interleaved, on stripes of several).
// Owns windows of the region, carves extents from their frontier, and holds the jemalloc arenas
// whose extents those are.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "allocator/account.h"
#include "allocator/jemalloc.h"
#include "allocator/mutex.h"
#include "allocator/stripes.h"
#include "allocator/tiering/units.h"
#include "runtime/support/os.h"

namespace hms::alloc {

inline constexpr unsigned kMaxArenas = 8;  // per leg; threads spread over them

struct Leg;
struct Depot;

// jemalloc hands the hooks back by address: the arena is found from them.
struct Arena {
  extent_hooks_t hooks;
  Leg* leg;
  unsigned index;    // jemalloc's
  HmsjeArena* made;  // the arena itself
};

// What does not change after registration.
struct LegPlan {
  Account* account = nullptr;  // of the target; of the first one when there are several
  const Stripes* stripes = nullptr;
  UnitPlan* units = nullptr;  // a leg whose memory moves between two targets
  os::Policy policy = os::Policy::kDefault;
  os::NodeMask nodes;
  uint32_t weight = 1;
  uint8_t placement = 0;
  bool guard_node = false;  // refuse before the kernel would spill
  bool huge = false;        // ask for huge pages
  bool verify = false;      // strict: every page is checked when it is committed
};

struct Leg {
  LegPlan plan;

  Mutex lock;                  // carving; a leaf, taken below jemalloc's own locks
  uintptr_t window_start = 0;  // of the windows in use now
  uintptr_t frontier = 0;      // addresses from here on were never handed to jemalloc
  uintptr_t writable = 0;      // end of what is mapped readable and writable
  uintptr_t mapped = 0;        // end of what the tables cover
  uintptr_t limit = 0;         // end of the windows in use now

  std::atomic<Arena*> arenas[kMaxArenas] = {};
  std::atomic<Depot*> depots[kMaxArenas] = {};  // free blocks, by group of CPUs: central.h
  std::atomic<int64_t> live{0};                 // bytes handed to threads, what ratios compare
  std::atomic<int64_t> committed{0};            // charged
  std::atomic<int64_t> held{0};                 // of these, in blocks and spans; see residence.h
  std::atomic<int64_t> refused_at{0};    // when it last had no room, 0: not lately (monotonic ns)
  std::atomic<size_t> refused_size{0};   // what it had no room for then; smaller may still fit
  std::atomic<uint32_t> relief_seen{0};  // the account's `relief` at that time
};

// Why windows could not be set up; 0 or -errno of the policy call, -ENOMEM when out of windows.
int open_window(Leg* leg, size_t bytes);
// Address space for an extent; 0 when there is none.
uintptr_t carve(Leg* leg, size_t bytes, size_t alignment);
// Takes a carved range back if nothing was carved after it.
void uncarve(Leg* leg, uintptr_t start, size_t bytes);

// Charges [start, start + bytes) to the targets it lies on, all or nothing; places and verifies the
// pages of a strict leg.
bool commit_extent(Leg* leg, uintptr_t start, size_t bytes);
// Gives the pages back and uncharges.
bool decommit_extent(Leg* leg, uintptr_t start, size_t bytes);

// Visits the accounts that a leg may be charged to.
template <typename Visit>
void for_each_account(const Leg& leg, Visit visit) {
  if (leg.plan.units != nullptr) {
    for (const UnitPlan::Place& place : leg.plan.units->places) visit(place.account);
  } else if (leg.plan.stripes != nullptr) {
    for (unsigned t = 0; t < leg.plan.stripes->targets; ++t) visit(leg.plan.stripes->account[t]);
  } else {
    visit(leg.plan.account);
  }
}
// True if a quota counts what the leg holds: then a page more than was charged is one too many.
bool is_limited(const Leg& leg);
// The target that an address is charged to.
Account* account_of(const Leg& leg, uintptr_t address);

// The arena of a leg for threads with this slot, made at first use. Null when jemalloc has no
// memory.
Arena* arena_of(Leg* leg, unsigned slot);
// Free memory of all arenas of a leg goes back to the system: all of it, or what is due.
void decay_arenas(Leg* leg, bool all);
// While nobody uses the arena: gives back what is only zeros in its records.
void shed_zero_pages(HmsjeArena* arena);

}  // namespace hms::alloc
