// Start of the allocator, from whatever malloc comes first: maybe the dynamic linker's, before any
// constructor ran and before libc knows the environment.
#pragma once

#include "allocator/mutex.h"

namespace hms::alloc {

enum class Entry {
  kReady,      // the allocator works
  kBootstrap,  // this thread is starting it just now: serve from the bootstrap heap
};

// Starts the allocator once; other threads wait until it stands. A request that the start itself
// makes (libc's calloc for a thread key, say) gets kBootstrap instead of a deadlock.
Entry ensure_started();

// For arena creation and the like, taken above jemalloc's locks. Nothing under it may call the
// process's malloc.
Mutex& setup_lock();

// Arenas that a thread may choose from, and the choice: threads of one NUMA node share a group of
// arenas, so that first touch keeps an extent on one node.
unsigned choose_arena_slot();
unsigned group_of_slot(unsigned slot);
unsigned first_slot_of(unsigned group);
bool several_cpu_nodes();
bool several_nodes();

}  // namespace hms::alloc
