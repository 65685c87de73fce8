/* Two functions that do nothing, in a shared library: what is left of a pair of omp_alloc and
 * omp_free when nothing is allocated, the calls themselves included. See pair.c. */
#include <stddef.h>
#include <stdint.h>

void* bench_get_nothing(size_t bytes, uintptr_t allocator);
void bench_give_nothing(void* block, uintptr_t allocator);

void* bench_get_nothing(size_t bytes, uintptr_t allocator) {
  static char nothing[64];
  (void)bytes, (void)allocator;
  return nothing;
}

void bench_give_nothing(void* block, uintptr_t allocator) { (void)block, (void)allocator; }
