// Records and their lists: see blocks.h.
#include "openmp/blocks.h"

#include <sched.h>
#include <sys/auxv.h>

#include <cstring>
#include <map>
#include <new>

#include "allocator/allocator.h"
#include "allocator/mutex.h"
#include "allocator/region.h"
#include "openmp/allocators.h"
#include "openmp/runtime_link.h"

namespace hms::omp {
namespace {

// Random bytes that the kernel gives each program (AT_RANDOM, getauxval(3)).
uint64_t process_number() {
  static const uint64_t number = [] {
    uint64_t value = 0x5bd1e9955bd1e995ULL;
    const auto* random = reinterpret_cast<const char*>(getauxval(AT_RANDOM));
    if (random != nullptr) memcpy(&value, random + 8, sizeof value);
    return value | 1;
  }();
  return number;
}

uint64_t check_of(const Record& r) {
  uint64_t word = reinterpret_cast<uintptr_t>(&r) ^ process_number();
  word = (word ^ reinterpret_cast<uintptr_t>(r.block)) * 0x9e3779b97f4a7c15ULL;
  word = (word ^ reinterpret_cast<uintptr_t>(r.list)) * 0xbf58476d1ce4e5b9ULL;
  word ^= word >> 31;
  return (word ^ r.size) | 1;  // never 0, the check of a dead record
}

// Held while a group gets its spread lists, so that a fork finds all lists there are.
alloc::Mutex spreading;

// One list for all, until two threads want it at the same time; then one for a few threads each.
// An allocator that was announced as uncontended stays with one.
RecordList* spread_list(Group* group) {
  RecordList* lists = group->spread.load(std::memory_order_acquire);
  if (lists != nullptr) return &lists[this_thread() % kSpread];
  alloc::LockGuard guard(spreading);
  lists = group->spread.load(std::memory_order_acquire);
  if (lists == nullptr) {
    lists = new (std::nothrow) RecordList[kSpread];
    if (lists == nullptr) return &group->first;
    for (unsigned i = 0; i < kSpread; ++i) lists[i].group = group;
    group->spread.store(lists, std::memory_order_release);
  }
  return &lists[this_thread() % kSpread];
}

RecordList* lock_some_list(Group* group) {
  if (group->spread.load(std::memory_order_relaxed) == nullptr) {
    if (group->first.try_lock()) return &group->first;
    if (!group->owner->traits.contended) {
      group->first.lock();
      return &group->first;
    }
  }
  RecordList* list = spread_list(group);
  list->lock();
  return list;
}

// Blocks with mappings of their own are at least a page each and cost several system calls: a map
// under one lock is not what takes time.
struct MappedBlock {
  size_t length;
  Record record;
};
alloc::Mutex mapped_lock;
std::map<uintptr_t, MappedBlock>& mapped_blocks() {
  static auto* const blocks = new std::map<uintptr_t, MappedBlock>;
  return *blocks;
}

}  // namespace

void RecordList::lock() {
  for (unsigned spins = 0; !try_lock(); ++spins) {
    // The holder may have lost its processor.
    if (spins % 64 == 63) sched_yield();
    __builtin_ia32_pause();
  }
}

template <typename Visit>
void Group::each_list(RecordList* lists, Visit visit) {
  visit(first);
  for (unsigned i = 0; lists != nullptr && i < kSpread; ++i) visit(lists[i]);
}

// Whoever else holds a list holds no other, so there is no order to keep but among those who come
// here. The lists may be spread while this waits for the first one.
RecordList* Group::lock_all() {
  for (;;) {
    RecordList* lists = spread.load(std::memory_order_acquire);
    each_list(lists, [](RecordList& list) { list.lock(); });
    if (spread.load(std::memory_order_acquire) == lists) return lists;
    unlock_all(lists);
  }
}

void Group::unlock_all(RecordList* lists) {
  each_list(lists, [](RecordList& list) { list.unlock(); });
}

bool Group::try_charge(uint64_t bytes) {
  const uint64_t limit = owner->traits.pool_size;
  uint64_t now = used.load(std::memory_order_relaxed);
  do {
    if (bytes > limit || now > limit - bytes) return false;
  } while (!used.compare_exchange_weak(now, now + bytes, std::memory_order_relaxed));
  return true;
}

// With all lists held and their credits given back, `used` is what live blocks and requests under
// way have, so that a refusal is no mistake.
bool Group::gather_and_charge(uint64_t bytes) {
  for (;;) {
    RecordList* lists = lock_all();
    uint64_t credit = 0;
    each_list(lists, [&credit](RecordList& list) {
      credit += list.credit;
      list.credit = 0;
    });
    if (credit > 0) used.fetch_sub(credit, std::memory_order_relaxed);
    const bool fits = try_charge(bytes);
    const bool all = spread.load(std::memory_order_acquire) == lists;
    unlock_all(lists);
    if (fits || all) return fits;
  }
}

bool Group::charge(uint64_t bytes) {
  const uint64_t limit = owner->traits.pool_size;
  if (limit == UINT64_MAX) return true;
  if (bytes > limit) return false;
  return try_charge(bytes) || gather_and_charge(bytes);
}

uint64_t Group::in_use() {
  RecordList* lists = lock_all();
  uint64_t credit = 0;
  each_list(lists, [&credit](const RecordList& list) { credit += list.credit; });
  const uint64_t bytes = used.load(std::memory_order_relaxed) - credit;
  unlock_all(lists);
  return bytes;
}

void Group::uncharge(uint64_t bytes) {
  if (owner->traits.pool_size != UINT64_MAX) used.fetch_sub(bytes, std::memory_order_relaxed);
}

namespace {

void link(Record* at, void* block, size_t size, RecordList* list) {
  at->block = block;
  at->size = size;
  at->list = list;
  at->previous = nullptr;
  at->next = list->head;
  if (list->head != nullptr) list->head->previous = at;
  list->head = at;
  at->check = check_of(*at);
}

}  // namespace

void enlist(Record* at, void* block, size_t size, Group* group) {
  RecordList* list = lock_some_list(group);
  link(at, block, size, list);
  list->unlock();
}

bool charge_and_enlist(Record* at, void* block, size_t size, Group* group) {
  const bool counted = group->owner->traits.pool_size != UINT64_MAX;
  const uint64_t charge = counted ? charge_of(size) : 0;
  RecordList* list = lock_some_list(group);
  const bool covered = list->credit >= charge;
  if (covered) {
    list->credit -= charge;
    link(at, block, size, list);
  }
  list->unlock();
  if (covered) return true;
  if (!group->charge(charge)) return false;
  enlist(at, block, size, group);
  return true;
}

void delist(Record* record, uint64_t credit) {
  RecordList* list = record->list;
  list->lock();
  if (record->next != nullptr) record->next->previous = record->previous;
  if (record->previous != nullptr) {
    record->previous->next = record->next;
  } else {
    list->head = record->next;
  }
  record->check = 0;
  list->credit += credit;
  list->unlock();
}

void set_size(Record* record, size_t size) {
  record->size = size;
  record->check = check_of(*record);
}

Record* record_of(const void* block) {
  if (!alloc::in_region(reinterpret_cast<uintptr_t>(block))) return mapped_record(block);
  const size_t usable = usable_bytes(block);
  if (usable < sizeof(Record) || reinterpret_cast<uintptr_t>(block) % alignof(Record) != 0) {
    return nullptr;
  }
  const uintptr_t end = reinterpret_cast<uintptr_t>(block) + usable;
  auto* record = reinterpret_cast<Record*>(end - sizeof(Record));
  if (!alloc::in_region(end - sizeof(Record)) || record->block != block) return nullptr;
  return record->check == check_of(*record) ? record : nullptr;
}

bool map_block(void* block, size_t length, size_t size, Group* group) {
  alloc::LockGuard guard(mapped_lock);
  try {
    MappedBlock& made = mapped_blocks()[reinterpret_cast<uintptr_t>(block)];
    made.length = length;
    enlist(&made.record, block, size, group);
    return true;
  } catch (const std::bad_alloc&) {
    return false;
  }
}

Record* mapped_record(const void* block) {
  alloc::LockGuard guard(mapped_lock);
  auto at = mapped_blocks().find(reinterpret_cast<uintptr_t>(block));
  if (at == mapped_blocks().end() || at->second.record.check == 0) return nullptr;
  return &at->second.record;
}

size_t unmap_block(const void* block) {
  alloc::LockGuard guard(mapped_lock);
  auto at = mapped_blocks().find(reinterpret_cast<uintptr_t>(block));
  if (at == mapped_blocks().end()) return 0;
  const size_t length = at->second.length;
  mapped_blocks().erase(at);
  return length;
}

void lock_blocks() {
  mapped_lock.lock();
  spreading.lock();
}
void unlock_blocks() {
  spreading.unlock();
  mapped_lock.unlock();
}

}  // namespace hms::omp
