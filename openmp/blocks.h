// What is known about each block of an allocator that a program made: its record.
//
// The predefined allocators hand out plain blocks; address -> placement says all that is worth
// knowing of them. So do, for the sizes of thread caches, allocators of a program whose traits ask
// for nothing that must be known again when only the address is given. All other blocks carry a
// Record at the end of their usable bytes, in windows that no plain block shares
// (Placement::family), so that an address tells whether there is one. The record finds the
// allocator again when only the address is given (omp_free, omp_realloc), gives back what was
// charged to its pool, and links the block into a list, so that omp_destroy_allocator can free what
// is left. A check word, made of the address, the contents and a number of this process, tells a
// record from whatever else may lie there: freeing a block twice, or an address inside one, is
// noticed.
//
// Blocks that are mappings of their own (partitions that a window cannot have) keep their records
// in a table.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "allocator/allocator.h"
#include "allocator/guard.h"
#include "allocator/region.h"
#include "allocator/size_classes.h"

namespace hms::omp {

struct Allocator;
struct Group;
struct RecordList;

// Placement::family of blocks with records, and of plain ones whose allocator gives null when its
// strict space has no room (all others fall back on default memory).
inline constexpr unsigned kRecordFamily = alloc::kGuardedFamily;
inline constexpr unsigned kNullFamily = 2;
inline constexpr unsigned kSpread = 16;  // lists of a group that threads meet at

struct Record {
  Record* next;
  Record* previous;
  void* block;
  size_t size;  // as asked for
  RecordList* list;
  uint64_t check;
};
static_assert(sizeof(Record) == 48);

// A list of records and its lock. Held for a few instructions, never across a call. Each on a cache
// line of its own: what one thread locks should not slow down another one's.
//
// The first thread that uses a list owns it, and enters it by a plain store and a plain load: no
// locked instruction. Any other thread takes `busy`, and the list away from its owner for good: it
// says so in `owner`, lets the kernel fence all threads (membarrier(2)), and waits until the owner
// is not inside. Either the owner has seen that by then, or it is seen inside. Where the kernel
// offers no such fence, lists have no owners.
struct alignas(64) RecordList {
  static constexpr uint64_t kNobody = UINT64_MAX - 1;
  static constexpr uint64_t kEverybody = UINT64_MAX;

  std::atomic<uint32_t> busy{0};
  std::atomic<uint32_t> inside{0};       // the owner is
  std::atomic<uint64_t> owner{kNobody};  // number of a thread
  Record* head = nullptr;
  Group* group = nullptr;
  uint64_t credit = 0;  // bytes of Group::used that freed blocks left here for the next ones

  // The owner's way. False: not the owner; take the other one.
  bool enter(uint64_t thread) {
    if (owner.load(std::memory_order_relaxed) != thread) return false;
    inside.store(1, std::memory_order_relaxed);
    std::atomic_signal_fence(std::memory_order_seq_cst);  // the processor's fence is the taker's
    if (__builtin_expect(owner.load(std::memory_order_acquire) == thread, 1)) return true;
    leave();
    return false;
  }
  void leave() { inside.store(0, std::memory_order_release); }

  bool try_busy() { return busy.exchange(1, std::memory_order_acquire) == 0; }
  // Everybody's way; the owner may go it, too, and keeps the list.
  void lock();
  void unlock() { busy.store(0, std::memory_order_release); }
  // For a list without an owner; false if it has one, or is to have none.
  bool claim(uint64_t thread);

 private:
  void take_from_owner();
};

// Before the first allocator with records: settles process_number, and whether lists have owners.
void prepare_records();

// The threads that share one pool: all, a contention group, a team, or one thread.
struct Group {
  Allocator* owner = nullptr;
  uint64_t key = 0;
  std::atomic<uint64_t> used{0};  // bytes charged and credits, if the pool has a limit
  RecordList first;
  std::atomic<RecordList*> spread{nullptr};  // kSpread lists, once threads met at `first`
  Group* next = nullptr;                     // in its bucket of the allocator's groups

