// The extent hooks that tie jemalloc's arenas to the windows of a leg.
#pragma once

#include "allocator/leg.h"

namespace hms::alloc {

extern const extent_hooks_t kExtentHooks;

// One allocation attempt of this thread: once an extent was refused, further address space would be
// carved in vain (jemalloc asks for ever larger pieces when a commit fails).
void begin_attempt();
bool attempt_refused();

}  // namespace hms::alloc
