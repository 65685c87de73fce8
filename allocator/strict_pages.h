// Strict placement, page by page: fault in, then ask the kernel where the pages are.
#pragma once

#include <cstddef>
#include <cstdint>

#include "allocator/leg.h"

namespace hms::alloc {

// Faults in the pages of an extent of a strict leg, under its PREFERRED policy, and verifies that
// each is on the node asked for. (MPOL_BIND would verify itself, but a full node then ends in the
// OOM killer.) False: some page is elsewhere; the caller gives the range back.
bool place_strictly(const Leg& leg, uintptr_t start, size_t bytes);

// The node that the page at `address` should be on; -1 when any will do.
int wanted_node(const Leg& leg, uintptr_t address);

}  // namespace hms::alloc
