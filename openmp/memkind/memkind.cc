// libhms_memkind.so: the part of memkind's interface that OpenMP runtimes look up at run time, on
// HMS placements. Named libmemkind.so (libomp) or libmemkind.so.0 (libgomp 13 and later) in a
// folder of LD_LIBRARY_PATH, it gives a stock runtime the targets of this machine without
// interposition.
//
// Sources: the names and meanings of memkind(3); which of them are looked up: libgomp's allocator.c
// (gomp_init_memkind) and libomp's kmp_alloc.cpp (__kmp_init_memkind). A kind is an address to the
// caller. Kinds whose memory does not exist are "not available", as memkind says it: the runtimes
// then use their default memory.
#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#include <atomic>
#include <string>

#include "allocator/routing/sources.h"
#include "hms/hms.h"
#include "openmp/space_query.h"
#include "openmp/spaces.h"
#include "runtime/placement/placement.h"

namespace {

enum class Want { kDefault, kBandwidth, kBandwidthInterleaved, kCapacity, kInterleaved };

// `only`: memory outside the space is no memory; else what follows it is the kernel's choice.
struct Kind {
  Want want;
  bool only;
  std::atomic<int> state;  // 0 not looked at, 1 available, 2 not
  const hms_placement* placement;
};

std::string join(const hms::omp::Space& space, const char* between) {
  std::string spec;
  for (const hms::TargetRef& target : space.resources) {
    spec += (spec.empty() ? "" : between) + target.key;
  }
  return spec;
}

// Empty: this machine has no such memory.
std::string specification(const Kind& kind) {
  using hms::omp::find_space;
  const hms::omp::Space* space = &hms::omp::default_space();
  if (kind.want == Want::kBandwidth || kind.want == Want::kBandwidthInterleaved) {
    space = find_space(hms::omp::kHighBwSpace);
  } else if (kind.want == Want::kCapacity) {
    space = find_space(hms::omp::kLargeCapSpace);
  }
  const bool takes_turns =
      kind.want == Want::kInterleaved || kind.want == Want::kBandwidthInterleaved;
  if (kind.want == Want::kInterleaved) {
    return space->resources.size() < 2 ? "default" : join(*space, "+");
  }
  if (space->kernel_chosen || space->resources.empty()) return "";
  std::string spec = join(*space, takes_turns ? "+" : ">");
  return kind.only ? spec + "!" : spec;
}

// The machine as the configuration describes it. Through the C interface, so that the allocator of
// a preloaded libhms_malloc.so is used where there is one; never freed, as placements refer to it.
hms_topology* described_machine() {
  static hms_topology* const machine = [] {
    hms_topology* loaded = nullptr;
    const std::string source =
        hms::routing::topology_source(hms::routing::read_configuration().tiers);
    return hms_topology_load(source.c_str(), &loaded) == HMS_OK ? loaded : nullptr;
  }();
  return machine;
}

bool available(Kind* kind) {
  if (kind == nullptr) return false;
  if (kind->want == Want::kDefault) return true;
  int state = kind->state.load(std::memory_order_acquire);
  if (state == 0) {
    try {
      const std::string spec = specification(*kind);
      const hms_placement* placement = nullptr;
      const bool found = !spec.empty() &&
                         hms_placement_get(described_machine(), spec.c_str(), &placement) == HMS_OK;
      kind->placement = placement;
      state = found ? 1 : 2;
    } catch (const std::exception&) {
      state = 2;
    }
    kind->state.store(state, std::memory_order_release);
  }
  return state == 1;
}

Kind default_kind = {Want::kDefault, false, {1}, nullptr};
Kind hbw = {Want::kBandwidth, true, {0}, nullptr};
Kind hbw_preferred = {Want::kBandwidth, false, {0}, nullptr};
Kind hbw_interleave = {Want::kBandwidthInterleaved, true, {0}, nullptr};
Kind dax_kmem = {Want::kCapacity, true, {0}, nullptr};
Kind dax_kmem_preferred = {Want::kCapacity, false, {0}, nullptr};
Kind interleave = {Want::kInterleaved, false, {0}, nullptr};

constexpr int kErrorUnavailable = -1;  // MEMKIND_ERROR_UNAVAILABLE, memkind.h

}  // namespace

