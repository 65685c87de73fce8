// Routing: which placement a plain malloc gets. Rules come from HMS_CONF, a file, or `hms run`; see
// docs/rules.md.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "allocator/allocator.h"
#include "allocator/routing/rules.h"

namespace hms::routing {

// False: every request takes the default placement, and entry points must not call route(). The one
// predictable branch of the plain malloc path.
extern std::atomic<bool> active;

// Reads the configuration once and registers its placements. Allocates: callers guard against
// recursion. Bad rules are reported once by log() and dropped; the process goes on with what is
// valid.
void init();

// Grows with each change of the rules.
extern std::atomic<uint32_t> epoch;

// Reads what `hms ctl` left, and makes it the rules if all of it can be; nothing changes otherwise.
// One thread at a time, others go on. Allocates, as init().
void reload();

// What a thread knows of itself; `left` 0 makes the next request look.
struct ThreadView {
  const Verdicts* verdicts;
  const void* rules;  // that the verdicts are of
  uint64_t mask;
  uint32_t left;
  uint32_t epoch;  // of what this thread remembers
  bool looking;  // a call site is being looked up: what that allocates takes the default placement
};
extern __thread ThreadView thread_view;

// route() for at most kMaxCachedSize bytes, where the thread's table says it all: no call, no lock.
// kAskRules where it does not, or where there are no rules.
inline alloc::PlacementId quick_route(size_t size, unsigned size_class) {
  if (__builtin_expect(thread_view.left == 0, 0)) return kAskRules;
  alloc::PlacementId id = thread_view.verdicts->of_class[size_class].of(size);
  if (__builtin_expect(id != kAskRules, 1)) --thread_view.left;
  return id;
}

// After a route(): true if all requests of that size class get the same answer, for good.
inline bool route_lasts(size_t size) {
  return size <= alloc::kMaxCachedSize && thread_view.verdicts != nullptr &&
         thread_view.verdicts->of_class[alloc::cached_class(size)].lasting;
}

// The placement for a request of `size` bytes from `call_site` (a return address) on this thread.
// Lock-free after the first use of a call site or thread.
alloc::PlacementId route(size_t size, const void* call_site);

}  // namespace hms::routing
