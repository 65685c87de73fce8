// See blocks.h.
#include "allocator/blocks.h"

#include <time.h>

#include "allocator/central.h"
#include "allocator/extent_hooks.h"
#include "allocator/jemalloc.h"
#include "allocator/region.h"
#include "allocator/residence.h"
#include "allocator/setup.h"
#include "allocator/size_classes.h"
#include "allocator/thread_cache.h"
#include "runtime/support/counters.h"

namespace hms::alloc {
namespace {

// A leg without room is left alone for so long by requests of that size and above, unless something
// on its target is given back.
constexpr int64_t kBackOffNanoseconds = 10'000'000;

int64_t now_nanoseconds() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
  return int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

bool backing_off(const Leg& leg, size_t size) {
  int64_t since = leg.refused_at.load(std::memory_order_relaxed);
  if (since == 0 || size < leg.refused_size.load(std::memory_order_relaxed)) return false;
  return leg.relief_seen.load(std::memory_order_relaxed) ==
             leg.plan.account->relief.load(std::memory_order_relaxed) &&
         now_nanoseconds() - since < kBackOffNanoseconds;
}

void back_off(Leg* leg, size_t size) {
  leg->refused_size.store(size, std::memory_order_relaxed);
  leg->relief_seen.store(leg->plan.account->relief.load(std::memory_order_relaxed),
                         std::memory_order_relaxed);
  leg->refused_at.store(now_nanoseconds(), std::memory_order_relaxed);
}

// Bytes handed out per unit of weight.
double load_of(const Leg* leg) {
  return static_cast<double>(leg->live.load(std::memory_order_relaxed)) / leg->plan.weight;
}

// The legs in the order to try them: as listed, or least loaded first; what is behind the list
// stays last.
void order_legs(const PlacementState& placement, Leg** out) {
  for (unsigned i = 0; i < placement.leg_count; ++i) out[i] = placement.legs[i];
  if (placement.spread != Spread::kRatio) return;
  double load[kMaxLegs] = {};
  unsigned listed = placement.listed < placement.leg_count ? placement.listed : placement.leg_count;
  for (unsigned i = 0; i < listed; ++i) load[i] = load_of(out[i]);
  for (unsigned i = 1; i < listed; ++i) {
    for (unsigned j = i; j > 0 && load[j] < load[j - 1]; --j) {
      std::swap(load[j], load[j - 1]);
      std::swap(out[j], out[j - 1]);
    }
  }
}

// Blocks of a leg in units. Small ones count where they begin. Those of one flush lie in few units,
// but in any order: to count each by itself would cost more than the rest of the flush.
constexpr unsigned kUnitsNearby = 16;
constexpr uintptr_t kBytesNearby = kUnitsNearby * kUnitBytes;

void count_small(Leg* leg, void* const* blocks, unsigned count, int64_t bytes_each) {
  uint32_t in_unit[kUnitsNearby] = {};
  const uintptr_t start = reinterpret_cast<uintptr_t>(blocks[0]) & ~(kBytesNearby - 1);
  uintptr_t offsets = 0;
  for (unsigned i = 0; i < count; ++i) {
    const uintptr_t offset = reinterpret_cast<uintptr_t>(blocks[i]) ^ start;
    offsets |= offset;
    ++in_unit[offset / kUnitBytes % kUnitsNearby];
  }
  if (offsets >= kBytesNearby) {
    for (unsigned i = 0; i < count; ++i)
      count_in_unit(leg, reinterpret_cast<uintptr_t>(blocks[i]), bytes_each);
    return;
  }
  for (unsigned i = 0; i < kUnitsNearby; ++i) {
    if (in_unit[i] != 0) count_in_unit(leg, start + i * kUnitBytes, bytes_each * in_unit[i]);
  }
}

void count_by_unit(Leg* leg, void* const* blocks, unsigned count, int64_t bytes_each) {
  constexpr auto kSmall = static_cast<int64_t>(kMaxCachedSize);
  if (bytes_each <= kSmall && -bytes_each <= kSmall) {
    return count_small(leg, blocks, count, bytes_each);
  }
  for (unsigned i = 0; i < count; ++i)
    count_in_units(leg, reinterpret_cast<uintptr_t>(blocks[i]), bytes_each);
}

// Counters of a striped leg go to the target of each block.
void count_allocated(Leg* leg, void* const* blocks, unsigned count, size_t bytes_each) {
  leg->live.fetch_add(static_cast<int64_t>(count * bytes_each), std::memory_order_relaxed);
  if (leg->plan.units != nullptr) {
    return count_by_unit(leg, blocks, count, static_cast<int64_t>(bytes_each));
  }
  if (leg->plan.stripes == nullptr) {
    leg->plan.account->counters->allocated.fetch_add(count * bytes_each, std::memory_order_relaxed);
    return;
  }
  for (unsigned i = 0; i < count; ++i) {
    Account* account = account_of(*leg, reinterpret_cast<uintptr_t>(blocks[i]));
    account->counters->allocated.fetch_add(bytes_each, std::memory_order_relaxed);
  }
}

void count_freed(Leg* leg, void* const* blocks, unsigned count, size_t bytes_each) {
  leg->live.fetch_sub(static_cast<int64_t>(count * bytes_each), std::memory_order_relaxed);
  if (leg->plan.units != nullptr) {
    return count_by_unit(leg, blocks, count, -static_cast<int64_t>(bytes_each));
  }
  if (leg->plan.stripes == nullptr) {
    leg->plan.account->counters->freed.fetch_add(count * bytes_each, std::memory_order_relaxed);
    return;
  }
  for (unsigned i = 0; i < count; ++i) {
    Account* account = account_of(*leg, reinterpret_cast<uintptr_t>(blocks[i]));
    account->counters->freed.fetch_add(bytes_each, std::memory_order_relaxed);
  }
}

// One block of the arena that the flags name, and of no other.
//
// When jemalloc's own data of a thread is gone and another key's destructor allocates, mallocx
// takes from arena 0 whatever its flags say (5.3.0, imalloc and tsd_data_init_nocleanup: such
// threads count as re-entrant). rallocx still obeys them, given a block that it has to move.
void* take_block(const Request& request, int flags) {
  void* block = hmsje_mallocx(request.size, flags);
  if (block == nullptr || in_region(reinterpret_cast<uintptr_t>(block))) return block;
  hmsje_dallocx(block, MALLOCX_TCACHE_NONE);
  const size_t other_class = request.size <= 64 ? 128 : 16;
  void* moving = hmsje_mallocx(other_class, MALLOCX_TCACHE_NONE | MALLOCX_ZERO);
  if (moving == nullptr) return nullptr;
  block = hmsje_rallocx(moving, request.size, flags);
  if (block == nullptr) hmsje_dallocx(moving, MALLOCX_TCACHE_NONE);
  return block;
}

unsigned room_of(const Stack& out, unsigned count) {
  if (*out.top >= *out.limit) return 0;
  auto room = static_cast<unsigned>(*out.limit - *out.top);
  return room < count ? room : count;
}

unsigned push_run(const Request& request, int flags, unsigned count, Stack out) {
  begin_attempt();
  unsigned pushed = 0;
  while (pushed < count) {
    void* block = take_block(request, flags);
    if (block == nullptr) break;
    if (room_of(out, 1) == 0) {
      hmsje_dallocx(block, MALLOCX_TCACHE_NONE);
      break;
    }
    set_page_mark(reinterpret_cast<uintptr_t>(block), request.size_class + 1);
    *(*out.top)++ = block;
    ++pushed;
  }
  if (pushed > 0) {
    Leg* leg = leg_of(reinterpret_cast<uintptr_t>(*(*out.top - 1)));
    note_held(leg, static_cast<int64_t>(pushed * class_size(request.size_class)));
  }
  return pushed;
}

int flags_for(int flags, const Arena& arena) {
  return flags | static_cast<int>(MALLOCX_ARENA(arena.index)) | MALLOCX_TCACHE_NONE;
}

// Addresses that an arena has carved stay its own: when the window is used up, the other arenas of
// the leg may have room where this thread's has none.
unsigned push_from_others(Leg* leg, const Arena* arena, const Request& request, Stack out) {
  for (std::atomic<Arena*>& cell : leg->arenas) {
    const Arena* other = cell.load(std::memory_order_acquire);
    if (other == nullptr || other == arena) continue;
    if (push_run(request, flags_for(request.flags, *other), 1, out) == 1) return 1;
  }
  return 0;
}

// Block by block from jemalloc.
unsigned push_singles(Leg* leg, const Request& request, unsigned count, Stack out) {
  // Large blocks of a group come from its first arena, as spans do: what one thread freed serves
  // the others.
  const bool large = request.size_class >= kBinClasses;
  const unsigned slot = thread_state.slot;
  Arena* arena = arena_of(leg, large ? first_slot_of(group_of_slot(slot)) : slot);
  if (arena == nullptr) return 0;
  int flags = flags_for(request.flags, *arena);
  const int64_t committed = committed_bytes(*leg);
  unsigned pushed = push_run(request, flags, count, out);
  // Freed memory that waits for decay in some arena must not make its target look full.
  if (pushed == 0 && attempt_refused() && reclaim(*leg)) {
    pushed = push_run(request, flags, count, out);
  }
  if (pushed == 0) pushed = push_from_others(leg, arena, request, out);
  if (large) bound_idle(leg, committed);
  return pushed;
}

// A span is one large block to jemalloc. All spans of a group come from the group's first arena.
Span* fresh_span(Leg* leg, Central* central, unsigned group) {
  Arena* arena = arena_of(leg, first_slot_of(group));
  if (arena == nullptr) return nullptr;
  const size_t bytes = span_bytes(central->size_class);
  const Request request = {bytes, class_of(bytes), 0};
  const int flags = flags_for(static_cast<int>(MALLOCX_ALIGN(bytes)), *arena);
  begin_attempt();
  void* memory = take_block(request, flags);
  if (memory == nullptr && attempt_refused() && reclaim(*leg)) {
    begin_attempt();
    memory = take_block(request, flags);
  }
  if (memory == nullptr) return nullptr;
  Span* span = make_span(reinterpret_cast<uintptr_t>(memory), central, central->size_class);
  if (span == nullptr) {
    hmsje_dallocx(memory, MALLOCX_TCACHE_NONE);
  } else {
    note_held(leg, static_cast<int64_t>(bytes));
  }
  return span;
}

unsigned push_from_central(Leg* leg, unsigned size_class, unsigned count, Stack out) {
  const unsigned group = group_of_slot(thread_state.slot);
  Central* central = central_of(leg, group, size_class);
  if (central == nullptr) return 0;
  // A leg that was asked before may have been reclaimed, which empties this thread's bins and
  // lowers their limits.
  count = room_of(out, count);
  unsigned taken = take_from_central(central, count, *out.top);
  if (taken == 0 && !backing_off(*leg, span_bytes(size_class))) {
    Span* span = fresh_span(leg, central, group);
    if (span != nullptr) {
      taken = add_span(central, span, room_of(out, count), *out.top);
    } else {
      back_off(leg, span_bytes(size_class));
    }
  }
  *out.top += taken;
  return taken;
}

// `patient`: also asks a leg that lately had no room.
unsigned take_from(Leg* leg, const Request& request, unsigned count, Stack out, bool patient) {
  unsigned taken = 0;
  const bool in_central = request.flags == 0 && request.size_class < kCachedClasses;
  if (in_central) taken = push_from_central(leg, request.size_class, count, out);
  if (taken == 0 && (patient || !backing_off(*leg, request.size))) {
    // Too little room for a span: as few blocks as will do.
    taken = push_singles(leg, request, in_central ? 1 : count, out);
    if (taken == 0) back_off(leg, request.size);
  }
  if (taken > 0) count_allocated(leg, *out.top - taken, taken, class_size(request.size_class));
  return taken;
}

// How many blocks from the first one on go home together.
unsigned same_home(void* const* blocks, unsigned count, unsigned size_class) {
  const auto first = reinterpret_cast<uintptr_t>(blocks[0]);
  const Leg* leg = leg_of(first);
  if (!several_cpu_nodes() && placement_state(leg->plan.placement)->leg_count == 1) return count;
  const auto home = [size_class](uintptr_t address) {
    return in_span(address, size_class) ? span_of(address, size_class)->home : nullptr;
  };
  unsigned run = 1;
  for (; run < count; ++run) {
    const auto next = reinterpret_cast<uintptr_t>(blocks[run]);
    if (leg_of(next) != leg) break;
    if (several_cpu_nodes() && home(next) != home(first)) break;
  }
  return run;
}

void give_home(void** blocks, unsigned count, unsigned size_class) {
  const auto first = reinterpret_cast<uintptr_t>(blocks[0]);
  Leg* leg = leg_of(first);
  count_freed(leg, blocks, count, class_size(size_class));
  Central* central = nullptr;
  if (in_span(first, size_class)) {
    central = span_of(first, size_class)->home;
  } else if (size_class < kCachedClasses) {
    central = central_of(leg, group_of_slot(thread_state.slot), size_class);
  }
  if (central != nullptr) return give_to_central(central, blocks, count);
  // A second free finds no block there.
  for (unsigned i = 0; i < count; ++i) set_page_mark(reinterpret_cast<uintptr_t>(blocks[i]), 0);
  for (unsigned i = 0; i < count; ++i) hmsje_dallocx(blocks[i], MALLOCX_TCACHE_NONE);
  note_held(leg, -static_cast<int64_t>(count * class_size(size_class)));
  if (leg->refused_at.load(std::memory_order_relaxed) != 0) {
    leg->refused_at.store(0, std::memory_order_relaxed);
  }
}

}  // namespace

unsigned take_blocks(const PlacementState& placement, const Request& request, unsigned count,
                     Stack out) {
  Leg* order[kMaxLegs] = {};
  order_legs(placement, order);
  Leg* passed_over = nullptr;
  for (unsigned i = 0; i < placement.leg_count; ++i) {
    unsigned taken = take_from(order[i], request, count, out, i + 1 == placement.leg_count);
    if (taken > 0) {
      if (passed_over != nullptr) {
        passed_over->plan.account->counters->spilled.fetch_add(
            taken * class_size(request.size_class), std::memory_order_relaxed);
      }
      return taken;
    }
    if (passed_over == nullptr) passed_over = order[i];
  }
  return 0;
}

void give_blocks(void** blocks, unsigned count, unsigned size_class) {
  while (count > 0) {
    unsigned run = same_home(blocks, count, size_class);
    give_home(blocks, run, size_class);
    blocks += run;
    count -= run;
  }
}

void note_resize(void* block, size_t old_size, size_t new_size) {
  auto address = reinterpret_cast<uintptr_t>(block);
  Leg* leg = leg_of(address);
  const int64_t grown = static_cast<int64_t>(new_size) - static_cast<int64_t>(old_size);
  if (leg->plan.units != nullptr) {
    count_in_units(leg, address + (grown > 0 ? old_size : new_size), grown);
  } else {
    TargetCounters* counters = account_of(*leg, address)->counters;
    if (grown > 0) {
      counters->allocated.fetch_add(new_size - old_size, std::memory_order_relaxed);
    } else {
      counters->freed.fetch_add(old_size - new_size, std::memory_order_relaxed);
    }
  }
  leg->live.fetch_add(grown, std::memory_order_relaxed);
  note_held(leg, grown);
  set_page_mark(address, class_of(new_size) + 1);
}

}  // namespace hms::alloc
