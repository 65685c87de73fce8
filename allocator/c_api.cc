// The allocation half of the C interface, include/hms/hms.h.
#include <errno.h>
#include <string.h>

#include <array>
#include <memory>
#include <new>
#include <string>

#include "allocator/allocator.h"
#include "allocator/fast_path.h"
#include "allocator/guard.h"
#include "allocator/handles.h"
#include "allocator/mutex.h"
#include "hms/hms.h"
#include "runtime/placement/placement.h"
#include "runtime/support/last_error.h"
#include "runtime/support/log.h"
#include "runtime/topology/c_handle.h"

namespace hms::alloc {
namespace {

constexpr size_t kMaxRequest = PTRDIFF_MAX;  // differences of pointers into a block must fit

constexpr auto make_handles() {
  std::array<hms_placement, kMaxPlacements> handles{};
  for (size_t i = 0; i < handles.size(); ++i) handles[i].id = static_cast<PlacementId>(i);
  return handles;
}
constexpr auto kHandles = make_handles();

void* or_error(void* block, int error) {
  if (block == nullptr) errno = error;
  return block;
}

bool too_large(size_t size) { return size > kMaxRequest; }

bool is_alignment(size_t alignment) {
  return alignment != 0 && (alignment & (alignment - 1)) == 0 && alignment <= kMaxAlignment;
}

// Misses of the hit paths. Success leaves errno alone, whatever jemalloc and the kernel left there.
__attribute__((noinline)) void* malloc_missed(size_t size, PlacementId placement) {
  if (too_large(size)) return or_error(nullptr, ENOMEM);
  int saved = errno;
  void* block = allocate_slow(size, placement);
  errno = saved;
  return or_error(block, ENOMEM);
}

__attribute__((noinline)) void* aligned_missed(size_t alignment, size_t size,
                                               PlacementId placement) {
  if (!is_alignment(alignment)) return or_error(nullptr, EINVAL);
  if (too_large(size)) return or_error(nullptr, ENOMEM);
  return or_error(allocate_aligned(alignment, size, placement), ENOMEM);
}

// A block that never came from here is left alone: giving it to the wrong heap is a crash later.
bool accept(const void* block, const char* function) {
  if (is_ours(block)) return true;
  log_once(LogLevel::kError, "foreign block",
           "%s(%p): the block is not from libhms; it is left alone. Release it with what made it",
           function, block);
  return false;
}

__attribute__((noinline)) void free_missed(void* block) {
  if (block == nullptr || !accept(block, "hms_free")) return;
  int saved = errno;
  free_guarded(block);
  errno = saved;
}

// The machine's own topology, for specifications that name targets by property; loaded once it is
// needed, kept for good.
Result<std::shared_ptr<const topology::Topology>> live_topology() {
  static Mutex lock;
  static std::shared_ptr<const topology::Topology> loaded;
  LockGuard guard(lock);
  if (loaded != nullptr) return loaded;
  Result<std::shared_ptr<const topology::Topology>> result = topology::Topology::load("");
  if (result.ok()) loaded = result.value();
  return result;
}

Result<Placement> parse(const hms_topology* topology, const std::string& spec) {
  if (topology != nullptr) return parse_placement(spec, topology->snapshot.get());
  if (!placement_needs_topology(spec)) return parse_placement(spec, nullptr);
  Result<std::shared_ptr<const topology::Topology>> live = live_topology();
  if (!live.ok()) return live.status();
  return parse_placement(spec, live.value().get());
}

Result<hms::Leg> leg_of_target(const topology::Topology& topology, hms_id id) {
  const topology::Target* target = topology.target(id);
  if (target == nullptr) {
    return Status(HMS_ENODEV, "target id " + std::to_string(id) +
                                  " is not in the topology (any more); rescan and query again");
  }
  if (target->node < 0) {
    return Status(HMS_ENODEV, "target '" + target->key +
                                  "' is no NUMA node: malloc can only place on memory that the "
                                  "kernel manages as a node");
  }
  hms::Leg leg;
  leg.target = {target->key, target->node, target->emulated,
                target->emulated ? target->bytes : UINT64_MAX};
  return leg;
}

// Unknown targets: an error when strict, else left out, as with ranges.
Result<Placement> list_of(const topology::Topology& topology, const hms_id* targets, size_t count,
                          bool strict) {
  Placement placement;
  placement.strict = strict;
  Status first_problem;
  for (size_t i = 0; i < count; ++i) {
    Result<hms::Leg> leg = leg_of_target(topology, targets[i]);
    if (leg.ok()) {
      placement.spec += (placement.spec.empty() ? "" : ">") + leg.value().target.key;
      placement.legs.push_back(leg.value());
    } else if (strict) {
      return leg.status();
    } else if (first_problem.ok()) {
      first_problem = leg.status();
    }
  }
  if (placement.legs.empty()) return first_problem;
  if (strict) placement.spec += "!";
  return placement;
}

hms_status hand_out(const Result<Placement>& placement, const hms_placement** out) {
  if (!placement.ok()) return fail(placement.status());
  Result<PlacementId> id = register_placement(placement.value());
  if (!id.ok()) return fail(id.status());
  *out = &kHandles[id.value()];
  return HMS_OK;
}

// No exception leaves the C interface; the only one that can occur is lack of memory.
template <typename Make>
hms_status guarded(Make make, const hms_placement** out) {
  try {
    return hand_out(make(), out);
  } catch (const std::bad_alloc&) {
    return fail(HMS_ENOMEM, "out of memory while making a placement");
  }
}

}  // namespace
}  // namespace hms::alloc

