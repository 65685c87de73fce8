// Per-thread caches: bins of free blocks of (placement, size class), in front of the arenas.
//
// A bin is an array stack. It starts with room for a few blocks and doubles while the thread keeps
// missing, up to a bound per bin and per thread; frees alone make it grow only a little, and a long
// run of them shrinks it again. When the thread's bytes are used up, bins that were not busy lately
// give room back. All zero is a valid state in which every request takes the slow path: malloc
// works before any constructor, in any thread.
#pragma once

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

struct Cache {
  Bin bins[kCachedClasses];
  BinNotes* notes;  // per bin; null before the cache is set up
};

enum class ThreadPhase : uint8_t { kFresh = 0, kLive, kGone };

struct ThreadState {
  Cache main;      // of the default placement
  Cache** others;  // by placement; null before the first use of another placement
  size_t room;     // bytes by which limits may still grow
  unsigned slot;   // which arena of each leg this thread uses
  unsigned misses;
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

// Out of line parts of the two hit paths. Failure is null.
void* refill_and_pop(Cache* cache, unsigned size_class, PlacementId placement);
// Makes room in a full bin, and pushes.
void spill_and_push(Cache* cache, unsigned size_class, void* block);

// Gives back everything that this thread caches.
void flush_thread();

}  // namespace hms::alloc
