// The other allocators of the process: see next.h.
//
// Which blocks are foreign? Those that a library got from glibc by its internal names or by
// RTLD_DEEPBIND, those from a second C library (dlmopen), and those from the private API of another
// allocator that is linked in. Each goes to its owner; what has no known owner stays where it is,
// because giving a block to a heap that does not know it is a crash later.
#include "allocator/entry/next.h"

#include <dlfcn.h>

#include <atomic>
#include <cstdint>

#include "allocator/entry/early.h"
#include "allocator/entry/program_arenas.h"
#include "allocator/entry/request.h"
#include "runtime/support/log.h"
#include "runtime/support/os_process.h"

extern "C" {
// Defined by whoever is in the process, or null. Sanitizers bring an allocator that knows more than
// a heap (poisoning, shadow), and cannot work under another.
__attribute__((weak)) void __asan_init();
__attribute__((weak)) void __tsan_init();
__attribute__((weak)) void __msan_init();
__attribute__((weak)) void __hwasan_init();
__attribute__((weak)) void __lsan_init();
// gperftools, malloc_extension_c.h; 1 is MallocExtension_kOwned.
__attribute__((weak)) int MallocExtension_GetOwnership(const void*);
__attribute__((weak)) void tc_free(void*);
__attribute__((weak)) size_t tc_malloc_size(void*);
// mimalloc.h.
__attribute__((weak)) bool mi_is_in_heap_region(const void*);
__attribute__((weak)) void mi_free(void*);
__attribute__((weak)) size_t mi_usable_size(const void*);
// glibc's own allocator, under the names that interposition does not reach.
__attribute__((weak)) void __libc_free(void*);
}

