// See blocks.h.
#include "allocator/blocks.h"

#include <time.h>

#include "allocator/extent_hooks.h"
#include "allocator/jemalloc.h"
#include "allocator/region.h"
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

// Counters of a striped leg go to the target of each block.
void count_allocated(const Leg& leg, void* const* blocks, unsigned count, size_t bytes_each) {
  if (leg.plan.stripes == nullptr) {
    leg.plan.account->counters->allocated.fetch_add(count * bytes_each, std::memory_order_relaxed);
    return;
  }
  for (unsigned i = 0; i < count; ++i) {
    Account* account = account_of(leg, reinterpret_cast<uintptr_t>(blocks[i]));
    account->counters->allocated.fetch_add(bytes_each, std::memory_order_relaxed);
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

unsigned take_run(const Request& request, int flags, unsigned count, void** out) {
  begin_attempt();
  unsigned taken = 0;
  while (taken < count) {
    void* block = take_block(request, flags);
    if (block == nullptr) break;
    set_page_mark(reinterpret_cast<uintptr_t>(block), request.size_class + 1);
    out[taken++] = block;
  }
  return taken;
}

int flags_for(const Request& request, const Arena& arena) {
  return request.flags | static_cast<int>(MALLOCX_ARENA(arena.index)) | MALLOCX_TCACHE_NONE;
}

// Addresses that an arena has carved stay its own: when the window is used up, the other arenas of
// the leg may have room where this thread's has none.
unsigned take_from_others(Leg* leg, const Arena* arena, const Request& request, void** out) {
  for (std::atomic<Arena*>& cell : leg->arenas) {
    const Arena* other = cell.load(std::memory_order_acquire);
    if (other == nullptr || other == arena) continue;
    if (take_run(request, flags_for(request, *other), 1, out) == 1) return 1;
  }
  return 0;
}

unsigned take_from(Leg* leg, const Request& request, unsigned count, void** out) {
  Arena* arena = arena_of(leg, thread_state.slot);
  if (arena == nullptr) return 0;
  int flags = flags_for(request, *arena);
  unsigned taken = take_run(request, flags, count, out);
  // Freed memory that waits for decay in some arena must not make its target look full.
  if (taken == 0 && attempt_refused() && reclaim(*leg)) {
    taken = take_run(request, flags, count, out);
  }
  if (taken == 0) taken = take_from_others(leg, arena, request, out);
  if (taken == 0) return 0;
  size_t bytes = class_size(request.size_class);
  leg->live.fetch_add(static_cast<int64_t>(taken * bytes), std::memory_order_relaxed);
  count_allocated(*leg, out, taken, bytes);
  return taken;
}

// A run of blocks of one target, given back together.
struct Returned {
  Leg* leg = nullptr;
  Account* account = nullptr;
  size_t bytes = 0;

  void settle() {
    if (leg == nullptr) return;
    leg->live.fetch_sub(static_cast<int64_t>(bytes), std::memory_order_relaxed);
    account->counters->freed.fetch_add(bytes, std::memory_order_relaxed);
    if (leg->refused_at.load(std::memory_order_relaxed) != 0) {
      leg->refused_at.store(0, std::memory_order_relaxed);
    }
    bytes = 0;
  }
};

}  // namespace

unsigned take_blocks(const PlacementState& placement, const Request& request, unsigned count,
                     void** out) {
  Leg* order[kMaxLegs] = {};
  order_legs(placement, order);
  Leg* passed_over = nullptr;
  for (unsigned i = 0; i < placement.leg_count; ++i) {
    bool last = i + 1 == placement.leg_count;
    unsigned taken = 0;
    if (last || !backing_off(*order[i], request.size)) {
      taken = take_from(order[i], request, count, out);
      if (taken == 0 && !last) back_off(order[i], request.size);
    }
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

void give_blocks(void* const* blocks, unsigned count, unsigned size_class) {
  size_t bytes = class_size(size_class);
  Returned run;
  for (unsigned i = 0; i < count; ++i) {
    auto address = reinterpret_cast<uintptr_t>(blocks[i]);
    Leg* leg = leg_of(address);
    Account* account = account_of(*leg, address);
    if (leg != run.leg || account != run.account) {
      run.settle();
      run.leg = leg;
      run.account = account;
    }
    run.bytes += bytes;
    hmsje_dallocx(blocks[i], MALLOCX_TCACHE_NONE);
  }
  run.settle();
}

void note_resize(void* block, size_t old_size, size_t new_size) {
  auto address = reinterpret_cast<uintptr_t>(block);
  Leg* leg = leg_of(address);
  TargetCounters* counters = account_of(*leg, address)->counters;
  if (new_size > old_size) {
    counters->allocated.fetch_add(new_size - old_size, std::memory_order_relaxed);
  } else {
    counters->freed.fetch_add(old_size - new_size, std::memory_order_relaxed);
  }
  leg->live.fetch_add(static_cast<int64_t>(new_size) - static_cast<int64_t>(old_size),
                      std::memory_order_relaxed);
  set_page_mark(address, class_of(new_size) + 1);
}

}  // namespace hms::alloc
