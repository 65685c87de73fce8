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
#include "allocator/region.h"
#include "allocator/size_classes.h"

namespace hms::omp {

struct Allocator;
struct Group;
struct RecordList;

// Placement::family of blocks with records, and of plain ones whose allocator gives null when its
// strict space has no room (all others fall back on default memory).
inline constexpr unsigned kRecordFamily = 1;
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

// A list of records under a lock of one word. Held for a few instructions, never across a call.
// Each on a cache line of its own: what one thread locks should not slow down another one's.
struct alignas(64) RecordList {
  std::atomic<uint32_t> busy{0};
  Record* head = nullptr;
  Group* group = nullptr;
  uint64_t credit = 0;  // bytes of Group::used that freed blocks left here for the next ones

  bool try_lock() { return busy.exchange(1, std::memory_order_acquire) == 0; }
  void lock();
  void unlock() { busy.store(0, std::memory_order_release); }
};

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
