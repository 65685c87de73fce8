// The lock of the tables of spaces, layouts and allocators, and what fork does to it.
#pragma once

#include <mutex>

namespace hms::omp {

// Held while tables change, never on the way of an allocation that hits. Recursive: defining a
// space may ask for another one. A forked child gets it free, and the tables whole.
std::recursive_mutex& table_lock();

}  // namespace hms::omp
