// Traits: what a program asks of an allocator, checked and completed with the defaults.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "openmp/standard.h"
#include "runtime/support/result.h"

namespace hms::omp {

enum class Access : uint8_t { kAll, kCgroup, kPteam, kThread };
enum class Fallback : uint8_t { kDefaultMem, kNull, kAbort, kAllocator };
enum class Partition : uint8_t { kEnvironment, kNearest, kBlocked, kInterleaved, kPartitioner };

struct Traits {
  Access access = Access::kAll;
  Fallback fallback = Fallback::kDefaultMem;
  Partition partition = Partition::kEnvironment;
  bool pinned = false;
  // What sync_hint changes: whether bookkeeping may spread over several locks when threads meet.
  bool contended = true;
  size_t alignment = 1;
  uint64_t pool_size = UINT64_MAX;  // no limit
  Handle fb_data = kNullAllocator;
  size_t part_size = 0;  // of interleaved parts; 0: pages
  uintptr_t partitioner = 0;
  uintptr_t partitioner_arg = 0;
};

// Checks each trait for itself and together with the others (5.2 section 6.2, 6.0 section 8.2); an
// error names the trait. `host_device`: the number of the host, which is the only device there is.
Result<Traits> parse_traits(const Trait* traits, int count, int host_device);

// One `trait=value` of OMP_ALLOCATOR in words. An error says what was expected.
Result<Trait> trait_from_words(const std::string& key, const std::string& value);

}  // namespace hms::omp
