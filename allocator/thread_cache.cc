// See thread_cache.h.
#include "allocator/thread_cache.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include <array>
#include <iterator>

#include "allocator/blocks.h"
#include "allocator/meta.h"
#include "allocator/setup.h"
#include "allocator/tiering/sites.h"
#include "runtime/support/counters.h"

namespace hms::alloc {

__thread ThreadState thread_state;
std::atomic<void (*)()> at_tick{nullptr};

namespace {

constexpr unsigned kMaxBlocks = 2048;                    // per bin
constexpr size_t kMaxBinBytes = size_t{128} << 10;       // or 8 blocks, if those are more
constexpr size_t kMaxLargeBinBytes = size_t{512} << 10;  // above kMaxCachedSize
constexpr size_t kMinBlocks = 8;
constexpr size_t kThreadBytes = size_t{4} << 20;  // bound on what one thread may hold back
constexpr size_t kFirstBytes = 1024;              // a fresh bin's room
// What a bin grows to for frees alone, and how many overflows in a row take more away again.
constexpr unsigned kCasualBlocks = 128;
constexpr size_t kCasualBytes = size_t{32} << 10;
constexpr uint8_t kOverflowsInARow = 4;
constexpr unsigned kMissesPerGlance = 64;  // how often a thread looks where it runs, and publishes
constexpr int kFreesPerTick = 4096;
constexpr int64_t kSweepNanoseconds = 1'000'000'000;

constexpr unsigned blocks_in(size_t bytes, unsigned most, unsigned size_class) {
  size_t blocks = bytes / class_size(size_class);
  return static_cast<unsigned>(blocks > most ? most : blocks < kMinBlocks ? kMinBlocks : blocks);
}
constexpr unsigned capacity_of(unsigned size_class) {
  if (size_class >= kCachedClasses)
    return static_cast<unsigned>(kMaxLargeBinBytes / class_size(size_class));
  return blocks_in(kMaxBinBytes, kMaxBlocks, size_class);
}
unsigned casual_limit(unsigned size_class) {
  if (size_class >= kCachedClasses) return capacity_of(size_class);
  return blocks_in(kCasualBytes, kCasualBlocks, size_class);
}

// A bin starts in a short array, next to those of the other classes, so that a thread that
// allocates little touches few pages; one that needs more moves to a long array.
constexpr unsigned kShortBlocks = 32;

constexpr unsigned short_of(unsigned size_class) {
  unsigned capacity = capacity_of(size_class);
  return capacity < kShortBlocks ? capacity : kShortBlocks;
}

struct Layout {
  std::array<uint16_t, kBinClasses> brief{};
  std::array<uint16_t, kBinClasses> full{};
  uint16_t slots = 0;
};
constexpr Layout make_layout() {
  Layout layout;
  for (unsigned i = 0; i < kBinClasses; ++i) {
    layout.brief[i] = layout.slots;
    layout.slots = static_cast<uint16_t>(layout.slots + short_of(i));
  }
  for (unsigned i = 0; i < kBinClasses; ++i) {
    layout.full[i] = layout.slots;
    if (capacity_of(i) > kShortBlocks) {
      layout.slots = static_cast<uint16_t>(layout.slots + capacity_of(i));
    }
  }
  return layout;
}
constexpr Layout kLayout = make_layout();

}  // namespace

struct BinNotes {
  void** seen;        // the top at the last sweep
  uint8_t overflows;  // since the last miss
};

namespace {

// All arrays of a cache; of the long ones only what is used is ever touched.
struct CacheMemory {
  BinNotes notes[kBinClasses];
  Bin large[kBinClasses - kCachedClasses];
  void* slots[kLayout.slots];
  void* leaving[kMaxBlocks];  // see flush_oldest
};

// What threads leave behind, the next ones use.
MetaPool memories(sizeof(CacheMemory));
MetaPool caches(sizeof(Cache));
// NOLINTNEXTLINE(bugprone-sizeof-expression): a table of pointers
constexpr size_t kTableBytes = kMaxPlacements * sizeof(Cache*);
MetaPool tables(kTableBytes);

pthread_key_t exit_key;
std::atomic<bool> may_begin{false};  // the key is there, and thread caches are wanted

CacheMemory* memory_of(const Cache& cache) { return reinterpret_cast<CacheMemory*>(cache.notes); }

Bin* bin_of(Cache* cache, unsigned size_class) {
  if (size_class < kCachedClasses) return &cache->bin(size_class);
  return &memory_of(*cache)->large[size_class - kCachedClasses];
}

unsigned held_in(const Bin& bin) { return static_cast<unsigned>(bin.top - bin.base); }
unsigned limit_of(const Bin& bin) { return static_cast<unsigned>(bin.limit - bin.base); }

bool set_up_bins(Cache* cache) {
  auto* memory = static_cast<CacheMemory*>(memories.take());
  if (memory == nullptr) return false;
  memset(memory->notes, 0, sizeof memory->notes);
  cache->notes = memory->notes;
  cache->by_mark[0] = {};
  for (unsigned i = 0; i < kBinClasses; ++i) {
    Bin& bin = *bin_of(cache, i);
    bin.base = bin.top = bin.limit = memory->slots + kLayout.brief[i];
    bin.end = bin.base + short_of(i);
  }
  return true;
}

// Gives back the oldest blocks of a bin: they are the coldest. They leave the bin before they are
// given, because jemalloc may call our malloc and free, which may use this bin. Such an inner call
// finds `flushing` set and makes do with an array of its own.
void flush_oldest(Bin* bin, unsigned count, unsigned size_class) {
  void* few[16];
  const bool inner = thread_state.flushing;
  void** leaving = inner ? few : memory_of(thread_state.main)->leaving;
  const unsigned most = inner ? std::size(few) : kMaxBlocks;
  thread_state.flushing = true;
  while (count > 0 && bin->top != bin->base) {
    unsigned run = count < most ? count : most;
    if (run > held_in(*bin)) run = held_in(*bin);
    unsigned left = held_in(*bin) - run;
    memcpy(leaving, bin->base, run * sizeof(void*));
    memmove(bin->base, bin->base + run, left * sizeof(void*));
    bin->top = bin->base + left;
    give_blocks(leaving, run, size_class);
    count -= run;
  }
  thread_state.flushing = inner;
}

void flush_all(Cache* cache) {
  for (unsigned i = 0; i < kBinClasses; ++i) {
    Bin* bin = bin_of(cache, i);
    flush_oldest(bin, held_in(*bin), i);
  }
}

void tear_down_bins(Cache* cache) {
  CacheMemory* memory = memory_of(*cache);
  *cache = {};
  memories.give(memory);
}

// Lowers a bin's limit; what is above goes.
void lower_limit(Bin* bin, unsigned limit, unsigned size_class) {
  if (held_in(*bin) > limit) flush_oldest(bin, held_in(*bin) - limit, size_class);
  if (held_in(*bin) > limit) limit = held_in(*bin);
  if (limit >= limit_of(*bin)) return;
  thread_state.room += size_t{limit_of(*bin) - limit} * kClassSizes[size_class];
  bin->limit = bin->base + limit;
}

// Visits the thread's caches of placements other than the default.
template <typename Visit>
void for_each_other(Visit visit) {
  Cache** others = thread_state.others;
  if (others == nullptr) return;
  for (size_t p = 1; p < placement_count(); ++p) {
    if (others[p] != nullptr) visit(others[p]);
  }
}

// Halves the limits of bins that are not `busy`, starting where it stopped last time. A block in
// each bin of the main cache is always bearable, in those of many placements it is not.
void steal_room(const Bin* busy, size_t wanted) {
  for (unsigned i = 0; i < kBinClasses && thread_state.room < wanted; ++i) {
    unsigned size_class = thread_state.victim++ % kBinClasses;
    const auto halve = [busy, size_class](Cache* cache, unsigned least) {
      Bin* bin = bin_of(cache, size_class);
      if (bin != busy && limit_of(*bin) >= least) lower_limit(bin, limit_of(*bin) / 2, size_class);
    };
    halve(&thread_state.main, 2);
    for_each_other([&halve](Cache* cache) { halve(cache, 1); });
  }
}

void move_to_long_array(Cache* cache, Bin* bin, unsigned size_class) {
  void** array = memory_of(*cache)->slots + kLayout.full[size_class];
  memcpy(array, bin->base, held_in(*bin) * sizeof(void*));
  bin->top = array + held_in(*bin);
  bin->limit = array + limit_of(*bin);
  bin->base = array;
  bin->end = array + capacity_of(size_class);
}

// Doubles a bin's limit, but not beyond `most` and the thread's bound.
void grow_limit(Cache* cache, unsigned size_class, unsigned most) {
  Bin* bin = bin_of(cache, size_class);
  const unsigned limit = limit_of(*bin);
  const size_t each = kClassSizes[size_class];
  size_t more = limit > 0 ? limit : each >= kFirstBytes ? 1 : kFirstBytes / each;
  if (limit + more > most) more = most > limit ? most - limit : 0;
  if (more == 0) return;
  if (thread_state.room < more * each) steal_room(bin, more * each);
  // Room came from blocks that were given back; jemalloc may have called our malloc meanwhile.
  if (limit_of(*bin) != limit) return;
  if (thread_state.room < more * each) more = thread_state.room / each;
  if (bin->limit + more > bin->end) move_to_long_array(cache, bin, size_class);
  thread_state.room -= more * each;
  bin->limit += more;
}

// Gives back all that one cache holds; its bins start small again.
void flush_cache(Cache* cache) {
  flush_all(cache);
  for (unsigned i = 0; i < kBinClasses; ++i) lower_limit(bin_of(cache, i), 1, i);
}

// What is freed after this (by destructors of other keys) goes straight to the centrals.
void end_thread(void* /*value*/) {
  thread_state.phase = ThreadPhase::kGone;
  for (Bin*& bin : thread_state.routed) bin = nullptr;
  leave_sites();
  flush_all(&thread_state.main);
  for_each_other(flush_all);
  for_each_other([](Cache* cache) {
    tear_down_bins(cache);
    caches.give(cache);
  });
  if (thread_state.others != nullptr) tables.give(thread_state.others);
  thread_state.others = nullptr;
  tear_down_bins(&thread_state.main);
  stats()->threads.fetch_sub(1, std::memory_order_relaxed);
}

bool begin_thread() {
  if (thread_state.phase == ThreadPhase::kLive) return true;
  if (thread_state.phase == ThreadPhase::kGone) return false;
  if (!may_begin.load(std::memory_order_relaxed)) return false;
  if (!set_up_bins(&thread_state.main)) return false;
  thread_state.phase = ThreadPhase::kLive;
  thread_state.room = kThreadBytes;
  thread_state.slot = choose_arena_slot();
  stats()->threads.fetch_add(1, std::memory_order_relaxed);
  // May call calloc for a key beyond the first 32: the bins stand already.
  pthread_setspecific(exit_key, &thread_state);
  return true;
}

int64_t now_nanoseconds() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
  return int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

// Half of what lies in bins that were left alone since the last sweep goes.
void sweep(Cache* cache) {
  for (unsigned i = 0; i < kBinClasses; ++i) {
    Bin* bin = bin_of(cache, i);
    if (bin->top == cache->notes[i].seen) flush_oldest(bin, (held_in(*bin) + 1) / 2, i);
    cache->notes[i].seen = bin->top;
  }
}

// True for one thread per period.
bool claim_tidying(int64_t now) {
  static std::atomic<int64_t> last{0};
  int64_t then = last.load(std::memory_order_relaxed);
  return now - then >= kSweepNanoseconds &&
         last.compare_exchange_strong(then, now, std::memory_order_relaxed);
}

void sweep_in_time() {
  const int64_t now = now_nanoseconds();
  if (thread_state.flushing || now - thread_state.swept < kSweepNanoseconds) return;
  thread_state.swept = now;
  sweep(&thread_state.main);
  for_each_other(sweep);
  if (claim_tidying(now)) tidy();
}

// Rare duties that ride on misses and overflows.
void glance() {
  if (++thread_state.misses % kMissesPerGlance != 0) return;
  stats()->heartbeat.fetch_add(kMissesPerGlance, std::memory_order_relaxed);
  if (several_cpu_nodes()) thread_state.slot = choose_arena_slot();
  stats_publish();
  sweep_in_time();
}

Cache* make_cache(PlacementId placement) {
  if (thread_state.others == nullptr) {
    void* table = tables.take();
    if (table == nullptr) return nullptr;
    memset(table, 0, kTableBytes);
    thread_state.others = static_cast<Cache**>(table);
  }
  Cache*& cache = thread_state.others[placement];
  if (cache != nullptr) return cache;
  auto* fresh = static_cast<Cache*>(caches.take());
  if (fresh == nullptr) return nullptr;
  if (!set_up_bins(fresh)) {
    caches.give(fresh);
    return nullptr;
  }
  cache = fresh;
  return cache;
}

// Pushes the blocks of a refill; false if there are none.
bool refill(Cache* cache, unsigned size_class, PlacementId placement, unsigned count) {
  Bin* bin = bin_of(cache, size_class);
  // What came before may have called jemalloc, and that our free.
  if (bin->top != bin->base) return true;
  Request request = {kClassSizes[size_class], size_class, 0};
  take_blocks(*placement_state(placement), request, count, {&bin->top, &bin->limit});
  return bin->top != bin->base;
}

}  // namespace

void start_thread_caches() { may_begin = pthread_key_create(&exit_key, end_thread) == 0; }

void retire_thread_caches() {
  may_begin = false;
  if (thread_state.phase != ThreadPhase::kLive) return;
  pthread_setspecific(exit_key, nullptr);
  end_thread(nullptr);
}

Cache* cache_for(PlacementId placement) {
  if (!begin_thread()) return nullptr;
  return placement == kDefaultPlacement ? &thread_state.main : make_cache(placement);
}

void* pop_cached(Cache* cache, unsigned size_class) {
  Bin* bin = bin_of(cache, size_class);
  return bin->top != bin->base ? *--bin->top : nullptr;
}

void* allocate_cached(Cache* cache, unsigned size_class, PlacementId placement) {
  void* block = pop_cached(cache, size_class);
  if (block != nullptr) return block;
  glance();
  cache->notes[size_class].overflows = 0;
  grow_limit(cache, size_class, capacity_of(size_class));
  Bin* bin = bin_of(cache, size_class);
  // A thread whose room is used up holds on to one block all the same.
  if (limit_of(*bin) == 0) ++bin->limit;
  // Half the limit, so that a run of frees after the run of allocations still fits. Large blocks
  // are not taken before they are needed.
  const unsigned count = size_class < kCachedClasses ? (limit_of(*bin) + 1) / 2 : 1;
  return refill(cache, size_class, placement, count) ? *--bin->top : nullptr;
}

void spill_and_push(Cache* cache, unsigned size_class, void* block) {
  Bin* bin = bin_of(cache, size_class);
  if (bin->top >= bin->limit) grow_limit(cache, size_class, casual_limit(size_class));
  if (bin->top >= bin->limit) {
    glance();
    if (limit_of(*bin) < 2) return give_blocks(&block, 1, size_class);
    uint8_t& overflows = cache->notes[size_class].overflows;
    if (++overflows >= kOverflowsInARow && limit_of(*bin) > casual_limit(size_class)) {
      overflows = 0;
      lower_limit(bin, limit_of(*bin) / 2, size_class);
    }
    const unsigned kept = limit_of(*bin) / 2;
    if (held_in(*bin) > kept) flush_oldest(bin, held_in(*bin) - kept, size_class);
    if (bin->top >= bin->limit) return give_blocks(&block, 1, size_class);
  }
  *bin->top++ = block;
}

void tick() {
  thread_state.ticks = kFreesPerTick;
  if (thread_state.phase != ThreadPhase::kLive) return;
  const int saved = errno;  // free leaves it alone
  sweep_in_time();
  settle_sites();
  if (void (*look)() = at_tick.load(std::memory_order_relaxed)) look();
  errno = saved;
}

void flush_thread() {
  if (thread_state.phase != ThreadPhase::kLive) return;
  flush_cache(&thread_state.main);
  for_each_other(flush_cache);
}

}  // namespace hms::alloc
