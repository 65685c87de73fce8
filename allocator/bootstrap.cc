// See bootstrap.h. Only the starting thread comes here, so there is no lock.
#include "allocator/bootstrap.h"

#include "allocator/leg.h"
#include "allocator/placements.h"
#include "allocator/region.h"
#include "runtime/support/os.h"

namespace hms::alloc {
namespace {

constexpr size_t kChunk = size_t{64} << 10;
constexpr size_t kHeader = 16;  // holds the size; keeps the block aligned for any type

uintptr_t next = 0;
uintptr_t end = 0;

uintptr_t round_up(uintptr_t value, size_t unit) { return (value + unit - 1) & ~(unit - 1); }

bool refill(size_t needed) {
  size_t bytes = needed > kChunk ? round_up(needed, os::kPageSize) : kChunk;
  Leg* leg = default_leg();
  uintptr_t start = carve(leg, bytes, os::kPageSize);
  if (start == 0 || !commit_extent(leg, start, bytes)) return false;
  next = start;
  end = start + bytes;
  return true;
}

}  // namespace

void* bootstrap_allocate(size_t size, size_t alignment) {
  if (alignment < kHeader) alignment = kHeader;
  if (size > region.bytes || alignment > region.bytes) return nullptr;
  if (end - next < size + alignment + kHeader && !refill(size + alignment + kHeader)) {
    return nullptr;
  }
  uintptr_t block = round_up(next + kHeader, alignment);
  size_t usable = round_up(size == 0 ? 1 : size, kHeader);
  if (block + usable > end) usable = end - block;
  next = block + usable;
  *static_cast<size_t*>(to_pointer(block - kHeader)) = usable;
  set_page_mark(block, kBootstrapMark);
  return to_pointer(block);
}

size_t bootstrap_size(const void* block) {
  return *reinterpret_cast<const size_t*>(static_cast<const char*>(block) - kHeader);
}

}  // namespace hms::alloc
