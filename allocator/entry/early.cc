// See early.h.
#include "allocator/entry/early.h"

#include <atomic>
#include <cstdint>

#include "allocator/entry/request.h"

namespace hms::entry {
namespace {

constexpr size_t kEarlyBytes = size_t{256} << 10;
alignas(kMinAlignment) unsigned char memory[kEarlyBytes];
std::atomic<size_t> used{0};

size_t round_up(size_t value, size_t alignment) {
  return (value + alignment - 1) & ~(alignment - 1);
}

}  // namespace

void* early_allocate(size_t alignment, size_t size) {
  if (alignment < kMinAlignment) alignment = kMinAlignment;
  if (size > kEarlyBytes || alignment > kEarlyBytes) return nullptr;
  const auto base = reinterpret_cast<uintptr_t>(memory);
  size_t before = used.load(std::memory_order_relaxed);
  size_t start;
  size_t after;
  do {
    // The word before the block holds its size.
    start = round_up(base + before + kMinAlignment, alignment) - base;
    after = round_up(start + size, kMinAlignment);
    if (after > kEarlyBytes) return nullptr;
  } while (!used.compare_exchange_weak(before, after, std::memory_order_relaxed));
  auto* block = reinterpret_cast<size_t*>(memory + start);
  block[-1] = size;
  return block;
}

bool is_early(const void* block) {
  return reinterpret_cast<uintptr_t>(block) - reinterpret_cast<uintptr_t>(memory) < kEarlyBytes;
}

size_t early_size(const void* block) { return static_cast<const size_t*>(block)[-1]; }

}  // namespace hms::entry
