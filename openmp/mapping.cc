// Mapping, binding and checking parts: see mapping.h.
#include "openmp/mapping.h"

#include <algorithm>
#include <cstdint>

#include "runtime/hbind/hbind.h"
#include "runtime/support/log.h"
#include "runtime/support/os.h"

namespace hms::omp {
namespace {

constexpr size_t kMaxParts = 4096;
constexpr size_t kBatch = 128;

size_t to_pages(size_t bytes) { return (bytes + os::kPageSize - 1) & ~(os::kPageSize - 1); }

// Address space at a multiple of `alignment`, readable and writable.
void* map_aligned(size_t length, size_t alignment) {
  const size_t slack = alignment > os::kPageSize ? alignment : 0;
  if (length > PTRDIFF_MAX - slack) return nullptr;
  void* mapped = nullptr;
  if (os::reserve(nullptr, length + slack, &mapped) != 0) return nullptr;
  const auto start = reinterpret_cast<uintptr_t>(mapped);
  const uintptr_t block = slack == 0 ? start : (start + alignment - 1) & ~(alignment - 1);
  if (block > start) os::unmap(mapped, block - start);
  const uintptr_t end = start + length + slack;
  if (end > block + length) {
    os::unmap(reinterpret_cast<void*>(block + length), end - (block + length));
  }
  if (os::commit(reinterpret_cast<void*>(block), length) == 0) {
    return reinterpret_cast<void*>(block);
  }
  os::unmap(reinterpret_cast<void*>(block), length);
  return nullptr;
}

// All parts in one batch: if one cannot be, none is. Strict binds bring the pages into existence.
bool bind_parts(const topology::Topology& machine, char* block, const Space& space,
                const std::vector<Part>& parts) {
  std::vector<hms_id> targets(parts.size());
  std::vector<hms_op> ops(parts.size());
  std::vector<hms_op*> list(parts.size());
  for (size_t i = 0; i < parts.size(); ++i) {
    const topology::Target* target = machine.find_target(space.resources[parts[i].resource].key);
    if (target == nullptr) return false;
    targets[i] = target->id;
    hms_op& op = ops[i];
    op = {};
    op.size = sizeof op;
    op.code = HMS_OP_BIND;
    op.flags = HMS_STRICT;
    op.address = block;
    op.length = to_pages(parts[i].bytes);
    op.targets = &targets[i];
    op.target_count = 1;
    list[i] = &op;
    block += op.length;
  }
  const Status bound = hbind::process_engine().submit(&machine, list);
  if (bound.ok()) return true;
  log(LogLevel::kInfo, "a block in parts was not placed: %s", bound.message().c_str());
  return false;
}

// The kernel's own answer, for every page. Without an answer nothing contradicts the bind.
bool pages_on(const char* start, size_t bytes, int node) {
  void* pages[kBatch];
  int status[kBatch];
  for (size_t done = 0; done < bytes;) {
    size_t count = 0;
    for (; count < kBatch && done < bytes; done += os::kPageSize) {
      pages[count++] = const_cast<char*>(start + done);
    }
    if (os::query_pages(0, count, pages, status) < 0) return true;
    if (!std::all_of(status, status + count, [node](int s) { return s == node; })) return false;
  }
  return true;
}

bool check_parts(const char* block, const Space& space, const std::vector<Part>& parts) {
  for (const Part& part : parts) {
    const size_t bytes = to_pages(part.bytes);
    if (!pages_on(block, bytes, space.resources[part.resource].node)) return false;
    block += bytes;
  }
  return true;
}

}  // namespace

std::vector<Part> blocked_parts(size_t size, size_t resources) {
  const size_t pages = to_pages(size) / os::kPageSize;
  const size_t count = std::min(pages, resources);
  std::vector<Part> parts;
  size_t left = size;
  for (size_t i = 0; i < count; ++i) {
    const size_t share = (pages / count + (i < pages % count ? 1 : 0)) * os::kPageSize;
    parts.push_back({i, std::min(share, left)});
    left -= parts.back().bytes;
  }
  return parts;
}

std::vector<Part> interleaved_parts(size_t size, size_t part_size, size_t resources) {
  while (size / part_size > kMaxParts) part_size *= 2;
  std::vector<Part> parts;
  for (size_t done = 0; done < size; done += part_size) {
    parts.push_back({parts.size() % resources, std::min(part_size, size - done)});
  }
  return parts;
}

void* map_parts(const Space& space, const std::vector<Part>& parts, size_t alignment,
                size_t* length) {
  std::shared_ptr<const topology::Topology> seen = machine();
  if (seen == nullptr || parts.empty()) return nullptr;
  *length = 0;
  for (const Part& part : parts) *length += to_pages(part.bytes);
  void* block = map_aligned(*length, alignment);
  if (block == nullptr) return nullptr;
  if (bind_parts(*seen, static_cast<char*>(block), space, parts) &&
      check_parts(static_cast<const char*>(block), space, parts)) {
    return block;
  }
  release_parts(block, *length);
  return nullptr;
}

void release_parts(void* block, size_t length) { hbind::process_engine().unmap(block, length); }

}  // namespace hms::omp
