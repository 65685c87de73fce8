// Where blocks wait that no thread holds: one central per (leg, group of CPUs, size class).
//
// A central lists the spans that have free blocks, fuller ones first, so that the others empty and
// go back to jemalloc; and it has a transfer cache, an array of blocks that one thread gave back
// and another will ask for, which then cost a copy of the array instead of a bit each. The transfer
// cache grows only while both happen: after a burst of frees it would pin a span per block.
//
// Single blocks of jemalloc come here as well, and only into the transfer cache: a target that is
// almost full has room for a block, not for a span; and blocks of more than 8 KiB that start on
// pages are not to be had in spans. jemalloc is never called under the lock, because it may call
// our malloc.
#pragma once

#include "allocator/leg.h"
#include "allocator/short_lock.h"
#include "allocator/slab.h"

namespace hms::alloc {

// By share of free blocks: the first four are quarters.
inline constexpr unsigned kSpanLists = 5;
inline constexpr unsigned kEmptyList = 4;
inline constexpr unsigned kNoList = 5;  // every block is out

struct alignas(64) Central {
  ShortLock lock;
  uint8_t size_class = 0;
  bool given = false;     // since the last take
  bool asked = false;     // since settle_leg
  uint8_t overflows = 0;  // of the transfer cache, since the last take
  uint32_t held = 0;      // blocks in the transfer cache
  uint32_t limit = 0;     // of the transfer cache now
  uint32_t spans = 0;     // all of this central's
  uint32_t empties = 0;
  uint32_t lists[kSpanLists] = {};
  void** transfer = nullptr;  // made at first use
  Leg* leg = nullptr;
};

struct Depot {
  Central centrals[kCachedClasses];
};

// Made at first use; null when there is no memory for it.
Central* central_of(Leg* leg, unsigned group, unsigned size_class);

// Up to `count` blocks of what is there, into out[]. Never calls jemalloc.
unsigned take_from_central(Central* central, unsigned count, void** out);
// Takes blocks back. The array is used up. Every block must be of this central's leg and class, and
// of its group if it lies in a span.
void give_to_central(Central* central, void** blocks, unsigned count);
// Adds a fresh span, after taking up to `count` blocks from it.
unsigned add_span(Central* central, Span* span, unsigned count, void** out);

// False if it is known that the program does not have this block: it is free in its span, or none
// starts there. What waits in a transfer cache is not known.
bool is_out(const void* block, unsigned size_class);

// Gives back all that the leg's centrals hold and nobody uses.
void drain_leg(Leg* leg);

// Once in a while: gives back what a central kept and nobody asked for since the last time.
void settle_leg(Leg* leg);

// For fork: all centrals of a leg.
void lock_centrals(Leg* leg);
void unlock_centrals(Leg* leg);

}  // namespace hms::alloc
