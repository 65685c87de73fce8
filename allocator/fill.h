// Filling: what a program reads before it wrote, or after it freed, gets a value that shows; and
// every free is looked at when it happens. For finding a program's errors, not for running it:
// threads keep no blocks, so each request goes to the span of its block. Costs nothing while it is
// off.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace hms::alloc {

namespace detail {
extern std::atomic<unsigned> fill_byte;  // 0: off
}

inline bool filling() { return detail::fill_byte.load(std::memory_order_relaxed) != 0; }

// From now on, for ever. `byte` is not 0. Before the program has threads.
void start_filling(uint8_t byte);

// A block that is handed out: the complement of the byte, as glibc's MALLOC_PERTURB_ does. Gives
// `block` back, which may be null.
void* fill_fresh(void* block);
// A block that was freed. Left alone if it is free already.
void fill_freed(void* block, unsigned size_class);

}  // namespace hms::alloc
