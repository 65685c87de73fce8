// Spans: 64 KiB of memory, or 256 or 512 for larger blocks, that hold blocks of one size class, and
// know which are free.
//
//   span table = one record per 64 KiB of the region, beside the page map: (address, class) ->
//                record is a subtraction, a shift, a mask and a multiplication. Of a larger span
//                the first record counts
//   bits       = one per block, set while the block is free here; outside the objects, so a slow
//                target is never read to find room, and a stray write never breaks the allocator
//
// A block is free here, or in a transfer cache, or in a thread's bin, or the program's; only the
// first is told by a bit. What is in this file needs the lock of the span's central (central.h).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "allocator/region.h"
#include "allocator/size_classes.h"

namespace hms::alloc {

struct Central;

inline constexpr unsigned kSpanShift = 16;
inline constexpr size_t kSpanUnit = size_t{1} << kSpanShift;
inline constexpr unsigned kSlabClasses = kCachedClasses;  // all that lie in spans
static_assert(class_size(kDenseClasses - 1) == kMaxDenseSize);
// At least eight blocks to a span, at most 6.3 % left over.
constexpr size_t span_bytes(unsigned size_class) {
  if (size_class < kDenseClasses) return kSpanUnit;
  return size_class + 1 < kSlabClasses ? 4 * kSpanUnit : 8 * kSpanUnit;
}

struct alignas(64) Span {
  uint8_t mark;  // size class + 1; 0: this is no span. Read without the lock: relaxed atomics
  uint8_t list;  // of its central
  uint16_t free;
  uint16_t first_word;  // no bit is set in the words before this one
  uint32_t next;        // indices into the span table; 0 ends a list (see span_index)
  uint32_t prev;
  Central* home;
  uint64_t* bits;  // `own` when that is enough
  uint64_t own[4];
};
static_assert(sizeof(Span) == 64);

struct SpanShape {
  uint32_t step;        // from block to block
  uint32_t reciprocal;  // of the step: offset * reciprocal >> 32 is the block's number
  uint32_t bytes;       // of the span
  uint16_t blocks;
};

namespace detail {
constexpr auto make_shapes() {
  std::array<SpanShape, kSlabClasses> shapes{};
  for (unsigned i = 0; i < kSlabClasses; ++i) {
    // Blocks of whole pages side by side would begin in the same set of the first level cache, and
    // so would all their pages: eight blocks of 32 KiB whose pages are touched in turn took 68 ns a
    // round, and 2.3 when each begins a line later than the one before.
    auto step = static_cast<uint32_t>(class_size(i) + (i < kDenseClasses ? 0 : kColour));
    auto bytes = static_cast<uint32_t>(span_bytes(i));
    // Exact for offsets where a block starts: the error is less than offset / 2^32, hence than 1.
    auto reciprocal = static_cast<uint32_t>(((uint64_t{1} << 32) + step - 1) / step);
    shapes[i] = {step, reciprocal, bytes, static_cast<uint16_t>(bytes / step)};
  }
  return shapes;
}
}  // namespace detail
inline constexpr auto kShapes = detail::make_shapes();

// Where the record of a span of this class lies if the address is in one.
inline Span* span_of(uintptr_t address, unsigned size_class) {
  const uintptr_t within = ~static_cast<uintptr_t>(kShapes[size_class].bytes - 1);
  return &region.spans[((address - region.base) & within) >> kSpanShift];
}
// The region's first 64 KiB are span 1, so that 0 can mean none.
inline uint32_t span_index(const Span* span) {
  return static_cast<uint32_t>(span - region.spans) + 1;
}
inline Span* span_at(uint32_t index) { return &region.spans[index - 1]; }
inline uintptr_t span_start(const Span* span) {
  return region.base + (static_cast<uintptr_t>(span - region.spans) << kSpanShift);
}
// A block of this class that lies in a span, told without a lock by whoever holds the block.
inline bool in_span(uintptr_t address, unsigned size_class) {
  if (size_class >= kSlabClasses) return false;
  return __atomic_load_n(&span_of(address, size_class)->mark, __ATOMIC_RELAXED) == size_class + 1;
}

// Makes a span of the memory at `start`, all its blocks free. Null without memory for its bits. No
// lock needed: nobody knows it yet.
Span* make_span(uintptr_t start, Central* home, unsigned size_class);
// Forgets a span that no list holds. Its memory is then plain again.
void unmake_span(Span* span);

// Takes up to `count` free blocks, the lowest ones, and stores them from the highest address down:
// a stack then gives them out in order of address.
unsigned take_from_span(Span* span, unsigned count, void** out);

// The number of the block that starts there; `blocks` or more if none does.
inline uint32_t block_number(const SpanShape& shape, uintptr_t block) {
  const uint64_t offset = block & (shape.bytes - 1);
  const auto number = static_cast<uint32_t>(offset * shape.reciprocal >> 32);
  return number * shape.step == offset ? number : UINT32_MAX;
}

// Marks a block of a span free. False, and nothing done, if no block starts there or it is free
// already. `shape` is that of the span's class.
inline bool put_into_span(Span* span, const SpanShape& shape, uintptr_t block) {
  const uint32_t number = block_number(shape, block);
  if (number >= shape.blocks) return false;
  const uint32_t word = number / 64;
  const uint64_t bit = uint64_t{1} << (number % 64);
  if ((span->bits[word] & bit) != 0) return false;
  span->bits[word] |= bit;
  if (word < span->first_word) span->first_word = static_cast<uint16_t>(word);
  ++span->free;
  return true;
}

}  // namespace hms::alloc
