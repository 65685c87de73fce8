/* What the environment makes of the default allocator: prints the handle of
 * omp_get_default_allocator in two threads of a region, the alignment of a block of the null
 * allocator (at most 64 KiB), whether a block of 1 MiB is to be had, and the target that libhms
 * charges. For tests/openmp/environment. */
#include "harness.h"

int main(void) {
  size_t alignment = 65536;
  int same = 0;
  allocator h = omp_get_default_allocator();
#pragma omp parallel num_threads(2) reduction(+ : same)
  same += omp_get_default_allocator() == h;
  void* p = omp_alloc(100, omp_null_allocator);
  void* large = omp_alloc(1 << 20, omp_null_allocator);
  while (alignment > 1 && (uintptr_t)p % alignment != 0) alignment /= 2;
  printf("default=%s threads=%d block=%s alignment=%zu large=%s target=%s\n",
         (uintptr_t)h <= 8 ? (char[]){(char)('0' + (uintptr_t)h), 0} : "own", same,
         p == NULL ? "null" : "yes", p == NULL ? 0 : alignment, large == NULL ? "null" : "yes",
         p == NULL ? "-" : target_of(p));
  omp_free(p, omp_null_allocator);
  omp_free(large, omp_null_allocator);
  return 0;
}
