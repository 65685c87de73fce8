// The ways of a block: see memory.h.
#include "openmp/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <mutex>
#include <set>

#include "openmp/defaults.h"
#include "openmp/fork.h"
#include "openmp/mapping.h"
#include "openmp/partitioner.h"
#include "runtime/support/log.h"
#include "runtime/support/os.h"
#include "runtime/support/os_pin.h"

namespace hms::omp {

// Constant-initialized: runtimes call before constructors ran.
PlainTable plain_table = {{0}, {{kNoHandle}}};

namespace {

constexpr int kMaxChain = 64;  // of fallback allocators

size_t to_pages(size_t bytes) { return (bytes + os::kPageSize - 1) & ~(os::kPageSize - 1); }

// Zeroed blocks that are fresh from the kernel are not written a second time where the allocator
// can tell: large ones of ordinary alignment.
void* take(size_t bytes, size_t alignment, const Wish& wish, alloc::PlacementId placement) {
  if (!wish.zero) {
    return alignment <= kMallocAlignment ? alloc::allocate_placed(bytes, placement)
                                         : alloc::allocate_aligned(alignment, bytes, placement);
  }
  if (bytes > alloc::kMaxCachedSize && alignment <= os::kPageSize) {
    return alloc::allocate_zeroed(bytes, placement);
  }
  void* block = alloc::allocate_aligned(alignment, bytes, placement);
  return block == nullptr ? nullptr : memset(block, 0, wish.size);
}

bool stands_for(Handle h, const Allocator& a) {
  return h == kNullAllocator ? default_is_standing() : find_allocator(h) == &a;
}

// For the next allocate_fast(). Entries come and go without a lock: one that was written while its
// allocator was destroyed, or a default set, is taken back by the one or the other.
void remember_handle(Handle h, const Allocator& a) {
  if (a.plain == nullptr || a.plain->by_node || !stands_for(h, a)) return;
  if (a.handle == kDefaultAlloc && a.plain->placement == alloc::kDefaultPlacement) {
    const bool both = default_is_standing() && environment_allocator() == kDefaultAlloc;
    if (both) plain_table.default_memory.store(kDefaultAlloc + 1);
    if (both && !default_is_standing()) plain_table.default_memory.store(0);
  }
  std::atomic<uint64_t>& cell = known_handle(h);
  const uint64_t entry = h << kPlacementBits | a.plain->placement;
  if (cell.load(std::memory_order_relaxed) == entry) return;
  cell.store(entry);
  if (!stands_for(h, a)) forget_handle(h);
}

void* take_plain(Allocator* a, const Wish& wish) {
  alloc::PlacementId placement;
  if (!a->plain->placement_now(&placement)) return nullptr;
  return take(wish.size, std::max(wish.alignment, kMallocAlignment), wish, placement);
}

// A block in a window, with its record behind it. Pinned blocks have their pages to themselves,
// because munlock(2) knows pages only.
void* take_recorded(Allocator* a, const Wish& wish, size_t alignment, Group* group) {
  alloc::PlacementId placement;
  if (!a->layout->placement_now(&placement)) return nullptr;
  size_t bytes = wish.size + sizeof(Record);
  if (a->traits.pinned) {
    bytes = to_pages(bytes);
    alignment = std::max(alignment, os::kPageSize);
  }
  void* block = take(bytes, alignment, wish, placement);
  if (block == nullptr) return nullptr;
  if (a->traits.pinned && os::lock_pages(block, bytes) != 0) {
    alloc::deallocate(block);
    return nullptr;
  }
  enlist(record_at(block), block, wish.size, group);
  return block;
}

// Blocks of thread caches are charged after they are taken and credited before they are given back,
// with their list: no memory moves. Larger ones are charged before and credited after.
bool cached(const Allocator& a, size_t size) {
  return charge_of(size) <= alloc::kMaxCachedSize && !a.traits.pinned && !a.layout->maps(size);
}

void* take_cached(Allocator* a, const Wish& wish, size_t alignment, Group* group) {
  alloc::PlacementId placement;
  if (!a->layout->placement_now(&placement)) return nullptr;
  void* block = take(charge_of(wish.size), alignment, wish, placement);
  if (block == nullptr || charge_and_enlist(record_at(block), block, wish.size, group))
    return block;
  alloc::deallocate(block);
  return nullptr;
}

std::vector<Part> parts_for(const Allocator& a, size_t size) {
  const Space& space = *a.space;
  switch (a.layout->partition) {
    case Partition::kPartitioner:
      return ask_partitioner(a.traits.partitioner, a.handle, space, size, a.traits.partitioner_arg);
    case Partition::kBlocked:
      return blocked_parts(size, space.resources.size());
    default:
      return interleaved_parts(size, a.layout->part_size, space.resources.size());
  }
}

void* take_mapped(Allocator* a, const Wish& wish, size_t alignment, Group* group) {
  size_t length = 0;
  void* block = map_parts(*a->space, parts_for(*a, wish.size), alignment, &length);
  if (block == nullptr) return nullptr;
  const bool pinned = !a->traits.pinned || os::lock_pages(block, length) == 0;
  if (pinned && map_block(block, length, wish.size, group)) return block;
  release_parts(block, length);
  return nullptr;
}

// From this allocator, without its fallback.
void* take_from(Allocator* a, const Wish& wish, Caller caller) {
  if (wish.size > PTRDIFF_MAX - os::kPageSize) return nullptr;
  if (wish.size <= a->plain_limit) return take_plain(a, wish);
  const size_t alignment = std::max({wish.alignment, a->traits.alignment, kMallocAlignment});
  if (alignment > alloc::kMaxAlignment) return nullptr;
  Group* group = group_of_thread(a, static_cast<int>(flavour_of(caller)));
  if (group == nullptr) return nullptr;
  if (cached(*a, wish.size)) return take_cached(a, wish, alignment, group);
  const uint64_t charge = charge_of(wish.size);
  if (!group->charge(charge)) return nullptr;
  void* block = a->layout->maps(wish.size) ? take_mapped(a, wish, alignment, group)
                                           : take_recorded(a, wish, alignment, group);
  if (block == nullptr) group->uncharge(charge);
  return block;
}

// libgomp's words, which programs' tests know; libomp fails an assertion instead.
[[noreturn]] void out_of_memory(size_t size, Caller caller) {
  char text[160];
  const int length =
      snprintf(text, sizeof text, "%s: Out of memory allocating %zu bytes\n",
               flavour_of(caller) == Flavour::kGcc ? "\nlibgomp" : "libhms: OpenMP", size);
  os::write_all(2, text, static_cast<size_t>(length));
  exit(EXIT_FAILURE);  // NOLINT(concurrency-mt-unsafe): the end that the standard asks for
}

// Follows the fallback traits: 5.2 section 6.2, table 6.2.
void* take_with_fallback(Allocator* a, const Wish& wish, Caller caller) {
  for (int i = 0; i < kMaxChain && a != nullptr; ++i) {
    void* block = take_from(a, wish, caller);
    if (block != nullptr) return block;
    switch (a->traits.fallback) {
      case Fallback::kDefaultMem:
        return a->handle == kDefaultAlloc ? nullptr
                                          : take_from(find_allocator(kDefaultAlloc), wish, caller);
      case Fallback::kNull:
        return nullptr;
      case Fallback::kAbort:
        out_of_memory(wish.size, caller);
      case Fallback::kAllocator:
        a = find_allocator(a->traits.fb_data);
        if (a == nullptr) complain("fb_data", "the allocator of a trait fb_data was destroyed");
    }
  }
  return nullptr;
}

Allocator* allocator_for(Handle h, Caller caller) {
  const Handle wanted = h == kNullAllocator ? get_default(flavour_of(caller)) : h;
  Allocator* a = wanted == kNullAllocator ? nullptr : find_allocator(wanted);
  if (a == nullptr) {
    complain("handle", "an allocation names the allocator " + std::to_string(wanted) +
                           ", which does not exist (destroyed, or never made by "
                           "omp_init_allocator)");
  }
  return a;
}

bool power_of_two(size_t v) { return v != 0 && (v & (v - 1)) == 0; }

// Same allocator, same class of size: the record is rewritten where it stands.
void* resize_here(Record* record, size_t size) {
  Group* group = record->list->group;
  void* block = record->block;
  if (!alloc::owns(block) || group->owner->traits.pinned) return nullptr;
  const size_t usable = alloc::usable_size(block);
  const size_t needed = size + sizeof(Record);
  if (needed > usable || needed < usable / 2) return nullptr;
  const size_t old_size = record->size;
  if (size > old_size && !group->charge(size - old_size)) return nullptr;
  if (size < old_size) group->uncharge(old_size - size);
  set_size(record, size);
  return block;
}

// Gives the memory of a recorded block back; what it was charged, but for the credit to its list,
// stays charged.
void drop(Record* record, uint64_t credit) {
  void* block = record->block;
  const bool in_window = alloc::owns(block);
  if (in_window && record->list->group->owner->traits.pinned) {
    os::unlock_pages(block, to_pages(charge_of(record->size)));
  }
  delist(record, credit);
  if (in_window) {
    alloc::deallocate_owned(block);
  } else {
    release_parts(block, unmap_block(block));
  }
}

// To a new block of the same allocator. Only the difference counts against the pool: the old block
// goes as the new one comes.
void* move_within(Record* record, size_t size, Caller caller) {
  Group* group = record->list->group;
  Allocator* a = group->owner;
  if (group_of_thread(a, static_cast<int>(flavour_of(caller))) != group) return nullptr;
  const size_t old_size = record->size;
  const size_t growth = size > old_size ? size - old_size : 0;
  if (growth > 0 && !group->charge(growth)) return nullptr;
  const size_t alignment = std::max(a->traits.alignment, kMallocAlignment);
  const Wish wish = {size, alignment, false};
  void* block = a->layout->maps(size) ? take_mapped(a, wish, alignment, group)
                                      : take_recorded(a, wish, alignment, group);
  if (block == nullptr) {
    group->uncharge(growth);
    return nullptr;
  }
  memcpy(block, record->block, std::min(size, old_size));
  drop(record, 0);
  if (size < old_size) group->uncharge(old_size - size);
  return block;
}

void* copy_to_new(void* block, size_t old_size, const Wish& wish, Allocator* a, Caller caller) {
  void* fresh = take_with_fallback(a, wish, caller);
  if (fresh == nullptr) return nullptr;
  memcpy(fresh, block, std::min(old_size, wish.size));
  release(block, kNullAllocator);
  return fresh;
}

void* fail(void* result, size_t size, Caller caller) {
  if (result == nullptr && size > 0 && is_directive(caller)) out_of_memory(size, caller);
  return result;
}

void* reallocate_recorded(Record* record, size_t size, Handle h, Caller caller) {
  Allocator* owner = record->list->group->owner;
  Allocator* a = h == kNullAllocator ? owner : allocator_for(h, caller);
  if (a == nullptr) return nullptr;
  if (a == owner && size <= PTRDIFF_MAX - os::kPageSize) {
    void* block = resize_here(record, size);
    if (block == nullptr) block = move_within(record, size, caller);
    if (block != nullptr) return block;
  }
  return copy_to_new(record->block, record->size, {size, 1, false}, a, caller);
}

bool null_fallback(const void* block) {
  return alloc::placement_info(alloc::placement_of(block))->family == kNullFamily;
}

// The owner of a plain block is an allocator of its placement; which one of several makes no
// difference, as their fallback is the same.
void* reallocate_plain(void* block, size_t size, Handle h, Caller caller) {
  const size_t usable = alloc::usable_size(block);
  if (usable == 0) {
    complain("realloc", "omp_realloc of an address that is no block");
    return nullptr;
  }
  if (size > PTRDIFF_MAX - os::kPageSize) return fail(nullptr, size, caller);
  if (h == kNullAllocator) {
    void* moved = alloc::reallocate(block, size, alloc::placement_of(block));
    if (moved != nullptr || null_fallback(block)) return moved;
    return copy_to_new(block, usable, {size, 1, false}, find_allocator(kDefaultAlloc), caller);
  }
  Allocator* a = allocator_for(h, caller);
  if (a == nullptr) return nullptr;
  alloc::PlacementId placement;
  if (size <= a->plain_limit && a->plain->placement_now(&placement)) {
    void* moved = alloc::reallocate(block, size, placement);
    if (moved != nullptr) return moved;
  }
  return copy_to_new(block, usable, {size, 1, false}, a, caller);
}

bool plain(const void* block) {
  return alloc::owns(block) && !alloc::region.guarded[alloc::placement_of(block)];
}

void release_by_free(void* block) {
  log_once(LogLevel::kWarning, "free of an OpenMP block",
           "free(%p): the block is from an OpenMP allocator; it is freed as omp_free does", block);
  release(block, kNullAllocator);
}

void* reallocate_by_realloc(void* block, size_t size) {
  return reallocate(block, size, kNullAllocator, kNullAllocator, Caller::kAny);
}

size_t usable_beside_record(const void* block) {
  const Record* record = record_of(block);
  if (record == nullptr) return 0;
  return alloc::owns(block) ? alloc::usable_size(block) - sizeof(Record) : to_pages(record->size);
}

bool has_mapping(const void* block) { return mapped_record(block) != nullptr; }

}  // namespace

const alloc::Guard record_guard = {release_by_free, reallocate_by_realloc, usable_beside_record,
                                   has_mapping};

void complain(const char* kind, const std::string& what) {
  static auto* const said = new std::set<std::string>;
  {
    std::lock_guard<std::recursive_mutex> guard(table_lock());
    if (!said->insert(kind).second) return;
  }
  log(LogLevel::kError, "%s", what.c_str());
}

// Tables may need memory, too; a program without exceptions must not meet one.
void* allocate(Handle h, const Wish& wish, Caller caller) try {
  if (wish.size == 0) return nullptr;
  if (!power_of_two(wish.alignment) || wish.alignment > alloc::kMaxAlignment) {
    complain("alignment", "an aligned allocation asks for alignment " +
                              std::to_string(wish.alignment) +
                              "; it must be a power of two, at most 1 GiB");
    return fail(nullptr, wish.size, caller);
  }
  Allocator* a = allocator_for(h, caller);
  if (a != nullptr) remember_handle(h, *a);
  void* block = a == nullptr ? nullptr : take_with_fallback(a, wish, caller);
  return fail(block, wish.size, caller);
} catch (const std::exception&) {
  return fail(nullptr, wish.size, caller);
}

// Where the layout depends on the thread's node, its cache may have a block of the right placement.
void* allocate_unknown(size_t size, Handle h, size_t alignment, Caller caller) try {
  const Allocator* a = h == kNullAllocator ? nullptr : find_allocator(h);
  const size_t room = alloc::naturally_aligned(alignment, size);
  const bool short_way = a != nullptr && a->plain != nullptr && a->plain->by_node;
  if (short_way && room <= alloc::kMaxCachedSize && power_of_two(alignment)) {
    alloc::PlacementId placement;
    void* block =
        a->plain->placement_now(&placement) ? alloc::allocate_placed(room, placement) : nullptr;
    if (block != nullptr) return block;
  }
  return allocate(h, {size, alignment, false}, caller);
} catch (const std::exception&) {
  return fail(nullptr, size, caller);
}

void* allocate_zeroed_missed(Handle h, size_t size, size_t alignment, Caller caller) {
  return allocate(h, {size, alignment, true}, caller);
}

void forget_handle(Handle h) {
  if (h == kNullAllocator) plain_table.default_memory.store(0);
  std::atomic<uint64_t>& cell = known_handle(h);
  uint64_t entry = cell.load();
  if (entry >> kPlacementBits == h) cell.compare_exchange_strong(entry, kNoHandle);
}

void* reallocate(void* block, size_t size, Handle h, Handle free_h, Caller caller) try {
  if (block == nullptr) return allocate(h, {size, 1, false}, caller);
  if (size == 0) {
    release(block, free_h);
    return nullptr;
  }
  if (plain(block)) return reallocate_plain(block, size, h, caller);
  Record* record = record_of(block);
  if (record != nullptr) return reallocate_recorded(record, size, h, caller);
  complain("realloc", "omp_realloc of an address that is no block of an OpenMP allocator");
  return nullptr;
} catch (const std::exception&) {
  return nullptr;
}

void free_recorded(Record* record) {
  Group* group = record->list->group;
  const uint64_t charge = charge_of(record->size);
  const Allocator& a = *group->owner;
  if (cached(a, record->size)) {
    return drop(record, a.traits.pool_size == UINT64_MAX ? 0 : charge);
  }
  drop(record, 0);
  group->uncharge(charge);
}

void release(void* block, Handle h) {
  if (block == nullptr) return;
  if (plain(block)) return alloc::deallocate(block);
  if (h != kNullAllocator && find_allocator(h) == nullptr) {
    complain("free handle", "omp_free names the allocator " + std::to_string(h) +
                                ", which does not exist; the block goes to its owner");
  }
  Record* record = record_of(block);
  if (record != nullptr) return free_recorded(record);
  complain("free",
           "omp_free of an address that is no block (freed already, freed with its allocator, "
           "or not from an OpenMP allocator); nothing is freed");
}

}  // namespace hms::omp
