// The OpenMP API of memory management in C and C++, and its Fortran names (bind(c) routines are the
// C ones; the others take their arguments by reference, as gfortran's module says).
#include "openmp/defaults.h"
#include "openmp/entry/export.h"
#include "openmp/entry/init.h"

namespace hms::omp {
namespace {

size_t product(size_t a, size_t b) {
  size_t bytes;
  return __builtin_mul_overflow(a, b, &bytes) ? SIZE_MAX : bytes;
}

// libgomp 14 makes the allocator of OMP_ALLOCATOR in its constructor, through its own symbol. Only
// then is the return address looked up.
bool from_runtime(const void* return_address) {
  return environment_names_allocator() && inside_runtime(return_address);
}

Handle init_from_c(Handle space, int count, const Trait* traits, const void* return_address) {
  return init_allocator(space, count, traits, from_runtime(return_address));
}

int fortran_count(int64_t count) {
  return count < 0 ? -1 : count > kLastKey + 1 ? kLastKey + 1 : static_cast<int>(count);
}

}  // namespace
}  // namespace hms::omp

using hms::omp::Handle;
using hms::omp::Trait;

HMS_OMP_ROUTINE("OMP_5.0.1", void*, alloc, (size_t size, Handle h),
                hms::omp::allocate_fast(h, size, caller));
HMS_OMP_ROUTINE("OMP_5.0.2", void*, aligned_alloc, (size_t alignment, size_t size, Handle h),
                hms::omp::allocate_aligned_fast(h, alignment, size, caller));
HMS_OMP_ROUTINE("OMP_5.0.2", void*, calloc, (size_t count, size_t size, Handle h),
                hms::omp::allocate_zeroed_fast(h, hms::omp::product(count, size), caller));
HMS_OMP_ROUTINE("OMP_5.0.2", void*, aligned_calloc,
                (size_t alignment, size_t count, size_t size, Handle h),
                hms::omp::allocate(h, {hms::omp::product(count, size), alignment, true}, caller));
HMS_OMP_ROUTINE("OMP_5.0.2", void*, realloc, (void* block, size_t size, Handle h, Handle free_h),
                hms::omp::reallocate(block, size, h, free_h, caller));
HMS_OMP_ROUTINE("OMP_5.0.1", void, free, (void* block, Handle h), hms::omp::release_fast(block, h));
HMS_OMP_ROUTINE("OMP_5.0.1", Handle, init_allocator, (Handle space, int count, const Trait* traits),
                hms::omp::init_from_c(space, count, traits, __builtin_return_address(0)));
HMS_OMP_ROUTINE("OMP_5.0.1", void, destroy_allocator, (Handle h), hms::omp::destroy(h));
HMS_OMP_ROUTINE("OMP_5.0.1", void, set_default_allocator, (Handle h),
                hms::omp::set_default(hms::omp::flavour_of(caller), h));
HMS_OMP_ROUTINE("OMP_5.0.1", Handle, get_default_allocator, (void),
                hms::omp::get_default(hms::omp::flavour_of(caller)));

HMS_OMP_ENTRY Handle omp_init_allocator_(const Handle* space, const int32_t* count,
                                         const Trait* traits) {
  return hms::omp::init_allocator(*space, *count, traits, false);
}

// With -fdefault-integer-8.
HMS_OMP_ENTRY Handle omp_init_allocator_8_(const Handle* space, const int64_t* count,
                                           const Trait* traits) {
  return hms::omp::init_allocator(*space, hms::omp::fortran_count(*count), traits, false);
}

HMS_OMP_ENTRY void omp_destroy_allocator_(const Handle* h) { hms::omp::destroy(*h); }

HMS_OMP_ENTRY void omp_set_default_allocator_(const Handle* h) {
  hms::omp::set_default(hms::omp::Flavour::kGcc, *h);
}

HMS_OMP_ENTRY Handle omp_get_default_allocator_() {
  return hms::omp::get_default(hms::omp::Flavour::kGcc);
}