namespace hms::entry {
namespace {

NextAllocator next;

// Who comes before us may define a part of the family only: the rest is what it would be without
// us.
template <typename F>
void find(F*& function, F* ours, const char* name) {
  function = reinterpret_cast<F*>(dlsym(RTLD_DEFAULT, name));
  if (function == ours) function = reinterpret_cast<F*>(dlsym(RTLD_NEXT, name));
}

// File of the object that defines `function`.
const char* file_of(void* function) {
  Dl_info info;
  return dladdr(function, &info) != 0 && info.dli_fname != nullptr ? info.dli_fname : "?";
}

// True if `first`, what the process calls malloc, is only a way to ours: a program that is no PIE
// and takes the address of malloc has a jump to it that counts as the function (psABI x86-64,
// "Function Addresses").
bool ends_here(void* first) {
  void* block = reinterpret_cast<void* (*)(size_t)>(first)(1);
  const bool ours = alloc::owns(block);
  if (ours) {
    alloc::deallocate(block);
  } else {
    reinterpret_cast<void (*)(void*)>(dlsym(RTLD_DEFAULT, "free"))(block);
  }
  return ours;
}

bool load_next() {
  const NextAllocator& ours = entry_functions();
  find(next.malloc, ours.malloc, "malloc");
  find(next.calloc, ours.calloc, "calloc");
  find(next.realloc, ours.realloc, "realloc");
  find(next.memalign, ours.memalign, "memalign");
  find(next.free, ours.free, "free");
  find(next.usable_size, ours.usable_size, "malloc_usable_size");
  return next.malloc != nullptr && next.calloc != nullptr && next.realloc != nullptr &&
         next.memalign != nullptr && next.free != nullptr && next.usable_size != nullptr;
}

enum class Owner { kProgramArena, kTcmalloc, kMimalloc, kGlibc, kNobody };

// glibc chunk layout (malloc/malloc.c, "chunk size field"): the word before the block holds the
// chunk size and three flags. Flagged chunks (own mapping, own arena) carry their owner with them;
// unflagged ones belong to a main arena, and only that of the first C library is on the break.
constexpr size_t kChunkMmapped = 2;
constexpr size_t kChunkNonMain = 4;
constexpr size_t kChunkFlags = 7;
constexpr size_t kChunkHeader = 2 * sizeof(size_t);

size_t chunk_word(const void* block) { return static_cast<const size_t*>(block)[-1]; }

bool looks_like_glibc(const void* block) {
  if (reinterpret_cast<uintptr_t>(block) % kMinAlignment != 0) return false;
  const size_t word = chunk_word(block);
  const size_t size = word & ~kChunkFlags;
  return size >= 2 * kChunkHeader && size <= kMaxRequest && size % kMinAlignment == 0;
}

Owner owner_of(const void* block) {
  if (in_program_arena(block)) return Owner::kProgramArena;
  if (&MallocExtension_GetOwnership != nullptr && &tc_free != nullptr &&
      MallocExtension_GetOwnership(block) == 1) {
    return Owner::kTcmalloc;
  }
  if (&mi_is_in_heap_region != nullptr && &mi_free != nullptr && mi_is_in_heap_region(block)) {
    return Owner::kMimalloc;
  }
  if (&__libc_free == nullptr || !looks_like_glibc(block)) return Owner::kNobody;
  const bool carries_owner = (chunk_word(block) & (kChunkMmapped | kChunkNonMain)) != 0;
  return carries_owner || block < os::program_break() ? Owner::kGlibc : Owner::kNobody;
}

}  // namespace

const char* sanitizer_name() {
  if (&__asan_init != nullptr) return "AddressSanitizer";
  if (&__tsan_init != nullptr) return "ThreadSanitizer";
  if (&__msan_init != nullptr) return "MemorySanitizer";
  if (&__hwasan_init != nullptr) return "HWAddressSanitizer";
  if (&__lsan_init != nullptr) return "LeakSanitizer";
  return nullptr;
}

bool find_next_allocator() {
  void* first = dlsym(RTLD_DEFAULT, "malloc");
  const char* sanitizer = sanitizer_name();
  const bool ahead = sanitizer == nullptr && first != nullptr &&
                     first != reinterpret_cast<void*>(entry_functions().malloc) &&
                     !ends_here(first);
  if (sanitizer == nullptr && !ahead) return false;
  if (!load_next()) return false;
  if (sanitizer != nullptr) {
    log_once(LogLevel::kWarning, "sanitizer",
             "this program is built with %s, which needs its own allocator; libhms_malloc.so stays "
             "passive and places nothing (run a build without the sanitizer to place memory)",
             sanitizer);
  } else {
    log_once(LogLevel::kWarning, "ahead",
             "malloc is served by %s, which comes before libhms_malloc.so in the link order; "
             "libhms stays passive and places nothing (put libhms_malloc.so first in LD_PRELOAD, "
             "or use a program that is not linked with an allocator of its own)",
             file_of(first));
  }
  return true;
}

const NextAllocator& next_allocator() { return next; }

void release_foreign(void* block) {
  if (is_early(block)) return;
  if (forwarding()) {
    next.free(block);
    return;
  }
  switch (owner_of(block)) {
    case Owner::kProgramArena:
      release_to_program_arena(block);
      return;
    case Owner::kTcmalloc:
      tc_free(block);
      return;
    case Owner::kMimalloc:
      mi_free(block);
      return;
    case Owner::kGlibc:
      __libc_free(block);
      return;
    case Owner::kNobody:
      break;
  }
  log_once(LogLevel::kWarning, "foreign free",
           "free(%p): the block belongs to no allocator known here (a second C library loaded with "
           "dlmopen, or not a heap block); it is left alone",
           block);
}

size_t foreign_usable_size(const void* block) {
  if (is_early(block)) return early_size(block);
  void* const plain = const_cast<void*>(block);
  if (forwarding()) return next.usable_size(plain);
  switch (owner_of(block)) {
    case Owner::kProgramArena:
      return program_arena_usable_size(block);
    case Owner::kTcmalloc:
      return &tc_malloc_size != nullptr ? tc_malloc_size(plain) : 0;
    case Owner::kMimalloc:
      return &mi_usable_size != nullptr ? mi_usable_size(block) : 0;
    case Owner::kGlibc:
    case Owner::kNobody:
      break;
  }
  if (!looks_like_glibc(block)) return 0;
  // As glibc's musable(): a chunk in use may also use the first word of the next one, except in a
  // mapping of its own, which has no next one.
  const size_t word = chunk_word(block);
  const size_t size = word & ~kChunkFlags;
  return (word & kChunkMmapped) != 0 ? size - kChunkHeader : size - sizeof(size_t);
}

}  // namespace hms::entry