using namespace hms;         // NOLINT(google-build-using-namespace)
using namespace hms::alloc;  // NOLINT(google-build-using-namespace)

extern "C" {

hms_status hms_placement_get(const hms_topology* topology, const char* spec,
                             const hms_placement** out) {
  if (spec == nullptr || out == nullptr) {
    return fail(HMS_EINVAL, "hms_placement_get: spec and out must not be NULL");
  }
  return guarded([&] { return parse(topology, spec); }, out);
}

hms_status hms_placement_of(const hms_topology* topology, const hms_id* targets,
                            size_t target_count, unsigned flags, const hms_placement** out) {
  if (topology == nullptr || targets == nullptr || target_count == 0 || out == nullptr) {
    return fail(HMS_EINVAL,
                "hms_placement_of: topology, targets and out must not be NULL, and at least one "
                "target is needed");
  }
  if ((flags & ~HMS_STRICT) != 0) {
    return fail(HMS_EINVAL, "hms_placement_of: the only flag is HMS_STRICT");
  }
  bool strict = (flags & HMS_STRICT) != 0;
  return guarded([&] { return list_of(*topology->snapshot, targets, target_count, strict); }, out);
}

void* hms_malloc(size_t size, const hms_placement* placement) {
  PlacementId id = id_of(placement);
  return allocate_placed_or(size, id, [size, id] { return malloc_missed(size, id); });
}

void* hms_calloc(size_t count, size_t size, const hms_placement* placement) {
  size_t bytes;
  if (__builtin_mul_overflow(count, size, &bytes) || too_large(bytes)) {
    return or_error(nullptr, ENOMEM);
  }
  return or_error(allocate_zeroed(bytes, id_of(placement)), ENOMEM);
}

void* hms_aligned_alloc(size_t alignment, size_t size, const hms_placement* placement) {
  PlacementId id = id_of(placement);
  const auto miss = [=] { return aligned_missed(alignment, size, id); };
  if (__builtin_expect(!is_alignment(alignment), 0)) return miss();
  return allocate_aligned_or(alignment, size, id, miss);
}

// Size 0 shrinks the block to the smallest size instead of freeing it: null then always means that
// the old block is still there.
void* hms_realloc(void* block, size_t size, const hms_placement* placement) {
  if (block == nullptr) return hms_malloc(size, placement);
  if (!accept(block, "hms_realloc")) return or_error(nullptr, EINVAL);
  if (too_large(size)) return or_error(nullptr, ENOMEM);
  const size_t bytes = size == 0 ? 1 : size;
  const Guard* guard = guard_of(block);
  return or_error(guard != nullptr ? guard->reallocate(block, bytes)
                                   : reallocate(block, bytes, id_of(placement)),
                  ENOMEM);
}

void hms_free(void* block) {
  free_or(block, [block] { free_missed(block); });
}

size_t hms_usable_size(const void* block) {
  return block != nullptr && is_ours(block) ? usable_guarded(block) : 0;
}

const char* hms_target_of(const void* block) {
  return owns(block) ? target_of(block).key.c_str() : nullptr;
}

hms_status hms_set_quota(const char* target_key, uint64_t bytes) {
  if (target_key == nullptr || target_key[0] == '\0') {
    return fail(HMS_EINVAL, "hms_set_quota: the key of a target is needed, e.g. \"node:2\"");
  }
  try {
    set_quota(target_key, bytes);
    return HMS_OK;
  } catch (const std::bad_alloc&) {
    return fail(HMS_ENOMEM, "out of memory while setting a quota");
  }
}

void hms_trim(void) { trim(); }
}
