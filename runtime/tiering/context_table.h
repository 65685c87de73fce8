// The contexts of a process: where its allocations come from, and what each has allocated.
//
// A context is a return address, or, where one address stands for many places because it lies in a
// wrapper, a return address and a depth of stack. The table has a fixed size, takes no lock, and
// nothing is ever removed: ids are small numbers that stay. What does not fit is one context,
// "other". All zero is an empty table, so it costs no memory before it is used.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "runtime/tiering/heap.h"

namespace hms::tiering {

// A return address in the low 47 bits, and above it a depth: distance of the stack pointer from the
// start of the stack, in 16 bytes, at most kMaxDepth. Depth 0: all depths.
using ContextKey = uint64_t;
inline constexpr unsigned kSiteBits = 47;
inline constexpr uint64_t kMaxDepth = 0xffff;

inline ContextKey context_key(const void* site, uint64_t depth) {
  return (reinterpret_cast<uintptr_t>(site) & ((uint64_t{1} << kSiteBits) - 1)) |
         (depth & kMaxDepth) << kSiteBits;
}
inline uintptr_t site_of(ContextKey key) { return key & ((uint64_t{1} << kSiteBits) - 1); }
inline uint16_t depth_of(ContextKey key) { return static_cast<uint16_t>(key >> kSiteBits); }

inline constexpr ContextId kOtherContext = 0;  // what the table had no room for
inline constexpr ClassId kNoClass = 255;       // not decided

struct Context {
  std::atomic<ContextKey> key;
  std::atomic<uint64_t> allocations;
  std::atomic<uint64_t> allocated;  // bytes, cumulative
  std::atomic<ClassId> class_id;
  std::atomic<bool> split;  // told apart by depth from now on; its children carry what comes later
  std::atomic<uint8_t> children;
  std::atomic<bool> spare;    // unused: lost a race, and another record has its key
  std::atomic<bool> settled;  // its class was assigned: it gets none of its own by itself
  // The depths seen lately: depth in the high half, how often in the low.
  static constexpr unsigned kDepths = 7;
  std::atomic<uint32_t> depths[kDepths];
  std::atomic<uint32_t> sights;  // of any depth
};
static_assert(sizeof(Context) == 64);

class ContextTable {
 public:
  static constexpr size_t kCapacity = 4096;  // contexts, "other" among them
  static constexpr unsigned kMaxChildren = 8;

  struct Found {
    ContextId id;
    bool fresh;  // made by this call
  };
  // Never fails: kOtherContext when the table is full. A fresh context has class kNoClass.
  Found find_or_add(ContextKey key);
  // The child of a split context at that depth; the parent itself when it has enough children.
  Found child_of(ContextId parent, uint64_t depth);

  Context& at(ContextId id) { return contexts_[id]; }
  const Context& at(ContextId id) const { return contexts_[id]; }
  // Ids below are in use, but for those that are `spare`.
  size_t size() const;
  uint64_t allocated() const { return allocated_.load(std::memory_order_relaxed); }

  void count(ContextId id, uint64_t allocations, uint64_t bytes);
  // Notes at which depth a context that is not split was met. True if that shows a wrapper: several
  // depths, few enough to tell apart, and much of all bytes. The context is then split.
  bool note_depth(ContextId id, uint64_t depth);

 private:
  static constexpr size_t kSlots = 2 * kCapacity;
  static size_t first_slot(ContextKey key);
  Found find(ContextKey key, size_t* slot) const;
  bool shows_wrapper(const Context& context) const;

  std::atomic<uint32_t> slots_[kSlots];  // id, 0: free
  std::atomic<uint32_t> used_;           // ids given, without "other"
  std::atomic<uint64_t> allocated_;
  Context contexts_[kCapacity];
};

}  // namespace hms::tiering
