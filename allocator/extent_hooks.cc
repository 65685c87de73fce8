// What jemalloc 5.3.0 may assume of each hook (manual, "arena.<i>.extent_hooks"), what we do, and
// why. All hooks run under locks of jemalloc: they never allocate, and take only leaf locks.
#include "allocator/extent_hooks.h"

#include "allocator/region.h"
#include "runtime/support/os.h"

namespace hms::alloc {
namespace {

thread_local bool refused_in_attempt = false;

Leg* leg_of_hooks(extent_hooks_t* hooks) {
  static_assert(offsetof(Arena, hooks) == 0);
  return reinterpret_cast<Arena*>(hooks)->leg;
}

// alloc. jemalloc asks for address space in two ways. Growing what it retains, it passes *commit
// false and commits the parts that it uses one by one: nothing is charged here, and pieces may be
// generous. Directly, it passes *commit true, and the extent must be charged and usable on return.
// Fresh pages of the frontier were never touched, so *zero = true is truthful; claiming it for
// recycled memory is what broke calloc elsewhere. new_addr asks to grow in place: never possible,
// because the space behind an extent is retained already or belongs to someone else.
// After a refusal in the same attempt no more space is handed out: jemalloc would record each
// refused extent as retained and ask for a larger one, leaking address space per failed malloc.
void* hook_alloc(extent_hooks_t* hooks, void* new_addr, size_t size, size_t alignment, bool* zero,
                 bool* commit, unsigned /*arena*/) {
  if (new_addr != nullptr || refused_in_attempt) return nullptr;
  Leg* leg = leg_of_hooks(hooks);
  uintptr_t start = carve(leg, size, alignment);
  if (start == 0) return nullptr;
  if (*commit && !commit_extent(leg, start, size)) {
    uncarve(leg, start, size);
    refused_in_attempt = true;
    return nullptr;
  }
  *zero = true;
  return to_pointer(start);
}

// commit. False is success. The one place where quotas, capacities and the room of nodes count:
// exactly the pages that become usable are charged, before they are.
bool hook_commit(extent_hooks_t* hooks, void* addr, size_t /*size*/, size_t offset, size_t length,
                 unsigned /*arena*/) {
  uintptr_t start = reinterpret_cast<uintptr_t>(addr) + offset;
  if (commit_extent(leg_of_hooks(hooks), start, length)) return false;
  refused_in_attempt = true;
  return true;
}

// decommit. jemalloc will not touch the range before it commits it again, and then takes it to be
// zero if it was told so: MADV_DONTNEED makes both true. Uncharged afterwards, never before: others
// may charge the same bytes at once.
bool hook_decommit(extent_hooks_t* hooks, void* addr, size_t /*size*/, size_t offset, size_t length,
                   unsigned /*arena*/) {
  uintptr_t start = reinterpret_cast<uintptr_t>(addr) + offset;
  return !decommit_extent(leg_of_hooks(hooks), start, length);
}

// purge_forced. The range must read as zeros afterwards and stays committed, hence charged.
// Only reached when decommit failed (locked memory), and then fails as well.
bool hook_purge_forced(extent_hooks_t* /*hooks*/, void* addr, size_t /*size*/, size_t offset,
                       size_t length, unsigned /*arena*/) {
  return os::discard(static_cast<char*>(addr) + offset, length) != 0;
}

// split and merge. False is success. Both are free: the space is one reservation. Extents of one
// arena belong to one leg, so a merge across two neighbouring windows stays within the leg.
bool hook_split(extent_hooks_t* /*hooks*/, void* /*addr*/, size_t /*size*/, size_t /*size_a*/,
                size_t /*size_b*/, bool /*committed*/, unsigned /*arena*/) {
  return false;
}

bool hook_merge(extent_hooks_t* /*hooks*/, void* /*addr_a*/, size_t /*size_a*/, void* /*addr_b*/,
                size_t /*size_b*/, bool /*committed*/, unsigned /*arena*/) {
  return false;
}

// destroy. The arena is going away with what it retains; the address space stays with the window.
void hook_destroy(extent_hooks_t* hooks, void* addr, size_t size, bool committed,
                  unsigned /*arena*/) {
  if (committed) decommit_extent(leg_of_hooks(hooks), reinterpret_cast<uintptr_t>(addr), size);
}

}  // namespace

// dalloc is null on purpose. With a dalloc that succeeds, jemalloc 5.3.0 crashes in
// extent_coalesce <- extent_record <- extent_grow_retained (two threads, 100 x 16 KiB, after some
// rounds in the main thread): an extent is given away while a neighbour is being merged with it.
// 5.3.1 has fixes. Without dalloc jemalloc keeps the address space as retained, goes straight to
// decommit, and never unregisters an extent behind a coalescing thread's back.
// purge_lazy is null too: MADV_FREE leaves pages counted as resident until there is pressure, and
// their content undefined; with it null, decay decommits, which returns memory and quota at once.
const extent_hooks_t kExtentHooks = {
    hook_alloc,        nullptr /* dalloc */, hook_destroy,
    hook_commit,       hook_decommit,        nullptr /* purge_lazy */,
    hook_purge_forced, hook_split,           hook_merge,
};

void begin_attempt() { refused_in_attempt = false; }
bool attempt_refused() { return refused_in_attempt; }

}  // namespace hms::alloc