#define HMS_MEMKIND extern "C" __attribute__((visibility("default")))

// memkind_t is a pointer; these are variables of that type.
HMS_MEMKIND Kind* MEMKIND_DEFAULT;
HMS_MEMKIND Kind* MEMKIND_REGULAR;
HMS_MEMKIND Kind* MEMKIND_HBW;
HMS_MEMKIND Kind* MEMKIND_HBW_ALL;
HMS_MEMKIND Kind* MEMKIND_HBW_PREFERRED;
HMS_MEMKIND Kind* MEMKIND_HBW_INTERLEAVE;
HMS_MEMKIND Kind* MEMKIND_DAX_KMEM;
HMS_MEMKIND Kind* MEMKIND_DAX_KMEM_ALL;
HMS_MEMKIND Kind* MEMKIND_DAX_KMEM_PREFERRED;
HMS_MEMKIND Kind* MEMKIND_HIGHEST_CAPACITY;
HMS_MEMKIND Kind* MEMKIND_HIGHEST_CAPACITY_PREFERRED;
HMS_MEMKIND Kind* MEMKIND_HIGHEST_BANDWIDTH_LOCAL;
HMS_MEMKIND Kind* MEMKIND_HIGHEST_BANDWIDTH_LOCAL_PREFERRED;
HMS_MEMKIND Kind* MEMKIND_INTERLEAVE;
Kind* MEMKIND_DEFAULT = &default_kind;
Kind* MEMKIND_REGULAR = &default_kind;
Kind* MEMKIND_HBW = &hbw;
Kind* MEMKIND_HBW_ALL = &hbw;
Kind* MEMKIND_HBW_PREFERRED = &hbw_preferred;
Kind* MEMKIND_HBW_INTERLEAVE = &hbw_interleave;
Kind* MEMKIND_DAX_KMEM = &dax_kmem;
Kind* MEMKIND_DAX_KMEM_ALL = &dax_kmem;
Kind* MEMKIND_DAX_KMEM_PREFERRED = &dax_kmem_preferred;
Kind* MEMKIND_HIGHEST_CAPACITY = &dax_kmem;
Kind* MEMKIND_HIGHEST_CAPACITY_PREFERRED = &dax_kmem_preferred;
Kind* MEMKIND_HIGHEST_BANDWIDTH_LOCAL = &hbw;
Kind* MEMKIND_HIGHEST_BANDWIDTH_LOCAL_PREFERRED = &hbw_preferred;
Kind* MEMKIND_INTERLEAVE = &interleave;

HMS_MEMKIND int memkind_check_available(Kind* kind) {
  return available(kind) ? 0 : kErrorUnavailable;
}

// memkind(3): size 0 gives NULL.
HMS_MEMKIND void* memkind_malloc(Kind* kind, size_t size) {
  if (size == 0 || !available(kind)) return nullptr;
  return hms_malloc(size, kind->placement);
}

HMS_MEMKIND void* memkind_calloc(Kind* kind, size_t count, size_t size) {
  if (count == 0 || size == 0 || !available(kind)) return nullptr;
  return hms_calloc(count, size, kind->placement);
}

HMS_MEMKIND void* memkind_realloc(Kind* kind, void* block, size_t size) {
  if (!available(kind)) return nullptr;
  if (size == 0) {
    hms_free(block);
    return nullptr;
  }
  return hms_realloc(block, size, kind->placement);
}

HMS_MEMKIND int memkind_posix_memalign(Kind* kind, void** out, size_t alignment, size_t size) {
  if (alignment < sizeof(void*) || (alignment & (alignment - 1)) != 0) return EINVAL;
  *out = nullptr;
  if (size == 0) return 0;
  void* block = available(kind) ? hms_aligned_alloc(alignment, size, kind->placement) : nullptr;
  if (block == nullptr) return ENOMEM;
  *out = block;
  return 0;
}

// The kind may be null: the address says whose block it is.
HMS_MEMKIND void memkind_free(Kind*, void* block) { hms_free(block); }

HMS_MEMKIND size_t memkind_malloc_usable_size(Kind*, void* block) {
  return block == nullptr ? 0 : hms_usable_size(block);
}
