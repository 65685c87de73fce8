// The short ways of blocks that are not plain, and of layouts that depend on the thread's node:
// what follows when the hit paths of memory.h do not apply. What they cannot do, or find wrong, is
// left to the long ones.
#include "openmp/memory.h"
#include "openmp/runtime_link.h"
#include "openmp/slots.h"

namespace hms::omp {
namespace {

// The list of this thread, if it owns that and is inside now; else null.
inline RecordList* enter_own_list(Group* group) {
  const uint64_t thread = known_thread_number;
  RecordList* lists = group->spread.load(std::memory_order_acquire);
  RecordList* list = lists == nullptr ? &group->first : &lists[thread % kSpread];
  return list->enter(thread) ? list : nullptr;
}

// A block with a record, from this thread's cache and to the credit of its own list.
inline void* take_recorded_hit(Allocator* a, size_t size) {
  const uint64_t bytes = charge_of(size);
  if (bytes > alloc::kMaxCachedSize) return nullptr;
  RecordList* list = enter_own_list(&a->everyone);
  if (__builtin_expect(list == nullptr, 0)) return nullptr;
  const uint64_t charge = bytes & a->counted;
  void* block = nullptr;
  if (__builtin_expect(list->credit >= charge, 1)) {
    block = alloc::allocate_placed_or(bytes, a->layout->placement, [] { return nullptr; });
    if (__builtin_expect(block != nullptr, 1)) {
      list->credit -= charge;
      link(record_at(block), block, size, list);
    }
  }
  list->leave();
  return block;
}

inline bool give_recorded_hit(void* block, Handle h) {
  const uintptr_t offset = reinterpret_cast<uintptr_t>(block) - alloc::region.base;
  if (offset >= alloc::region.bytes) return false;
  if (alloc::region.free_to[offset >> alloc::region.window_shift] != alloc::kNoCache) return false;
  Record* record = record_in_region(block);
  if (__builtin_expect(record == nullptr, 0)) return false;
  RecordList* list = record->list;
  const Allocator& a = *list->group->owner;
  const uint64_t bytes = charge_of(record->size);
  const bool known = h == a.handle || h == kNullAllocator;
  if (!known || !a.simple || bytes > alloc::kMaxCachedSize) return false;
  if (__builtin_expect(!list->enter(known_thread_number), 0)) return false;
  unlink(record);
  list->credit += bytes & a.counted;
  list->leave();
  alloc::deallocate_owned(block);
  return true;
}

}  // namespace

void* allocate_missed(size_t size, Handle h, size_t alignment, Caller caller) {
  const bool ordinary = alignment - 1 < kMallocAlignment && (alignment & (alignment - 1)) == 0;
  const Slot* slot = ordinary && size - 1 < alloc::kMaxCachedSize ? slot_of(h) : nullptr;
  if (slot != nullptr) {
    Allocator* a = slot->allocator;
    void* block = a->simple ? take_recorded_hit(a, size) : nullptr;
    if (__builtin_expect(block != nullptr, 1)) return block;
  }
  return allocate_unknown(size, h, alignment, caller);
}

void release_missed(void* block, Handle h) {
  if (__builtin_expect(!give_recorded_hit(block, h), 0)) release(block, h);
}

}  // namespace hms::omp
