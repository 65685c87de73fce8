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
#include "runtime/support/os_fence.h"

namespace hms::omp {
namespace {

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

// A list of the group that is held, and how.
struct Held {
  RecordList* list;
  bool entered;
  void release() const { entered ? list->leave() : list->unlock(); }
};

bool enter_or_claim(RecordList* list, uint64_t thread) {
  return list->enter(thread) || (list->claim(thread) && list->enter(thread));
}

// The first list is shared only where it has no owner, or where the allocator was announced as
// uncontended.
Held hold_any_list(Group* group, uint64_t thread) {
  if (group->spread.load(std::memory_order_acquire) == nullptr) {
    RecordList* first = &group->first;
    if (enter_or_claim(first, thread)) return {first, true};
    if (!group->owner->traits.contended) {
      first->lock();
      return {first, false};
    }
    const uint64_t owner = first->owner.load(std::memory_order_acquire);
    const bool owned = owner != RecordList::kNobody && owner != RecordList::kEverybody;
    if (!owned && first->try_busy()) return {first, false};
  }
  RecordList* list = spread_list(group);
  if (enter_or_claim(list, thread)) return {list, true};
  list->lock();
  return {list, false};
}

inline Held hold_some_list(Group* group) {
  const uint64_t thread = this_thread();
  RecordList* lists = group->spread.load(std::memory_order_acquire);
  RecordList* mine = lists == nullptr ? &group->first : &lists[thread % kSpread];
  if (__builtin_expect(mine->enter(thread), 1)) return {mine, true};
  return hold_any_list(group, thread);
}

// Blocks with mappings of their own are at least a page each and cost several system calls: a map
// under one lock is not what takes time.
struct MappedBlock {
  size_t length;
  Record record;
};
alloc::Mutex mapped_lock;
std::atomic<size_t> mapped_count{0};  // so that a process without such blocks takes no lock
// By this thread, around a fork, too. Its own free() and that of fork handlers then ask nothing.
__thread bool holds_mapped = false;
void hold_mapped() {
  mapped_lock.lock();
  holds_mapped = true;
}
void let_mapped_go() {
  holds_mapped = false;
  mapped_lock.unlock();
}
class MappedGuard {
 public:
  MappedGuard() { hold_mapped(); }
  ~MappedGuard() { let_mapped_go(); }
  MappedGuard(const MappedGuard&) = delete;
  MappedGuard& operator=(const MappedGuard&) = delete;
};
std::map<uintptr_t, MappedBlock>& mapped_blocks() {
  static auto* const blocks = new std::map<uintptr_t, MappedBlock>;
  return *blocks;
}

std::atomic<bool> owners_possible{false};

// The holder may have lost its processor.
void pause_in_turn(unsigned spins) {
  if (spins % 64 == 63) sched_yield();
  __builtin_ia32_pause();
}

// Random bytes that the kernel gives each program (AT_RANDOM, getauxval(3)).
uint64_t random_number() {
  uint64_t value = 0x5bd1e9955bd1e995ULL;
  const auto* random = reinterpret_cast<const char*>(getauxval(AT_RANDOM));
  if (random != nullptr) memcpy(&value, random + 8, sizeof value);
  return value | 1;
}

}  // namespace

uint64_t process_number = 0;

void prepare_records() {
  static const bool prepared = [] {
    process_number = random_number();
    owners_possible.store(os::register_fences() == 0, std::memory_order_relaxed);
    return true;
  }();
  static_cast<void>(prepared);
}

bool RecordList::claim(uint64_t thread) {
  if (owner.load(std::memory_order_relaxed) != kNobody) return false;
  // Under the lock: who came the other way must not meet an owner.
  if (!owners_possible.load(std::memory_order_relaxed) || !try_busy()) return false;
  const bool free = owner.load(std::memory_order_relaxed) == kNobody;
  if (free) owner.store(thread, std::memory_order_relaxed);
  unlock();
  return free;
}

void RecordList::take_from_owner() {
  owner.store(kEverybody, std::memory_order_release);
  os::fence_threads();
  for (unsigned spins = 0; inside.load(std::memory_order_acquire) != 0; ++spins) {
    pause_in_turn(spins);
  }
}

void RecordList::lock() {
  for (unsigned spins = 0; !try_busy(); ++spins) pause_in_turn(spins);
  const uint64_t thread = owner.load(std::memory_order_acquire);
  if (thread != kNobody && thread != kEverybody && thread != this_thread()) take_from_owner();
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

void enlist(Record* at, void* block, size_t size, Group* group) {
  const Held held = hold_some_list(group);
  link(at, block, size, held.list);
  held.release();
}

bool charge_and_enlist(Record* at, void* block, size_t size, Group* group) {
  const bool counted = group->owner->traits.pool_size != UINT64_MAX;
  const uint64_t charge = counted ? charge_of(size) : 0;
  const Held held = hold_some_list(group);
  const bool covered = held.list->credit >= charge;
  if (covered) {
    held.list->credit -= charge;
    link(at, block, size, held.list);
  }
  held.release();
  if (__builtin_expect(covered, 1)) return true;
  if (!group->charge(charge)) return false;
  enlist(at, block, size, group);
  return true;
}

void delist(Record* record, uint64_t credit) {
  RecordList* list = record->list;
  const Held held = {list, list->enter(this_thread())};
  if (!held.entered) list->lock();
  unlink(record);
  list->credit += credit;
  held.release();
}

void set_size(Record* record, size_t size) {
  record->size = size;
  record->check = check_of(*record);
}

Record* record_of(const void* block) {
  const bool in_region = alloc::in_region(reinterpret_cast<uintptr_t>(block));
  return in_region ? record_in_region(block) : mapped_record(block);
}

bool map_block(void* block, size_t length, size_t size, Group* group) {
  const MappedGuard guard;
  try {
    MappedBlock& made = mapped_blocks()[reinterpret_cast<uintptr_t>(block)];
    mapped_count.store(mapped_blocks().size(), std::memory_order_relaxed);
    made.length = length;
    enlist(&made.record, block, size, group);
    return true;
  } catch (const std::bad_alloc&) {
    return false;
  }
}

// free() asks for every address that it does not know: nodes of this very table, if another
// allocator comes before ours.
Record* mapped_record(const void* block) {
  if (mapped_count.load(std::memory_order_relaxed) == 0 || holds_mapped) return nullptr;
  const MappedGuard guard;
  auto at = mapped_blocks().find(reinterpret_cast<uintptr_t>(block));
  if (at == mapped_blocks().end() || at->second.record.check == 0) return nullptr;
  return &at->second.record;
}

size_t unmap_block(const void* block) {
  const MappedGuard guard;
  auto at = mapped_blocks().find(reinterpret_cast<uintptr_t>(block));
  if (at == mapped_blocks().end()) return 0;
  const size_t length = at->second.length;
  mapped_blocks().erase(at);
  mapped_count.store(mapped_blocks().size(), std::memory_order_relaxed);
  return length;
}

void lock_blocks() {
  hold_mapped();
  spreading.lock();
}
void unlock_blocks() {
  spreading.unlock();
  let_mapped_go();
}

}  // namespace hms::omp
