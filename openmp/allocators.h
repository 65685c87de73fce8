// Allocator objects and their handles.
//
// A handle is not an address: it is the place of the object in a table and a generation that
// changes whenever the place is used again. So any word can be asked for, and the handle of a
// destroyed allocator, or of one that another library made, is found out. Both runtimes store
// handles without looking into them, as long as they are above 1024; and they fit an int.
#pragma once

#include <atomic>
#include <string>

#include "openmp/blocks.h"
#include "openmp/layout.h"
#include "openmp/spaces.h"
#include "openmp/standard.h"
#include "openmp/traits.h"
#include "runtime/support/result.h"

namespace hms::omp {

inline constexpr unsigned kGroupBuckets = 16;

struct Allocator {
  Handle handle = kNullAllocator;
  bool permanent = false;  // destroying it is an error
  const Space* space = nullptr;
  // Blocks of up to `plain_limit` bytes are plain, larger ones have records: see blocks.h.
  size_t plain_limit = 0;
  const Layout* plain = nullptr;   // null if there are none
  const Layout* layout = nullptr;  // of blocks with records; null if all are plain
  // All blocks have records, one group has them, and one placement: see short_ways.cc.
  bool simple = false;
  uint64_t counted = 0;  // all bits if its pools have a limit
  Traits traits;
  Group everyone;
  // Groups of a restricted access trait, made when a thread of theirs asks first. Only grows.
  std::atomic<Group*>* groups = nullptr;
};

// Null if the handle is none of ours, never was, or is destroyed. Predefined handles of either
// runtime are made at first use. `h` must not be the null allocator.
Allocator* find_allocator(Handle h);

// An allocator for a space; a Status that says what cannot be had.
Result<Allocator*> make_allocator(const Space& space, const Traits& traits, bool permanent);

// Frees what is left of its memory, and the handle. HMS_EINVAL: there is no such allocator, or it
// is a predefined one.
Status destroy_allocator(Handle h);

// The group of the calling thread. Null: no memory for it.
Group* group_of_thread(Allocator* a, int flavour);

// Around fork, under table_lock() and lock_blocks(): the record lists of all allocators.
void lock_all_records();
void unlock_all_records();

// Bytes in use of a pool, for tests and messages.
uint64_t pool_in_use(Allocator* a);

}  // namespace hms::omp
