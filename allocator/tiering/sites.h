// What a thread knows of the places it allocates from: a table of return addresses, each with the
// bins of its class, and counts that have yet to be added to the context. A request whose place is
// in the table costs no lock and no atomic read-modify-write.
//
// A place that was told apart by depth of stack has a mark in its slot, and a slot for each depth.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "allocator/size_classes.h"
#include "allocator/thread_cache.h"
#include "runtime/tiering/context_table.h"

namespace hms::alloc {

extern std::atomic<bool> classes_on;
inline bool classes_started() { return classes_on.load(std::memory_order_relaxed); }

struct SiteSlot {
  uint64_t key;    // a tiering::ContextKey; 0: free
  Cache* cache;    // of the class
  uint64_t tally;  // allocations and their bytes, see kOneAllocation
  tiering::ContextId context;
};
static_assert(sizeof(SiteSlot) == 32);

inline constexpr unsigned kSiteSlotBits = 9;
inline constexpr uint64_t kSplitMark = uint64_t{1} << 63;
// Of a tally: bytes below, their number above. A thread adds up its tallies every few thousand
// requests of at most kMaxCachedSize, so neither overflows.
inline constexpr uint64_t kOneAllocation = uint64_t{1} << 40;

struct ThreadSites {
  SiteSlot* first;  // the table, where it is asked before anything else; null: it is not
  SiteSlot* table;  // null: this thread has none
  uintptr_t stack;  // the stack pointer of the entry point of the request at hand; 0: unknown
  uint32_t epoch;   // class_epoch that the table is of
};
extern __thread ThreadSites thread_sites;

inline SiteSlot& site_slot(SiteSlot* table, uint64_t key) {
  return table[static_cast<uint32_t>(key) * 0x9e3779b1U >> (32 - kSiteSlotBits)];
}
inline SiteSlot& depth_slot(SiteSlot* table, uint64_t key) {
  return site_slot(table, key ^ key >> tiering::kSiteBits);
}

// As the caller's frame has it: differs by depth, and not by thread.
[[gnu::always_inline]] inline uintptr_t stack_pointer() {
#if defined(__x86_64__)
  uintptr_t at;
  asm("mov %%rsp, %0" : "=r"(at));
  return at;
#elif defined(__aarch64__)
  uintptr_t at;
  asm("mov %0, sp" : "=r"(at));
  return at;
#else
  return reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
#endif
}

// A stack and the data of its thread lie at a constant distance. Never 0.
inline uint64_t stack_depth(uintptr_t stack) {
  const auto thread = reinterpret_cast<uintptr_t>(__builtin_thread_pointer());
  const uint64_t depth = ((thread - stack) >> 4) & tiering::kMaxDepth;
  return depth == 0 ? 1 : depth;
}

// A block for a slot that holds the key.
template <typename Miss>
[[gnu::always_inline]] inline void* pop_for_site_or(SiteSlot& slot, size_t size,
                                                    unsigned size_class, Miss miss) {
  Bin& bin = slot.cache->bin(size_class);
  void** top = bin.top;
  if (__builtin_expect(top == bin.base, 0)) return miss();
  slot.tally += size + kOneAllocation;
  bin.top = top - 1;
  return top[-1];
}

// The slot of a site, or of the site at this depth; null if the table has none.
[[gnu::always_inline]] inline SiteSlot* find_site(SiteSlot* table, const void* site,
                                                  uintptr_t stack) {
  const auto key = reinterpret_cast<uintptr_t>(site);
  SiteSlot& slot = site_slot(table, key);
  if (__builtin_expect(slot.key == key, 1)) return &slot;
  if (slot.key != (key | kSplitMark)) return nullptr;
  const uint64_t deep = tiering::context_key(site, stack_depth(stack));
  SiteSlot& other = depth_slot(table, deep);
  return other.key == deep ? &other : nullptr;
}

// Adds up what this thread has counted, and forgets what is no longer so. Now and then, while the
// thread only hits.
void settle_sites();
// Forgets all; the next request looks anew.
void forget_sites();
// At the end of the thread.
void leave_sites();

}  // namespace hms::alloc
