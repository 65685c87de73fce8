// Size classes: jemalloc's, from 16 bytes up (8 is left out: malloc's blocks suit max_align_t, as
// glibc's do, and programs rely on it). Four classes per doubling bound internal waste to 20 %.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace hms::alloc {

inline constexpr size_t kMaxCachedSize = size_t{32} << 10;  // of the hit paths
inline constexpr unsigned kCachedClasses = 40;              // classes 0 .. 39: 16 B .. 32 KiB
inline constexpr size_t kMaxBinSize = size_t{256} << 10;    // larger blocks bypass thread caches
inline constexpr unsigned kBinClasses = 52;                 // classes 0 .. 51
// Classes 0 .. 31, up to 8 KiB, lie side by side from the start of a page on, so that a class that
// is a multiple of an alignment up to a page has it. Those above, up to kMaxCachedSize, lie a cache
// line apart (slab.h): they have the alignment of that.
inline constexpr unsigned kDenseClasses = 32;
inline constexpr size_t kMaxDenseSize = size_t{8} << 10;
inline constexpr size_t kColour = 64;
inline constexpr size_t kMaxSize = size_t{1} << 46;  // above: no memory, by definition

// Class of a size in 1 .. kMaxSize.
constexpr unsigned class_of(size_t size) {
  if (size <= 64) return size == 0 ? 0 : static_cast<unsigned>((size - 1) >> 4);
  unsigned lg = 63 - static_cast<unsigned>(__builtin_clzl(size - 1));
  return 4 * (lg - 6) + 4 + (static_cast<unsigned>((size - 1) >> (lg - 2)) & 3);
}

// Usable bytes of a class.
constexpr size_t class_size(unsigned index) {
  if (index < 4) return (size_t{index} + 1) << 4;
  unsigned group = (index - 4) / 4;
  unsigned step = (index - 4) % 4;
  return (size_t{64} << group) + ((size_t{16} << group) * (step + 1));
}

static_assert(class_of(kMaxCachedSize) == kCachedClasses - 1);
static_assert(class_size(kCachedClasses - 1) == kMaxCachedSize);
static_assert(class_size(kBinClasses - 1) == kMaxBinSize);
static_assert(class_of(65) == 4 && class_size(4) == 80 && class_of(129) == 8);

namespace detail {
constexpr auto make_class_table() {
  std::array<uint8_t, kMaxCachedSize / 16 + 1> table{};
  for (size_t i = 0; i < table.size(); ++i) table[i] = static_cast<uint8_t>(class_of(i * 16));
  return table;
}
constexpr auto make_size_table() {
  std::array<uint32_t, kBinClasses> table{};
  for (unsigned i = 0; i < kBinClasses; ++i) table[i] = static_cast<uint32_t>(class_size(i));
  return table;
}
}  // namespace detail

// Indexed by (size + 15) / 16 for sizes up to kMaxCachedSize: one load instead of a bit scan.
inline constexpr auto kClassTable = detail::make_class_table();
inline constexpr auto kClassSizes = detail::make_size_table();

inline unsigned cached_class(size_t size) { return kClassTable[(size + 15) >> 4]; }
// The same for a size of `below` + 1.
inline unsigned cached_class_above(size_t below) { return kClassTable[(below >> 4) + 1]; }

}  // namespace hms::alloc
