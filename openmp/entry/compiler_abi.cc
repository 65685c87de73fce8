// What compilers emit for directives and clauses: GOMP_* (GCC, gfortran) and __kmpc_* (Clang,
// Flang).
//
// gtid, the thread number that libomp's functions get first, is not needed: caches and groups know
// their threads. Negative ones mark the calls that libomp makes for itself.
#include "openmp/defaults.h"
#include "openmp/entry/export.h"
#include "openmp/entry/init.h"

using hms::omp::Caller;
using hms::omp::Flavour;
using hms::omp::Handle;
using hms::omp::Trait;

namespace {

constexpr int kAtRuntimeStart = -2;  // KMP_GTID_UNKNOWN + ...: libomp while it reads OMP_ALLOCATOR

}  // namespace

HMS_OMP_ENTRY void* GOMP_alloc(size_t alignment, size_t size, Handle h) {
  return hms::omp::allocate_aligned_fast(h, alignment == 0 ? 1 : alignment, size,
                                         Caller::kGccDirective);
}

// A variable-length array whose allocator is the constant omp_default_mem_alloc lives on the stack
// in GCC 14 to 16, which free it all the same: release() leaves such an address alone.
HMS_OMP_ENTRY void GOMP_free(void* block, Handle h) { hms::omp::release_fast(block, h); }

HMS_OMP_ENTRY void* __kmpc_alloc(int, size_t size, Handle h) {
  return hms::omp::allocate_fast(h, size, Caller::kLlvmDirective);
}

HMS_OMP_ENTRY void* __kmpc_aligned_alloc(int, size_t alignment, size_t size, Handle h) {
  return hms::omp::allocate_aligned_fast(h, alignment, size, Caller::kLlvmDirective);
}

// Not emitted by compilers: only programs call this and __kmpc_realloc, and can take a null
// pointer.
HMS_OMP_ENTRY void* __kmpc_calloc(int, size_t count, size_t size, Handle h) {
  size_t bytes;
  if (__builtin_mul_overflow(count, size, &bytes)) bytes = SIZE_MAX;
  return hms::omp::allocate(h, {bytes, 1, true}, Caller::kLlvm);
}

HMS_OMP_ENTRY void* __kmpc_realloc(int, void* block, size_t size, Handle h, Handle free_h) {
  return hms::omp::reallocate(block, size, h, free_h, Caller::kLlvm);
}

HMS_OMP_ENTRY void __kmpc_free(int, void* block, Handle h) { hms::omp::release_fast(block, h); }

HMS_OMP_ENTRY Handle __kmpc_init_allocator(int gtid, Handle space, int count, const Trait* traits) {
  return hms::omp::init_allocator(space, count, traits, gtid == kAtRuntimeStart);
}

HMS_OMP_ENTRY void __kmpc_destroy_allocator(int, Handle h) { hms::omp::destroy(h); }

HMS_OMP_ENTRY void __kmpc_set_default_allocator(int, Handle h) {
  hms::omp::set_default(Flavour::kLlvm, h);
}

HMS_OMP_ENTRY Handle __kmpc_get_default_allocator(int) {
  return hms::omp::get_default(Flavour::kLlvm);
}
