// Memory partitioners (OpenMP 6.0 section 8.4 and the routines of chapter 20.8): the program's own
// procedures say how a block is cut into parts.
//
// The objects of the program are opaque: we know them by their addresses and keep what belongs to
// them in tables of ours, so an object that was never initialized, or is gone, is found out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "openmp/mapping.h"
#include "openmp/spaces.h"
#include "openmp/standard.h"

namespace hms::omp {

// omp_mempartition_t as we make it; programs only hold its address.
struct Mempartition;

using ComputeParts = void (*)(Handle space, size_t size, uintptr_t argument, Mempartition* out);
using ReleaseParts = void (*)(Mempartition*);

// omp_mempartitioner_lifetime_t: how long an answer may be used again.
enum class Lifetime : int { kStatic = 1, kAllocator = 2, kDynamic = 3 };

// Writes the handle, its address, into the object, which is at least a word: Fortran programs give
// the trait the value of their variable. False: a lifetime that does not exist, or no compute
// procedure.
bool init_partitioner(void* object, int lifetime, ComputeParts compute, ReleaseParts release);
// Gives back its remembered answers. False: not initialized.
bool destroy_partitioner(const void* object);
bool is_partitioner(uintptr_t object);

// What omp_init_mempartition and its kin do; false or null outside the procedures of a partitioner.
bool init_partition(Mempartition* p, size_t parts, const void* user_data);
bool destroy_partition(const Mempartition* p);
bool set_part(Mempartition* p, size_t part, int resource, size_t size);
const void* partition_user_data(const Mempartition* p);

// The parts of a block for an allocator. Empty: the answer does not fit the request (said once).
std::vector<Part> ask_partitioner(uintptr_t object, Handle allocator, const Space& space,
                                  size_t size, uintptr_t argument);
// The answers that were kept for an allocator are not needed any more.
void forget_allocator_parts(uintptr_t object, Handle allocator);

}  // namespace hms::omp
