// Per-thread caches: bins of free blocks of (placement, size class), in front of the arenas.
//
// A bin is an array stack. It starts with room for a few blocks and doubles while the thread keeps
// missing, up to a bound per bin and per thread; frees alone make it grow only a little, and a long
// run of them shrinks it again. When the thread's bytes are used up, bins that were not busy lately
// give room back. All zero is a valid state in which every request takes the slow path: malloc
// works before any constructor, in any thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "allocator/allocator.h"
#include "allocator/size_classes.h"

namespace hms::alloc {

struct Bin {
  void** top;    // one past the last block; == base: empty
  void** base;   // the array
  void** limit;  // top may not pass this; == base before the bin is set up
  void** end;    // of the array
};

struct BinNotes;

// Bins of the larger classes lie apart: thread-local memory is scarce where a library is loaded
// late.
struct Cache {
  Bin by_mark[1 + kCachedClasses];  // by page mark (region.h); nothing has the mark of the first
  BinNotes* notes;                  // per class; null before the cache is set up

  Bin& bin(unsigned size_class) { return by_mark[size_class + 1]; }
};

enum class ThreadPhase : uint8_t { kFresh = 0, kLive, kGone };

struct alignas(64) ThreadState {
  Cache main;      // of the default placement
  Cache** others;  // by placement; null before the first use of another placement
  size_t room;     // bytes by which limits may still grow
  unsigned slot;   // which arena of each leg this thread uses
  unsigned misses;
  int ticks;        // frees until tick()
  unsigned victim;  // where the next search for idle room starts
  int64_t swept;    // when idle bins were last looked for (monotonic ns)
  ThreadPhase phase;
  bool starting;  // this thread is starting the allocator
  bool flushing;  // blocks are leaving a bin
  // Where rules send plain requests of a class, if that depends on nothing but the class; null: the
  // rules must be asked. Filled by the entry points.
  Bin* routed[kCachedClasses];
};

// Initial-exec (compiler flag): one register-relative load, no call.
extern __thread ThreadState thread_state;

void start_thread_caches();  // once, at the start of the allocator

// The calling thread's cache of a placement; null if it has none (yet), never made here.
inline Cache* existing_cache(PlacementId placement) {
  if (__builtin_expect(placement == kDefaultPlacement, 1)) return &thread_state.main;
  Cache** others = thread_state.others;
  return others == nullptr ? nullptr : others[placement];
}
// The same, made if need be; null when the thread is past its end or there is no memory: use the
// arenas directly.
Cache* cache_for(PlacementId placement);

// A block of a class below kBinClasses; null without memory.
void* allocate_cached(Cache* cache, unsigned size_class, PlacementId placement);
// The same, but only if one is at hand.
void* pop_cached(Cache* cache, unsigned size_class);
// Out of line part of the free path: makes room in a full bin, and pushes.
void spill_and_push(Cache* cache, unsigned size_class, void* block);

// Rides on every few thousandth free, so that a program that only hits still lets idle memory go.
void tick();
// What the entry points want done then, too; one function, set before it is needed.
extern std::atomic<void (*)()> at_tick;

// From now on no thread keeps blocks. What other threads have already stays with them.
void retire_thread_caches();

// Gives back everything that this thread caches.
void flush_thread();

}  // namespace hms::alloc
