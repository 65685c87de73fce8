// Routing: which placement a plain malloc gets. Rules come from HMS_CONF, a file, or `hms run`; see
// docs/rules.md.
#pragma once

#include <atomic>
#include <cstddef>

#include "allocator/allocator.h"

namespace hms::routing {

// False: every request takes the default placement, and entry points must not call route(). The one
// predictable branch of the plain malloc path.
extern std::atomic<bool> active;

// Reads the configuration once and registers its placements. Allocates: callers guard against
// recursion. Bad rules are reported once by log() and dropped; the process goes on with what is
// valid.
void init();

// The placement for a request of `size` bytes from `call_site` (a return address) on this thread.
// Lock-free after the first use of a call site or thread.
alloc::PlacementId route(size_t size, const void* call_site);

}  // namespace hms::routing