  // False, and nothing charged, if that would pass the pool_size of the allocator. Pools without a
  // limit are not counted: threads would share the counter for nothing.
  bool charge(uint64_t bytes);
  void uncharge(uint64_t bytes);
  // Bytes of live blocks at one moment.
  uint64_t in_use();

  // All lists. What lock_all() returns is for unlock_all(): more lists may come meanwhile.
  RecordList* lock_all();
  void unlock_all(RecordList* lists);

 private:
  bool try_charge(uint64_t bytes);
  bool gather_and_charge(uint64_t bytes);
  template <typename Visit>
  void each_list(RecordList* lists, Visit visit);
};

// alloc::usable_size() of a block in the region.
inline size_t usable_bytes(const void* block) {
  const unsigned size_class = alloc::page_mark(reinterpret_cast<uintptr_t>(block)) - 1;
  return size_class < alloc::kCachedClasses ? alloc::kClassSizes[size_class]
                                            : alloc::usable_size(block);
}

// What a block counts against its pool.
constexpr uint64_t charge_of(size_t size) { return uint64_t{size} + sizeof(Record); }

// Fills in the record at `at` and links it.
void enlist(Record* at, void* block, size_t size, Group* group);
// The same, and charges the block, to the credit of its list if that will do: one lock and nothing
// that other threads use. False: the pool has no room.
bool charge_and_enlist(Record* at, void* block, size_t size, Group* group);
// Takes a live record out of its list, which gets a credit; afterwards it is no record.
void delist(Record* record, uint64_t credit);
// Changes the size in a live record.
void set_size(Record* record, size_t size);

// What the check word of a live record is. Each field changes it, whatever the others are.
extern uint64_t process_number;
inline uint64_t check_of(const Record& r) {
  const uint64_t word = reinterpret_cast<uintptr_t>(r.block) ^ reinterpret_cast<uintptr_t>(r.list);
  // An odd number: never 0, the check of a dead record.
  return ((word * 0x9e3779b97f4a7c15ULL + r.size) ^ process_number) | 1;
}

// Where the record of a block in the region is.
inline Record* record_at(void* block) {
  const uintptr_t end = reinterpret_cast<uintptr_t>(block) + usable_bytes(block);
  return reinterpret_cast<Record*>(end - sizeof(Record));
}

// Into and out of a list that is held.
inline void link(Record* at, void* block, size_t size, RecordList* list) {
  at->block = block;
  at->size = size;
  at->list = list;
  at->previous = nullptr;
  at->next = list->head;
  if (list->head != nullptr) list->head->previous = at;
  list->head = at;
  at->check = check_of(*at);
}
inline void unlink(Record* record) {
  if (record->next != nullptr) record->next->previous = record->previous;
  if (record->previous != nullptr) {
    record->previous->next = record->next;
  } else {
    record->list->head = record->next;
  }
  record->check = 0;
}

// The live record of a block in the region; null if the address is none.
inline Record* record_in_region(const void* block) {
  const size_t usable = usable_bytes(block);
  if (usable < sizeof(Record) || reinterpret_cast<uintptr_t>(block) % alignof(Record) != 0) {
    return nullptr;
  }
  const uintptr_t at = reinterpret_cast<uintptr_t>(block) + usable - sizeof(Record);
  auto* record = reinterpret_cast<Record*>(at);
  if (!alloc::in_region(at) || record->block != block) return nullptr;
  return record->check == check_of(*record) ? record : nullptr;
}

// The live record of a block; null if the address is no block with a record.
Record* record_of(const void* block);

// Blocks that are mappings of their own.
bool map_block(void* block, size_t length, size_t size, Group* group);  // false: no memory
Record* mapped_record(const void* block);
// Forgets the block; its length, 0 if it is none.
size_t unmap_block(const void* block);

// Around fork: the table of mapped blocks, and no group gets more lists.
void lock_blocks();
void unlock_blocks();

}  // namespace hms::omp
