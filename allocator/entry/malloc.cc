// The C malloc family. Clauses: C17 7.22.3, POSIX.1-2017 and POSIX.1-2024, malloc(3), and for the
// GNU names glibc's manual ("Replacing malloc").
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "allocator/entry/next.h"
#include "allocator/entry/request.h"
#include "runtime/support/counters.h"
#include "runtime/support/os.h"

namespace hms::entry {
namespace {

// Product, or more than any request may be if it does not fit: the slow path refuses it.
inline size_t product(size_t count, size_t size) {
  size_t bytes;
  return __builtin_mul_overflow(count, size, &bytes) ? SIZE_MAX : bytes;
}

size_t round_up_to_power_of_two(size_t value) {
  size_t power = kMinAlignment;
  while (power < value && power <= SIZE_MAX / 2) power *= 2;
  return power;
}

size_t round_up_to_pages(size_t size) {
  return size > kMaxRequest ? size : (size + os::kPageSize - 1) & ~(os::kPageSize - 1);
}

// glibc 2.36's rule: size 0 frees, and the null pointer that comes back is no failure.
__attribute__((noinline)) void* realloc_slow(void* block, size_t size, const void* caller) {
  if (block == nullptr) return allocate(size, caller);
  if (size != 0) return reallocate(block, size, caller);
  release_slow(block);
  return nullptr;
}

__attribute__((noinline)) void* realloc_moving(void* block, size_t size, const void* caller) {
  void* hit = reallocate_hit(block, size);
  return __builtin_expect(hit != nullptr, 1) ? hit : realloc_slow(block, size, caller);
}

// What stays where it is needs no stack frame.
[[gnu::always_inline]] inline void* realloc_glibc(void* block, size_t size, const void* caller) {
  return fits_as_it_is(block, size) ? block : realloc_moving(block, size, caller);
}

// Failure leaves errno alone, too.
__attribute__((noinline)) void* allocate_aligned_quietly(size_t alignment, size_t size,
                                                         const void* caller) {
  ErrnoKeeper keeper;
  return allocate_aligned_slow(alignment, size, caller);
}

// Sums over the targets of the counter page.
struct HeapUse {
  uint64_t committed = 0;
  uint64_t in_use = 0;
};

HeapUse heap_use() {
  HeapUse use;
  for (const TargetCounters& target : stats()->targets) {
    if (target.used.load(std::memory_order_acquire) == 0) continue;
    const uint64_t allocated = target.allocated.load(std::memory_order_relaxed);
    const uint64_t freed = target.freed.load(std::memory_order_relaxed);
    use.committed += target.charged.load(std::memory_order_relaxed);
    use.in_use += allocated > freed ? allocated - freed : 0;
  }
  if (use.in_use > use.committed) use.in_use = use.committed;
  return use;
}

}  // namespace
}  // namespace hms::entry

using hms::entry::ErrnoKeeper;

// As allocate(), but the return address is not looked up before it is needed.
HMS_ENTRY void* malloc(size_t size) {
  using hms::entry::allocate_or;
  const auto unknown = [=](unsigned size_class) __attribute__((always_inline)) {
    return hms::entry::allocate_routed(size, __builtin_return_address(0), size_class);
  };
  const auto miss = [=]() __attribute__((always_inline)) {
    return hms::entry::allocate_slow(size, __builtin_return_address(0));
  };
  return allocate_or(size, unknown, miss);
}

HMS_ENTRY void free(void* block) { hms::entry::release(block); }

HMS_ENTRY void* calloc(size_t count, size_t size) {
  return hms::entry::allocate_zeroed(hms::entry::product(count, size), __builtin_return_address(0));
}

HMS_ENTRY void* realloc(void* block, size_t size) {
  return hms::entry::realloc_glibc(block, size, __builtin_return_address(0));
}

HMS_ENTRY void* reallocarray(void* block, size_t count, size_t size) {
  return hms::entry::realloc_glibc(block, hms::entry::product(count, size),
                                   __builtin_return_address(0));
}

HMS_ENTRY void cfree(void* block) { hms::entry::release(block); }

// C23 7.24.3.4 and 7.24.3.5: the sizes are promises of the caller, which the address makes
// needless.
HMS_ENTRY void free_sized(void* block, size_t) { hms::entry::release(block); }
HMS_ENTRY void free_aligned_sized(void* block, size_t, size_t) { hms::entry::release(block); }

