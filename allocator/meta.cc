// See meta.h.
#include "allocator/meta.h"

#include <cstdint>

#include "allocator/short_lock.h"
#include "runtime/support/os.h"

namespace hms::alloc {
namespace {

constexpr size_t kLine = 64;
constexpr size_t kChunk = size_t{512} << 10;

ShortLock lock;
char* next = nullptr;
size_t left = 0;

size_t round_up(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit * unit; }

bool refill(size_t needed) {
  size_t bytes = needed > kChunk ? round_up(needed, os::kPageSize) : kChunk;
  void* chunk = nullptr;
  if (os::reserve(nullptr, bytes, &chunk) != 0) return false;
  if (os::commit(chunk, bytes) != 0) {
    os::unmap(chunk, bytes);
    return false;
  }
  // Most of an array is never touched.
  os::advise_huge_pages(chunk, bytes, false);
  next = static_cast<char*>(chunk);
  left = bytes;
  return true;
}

// Under the lock.
void* carve_piece(size_t bytes) {
  bytes = round_up(bytes, kLine);
  if (bytes > left && !refill(bytes)) return nullptr;
  void* piece = next;
  next += bytes;
  left -= bytes;
  return piece;
}

}  // namespace

void* meta_allocate(size_t bytes) {
  ShortGuard guard(lock);
  return carve_piece(bytes);
}

void* MetaPool::take() {
  ShortGuard guard(lock);
  if (unused_ == nullptr) return carve_piece(bytes_);
  void* piece = unused_;
  unused_ = *static_cast<void**>(piece);
  return piece;
}

void MetaPool::give(void* piece) {
  ShortGuard guard(lock);
  *static_cast<void**>(piece) = unused_;
  unused_ = piece;
}

void lock_meta() { lock.lock(); }
void unlock_meta() { lock.unlock(); }

}  // namespace hms::alloc
