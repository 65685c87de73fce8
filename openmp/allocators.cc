// The table of allocators: see allocators.h.
#include "openmp/allocators.h"

#include <deque>
#include <memory>
#include <mutex>
#include <new>

#include "allocator/size_classes.h"
#include "openmp/fork.h"
#include "openmp/memory.h"
#include "openmp/partitioner.h"
#include "openmp/runtime_link.h"
#include "openmp/slots.h"
#include "runtime/support/log.h"

namespace hms::omp {

std::atomic<Slot*> slot_chunks[kChunks];

namespace {

// So that the first few hundred handles and the predefined ones differ in their low bits.
constexpr size_t kFirstPlace = 16;
constexpr size_t kMaxPlaces = kChunk * kChunks - 1;  // the last handle is kSetToDefault's
// Free places wait in a line of at least this length, so that a handle means something else only
// after a million more allocators.
constexpr size_t kWaiting = 1024;

std::atomic<Allocator*> predefined[kPredefinedAllocators];
std::atomic<Allocator*> gnu_pinned;

struct FreePlaces {
  std::deque<size_t> places;
  size_t used = kFirstPlace;
};
FreePlaces& free_places() {
  static auto* const all = new FreePlaces;
  return *all;
}

// Place of a new allocator, from the free ones or a new one; -1 when a million are in use.
ptrdiff_t take_place() {
  FreePlaces& f = free_places();
  const bool full = f.used == kMaxPlaces;
  if (f.places.size() > (full ? 0 : kWaiting)) {
    const size_t place = f.places.front();
    f.places.pop_front();
    return static_cast<ptrdiff_t>(place);
  }
  if (full) return -1;
  const size_t place = f.used++;
  if (slot_chunks[place / kChunk].load(std::memory_order_relaxed) == nullptr) {
    auto* slots = new Slot[kChunk];
    const size_t first = place - place % kChunk;
    for (size_t i = 0; i < kChunk; ++i) slots[i].next_handle = kTag | (first + i);
    slot_chunks[place / kChunk].store(slots, std::memory_order_release);
  }
  return static_cast<ptrdiff_t>(place);
}

struct PredefinedTraits {
  Handle space;
  Access access;
};
// The last three may be of any space (5.2 section 6.2): ours are of the default one.
constexpr PredefinedTraits kPredefined[kPredefinedAllocators] = {
    {kDefaultSpace, Access::kAll},    {kDefaultSpace, Access::kAll},
    {kLargeCapSpace, Access::kAll},   {kConstSpace, Access::kAll},
    {kHighBwSpace, Access::kAll},     {kLowLatSpace, Access::kAll},
    {kDefaultSpace, Access::kCgroup}, {kDefaultSpace, Access::kPteam},
    {kDefaultSpace, Access::kThread}};

// True for traits that omp_free, omp_realloc or omp_destroy_allocator must honour when only the
// address of a block is known, and its placement does not say.
bool needs_records(const Traits& t) {
  const bool own_mappings = t.partition == Partition::kBlocked ||
                            t.partition == Partition::kPartitioner ||
                            (t.partition == Partition::kInterleaved && t.part_size > 0);
  return t.pool_size != UINT64_MAX || t.alignment > kMallocAlignment || t.pinned || own_mappings ||
         t.fallback == Fallback::kAbort || t.fallback == Fallback::kAllocator;
}

unsigned plain_family(const Space& space, const Traits& traits) {
  // Where memory is default memory, there is nothing to fall back on.
  const bool strict = !space.kernel_chosen || traits.partition != Partition::kEnvironment;
  return strict && traits.fallback == Fallback::kNull ? kNullFamily : 0;
}

Status set_layouts(Allocator* a, bool predefined) {
  if (!needs_records(a->traits)) {
    auto plain = layout_for(*a->space, a->traits, plain_family(*a->space, a->traits));
    if (!plain.ok()) return plain.status();
    a->plain = plain.value();
    a->plain_limit = predefined ? SIZE_MAX : alloc::kMaxCachedSize;
    if (predefined) return {};
  }
  prepare_records();
  alloc::set_guard(&record_guard);
  auto recorded = layout_for(*a->space, a->traits, kRecordFamily);
  if (!recorded.ok()) return recorded.status();
  a->layout = recorded.value();
  return {};
}

Result<Allocator*> build(const Space& space, const Traits& traits, bool predefined) {
  auto a = std::make_unique<Allocator>();
  a->space = &space;
  a->traits = traits;
  if (Status s = set_layouts(a.get(), predefined); !s.ok()) return s;
  a->counted = traits.pool_size == UINT64_MAX ? 0 : UINT64_MAX;
  a->everyone.owner = a.get();
  a->everyone.first.group = &a->everyone;
  if (a->layout != nullptr && traits.access != Access::kAll) {
    a->groups = new std::atomic<Group*>[kGroupBuckets] {};
  }
  a->simple = a->plain == nullptr && a->groups == nullptr && a->layout != nullptr &&
              !a->layout->by_node && a->layout->partition == Partition::kEnvironment &&
              !traits.pinned && traits.alignment <= kMallocAlignment;
  return a.release();
}

// A predefined allocator always exists: what its space cannot give comes from the default one.
Allocator* make_predefined(Handle h, std::atomic<Allocator*>* out) {
  std::lock_guard<std::recursive_mutex> guard(table_lock());
  Allocator* a = out->load(std::memory_order_acquire);
  if (a != nullptr) return a;
  const bool pinned = h == kGnuPinnedAlloc;
  const PredefinedTraits& wanted = kPredefined[pinned ? kDefaultAlloc : h];
  Traits traits;
  traits.access = wanted.access;
  traits.pinned = pinned;
  if (pinned || h == kDefaultAlloc) traits.fallback = Fallback::kNull;
  auto made = build(*find_space(wanted.space), traits, true);
  if (!made.ok()) {
    log(LogLevel::kWarning, "omp allocator %u uses default memory: %s", static_cast<unsigned>(h),
        made.status().message().c_str());
    made = build(default_space(), traits, true);
  }
  if (!made.ok()) return nullptr;
  a = made.value();
  a->handle = h;
  a->permanent = true;
  out->store(a, std::memory_order_release);
  return a;
}

void free_blocks(RecordList* list) {
  while (list->head != nullptr) free_recorded(list->head);
}

void free_group(Group* group) {
  free_blocks(&group->first);
  RecordList* spread = group->spread.load(std::memory_order_acquire);
  if (spread == nullptr) return;
  for (unsigned i = 0; i < kSpread; ++i) free_blocks(&spread[i]);
  delete[] spread;
}

void free_object(Allocator* a) {
  free_group(&a->everyone);
  for (unsigned i = 0; a->groups != nullptr && i < kGroupBuckets; ++i) {
    for (Group* g = a->groups[i].load(); g != nullptr;) {
      Group* next = g->next;
      free_group(g);
      delete g;
      g = next;
    }
  }
  delete[] a->groups;
  delete a;
}

Group* find_group(std::atomic<Group*>* bucket, uint64_t key) {
  for (Group* g = bucket->load(std::memory_order_acquire); g != nullptr; g = g->next) {
    if (g->key == key) return g;
  }
  return nullptr;
}

template <typename Visit>
void each_group(Allocator* a, Visit visit) {
  visit(&a->everyone);
  for (unsigned i = 0; a->groups != nullptr && i < kGroupBuckets; ++i) {
    for (Group* g = a->groups[i].load(std::memory_order_acquire); g != nullptr; g = g->next) {
      visit(g);
    }
  }
}

// Under table_lock().
template <typename Visit>
void each_allocator(Visit visit) {
  const auto visit_known = [&visit](const std::atomic<Allocator*>& known) {
    Allocator* a = known.load(std::memory_order_acquire);
    if (a != nullptr) visit(a);
  };
  for (const std::atomic<Allocator*>& known : predefined) visit_known(known);
  visit_known(gnu_pinned);
  for (size_t place = kFirstPlace; place < free_places().used; ++place) {
    const Slot& slot = slot_chunks[place / kChunk].load()[place % kChunk];
    if (slot.handle.load(std::memory_order_acquire) != 0) visit(slot.allocator);
  }
}

uint64_t group_key(Access access, Flavour flavour) {
  switch (access) {
    case Access::kThread:
      return this_thread();
    case Access::kPteam:
      return team_of_thread(flavour);
    default:
      return contention_group_of_thread(flavour);
  }
}

}  // namespace

Allocator* find_allocator(Handle h) {
  std::atomic<Allocator*>* known = h < kPredefinedAllocators ? &predefined[h]
                                   : h == kGnuPinnedAlloc    ? &gnu_pinned
                                                             : nullptr;
  if (known != nullptr) {
    Allocator* a = known->load(std::memory_order_acquire);
    return a != nullptr ? a : make_predefined(h, known);
  }
  Slot* slot = slot_of(h);
  return slot == nullptr ? nullptr : slot->allocator;
}

Result<Allocator*> make_allocator(const Space& space, const Traits& traits, bool permanent) {
  if (traits.fallback == Fallback::kAllocator && find_allocator(traits.fb_data) == nullptr) {
    return Status(HMS_EINVAL, "allocator trait fb_data: " + std::to_string(traits.fb_data) +
                                  " is no allocator of this process");
  }
  if (traits.partition == Partition::kPartitioner && !is_partitioner(traits.partitioner)) {
    return Status(HMS_EINVAL,
                  "allocator trait partitioner: not initialized by omp_init_mempartitioner");
  }
  auto made = build(space, traits, false);
  if (!made.ok()) return made;
  Allocator* a = made.value();
  a->permanent = permanent;
  std::lock_guard<std::recursive_mutex> guard(table_lock());
  const ptrdiff_t place = take_place();
  if (place < 0) {
    free_object(a);
    return Status(HMS_ENOMEM, "a million allocators exist; destroy some");
  }
  Slot* slot =
      &slot_chunks[static_cast<size_t>(place) / kChunk].load()[static_cast<size_t>(place) % kChunk];
  a->handle = slot->next_handle;
  slot->allocator = a;
  slot->handle.store(a->handle, std::memory_order_release);
  return a;
}

Status destroy_allocator(Handle h) {
  if (h < kMaxPredefinedHandle) {
    return {HMS_EINVAL, "omp_destroy_allocator: " + std::to_string(h) +
                            " is a predefined allocator, which lives as long as the program"};
  }
  Allocator* a = nullptr;
  {
    std::lock_guard<std::recursive_mutex> guard(table_lock());
    Slot* slot = slot_of(h);
    if (slot == nullptr) {
      return {HMS_EINVAL, "omp_destroy_allocator: no such allocator (destroyed already?)"};
    }
    a = slot->allocator;
    if (a->permanent) return {};
    slot->handle.store(0);
    forget_handle(h);
    // The same place gets another handle next time.
    slot->next_handle = kTag | ((h + kGenerationStep) & ~kTagMask);
    free_places().places.push_back(h & kPlaceMask);
  }
  if (a->traits.partition == Partition::kPartitioner) {
    forget_allocator_parts(a->traits.partitioner, h);
  }
  free_object(a);
  return {};
}

Group* group_of_thread(Allocator* a, int flavour) {
  if (a->groups == nullptr) return &a->everyone;
  const uint64_t key = group_key(a->traits.access, static_cast<Flavour>(flavour));
  std::atomic<Group*>* bucket = &a->groups[key % kGroupBuckets];
  Group* g = find_group(bucket, key);
  if (g != nullptr) return g;
  auto* made = new (std::nothrow) Group;
  if (made == nullptr) return nullptr;
  made->owner = a;
  made->key = key;
  made->first.group = made;
  std::lock_guard<std::recursive_mutex> guard(table_lock());
  g = find_group(bucket, key);
  if (g != nullptr) {
    delete made;
    return g;
  }
  made->next = bucket->load(std::memory_order_relaxed);
  bucket->store(made, std::memory_order_release);
  return made;
}

void lock_all_records() {
  each_allocator([](Allocator* a) { each_group(a, [](Group* g) { g->lock_all(); }); });
}

void unlock_all_records() {
  each_allocator([](Allocator* a) {
    each_group(a, [](Group* g) { g->unlock_all(g->spread.load(std::memory_order_acquire)); });
  });
}

uint64_t pool_in_use(Allocator* a) {
  uint64_t sum = 0;
  each_group(a, [&sum](Group* g) { sum += g->in_use(); });
  return sum;
}

}  // namespace hms::omp
