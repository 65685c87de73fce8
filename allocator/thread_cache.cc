// See thread_cache.h.
#include "allocator/thread_cache.h"

#include <pthread.h>

#include <array>

#include "allocator/blocks.h"
#include "allocator/jemalloc.h"
#include "allocator/setup.h"
#include "runtime/support/counters.h"

namespace hms::alloc {

__thread ThreadState thread_state;

namespace {

constexpr unsigned kMaxBlocks = 256;                // per bin
constexpr size_t kMaxBinBytes = size_t{128} << 10;  // or 8 blocks, if those are more
constexpr size_t kMinBlocks = 8;
constexpr size_t kThreadBytes = size_t{2} << 20;  // bound on what one thread may hold back
constexpr size_t kFirstBytes = 1024;              // a fresh bin's room
constexpr unsigned kMissesPerGlance = 64;  // how often a thread looks where it runs, and publishes

constexpr unsigned capacity_of(unsigned size_class) {
  size_t blocks = kMaxBinBytes / class_size(size_class);
  return static_cast<unsigned>(blocks > kMaxBlocks   ? kMaxBlocks
                               : blocks < kMinBlocks ? kMinBlocks
                                                     : blocks);
}

constexpr auto make_offsets() {
  std::array<uint16_t, kCachedClasses + 1> offsets{};
  for (unsigned i = 0; i < kCachedClasses; ++i) {
    offsets[i + 1] = static_cast<uint16_t>(offsets[i] + capacity_of(i));
  }
  return offsets;
}
// The arrays of all bins of a cache lie in one piece; what is never pushed is never touched.
constexpr auto kOffsets = make_offsets();
constexpr size_t kArrayBytes = kOffsets[kCachedClasses] * sizeof(void*);

pthread_key_t exit_key;
bool have_exit_key = false;

size_t bytes_of(const Bin& bin, unsigned size_class) {
  return static_cast<size_t>(bin.limit - bin.base) * kClassSizes[size_class];
}

bool set_up_bins(Cache* cache) {
  // Not zeroed: nothing above `top` is ever read.
  auto** array =
      static_cast<void**>(hmsje_mallocx(kArrayBytes, MALLOCX_ARENA(0) | MALLOCX_TCACHE_NONE));
  if (array == nullptr) return false;
  for (unsigned i = 0; i < kCachedClasses; ++i) {
    Bin& bin = cache->bins[i];
    bin.base = bin.top = bin.limit = array + kOffsets[i];
    bin.end = array + kOffsets[i + 1];
  }
  return true;
}

void tear_down_bins(Cache* cache) {
  void* array = cache->bins[0].base;
  if (array == nullptr) return;
  for (unsigned i = 0; i < kCachedClasses; ++i) {
    Bin& bin = cache->bins[i];
    give_blocks(bin.base, static_cast<unsigned>(bin.top - bin.base), i);
  }
  *cache = {};
  hmsje_dallocx(array, MALLOCX_TCACHE_NONE);
}

// The oldest blocks go: they are the coldest.
void flush_oldest(Bin* bin, unsigned count, unsigned size_class) {
  give_blocks(bin->base, count, size_class);
  size_t left = static_cast<size_t>(bin->top - bin->base) - count;
  __builtin_memmove(bin->base, bin->base + count, left * sizeof(void*));
  bin->top = bin->base + left;
}

// Halves the limit of one bin that is not `busy`, and takes the room.
bool steal_from(Cache* cache, const Bin* busy, unsigned size_class) {
  Bin& bin = cache->bins[size_class];
  auto limit = static_cast<unsigned>(bin.limit - bin.base);
  if (&bin == busy || limit < 2) return false;
  unsigned kept = limit / 2;
  auto held = static_cast<unsigned>(bin.top - bin.base);
  if (held > kept) flush_oldest(&bin, held - kept, size_class);
  thread_state.room += size_t{limit - kept} * kClassSizes[size_class];
  bin.limit = bin.base + kept;
  return true;
}

// Looks through the bins of all caches of this thread, starting where it stopped last time.
void steal_room(const Bin* busy, size_t wanted) {
  for (unsigned i = 0; i < kCachedClasses && thread_state.room < wanted; ++i) {
    unsigned size_class = thread_state.victim++ % kCachedClasses;
    steal_from(&thread_state.main, busy, size_class);
    if (thread_state.others == nullptr) continue;
    for (size_t p = 1; p < kMaxPlacements; ++p) {
      if (thread_state.others[p] != nullptr) steal_from(thread_state.others[p], busy, size_class);
    }
  }
}

// Doubles a bin's limit if its array and the thread's bound allow.
void grow_limit(Bin* bin, unsigned size_class) {
  auto limit = static_cast<size_t>(bin->limit - bin->base);
  auto most = static_cast<size_t>(bin->end - bin->base);
  size_t each = kClassSizes[size_class];
  size_t more = limit > 0 ? limit : each >= kFirstBytes ? 1 : kFirstBytes / each;
  if (more > most - limit) more = most - limit;
  if (more == 0) return;
  if (thread_state.room < more * each) steal_room(bin, more * each);
  if (thread_state.room < more * each) more = thread_state.room / each;
  thread_state.room -= more * each;
  bin->limit += more;
}

// Gives back all that one cache holds; its bins start small again.
void flush_cache(Cache* cache) {
  for (unsigned i = 0; i < kCachedClasses; ++i) {
    Bin& bin = cache->bins[i];
    if (bin.base == bin.limit) continue;
    flush_oldest(&bin, static_cast<unsigned>(bin.top - bin.base), i);
    thread_state.room += bytes_of(bin, i);
    bin.limit = bin.base;
  }
}

// What is freed after this (by destructors of other keys) goes straight to the arenas.
void end_thread(void* /*value*/) {
  thread_state.phase = ThreadPhase::kGone;
  tear_down_bins(&thread_state.main);
  Cache** others = thread_state.others;
  thread_state.others = nullptr;
  if (others != nullptr) {
    for (size_t p = 1; p < kMaxPlacements; ++p) {
      if (others[p] == nullptr) continue;
      tear_down_bins(others[p]);
      hmsje_dallocx(others[p], MALLOCX_TCACHE_NONE);
    }
    hmsje_dallocx(others, MALLOCX_TCACHE_NONE);
  }
  stats()->threads.fetch_sub(1, std::memory_order_relaxed);
}

bool begin_thread() {
  if (thread_state.phase == ThreadPhase::kLive) return true;
  if (thread_state.phase == ThreadPhase::kGone || !have_exit_key) return false;
  if (!set_up_bins(&thread_state.main)) return false;
  thread_state.phase = ThreadPhase::kLive;
  thread_state.room = kThreadBytes;
  thread_state.slot = choose_arena_slot();
  stats()->threads.fetch_add(1, std::memory_order_relaxed);
  // May call calloc for a key beyond the first 32: the bins stand already.
  pthread_setspecific(exit_key, &thread_state);
  return true;
}

// Rare duties that ride on misses.
void glance() {
  if (++thread_state.misses % kMissesPerGlance != 0) return;
  stats()->heartbeat.fetch_add(kMissesPerGlance, std::memory_order_relaxed);
  if (several_cpu_nodes()) thread_state.slot = choose_arena_slot();
  stats_publish();
}

Cache* make_cache(PlacementId placement) {
  if (thread_state.others == nullptr) {
    // NOLINTNEXTLINE(bugprone-sizeof-expression): a table of pointers
    thread_state.others = static_cast<Cache**>(internal_allocate(kMaxPlacements * sizeof(Cache*)));
    if (thread_state.others == nullptr) return nullptr;
  }
  Cache*& cache = thread_state.others[placement];
  if (cache != nullptr) return cache;
  auto* fresh = static_cast<Cache*>(internal_allocate(sizeof(Cache)));
  if (fresh == nullptr) return nullptr;
  if (!set_up_bins(fresh)) {
    hmsje_dallocx(fresh, MALLOCX_TCACHE_NONE);
    return nullptr;
  }
  cache = fresh;
  return cache;
}

}  // namespace

void start_thread_caches() { have_exit_key = pthread_key_create(&exit_key, end_thread) == 0; }

Cache* cache_for(PlacementId placement) {
  if (!begin_thread()) return nullptr;
  return placement == kDefaultPlacement ? &thread_state.main : make_cache(placement);
}

void* refill_and_pop(Cache* cache, unsigned size_class, PlacementId placement) {
  glance();
  Bin* bin = &cache->bins[size_class];
  grow_limit(bin, size_class);
  // Half the limit, so that a run of frees after the run of allocations still fits.
  auto wanted = static_cast<unsigned>(bin->limit - bin->base) / 2;
  constexpr unsigned kMaxBatch = kMaxBlocks / 2;
  wanted = wanted < 1 ? 1 : wanted > kMaxBatch ? kMaxBatch : wanted;
  void* blocks[kMaxBatch];
  Request request = {kClassSizes[size_class], size_class, 0};
  unsigned taken = take_blocks(*placement_state(placement), request, wanted, blocks);
  if (taken == 0) return nullptr;
  // jemalloc may have called us back meanwhile (a thread key of its own): the bin need not be
  // empty. The first block taken has the lowest address and comes out first.
  unsigned rest = taken - 1;
  while (rest > 0 && bin->top < bin->limit) *bin->top++ = blocks[rest--];
  if (rest > 0) give_blocks(blocks + 1, rest, size_class);
  return blocks[0];
}

void spill_and_push(Bin* bin, unsigned size_class, void* block) {
  if (bin->top >= bin->limit) grow_limit(bin, size_class);
  if (bin->top >= bin->limit) {
    auto held = static_cast<unsigned>(bin->top - bin->base);
    if (held == 0) return give_blocks(&block, 1, size_class);
    flush_oldest(bin, (held + 1) / 2, size_class);
  }
  *bin->top++ = block;
}

void flush_thread() {
  if (thread_state.phase != ThreadPhase::kLive) return;
  flush_cache(&thread_state.main);
  if (thread_state.others == nullptr) return;
  for (size_t p = 1; p < kMaxPlacements; ++p) {
    if (thread_state.others[p] != nullptr) flush_cache(thread_state.others[p]);
  }
}

}  // namespace hms::alloc