// POSIX: the error is the result, errno and *out are untouched on failure.
HMS_ENTRY int posix_memalign(void** out, size_t alignment, size_t size) {
  if (!hms::entry::is_power_of_two(alignment) || alignment % sizeof(void*) != 0) return EINVAL;
  const void* caller = __builtin_return_address(0);
  void* block = hms::entry::allocate_aligned_or(alignment, size, [=] {
    return hms::entry::allocate_aligned_quietly(alignment, size, caller);
  });
  if (__builtin_expect(block == nullptr, 0)) return ENOMEM;
  *out = block;
  return 0;
}

// C17 7.22.3.1 with DR 460: an alignment that is not supported fails, any size is allowed.
HMS_ENTRY void* aligned_alloc(size_t alignment, size_t size) {
  if (!hms::entry::is_power_of_two(alignment)) {
    errno = EINVAL;
    return nullptr;
  }
  return hms::entry::allocate_aligned(alignment, size, __builtin_return_address(0));
}

// glibc: an alignment that is no power of two is rounded up to one.
HMS_ENTRY void* memalign(size_t alignment, size_t size) {
  if (alignment > SIZE_MAX / 2 + 1) {
    errno = EINVAL;
    return nullptr;
  }
  return hms::entry::allocate_aligned(hms::entry::round_up_to_power_of_two(alignment), size,
                                      __builtin_return_address(0));
}

HMS_ENTRY void* valloc(size_t size) {
  return hms::entry::allocate_aligned(hms::os::kPageSize, size, __builtin_return_address(0));
}

HMS_ENTRY void* pvalloc(size_t size) {
  return hms::entry::allocate_aligned(hms::os::kPageSize, hms::entry::round_up_to_pages(size),
                                      __builtin_return_address(0));
}

HMS_ENTRY size_t malloc_usable_size(void* block) { return hms::entry::usable(block); }

HMS_ENTRY int malloc_trim(size_t) {
  ErrnoKeeper keeper;
  return hms::alloc::trim() ? 1 : 0;
}

// glibc's tuning parameters (M_MMAP_THRESHOLD ...) have no counterpart here. Known ones are
// accepted without effect, as a program that tunes glibc must not take that for a failure.
HMS_ENTRY int mallopt(int parameter, int) {
  const bool known =
      parameter == M_MXFAST || (parameter >= M_ARENA_MAX && parameter <= M_TRIM_THRESHOLD);
  return known ? 1 : 0;
}

HMS_ENTRY struct mallinfo2 mallinfo2() {
  const hms::entry::HeapUse use = hms::entry::heap_use();
  struct mallinfo2 info = {};
  info.arena = use.committed;
  info.uordblks = use.in_use;
  info.fordblks = use.committed - use.in_use;
  return info;
}

// The fields are int: they wrap beyond 2 GiB, as in glibc.
HMS_ENTRY struct mallinfo mallinfo() {
  const hms::entry::HeapUse use = hms::entry::heap_use();
  struct mallinfo info = {};
  info.arena = static_cast<int>(use.committed);
  info.uordblks = static_cast<int>(use.in_use);
  info.fordblks = static_cast<int>(use.committed - use.in_use);
  return info;
}

HMS_ENTRY void malloc_stats() {
  const hms::entry::HeapUse use = hms::entry::heap_use();
  fprintf(stderr, "libhms: %llu bytes committed, %llu bytes in use\n",
          static_cast<unsigned long long>(use.committed),
          static_cast<unsigned long long>(use.in_use));
}

// The totals of glibc's schema, which is all that has a counterpart.
HMS_ENTRY int malloc_info(int options, FILE* stream) {
  if (options != 0) {
    errno = EINVAL;
    return -1;
  }
  const hms::entry::HeapUse use = hms::entry::heap_use();
  fprintf(stream,
          "<malloc version=\"1\">\n<system type=\"current\" size=\"%llu\"/>\n"
          "<total type=\"inuse\" count=\"0\" size=\"%llu\"/>\n</malloc>\n",
          static_cast<unsigned long long>(use.committed),
          static_cast<unsigned long long>(use.in_use));
  return 0;
}

// -Bsymbolic-functions binds these names to this library.
const hms::entry::NextAllocator& hms::entry::entry_functions() {
  static constexpr NextAllocator kOurs = {malloc,   calloc, realloc,
                                          memalign, free,   malloc_usable_size};
  return kOurs;
}
